import Formats
import ProviderPort

/// The calls of Wave's checkout.
struct CheckoutAPI: Sendable {
    private let base: String
    private let apiKey: String

    init(baseURL: String, apiKey: String) {
        var base = baseURL
        while base.hasSuffix("/") { base.removeLast() }
        self.base = base + "/v1/checkout/sessions"
        self.apiKey = apiKey
    }

    func create(_ request: JSON, attempt: String, over transport: any ProviderTransport) async throws(ProviderError) -> CheckoutSession {
        var headers = authorised
        // Payouts demand it; the checkout is not known to read it, and no header is known to be refused.
        headers["idempotency-key"] = attempt
        let answer = try await transport.send(.postJSON(base, request, headers: headers))
        guard (200...201).contains(answer.status) else { throw Self.fault(answer, asking: "create a session") }
        return try Self.session(answer)
    }

    func session(_ id: String, over transport: any ProviderTransport) async throws(ProviderError) -> CheckoutSession {
        let answer = try await get("\(base)/\(PercentEncoding.encodePathSegment(id))", over: transport)
        let session = try Self.session(answer)
        guard session.id == id else { throw ProviderError(.unavailable, "the answer is about another session than asked for") }
        return session
    }

    /// The sessions with this reference of ours. The answer's shape is not in what was readable of the documentation: `result` holds the list in two
    /// integrations, and a bare list is taken as well.
    func sessions(clientReference: String, over transport: any ProviderTransport) async throws(ProviderError) -> [CheckoutSession] {
        let answer = try await get("\(base)/search?client_reference=\(PercentEncoding.encodePathSegment(clientReference))", over: transport)
        let json = try answer.json()
        guard let list = json["result"]?.array ?? json.array else { throw ProviderError(.unavailable, "the answer to search holds no list") }
        // What has another reference is not what was searched for.
        return list.prefix(100).compactMap { try? CheckoutSession($0) }.filter { $0.clientReference == clientReference }
    }

    func expire(_ id: String, over transport: any ProviderTransport) async throws(ProviderError) {
        let answer = try await act("expire", on: id, over: transport)
        // One that is not open any more cannot be expired: the session itself then tells what it is.
        guard (200...204).contains(answer.status) || answer.status == 409 else { throw Self.fault(answer, asking: "expire the session") }
    }

    func refund(_ id: String, over transport: any ProviderTransport) async throws(ProviderError) {
        let answer = try await act("refund", on: id, over: transport)
        guard (200...204).contains(answer.status) else { throw Self.fault(answer, asking: "refund the session") }
    }

    private func act(_ verb: String, on id: String, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderAnswer {
        try await transport.send(
            ProviderCall(
                method: "POST", url: "\(base)/\(PercentEncoding.encodePathSegment(id))/\(verb)", headers: authorised, body: [],
                mustArriveOnce: verb == "refund"))
    }

    private func get(_ url: String, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderAnswer {
        let answer = try await transport.send(ProviderCall(method: "GET", url: url, headers: authorised, body: []))
        guard answer.status == 200 else { throw Self.fault(answer, asking: "look the session up") }
        return answer
    }

    private var authorised: HTTPHeaders { ["authorization": "Bearer \(apiKey)", "accept": "application/json"] }

    private static func session(_ answer: ProviderAnswer) throws(ProviderError) -> CheckoutSession {
        let json = try answer.json()
        do throws(ProviderError) {
            return try CheckoutSession(json)
        } catch {
            throw ProviderError(.unavailable, "the answer is no session: \(error.message)")
        }
    }

    /// Wave's errors: a code beside the HTTP status, at the top or in `error`. Its messages may quote what was sent: they are not passed on.
    private static func fault(_ answer: ProviderAnswer, asking call: String) -> ProviderError {
        let json = try? answer.json()
        let code = (json?["code"]?.string ?? json?["error_code"]?.string ?? json?["error"]?["code"]?.string).map { String($0.prefix(60)) }
        let kind: ProviderError.Kind =
            switch answer.status {
            case 401, 403: .misconfigured
            case 404: .notFound
            case 408, 425: .unavailable
            case 429: .throttled
            case 400..<500: .rejected
            default: .unavailable
            }
        return ProviderError(
            kind, "Wave answered \(answer.status) to: \(call)", code: code ?? String(answer.status), retryAfterSeconds: answer.retryAfterSeconds())
    }
}
