import Formats
import ProviderPort

/// The calls of Web Payment, and the token that they need.
struct WebPaymentAPI: Sendable {
    static let tokenCall = "token"
    static let statusCall = "transactionstatus"
    static let startCall = "webpayment"

    private let address: WebPaymentAddress
    private let basic: String
    private let live: Bool
    private let tokens: AccessTokenCache
    private let nowMs: @Sendable () -> Int64

    init(address: WebPaymentAddress, clientID: String, clientSecret: String, live: Bool, nowMs: @escaping @Sendable () -> Int64) {
        self.address = address
        basic = "Basic " + Base64.encode(Array("\(clientID):\(clientSecret)".utf8))
        self.live = live
        self.nowMs = nowMs
        tokens = AccessTokenCache(nowMs: nowMs)
    }

    func start(_ request: JSON, attempt: String, over transport: any ProviderTransport) async throws(ProviderError) -> Initiation {
        let json = try await call(Self.startCall, request, over: transport)
        guard let payToken = json["pay_token"]?.string, !payToken.isEmpty else {
            throw ProviderError(.unavailable, "the answer to webpayment has no pay_token")
        }
        guard let url = json["payment_url"]?.string, url.hasPrefix(live ? "https://" : "http") else {
            throw ProviderError(.unavailable, "the answer to webpayment has no payment_url that can be used")
        }
        var references: [ProviderReference] = [.ours(attempt), ProviderReference("pay_token", payToken)]
        if let token = json["notif_token"]?.string, !token.isEmpty { references.append(ProviderReference("notif_token", token)) }
        guard !live || !references.contains(where: { PublicSamples.contains($0.value) }) else {
            throw ProviderError(.misconfigured, "the answer holds a token of Orange's public samples: OM_API_URL leads to no real Orange")
        }
        return Initiation(paymentURL: url, qrCode: nil, references: references, expiresAtMs: nowMs() + WebPaymentStatus.tokenLifeMs)
    }

    func status(
        of question: StatusQuestion, payToken: String, over transport: any ProviderTransport
    ) async throws(ProviderError) -> ProviderNotice {
        let request: JSON = [
            "order_id": .string(question.attempt), "amount": .int(try WebPaymentRules.whole(question.amount)), "pay_token": .string(payToken),
        ]
        return try WebPaymentStatus.notice(of: try await call(Self.statusCall, request, over: transport), to: question, nowMs: nowMs())
    }

    /// A token that Orange calls expired is got anew, once, and the call made again, once: it was not carried out.
    private func call(_ name: String, _ request: JSON, over transport: any ProviderTransport) async throws(ProviderError) -> JSON {
        var answer = try await post(name, request, over: transport)
        if !(200..<300).contains(answer.status), GatewayFault(answer).isExpiredToken { answer = try await post(name, request, over: transport) }
        guard (200..<300).contains(answer.status) else { throw GatewayFault(answer).error(asking: name) }
        return try answer.json()
    }

    private func post(_ name: String, _ request: JSON, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderAnswer {
        let token = try await tokens.token { () async throws(ProviderError) in try await fetchToken(over: transport) }
        let headers: HTTPHeaders = ["authorization": "Bearer \(token.value)"]
        let answer = try await transport.send(.postJSON("\(address.base)/\(name)", request, headers: headers))
        if answer.status == 401 || (answer.status >= 400 && GatewayFault(answer).isExpiredToken) { tokens.drop(token) }
        return answer
    }

    /// The gateway answers 406 where `Accept` does not name JSON.
    private func fetchToken(over transport: any ProviderTransport) async throws(ProviderError) -> AccessToken {
        let headers: HTTPHeaders = [
            "authorization": basic, "accept": "application/json", "content-type": "application/x-www-form-urlencoded",
        ]
        let body = Array("grant_type=client_credentials".utf8)
        let asked = nowMs()
        let answer = try await transport.send(ProviderCall(method: "POST", url: address.tokenURL, headers: headers, body: body))
        guard (200..<300).contains(answer.status) else { throw GatewayFault(answer).error(asking: Self.tokenCall) }
        let json = try answer.json()
        guard let token = json["access_token"]?.string, !token.isEmpty, token.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw ProviderError(.unavailable, "the answer to token has no access_token")
        }
        return AccessToken(token, lifeMs: Self.lifeMs(json["expires_in"]), nowMs: asked)
    }

    /// Seconds, as a text or as a number: both are seen. What cannot be read is no life: the token is used for its call alone.
    private static func lifeMs(_ value: JSON?) -> Int64 {
        guard let seconds = value?.int ?? value?.string.flatMap({ Int64($0) }), seconds > 0 else { return 0 }
        return min(seconds, 100_000_000) * 1000
    }
}
