import Cryptography
import Formats

/// CinetPay's `x-token`: HMAC-SHA256 over the decoded values, joined without a separator.
///
/// Without separators the same token is valid for any other cut of the same text. What the token proves is therefore only
/// that CinetPay sent these characters; the provider pins the site id and the date, and takes no amount from them.
struct NotificationToken: Sendable {
    /// The fields in the documented order.
    static let documentedOrder = [
        "cpm_site_id", "cpm_trans_id", "cpm_trans_date", "cpm_amount", "cpm_currency", "signature", "payment_method", "cel_phone_num",
        "cpm_phone_prefixe", "cpm_language", "cpm_version", "cpm_payment_config", "cpm_page_action", "cpm_custom", "cpm_designation",
        "cpm_error_message",
    ]

    /// In which order the values gave the token: the documentation names one, the official kit joins as they come.
    enum Order: String, Sendable { case documented, body }

    private let keys: [HMACSHA256]

    /// - Parameter secrets: the secret keys as the dashboard shows them, the newest first. Their text is the key.
    init(secrets: [String]) {
        keys = secrets.filter { !$0.isEmpty }.map { HMACSHA256(key: Array($0.utf8)) }
    }

    var canCheck: Bool { !keys.isEmpty }

    /// Which secret and which order give `token`; nil when none does.
    func match(_ token: String, _ fields: NotificationFields) -> (key: Int, order: Order)? {
        guard let claimed = Hex.decode(token), claimed.count == 32 else { return nil }
        let documented = Self.documentedOrder.flatMap { fields.bytes($0) ?? [] }
        let asPosted = fields.all.flatMap { $0.value }
        for (order, message) in [(Order.documented, documented), (Order.body, asPosted)] {
            for (number, key) in keys.enumerated() where ConstantTime.equal(key.authenticate(message), claimed) {
                return (number, order)
            }
        }
        return nil
    }
}
