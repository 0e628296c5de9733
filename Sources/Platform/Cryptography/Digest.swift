import CCrypto
import Formats

/// Hashes of whole byte arrays.
public enum Digest {
    /// 32 bytes.
    public static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        var hasher = SHA256Hasher()
        hasher.update(bytes)
        return hasher.finish()
    }

    /// 64 lower-case hexadecimal digits.
    public static func sha256Hex(_ bytes: [UInt8]) -> String { Hex.encode(sha256(bytes)) }

    /// 20 bytes. For names that others derive so (Redis scripts, Twilio), never for security of our own.
    public static func sha1(_ bytes: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 20) { output, count in
            bytes.withUnsafeBufferPointer { _ = SHA1($0.baseAddress, $0.count, output.baseAddress) }
            count = 20
        }
    }
}

/// SHA-256 of something that comes in pieces.
public struct SHA256Hasher: Sendable {
    private var context: SHA256_CTX

    public init() {
        context = SHA256_CTX()
        SHA256_Init(&context)
    }

    public mutating func update(_ bytes: [UInt8]) {
        bytes.withUnsafeBufferPointer { update($0) }
    }

    public mutating func update(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard !bytes.isEmpty else { return }
        SHA256_Update(&context, bytes.baseAddress, bytes.count)
    }

    /// The 32 bytes of all that came so far; the hasher may go on afterwards.
    public func finish() -> [UInt8] {
        var last = context
        return [UInt8](unsafeUninitializedCapacity: 32) { output, count in
            SHA256_Final(output.baseAddress, &last)
            count = 32
        }
    }
}
