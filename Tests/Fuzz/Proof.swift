import Cryptography
import Formats
import ProviderPort
import StandardWebhooks

/// A proof as the provider itself would send it with a body: made here anew from its documentation and not by the adapters' code.
struct Proof {
    var headers: [(name: String, value: String)]
    /// Whether a change of any byte of the body must spoil it.
    let coversBody: Bool
    /// Whether it is good for minutes only.
    let hasClock: Bool
    /// Capital and small digits of hexadecimal numbers are the same proof.
    var ignoresCase = false

    /// Every proof that the provider may send.
    static func all(of provider: String, body: [UInt8], secret: String) throws -> [Proof] {
        let mac = HMACSHA256(key: secret)
        let seconds = PostingProviders.nowMs / 1000
        switch provider {
        case "standard-webhooks": return [try standard(body, secret, seconds)]
        case "payment-backend":
            return [try standard(body, secret, seconds), hex("x-webhook-signature", HMACSHA256(key: "whsec_\(secret)").authenticate(body))]
        case "cinetpay": return [hex("x-token", mac.authenticate(CinetPayForm.joined(body)))]
        case "feexpay": return [shared("authorization", secret), hex("x-feexpay-signature", mac.authenticate(body))]
        case "kkiapay": return [shared("x-kkiapay-secret", secret)]
        case "icount": return [shared("x-icount-secret", secret)]
        case "wave":
            let code = Hex.encode(mac.authenticate(Array("\(seconds)".utf8), body))
            let signed = Proof(headers: [("wave-signature", "t=\(seconds),v1=\(code)")], coversBody: true, hasClock: true, ignoresCase: true)
            return [signed, shared("authorization", "Bearer \(secret)")]
        default: return []
        }
    }

    private static func standard(_ body: [UInt8], _ secret: String, _ seconds: Int64) throws -> Proof {
        let headers = try StandardWebhooksSigner(secret: "whsec_\(secret)").headers(id: "msg_1", timestamp: seconds, body: body)
        let names = ["webhook-id", "webhook-timestamp", "webhook-signature"]
        return Proof(headers: names.map { ($0, headers[$0] ?? "") }, coversBody: true, hasClock: true)
    }

    private static func hex(_ name: String, _ code: [UInt8]) -> Proof {
        Proof(headers: [(name, Hex.encode(code))], coversBody: true, hasClock: false, ignoresCase: true)
    }

    private static func shared(_ name: String, _ value: String) -> Proof { Proof(headers: [(name, value)], coversBody: false, hasClock: false) }

    /// Whether two values of a header are the same proof although they are spelt differently.
    func isSame(_ left: String, _ right: String) -> Bool {
        if left == right { return true }
        if ignoresCase { return left.lowercased() == right.lowercased() }
        // The scheme's name may be written in capital letters or small ones, the secret after it may not.
        let scheme = "bearer "
        if left.lowercased().hasPrefix(scheme), right.lowercased().hasPrefix(scheme) {
            return left.dropFirst(scheme.count) == right.dropFirst(scheme.count)
        }
        // Standard Webhooks: the last character of Base64 may hold bits that stand for nothing.
        guard left.hasPrefix("v1,"), right.hasPrefix("v1,") else { return false }
        let decoded = [left, right].map { Base64.decode(String($0.dropFirst(3)), lenientPadding: true) }
        return decoded[0] != nil && decoded[0] == decoded[1]
    }
}

/// What CinetPay's `x-token` is made over. It does not hold the fields apart: two bodies whose values come to the same text have one token.
enum CinetPayForm {
    private static let order = [
        "cpm_site_id", "cpm_trans_id", "cpm_trans_date", "cpm_amount", "cpm_currency", "signature", "payment_method", "cel_phone_num",
        "cpm_phone_prefixe", "cpm_language", "cpm_version", "cpm_payment_config", "cpm_page_action", "cpm_custom", "cpm_designation",
        "cpm_error_message",
    ]

    static func isForm(_ body: [UInt8]) -> Bool { body.first { $0 > 0x20 } != UInt8(ascii: "{") }

    static func joined(_ body: [UInt8]) -> [UInt8] {
        let fields = values(body)
        return order.flatMap { name in fields.first { $0.name == Array(name.utf8) }?.value ?? [] }
    }

    static func joinedAsPosted(_ body: [UInt8]) -> [UInt8] { values(body).flatMap(\.value) }

    private static func values(_ body: [UInt8]) -> [(name: [UInt8], value: [UInt8])] { (try? FormURLEncoded.parseBytes(body)) ?? [] }
}
