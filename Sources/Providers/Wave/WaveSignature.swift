import Cryptography
import Formats
import ProviderPort

/// Wave's two ways to prove a post, chosen by the merchant in the portal.
///
/// *Signing secret*: `Wave-Signature: t=<seconds>,v1=<hex>[,v1=<hex>]`, HMAC-SHA256 over the digits of `t` directly followed by the body. There is
/// no dot between them: another well-known scheme with the same header form has one.
/// *Shared secret*: `Authorization: Bearer <secret>`. It covers nothing.
struct WaveSignature: Sendable {
    static let header = "wave-signature"
    /// How far Wave's clock may be off, both ways. Exactly this much still passes.
    static let toleranceSeconds: Int64 = 300
    /// Wave sends one, or two while a secret is changed.
    static let signaturesMax = 8

    private let keys: [HMACSHA256]
    private let digests: [[UInt8]]

    /// - Parameter secrets: `WAVE_WEBHOOK_SECRET`, the newest first: the whole text, `wave_sn_WHS_` included.
    init(secrets: [String]) {
        let usable = secrets.filter { !$0.isEmpty }
        keys = usable.map { HMACSHA256(key: Array($0.utf8)) }
        digests = usable.map { Digest.sha256(Array($0.utf8)) }
    }

    enum Outcome: Equatable {
        case signed(Int)
        case sharedSecret(Int)
        case refused(String)
    }

    /// Whether a post does not even claim to be proved.
    static func isMissing(in webhook: IncomingWebhook) -> Bool {
        (webhook.headers.values(header) + webhook.headers.values("authorization")).allSatisfy(\.isEmpty)
    }

    func check(_ webhook: IncomingWebhook, nowMs: Int64) -> Outcome {
        guard !keys.isEmpty else { return .refused("no secret is set for this source") }
        let headers = webhook.headers.values(Self.header)
        guard headers.count <= 1 else { return .refused("\(Self.header) is there twice") }
        // Where there is a signature it decides: falling back would let a forged body in by the weaker way.
        if let header = headers.first { return checkSignature(header, webhook.body, nowMs) }
        return checkBearer(webhook.headers.values("authorization"))
    }

    private func checkSignature(_ header: String, _ body: [UInt8], _ nowMs: Int64) -> Outcome {
        var time: String?
        var claimed: [[UInt8]] = []
        for part in header.split(separator: ",").prefix(Self.signaturesMax * 2) {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2 else { continue }
            let value = String(pair[1].drop { $0 == " " })
            switch pair[0].drop(while: { $0 == " " }) {
            case "t":
                guard time == nil else { return .refused("\(Self.header) has two times") }
                time = value
            case "v1":
                if let bytes = Hex.decode(value), bytes.count == 32, claimed.count < Self.signaturesMax { claimed.append(bytes) }
            default: continue
            }
        }
        guard let time, let seconds = Self.seconds(time) else { return .refused("\(Self.header) has no readable t") }
        let age = nowMs / 1000 - seconds
        guard age <= Self.toleranceSeconds else { return .refused("\(Self.header) is \(age) s old") }
        guard -age <= Self.toleranceSeconds else { return .refused("\(Self.header) is \(-age) s in the future") }
        guard !claimed.isEmpty else { return .refused("\(Self.header) holds no readable v1") }
        for (number, key) in keys.enumerated() {
            let expected = key.authenticate(Array(time.utf8), body)
            if claimed.contains(where: { ConstantTime.equal($0, expected) }) { return .signed(number) }
        }
        return .refused("\(Self.header) does not match")
    }

    private func checkBearer(_ values: [String]) -> Outcome {
        guard let value = values.first, values.count == 1 else {
            return .refused(values.isEmpty ? "neither \(Self.header) nor authorization is there" : "authorization is there twice")
        }
        let word = "bearer "
        guard value.lowercased().hasPrefix(word) else { return .refused("authorization is no bearer") }
        let digest = Digest.sha256(Array(value.utf8.dropFirst(word.utf8.count)))
        guard let number = digests.firstIndex(where: { ConstantTime.equal($0, digest) }) else { return .refused("authorization does not match") }
        return .sharedSecret(number)
    }

    /// One to twelve digits and nothing else.
    private static func seconds(_ text: String) -> Int64? {
        (1...12).contains(text.utf8.count) && text.utf8.allSatisfy { ASCII.isDigit($0) } ? Int64(text) : nil
    }
}
