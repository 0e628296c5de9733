import Formats
import ProviderPort

/// FeexPay's refusals: `{"statusCode", "message", "code"}`, the message a text or a list of texts.
enum FeexPayFault {
    /// What was asked for.
    enum Call: Sendable, Equatable {
        case start(String)
        case status, history

        var words: String {
            switch self {
            case .start(let label): "a payment by \(label)"
            case .status: "the status call"
            case .history: "the history call"
            }
        }
        var isStart: Bool { if case .start = self { true } else { false } }
    }

    static func error(_ answer: ProviderAnswer, _ json: JSON?, asking call: Call) -> ProviderError {
        let code = json?["code"]?.string ?? json?["error"]?["code"]?.string
        let texts = FeexPayWords.list(json?["message"]) + FeexPayWords.list(json?["error"]?["message"]) + FeexPayWords.list(json?["error"])
        let said = FeexPayWords.plain(texts.joined(separator: "; "))
        return ProviderError(
            kind(answer.status, code, said, call), "FeexPay answered \(answer.status) to \(call.words): \(said)", code: code ?? String(answer.status),
            retryAfterSeconds: answer.retryAfterSeconds())
    }

    static func kind(_ status: Int, _ code: String?, _ said: String, _ call: Call) -> ProviderError.Kind {
        switch code {
        case "ERR_INVALID_API_KEY", "ERR_SHOP_NOT_FOUND", "ERR_IP_NOT_AUTHORIZED", "IP_NOT_ALLOWED", "UNAUTHORIZED", "FORBIDDEN":
            return .misconfigured
        // Told before anything was carried out, so another network can be tried.
        case "ACCESS_DENIED", "NETWORK_UNAVAILABLE", "ERR_NETWORK_UNAVAILABLE": return call.isStart ? .notOffered : .unavailable
        case "RATE_LIMIT_EXCEEDED": return .throttled
        case "NOT_FOUND" where !call.isStart: return .notFound
        // The one before may be ours, its answer lost: to be found out before anything else is tried.
        case "ERR_DUPLICATE_TRANSACTION": return .unavailable
        default: break
        }
        switch status {
        case 401, 403: return .misconfigured
        case 404 where call.isStart:
            // "Merchant or Shop not found", "Shop is disabled"; else "{channel} channel not configured", or no such path.
            return said.lowercased().contains("shop") ? .misconfigured : .notOffered
        case 404: return .notFound
        case 408, 409, 425: return .unavailable
        case 429: return .throttled
        case 400..<500: return .rejected
        // With 200 it is `success: false`.
        case 200..<300: return .rejected
        default: return .unavailable
        }
    }
}
