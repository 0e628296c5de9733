import Formats

/// Everything of FeexPay's V2 that rests on one source, on integrators or on nobody, in one place. When a real account teaches otherwise, this
/// is the file to change; `docs/providers/feexpay.md` tells which sentence stands on what.
enum FeexPayShape {
    // Written down: hosts, paths, the fields of requesttopay, status and history.
    static let liveURL = "https://api-v2.feexpay.me"
    /// V1, withdrawn in 2026, and still what every public kit calls.
    static let withdrawnHosts: Set<String> = ["api.feexpay.me"]
    static func startPath(_ slug: String) -> String { "/api/transactions/public/requesttopay/\(slug)" }
    static let cardPath = "/api/transactions/public/initcard"
    static func statusPath(_ reference: String) -> String { "/api/transactions/public/single/status/\(reference)" }
    static let historyPath = "/api/transactions/history"
    static let historyRowsMax = 500
    static let historyDaysMax: Int64 = 31

    // Limits: written down in XOF; that Congo's are the same number of XAF is assumed.
    static let amountMin: Int64 = 100
    static let amountMax: Int64 = 2_000_000
    /// Not written down: one integrator cuts here.
    static let descriptionLengthMax = 120

    // How long each way to pay is waited for: our own choice, as FeexPay names none.
    static let pushDeadlineMs: Int64 = 10 * 60_000
    static let codeDeadlineMs: Int64 = 10 * 60_000
    static let pageDeadlineMs: Int64 = 30 * 60_000

    /// FeexPay lists a payment in its history at once, as far as is known. A start whose answer was lost is not called unknown before.
    static let listedAfterMs: Int64 = 5 * 60_000

    /// Where the page of a hosted network or of a card stands in the answer: sources differ.
    static let pageFields = ["payment_url", "url"]
    /// Where the page sends the browser: those of `requesttopay`, and the other names that one integrator uses for cards.
    static let returnFields = ["return_url", "success_redirect_url"]
    static let cancelFields = ["cancel_url", "error_redirect_url"]

    /// The header that a few projects read, and nobody has shown: hex of HMAC-SHA256 over the body.
    static let signatureHeader = "x-feexpay-signature"
    static let signaturePrefix = "sha256="

    /// What operators answer in place of a text.
    static let operatorCodes = [
        "10": "insufficient funds", "37": "below the operator's minimum", "92": "cancelled by the customer",
    ]

    /// The host of an address, in small letters.
    static func host(of url: String) -> String {
        let rest = url.firstRange(of: "://").map { url[$0.upperBound...] } ?? url[...]
        return rest.prefix { $0 != "/" && $0 != ":" && $0 != "?" }.lowercased()
    }
}
