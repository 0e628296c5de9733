import CCrypto

/// HMAC-SHA256 (RFC 2104) with one key for many messages.
///
/// The two hash states that depend on the key only are computed once; each message then starts from copies of them, without
/// an allocation but that of its result.
public struct HMACSHA256: Sendable {
    private let inner: SHA256_CTX
    private let outer: SHA256_CTX

    private static let blockSize = 64

    /// - Parameter key: of any length; an empty key proves nothing, so whoever reads secrets refuses it before.
    public init(key: [UInt8]) {
        var block = key.count > Self.blockSize ? Digest.sha256(key) : key
        block.append(contentsOf: repeatElement(0, count: Self.blockSize - block.count))
        inner = Self.state(after: block.map { $0 ^ 0x36 })
        outer = Self.state(after: block.map { $0 ^ 0x5C })
    }

    public init(key: String) { self.init(key: Array(key.utf8)) }

    private static func state(after block: [UInt8]) -> SHA256_CTX {
        var context = SHA256_CTX()
        SHA256_Init(&context)
        SHA256_Update(&context, block, block.count)
        return context
    }

    /// The 32 bytes over all parts, one after the other.
    public func authenticate(_ parts: [UInt8]...) -> [UInt8] { authenticate(parts: parts) }

    public func authenticate(parts: [[UInt8]]) -> [UInt8] {
        var context = inner
        for part in parts where !part.isEmpty { SHA256_Update(&context, part, part.count) }
        return finish(&context)
    }

    /// The 32 bytes over a message that stays where it is.
    public func authenticate(_ message: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        var context = inner
        if !message.isEmpty { SHA256_Update(&context, message.baseAddress, message.count) }
        return finish(&context)
    }

    /// Whether `code` is the message's authentication code. Takes the same time wherever they differ.
    public func isValid(_ code: [UInt8], for parts: [UInt8]...) -> Bool {
        ConstantTime.equal(code, authenticate(parts: parts))
    }

    private func finish(_ context: inout SHA256_CTX) -> [UInt8] {
        var last = outer
        return [UInt8](unsafeUninitializedCapacity: 32) { output, count in
            // The output's place holds the inner hash first and the outer one in the end.
            SHA256_Final(output.baseAddress, &context)
            SHA256_Update(&last, output.baseAddress, 32)
            SHA256_Final(output.baseAddress, &last)
            count = 32
        }
    }
}
