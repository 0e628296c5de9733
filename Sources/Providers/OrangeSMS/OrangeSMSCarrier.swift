import Formats
import MessagePort
import ProviderPort

/// SMS by Orange (Africa and Middle East).
public struct OrangeSMSCarrier: MessageCarrier {
    public static let name = "orange-sms"
    public var name: String { Self.name }
    public let channel = MessageChannel.sms
    public let mode: String?
    /// It knows no keys: one more time may send twice.
    public let againAfterUnknown: Int? = 1

    private let url: String
    private let tokenURL: String
    private let basic: String
    private let sender: String
    private let senderName: String?
    private let tokens: AccessTokenCache
    private let transport: any ProviderTransport
    private let nowMs: @Sendable () -> Int64

    /// - Parameters:
    ///   - apiURL: `https://api.orange.com`.
    ///   - sender: the number of the offer, `+2250000`.
    ///   - senderName: as Orange has approved it.
    public init(
        apiURL: String, clientID: String, clientSecret: String, sender: String, senderName: String?, mode: String,
        transport: any ProviderTransport, nowMs: @escaping @Sendable () -> Int64 = { WallClock.nowMs }
    ) {
        self.sender = "tel:" + sender
        url = "\(apiURL)/smsmessaging/v1/outbound/\(PercentEncoding.encodePathSegment("tel:" + sender))/requests"
        tokenURL = "\(apiURL)/oauth/v3/token"
        basic = "Basic " + Base64.encode(Array("\(clientID):\(clientSecret)".utf8))
        self.senderName = senderName
        self.mode = mode
        self.transport = transport
        self.nowMs = nowMs
        tokens = AccessTokenCache(nowMs: nowMs)
    }

    public func send(_ message: OutgoingMessage) async -> CarrierOutcome {
        guard let number = Telephone.parse(message.to) else {
            return FaultRule.permanent("the number is none", anotherMayHelp: false).outcome(code: "number")
        }
        var request: JSONObject = [
            "address": .string("tel:" + number), "senderAddress": .string(sender), "outboundSMSTextMessage": ["message": .string(message.short)],
        ]
        if let senderName { request["senderName"] = .string(senderName) }
        let body: JSON = ["outboundSMSMessageRequest": .object(request)]
        let first = await post(body)
        // Refused because of the token alone: it was not carried out, and is tried once more with a new one.
        guard case .success(let answer) = first, OrangeFault(answer).isExpiredToken else { return Self.outcome(of: first) }
        return Self.outcome(of: await post(body))
    }

    /// Why there is no answer to the call itself.
    private enum Obstacle: Error {
        case token(ProviderError)
        case call(UnansweredCall)
    }

    private func post(_ body: JSON) async -> Result<ProviderAnswer, Obstacle> {
        let token: AccessToken
        do throws(ProviderError) {
            token = try await tokens.token { () async throws(ProviderError) in try await fetchToken() }
        } catch { return .failure(.token(error)) }
        switch await transport.carry(.postJSON(url, body, headers: ["authorization": "Bearer \(token.value)"])) {
        case .failure(let unanswered): return .failure(.call(unanswered))
        case .success(let answer):
            if answer.status == 401 || OrangeFault(answer).isExpiredToken { tokens.drop(token) }
            return .success(answer)
        }
    }

    /// The gateway answers 406 where `Accept` does not name JSON.
    private func fetchToken() async throws(ProviderError) -> AccessToken {
        let headers: HTTPHeaders = [
            "authorization": basic, "accept": "application/json", "content-type": "application/x-www-form-urlencoded",
        ]
        let asked = nowMs()
        let call = ProviderCall(method: "POST", url: tokenURL, headers: headers, body: Array("grant_type=client_credentials".utf8))
        let answer: ProviderAnswer
        switch await transport.carry(call) {
        case .failure(let unanswered): throw unanswered.error
        case .success(let got): answer = got
        }
        guard (200..<300).contains(answer.status) else { throw OrangeFault(answer).tokenError }
        guard let json = try? answer.json(), let token = json["access_token"]?.string, !token.isEmpty,
            token.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
        else { throw ProviderError(.unavailable, "the answer to token has no access_token") }
        // Seconds, as a text or as a number: both are seen.
        let seconds = json["expires_in"]?.int ?? json["expires_in"]?.string.flatMap { Int64($0) } ?? 0
        return AccessToken(token, lifeMs: min(max(seconds, 0), 100_000_000) * 1000, nowMs: asked)
    }

    private static func outcome(of result: Result<ProviderAnswer, Obstacle>) -> CarrierOutcome {
        switch result {
        case .failure(.token(let error)): .unanswered(error, wasSent: false)
        case .failure(.call(let unanswered)): unanswered.outcome
        case .success(let answer): outcome(of: answer)
        }
    }

    static func outcome(of answer: ProviderAnswer) -> CarrierOutcome {
        guard (200..<300).contains(answer.status) else { return OrangeFault(answer).outcome }
        let resource = (try? answer.json())?["outboundSMSMessageRequest"]?["resourceURL"]?.string
        return .accepted(id: resource?.split(separator: "/").last.map(String.init))
    }
}
