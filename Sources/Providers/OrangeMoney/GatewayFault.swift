import Formats
import ProviderPort

/// What Orange's gateway answers in place of an answer: `{code, message, description}`. Its codes come from Orange's own kit of 2015 and
/// agree with those seen since; the HTTP status decides where a code is unknown.
struct GatewayFault: Sendable {
    static let expiredToken: Int64 = 42

    let status: Int
    let code: Int64?
    private let words: String
    private let retryAfterSeconds: Int?

    init(_ answer: ProviderAnswer) {
        let json = try? answer.json()
        status = answer.status
        code = json?["code"]?.int ?? json?["code"]?.string.flatMap { Int64($0) }
        let texts = [json?["message"], json?["description"], json?["error"], json?["error_description"]].compactMap { $0?.string }
        words = ProviderWords.safe(texts.joined(separator: ": "))
        retryAfterSeconds = answer.retryAfterSeconds()
    }

    /// A token that ran out before its time. The kit of 2015 says 410, the gateway 401.
    var isExpiredToken: Bool { code == Self.expiredToken }

    func error(asking call: String) -> ProviderError {
        ProviderError(
            kind(of: call), "Orange answered \(status) to \(call)" + (words.isEmpty ? "" : ": \(words)"), code: String(code ?? Int64(status)),
            retryAfterSeconds: retryAfterSeconds)
    }

    private func kind(of call: String) -> ProviderError.Kind {
        switch code {
        case 1, 5, 6, 63: return .unavailable
        case 40, 41, 50, 51, 52: return .misconfigured
        case 53: return .throttled
        // Refused with a token that was new: the gateway is at odds with itself.
        case Self.expiredToken: return .unavailable
        default: break
        }
        switch status {
        case 400 where call == WebPaymentAPI.tokenCall: return .misconfigured
        case 401, 403: return .misconfigured
        case 404: return call == WebPaymentAPI.statusCall ? .notFound : .misconfigured
        case 408: return .unavailable
        case 429: return .throttled
        case 400..<500: return .rejected
        default: return .unavailable
        }
    }
}
