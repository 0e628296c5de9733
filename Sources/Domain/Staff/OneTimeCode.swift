import Cryptography
import Formats

/// Codes that change with time (TOTP, RFC 6238): six digits of HMAC-SHA1 over steps of 30 seconds, as authenticator apps show them.
public enum OneTimeCode {
    public static let digits = 6
    public static let stepSeconds: Int64 = 30
    public static let keyLength = 20
    /// A telephone's clock may be a step ahead or behind.
    static let leewaySteps: Int64 = 1

    public static func makeKey() -> [UInt8] { SecureRandom.bytes(keyLength) }

    public static func step(atMs ms: Int64) -> Int64 { ms / 1000 / stepSeconds }

    /// The code of a step.
    public static func code(_ key: [UInt8], step: Int64, digits: Int = OneTimeCode.digits) -> String {
        let counter = (0..<8).map { UInt8(truncatingIfNeeded: step >> Int64(56 - $0 * 8)) }
        let hash = HMACSHA1.authenticate(counter, key: key)
        let offset = Int(hash[19] & 15)
        let word = hash[offset..<offset + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } & 0x7FFF_FFFF
        var modulus: UInt32 = 1
        for _ in 0..<digits { modulus *= 10 }
        let text = String(word % modulus)
        return String(repeating: "0", count: digits - text.count) + text
    }

    /// The step that a code is of; nil when it is of none that counts now, or of one that was used.
    /// - Parameter after: the last step whose code was taken.
    static func step(of code: String, key: [UInt8], nowMs: Int64, after last: Int64) -> Int64? {
        let now = step(atMs: nowMs)
        var found: Int64?
        for step in now - leewaySteps...now + leewaySteps where ConstantTime.equal(self.code(key, step: step), code) && step > last {
            found = step
        }
        return found
    }

    /// What a QR code tells an authenticator app.
    public static func address(_ key: [UInt8], name: String, issuer: String) -> String {
        let (name, issuer) = (PercentEncoding.encodePathSegment(name), PercentEncoding.encodePathSegment(issuer))
        return "otpauth://totp/\(issuer):\(name)?secret=\(Base32.encode(key))&issuer=\(issuer)&algorithm=SHA1&digits=\(digits)&period=\(stepSeconds)"
    }
}

/// Codes that stand in for the telephone, each once.
enum RecoveryCode {
    static let count = 10
    private static let bytesEach = 10

    /// `ABCD-EFGH-IJKL-MNOP`
    static func make() -> String {
        let text = Array(Base32.encode(SecureRandom.bytes(bytesEach)))
        return stride(from: 0, to: text.count, by: 4).map { String(text[$0..<min($0 + 4, text.count)]) }.joined(separator: "-")
    }

    /// The same however it was typed.
    static func plain(_ text: String) -> String { String(text.uppercased().filter { $0.isLetter || $0.isNumber }) }
}
