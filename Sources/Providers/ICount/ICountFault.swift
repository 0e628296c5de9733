import Formats
import ProviderPort

/// A refusal of iCount's: mostly HTTP 200 with `status` false and a word in `reason`.
///
/// iCount publishes no list of the words. Those that were seen at work stand in ``seen``; that a word speaks of the session or of too many
/// calls is guessed by its parts, in ``guessed(_:)``. An unknown word is a refusal that a person looks at.
struct ICountFault: Sendable {
    let kind: ProviderError.Kind
    let reason: String?
    /// Whether a new session may help.
    let isAboutAccess: Bool
    private let words: String
    private let retryAfterSeconds: Int?

    private static let seen: [String: ProviderError.Kind] = [
        "no_results_found": .notFound, "client_not_found": .rejected, "bad_doctype": .rejected, "too_many_results": .rejected,
        "missing_paypage_id": .misconfigured,
    ]

    /// nil when the answer is no refusal.
    init?(_ answer: ProviderAnswer) {
        let json = try? answer.json()
        let isOK = (200..<300).contains(answer.status)
        guard !isOK || Self.isFalse(json?["status"]) else { return nil }
        reason = (json?["reason"]?.string).flatMap { $0.isEmpty ? nil : String($0.prefix(60)) }
        let details = (json?["error_details"]?.array ?? []).compactMap(\.string)
        words = ProviderWords.safe(([json?["error_description"]?.string].compactMap { $0 } + details).joined(separator: "; "))
        retryAfterSeconds = answer.retryAfterSeconds()
        let guess = reason.flatMap { Self.seen[$0] == nil ? Self.guessed($0) : nil }
        isAboutAccess = isOK ? guess == .misconfigured : answer.status == 401 || answer.status == 403
        kind = isOK ? reason.flatMap { Self.seen[$0] } ?? guess ?? .rejected : Self.kind(ofStatus: answer.status)
    }

    /// `status` is a boolean, or 0 and 1.
    private static func isFalse(_ status: JSON?) -> Bool {
        guard let status else { return false }
        return status.bool == false || status.numberText == "0" || ["0", "false"].contains(status.string ?? "")
    }

    private static func guessed(_ reason: String) -> ProviderError.Kind {
        let words = Set(reason.lowercased().split { !$0.isLetter })
        if !words.isDisjoint(with: ["sid", "session", "auth", "login", "token", "unauthorized", "permission", "credentials"]) {
            return .misconfigured
        }
        if !words.isDisjoint(with: ["throttle", "throttled", "rate", "requests"]) { return .throttled }
        return .rejected
    }

    private static func kind(ofStatus status: Int) -> ProviderError.Kind {
        switch status {
        // The address of a method that is not there: ICOUNT_API_URL is not iCount's.
        case 401, 403, 404: .misconfigured
        case 408: .unavailable
        case 429: .throttled
        case 400..<500: .rejected
        default: .unavailable
        }
    }

    func error(asking method: String) -> ProviderError {
        let told = [reason, words.isEmpty ? nil : words].compactMap { $0 }.joined(separator: ": ")
        let rule = reason == "missing_paypage_id" ? ". ICOUNT_PAYPAGE_ID must be the page's integer id, which paypage/get_list tells" : ""
        return ProviderError(
            kind, "iCount refuses \(method): \(told.isEmpty ? "no reason is given" : told)\(rule)", code: reason,
            retryAfterSeconds: retryAfterSeconds)
    }
}
