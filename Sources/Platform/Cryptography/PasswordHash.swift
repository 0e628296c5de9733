import CCrypto

/// A password as it is kept: what scrypt (RFC 7914) makes of it, with the salt and the costs it was made at.
public struct PasswordHash: Sendable, Equatable {
    /// What making one costs: `n` · `r` · 128 bytes of memory, `p` times over.
    public struct Cost: Sendable, Equatable {
        public let n: Int
        public let r: Int
        public let p: Int

        public init(n: Int, r: Int, p: Int) {
            precondition(n > 1 && n & (n - 1) == 0 && n <= 1 << 20 && (1...32).contains(r) && (1...16).contains(p), "costs that scrypt takes")
            self.n = n
            self.r = r
            self.p = p
        }

        /// 32 MiB three times: about a quarter of a second on one core.
        public static let standard = Cost(n: 1 << 15, r: 8, p: 3)
        /// What is read from a row must not ask for any amount of memory.
        static let memoryMax: UInt64 = 512 << 20
    }

    public static let saltLength = 16
    public static let length = 32

    public let cost: Cost
    public let salt: [UInt8]
    public let bytes: [UInt8]

    public init(cost: Cost, salt: [UInt8], bytes: [UInt8]) {
        self.cost = cost
        self.salt = salt
        self.bytes = bytes
    }

    /// Hashes a new password. Blocks for as long as its cost says: never on Swift's shared threads.
    public init(of password: String, cost: Cost = .standard) {
        let salt = SecureRandom.bytes(Self.saltLength)
        self.init(cost: cost, salt: salt, bytes: Self.derive(password, salt: salt, cost: cost))
    }

    /// Whether this is the password. Blocks as long as making it did.
    public func matches(_ password: String) -> Bool { ConstantTime.equal(bytes, Self.derive(password, salt: salt, cost: cost)) }

    /// What scrypt makes of a password.
    public static func derive(_ password: String, salt: [UInt8], cost: Cost, length: Int = PasswordHash.length) -> [UInt8] {
        precondition(OpenSSLLibrary.isReady, "OpenSSL cannot be begun")
        let text = Array(password.utf8).map { CChar(bitPattern: $0) }
        return [UInt8](unsafeUninitializedCapacity: length) { output, filled in
            let done = EVP_PBE_scrypt(
                text, text.count, salt, salt.count, UInt64(cost.n), UInt64(cost.r), UInt64(cost.p), Cost.memoryMax, output.baseAddress, length)
            // It fails for want of memory only: a hash that is none would let nobody in, or everybody.
            precondition(done == 1, "scrypt finds no memory")
            filled = length
        }
    }
}
