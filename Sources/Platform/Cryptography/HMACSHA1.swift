import CCrypto

/// HMAC-SHA1 (RFC 2104), for one-time codes alone: authenticator apps know no other everywhere.
public enum HMACSHA1 {
    /// 20 bytes.
    public static func authenticate(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
        precondition(OpenSSLLibrary.isReady, "OpenSSL cannot be begun")
        return [UInt8](unsafeUninitializedCapacity: 20) { output, filled in
            var length: UInt32 = 20
            _ = HMAC(EVP_sha1(), key, Int32(key.count), message, message.count, output.baseAddress, &length)
            filled = Int(length)
        }
    }
}
