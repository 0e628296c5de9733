import CCrypto

/// Bytes that only the holder of a key can read or change: AES-256-GCM with a nonce of its own each time.
///
/// Sealed they are the nonce (12 bytes), the ciphertext and the tag (16 bytes).
public enum SealedBytes {
    public static let keyLength = 32
    static let nonceLength = 12
    static let tagLength = 16

    /// - Parameter context: what they belong to; sealed for one thing they open for no other.
    public static func seal(_ plain: [UInt8], key: [UInt8], context: [UInt8]) -> [UInt8] {
        precondition(key.count == keyLength, "AES-256 has keys of 32 bytes")
        let nonce = SecureRandom.bytes(nonceLength)
        let cipher = EVP_CIPHER_CTX_new()
        defer { EVP_CIPHER_CTX_free(cipher) }
        var length: Int32 = 0
        var output = [UInt8](repeating: 0, count: plain.count + tagLength)
        let isDone =
            EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), nil, key, nonce) == 1
            && EVP_EncryptUpdate(cipher, nil, &length, context, Int32(context.count)) == 1
            && EVP_EncryptUpdate(cipher, &output, &length, plain, Int32(plain.count)) == 1
            && output.withUnsafeMutableBufferPointer { bytes in
                guard let tag = bytes.baseAddress?.advanced(by: plain.count) else { return false }
                return EVP_EncryptFinal_ex(cipher, tag, &length) == 1
                    && EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, Int32(tagLength), tag) == 1
            }
        precondition(isDone, "AES-GCM cannot fail but for want of memory")
        return nonce + output
    }

    /// Nil when they were sealed by another key, for another context, or were changed.
    public static func open(_ sealed: [UInt8], key: [UInt8], context: [UInt8]) -> [UInt8]? {
        guard OpenSSLLibrary.isReady, key.count == keyLength, sealed.count >= nonceLength + tagLength else { return nil }
        let nonce = Array(sealed[..<nonceLength])
        let text = Array(sealed[nonceLength..<sealed.count - tagLength])
        var tag = Array(sealed[(sealed.count - tagLength)...])
        let cipher = EVP_CIPHER_CTX_new()
        defer { EVP_CIPHER_CTX_free(cipher) }
        var length: Int32 = 0
        var rest = [UInt8](repeating: 0, count: tagLength)
        // One byte more, so that there is an address to write to where nothing was sealed.
        var output = [UInt8](repeating: 0, count: text.count + 1)
        guard EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), nil, key, nonce) == 1,
            EVP_DecryptUpdate(cipher, nil, &length, context, Int32(context.count)) == 1,
            EVP_DecryptUpdate(cipher, &output, &length, text, Int32(text.count)) == 1,
            EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, Int32(tagLength), &tag) == 1,
            EVP_DecryptFinal_ex(cipher, &rest, &length) == 1
        else { return nil }
        return Array(output[..<text.count])
    }
}
