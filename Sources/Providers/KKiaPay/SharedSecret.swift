import Cryptography
import Formats
import ProviderPort

/// `x-kkiapay-secret`: the secret that was typed beside the webhook's address in the dashboard, sent as it is.
///
/// It covers no byte of the body and no time. It proves that the sender has seen the secret, and no more.
struct SharedSecret: Sendable {
    static let header = "x-kkiapay-secret"
    /// Some projects expect a code over the body here; nobody has shown a delivery with it.
    static let guessedHeader = "x-kkiapay-signature"

    private let digests: [[UInt8]]
    private let macs: [HMACSHA256]

    /// - Parameter secrets: `KKIAPAY_WEBHOOK_SECRET`, the newest first.
    init(secrets: [String]) {
        let usable = secrets.filter { !$0.isEmpty }
        // Digests have one length, so that comparing tells nothing of the secret's.
        digests = usable.map { Digest.sha256(Array($0.utf8)) }
        macs = usable.map { HMACSHA256(key: Array($0.utf8)) }
    }

    enum Outcome: Equatable {
        /// The secret of that number, 0 being the newest.
        case matched(Int)
        case refused(String)
    }

    /// Whether a post does not even claim to know the secret.
    static func isMissing(in webhook: IncomingWebhook) -> Bool { webhook.headers.values(header).allSatisfy(\.isEmpty) }

    func check(_ webhook: IncomingWebhook) -> Outcome {
        guard !digests.isEmpty else { return .refused("no secret is set for this source") }
        let sent = webhook.headers.values(Self.header)
        guard sent.count <= 1 else { return .refused("\(Self.header) is there twice") }
        guard let value = sent.first, !value.isEmpty else { return .refused("\(Self.header) is missing" + signatureNote(webhook)) }
        let digest = Digest.sha256(Array(value.utf8))
        if let number = digests.firstIndex(where: { ConstantTime.equal($0, digest) }) { return .matched(number) }
        return .refused("\(Self.header) does not match" + bodyNote(value, webhook.body))
    }

    /// Told to staff with the refusal: it would show at once that KKiaPay has begun to sign the body.
    private func bodyNote(_ value: String, _ body: [UInt8]) -> String {
        isCode(Hex.decode(value), of: body)
            ? ", but is the HMAC-SHA256 of the body in hex: has KKiaPay changed its scheme?"
            : isCode(Base64.decode(value, lenientPadding: true), of: body)
                ? ", but is the HMAC-SHA256 of the body in base64: has KKiaPay changed its scheme?"
                : "; it is no HMAC-SHA256 of the body either"
    }

    private func signatureNote(_ webhook: IncomingWebhook) -> String {
        guard let value = webhook.headers[Self.guessedHeader] else { return "" }
        return "; \(Self.guessedHeader) is there" + bodyNote(value, webhook.body)
    }

    private func isCode(_ claimed: [UInt8]?, of body: [UInt8]) -> Bool {
        guard let claimed, claimed.count == 32 else { return false }
        return macs.contains { ConstantTime.equal($0.authenticate(body), claimed) }
    }
}
