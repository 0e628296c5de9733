import CCrypto
import Formats

/// Comparison of secrets that takes the same time wherever they differ.
public enum ConstantTime {
    /// A different length is an ordinary difference; lengths are not secret.
    public static func equal(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return CRYPTO_memcmp(left, right, left.count) == 0
    }

    public static func equal(_ left: String, _ right: String) -> Bool { equal(Array(left.utf8), Array(right.utf8)) }
}

/// Random bytes nobody can foresee, from OpenSSL's generator (seeded by the kernel).
public enum SecureRandom {
    public static func bytes(_ count: Int) -> [UInt8] {
        precondition((0...1 << 20).contains(count), "between 0 and 1 MiB of random bytes at a time")
        return [UInt8](unsafeUninitializedCapacity: count) { output, filled in
            guard count > 0 else { return }
            // Without randomness no key can be made: going on would be worse than ending.
            precondition(OpenSSLLibrary.isReady && RAND_bytes(output.baseAddress, Int32(count)) == 1, "the system gives no random bytes")
            filled = count
        }
    }

    /// Base64url text of so many random bytes: keys, download links.
    public static func token(bytes count: Int = 32) -> String { Base64.urlEncode(bytes(count)) }
}
