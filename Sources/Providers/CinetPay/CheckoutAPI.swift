import Formats
import ProviderPort

/// The two calls of checkout v2.
struct CheckoutAPI: Sendable {
    private let apiKey: String
    private let siteID: String
    private let base: String

    init(apiKey: String, siteID: String, apiURL: String) {
        self.apiKey = apiKey
        self.siteID = siteID
        var base = apiURL
        while base.hasSuffix("/") { base.removeLast() }
        self.base = base.hasSuffix("/v2") ? base : base + "/v2"
    }

    func initiate(
        _ request: [(String, JSON)], attempt: String, over transport: any ProviderTransport
    ) async throws(ProviderError) -> Initiation {
        let answer = try await call("/payment", request, over: transport)
        let envelope = try Self.envelope(answer)
        guard envelope.code == "201" else { throw CheckoutCode.initiateError(envelope, status: answer.status) }
        guard let url = envelope.data?["payment_url"]?.string, url.hasPrefix("http") else {
            throw ProviderError(.unavailable, "the answer to payment has no payment_url", code: envelope.code)
        }
        var references: [ProviderReference] = [.ours(attempt)]
        if let token = envelope.data?["payment_token"]?.string, !token.isEmpty { references.append(ProviderReference("token", token)) }
        return Initiation(paymentURL: url, qrCode: nil, references: references, expiresAtMs: nil)
    }

    func check(_ reference: ProviderReference, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        let field: String
        switch reference.kind {
        case "ours": field = "transaction_id"
        case "token": field = "token"
        default: throw ProviderError(.notFound, "check knows a payment by our transaction id or by its token, not by '\(reference.kind)'")
        }
        let answer = try await call("/payment/check", [(field, .string(reference.value))], over: transport)
        return try CheckAnswer.notice(of: try Self.envelope(answer), asked: reference)
    }

    private func call(_ path: String, _ fields: [(String, JSON)], over transport: any ProviderTransport) async throws(ProviderError) -> ProviderAnswer
    {
        let keys: [(String, JSON)] = [("apikey", .string(apiKey)), ("site_id", .string(siteID))]
        let answer = try await transport.send(.postJSON(base + path, JSON.object(JSONObject(keys + fields))))
        if answer.status == 429 {
            throw ProviderError(.throttled, "CinetPay answered 429", retryAfterSeconds: answer.retryAfterSeconds())
        }
        return answer
    }

    /// The envelope counts, not the HTTP status: whether errors also carry a 4xx status is not documented.
    private static func envelope(_ answer: ProviderAnswer) throws(ProviderError) -> CheckoutEnvelope {
        let json = try answer.json()
        guard let code = json["code"]?.string ?? json["code"]?.numberText else {
            throw ProviderError(.unavailable, "the answer (status \(answer.status)) has no code")
        }
        return CheckoutEnvelope(code: code, message: json["message"]?.string, description: json["description"]?.string, data: json["data"])
    }
}

/// What every answer of checkout v2 is wrapped in.
struct CheckoutEnvelope: Sendable {
    /// A text: `00` is not `0`.
    let code: String
    let message: String?
    let description: String?
    let data: JSON?

    var words: String { [message, description].compactMap { $0 }.joined(separator: ": ") }
}
