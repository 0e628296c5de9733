import Cryptography
import Formats
import TestSupport

/// Posts as the providers sign them, made here from their documents alone.
enum Proofs {
    /// A CinetPay notification: the form and its `x-token`.
    static func cinetPay(transaction: String, site: String = Instance.cinetPaySite, hint: String = "SUCCES") -> (body: [UInt8], token: String) {
        let fields = [
            ("cpm_site_id", site), ("cpm_trans_id", transaction), ("cpm_trans_date", "2026-11-21 08:00:00"), ("cpm_amount", "12500"),
            ("cpm_currency", "XOF"), ("signature", "abc"), ("payment_method", "OM"), ("cel_phone_num", "0707123456"),
            ("cpm_phone_prefixe", "225"), ("cpm_language", "fr"), ("cpm_version", "V4"), ("cpm_payment_config", "SINGLE"),
            ("cpm_page_action", "PAYMENT"), ("cpm_custom", ""), ("cpm_designation", "Kit Complet"), ("cpm_error_message", hint),
        ]
        let joined = fields.map(\.1).joined()
        let token = Hex.encode(HMACSHA256(key: Array(Instance.cinetPaySecret.utf8)).authenticate(Array(joined.utf8)))
        return (Array(FormURLEncoded.encode(fields).utf8), token)
    }

    static let form = ("content-type", "application/x-www-form-urlencoded")

    /// A callback of the payment back end: the body and its signature.
    static func backend(external: String, status: String = "completed") -> (body: [UInt8], signature: String) {
        let body: JSON = ["external_payment_id": .string(external), "status": .string(status), "amount": "3.00", "currency": "EUR"]
        let signature = Hex.encode(HMACSHA256(key: Array(Instance.backendSecret.utf8)).authenticate(body.bytes))
        return (body.bytes, "sha256=" + signature)
    }

    /// The capability that makes an address ours: HMAC over provider, payment and number of the attempt, keyed by the provider's secret.
    static func capability(provider: String, payment: String, attempt: Int = 1, secret: String) -> String {
        let key = Array("quittance capability:".utf8) + Array(secret.utf8)
        let message = Array(provider.utf8) + [0] + Array(payment.utf8) + [0] + Array("\(attempt)".utf8)
        return "\(attempt)." + Base64.urlEncode(Array(HMACSHA256(key: key).authenticate(message).prefix(16)))
    }
}
