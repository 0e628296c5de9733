import Formats
import Money
import ProviderPort

/// The calls of the back end.
struct PaymentBackendAPI: Sendable {
    private typealias Shape = PaymentBackendShape
    private let base: String
    private let apiKey: String

    init(baseURL: String, apiKey: String) {
        var base = baseURL
        while base.hasSuffix("/") { base.removeLast() }
        self.base = base
        self.apiKey = apiKey
    }

    func initiate(_ order: PaymentOrder, over transport: any ProviderTransport) async throws(ProviderError) -> Initiation {
        let request = try Self.request(for: order)
        var headers = authorised
        headers[Shape.idempotencyHeader] = order.attempt
        let answer = try await transport.send(.postJSON(base + Shape.initiatePath, request, headers: headers))
        guard answer.status == 200 || answer.status == 201 else { throw Self.error(answer, asking: "initiate") }
        let json = try answer.json()
        guard let external = json[Shape.externalID]?.string, !external.isEmpty else {
            throw ProviderError(.unavailable, "the answer to initiate has no \(Shape.externalID)")
        }
        guard let url = json[Shape.paymentURL]?.string, url.hasPrefix("http") else {
            throw ProviderError(.unavailable, "the answer to initiate has no \(Shape.paymentURL)")
        }
        return Initiation(
            paymentURL: url, qrCode: json[Shape.qrCode]?.string, references: [ProviderReference("external", external), .ours(order.attempt)],
            expiresAtMs: json[Shape.expiresAt]?.string.flatMap { Timestamp.parse($0) })
    }

    func status(of reference: ProviderReference, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        let url = base + Shape.statusPath(PercentEncoding.encodePathSegment(reference.value))
        let answer = try await transport.send(ProviderCall(method: "GET", url: url, headers: authorised, body: []))
        guard answer.status == 200 else { throw Self.error(answer, asking: "status") }
        return try Self.notice(of: answer, about: reference)
    }

    /// What the back end says of the payment afterwards: its own word tells whether it agreed.
    func cancel(_ reference: ProviderReference, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        let url = base + Shape.cancelPath(PercentEncoding.encodePathSegment(reference.value))
        let answer = try await transport.send(.postJSON(url, [:], headers: authorised))
        guard answer.status == 200 else { throw Self.error(answer, asking: "cancel") }
        return try Self.notice(of: answer, about: reference)
    }

    private static func notice(of answer: ProviderAnswer, about reference: ProviderReference) throws(ProviderError) -> ProviderNotice {
        let notice = try PaymentRecord.notice(of: try answer.json())
        guard notice.references.contains(reference) else {
            throw ProviderError(.unreadable, "the answer is about another \(Shape.externalID) than asked for")
        }
        guard notice.claim == .captured, notice.amount == nil, notice.amountProblem == nil else { return notice }
        // Nothing to compare with what is owed: a success without its amount completes nothing.
        return ProviderNotice(
            references: notice.references, claim: .unknown, transaction: notice.transaction, occurredAtMs: notice.occurredAtMs,
            errorText: "completed, but without amount and currency")
    }

    private var authorised: HTTPHeaders { ["authorization": "Bearer \(apiKey)", "accept": "application/json"] }

    private static func request(for order: PaymentOrder) throws(ProviderError) -> JSON {
        guard order.amount.isPositive else { throw ProviderError(.rejected, "amount must be positive") }
        let method = order.method ?? Shape.methods[0]
        guard Shape.methods.contains(method) else {
            throw ProviderError(.rejected, "payment_method must be one of \(Shape.methods.joined(separator: ", "))")
        }
        let team = order.metadata[Shape.team] ?? order.metadata["team"]
        var metadata: [(String, JSON)] = order.metadata.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }
        metadata.removeAll { [Shape.attempt, Shape.payment, "description"].contains($0.0) }
        metadata += [(Shape.attempt, .string(order.attempt)), (Shape.payment, .string(order.payment)), ("description", .string(order.description))]
        var fields: [(String, JSON)] = team.map { [(Shape.team, .string($0))] } ?? []
        fields += [
            ("amount", .string(order.amount.decimalText)), ("currency", .string(order.amount.currency.code)), ("payment_method", .string(method)),
            ("metadata", .object(JSONObject(metadata))), (Shape.callbackURL, .string(order.notifyURL)), (Shape.returnURL, .string(order.returnURL)),
        ]
        return .object(JSONObject(fields))
    }

    private static func error(_ answer: ProviderAnswer, asking call: String) -> ProviderError {
        let kind: ProviderError.Kind =
            switch answer.status {
            case 401, 403: .misconfigured
            case 404 where call != "initiate": .notFound
            case 408, 425: .unavailable
            case 429: .throttled
            case 400..<500: .rejected
            default: .unavailable
            }
        let words = (try? answer.json()).flatMap { $0["detail"]?.string ?? $0["message"]?.string ?? $0["error"]?.string } ?? ""
        return ProviderError(
            kind, "the payment back end answered \(answer.status) to \(call): \(words.prefix(200))", code: String(answer.status),
            retryAfterSeconds: answer.retryAfterSeconds())
    }
}
