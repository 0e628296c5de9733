import Cryptography
import Database
import Formats

/// Makes and reads the tokens of links to one payment: whoever holds one may see that payment until it runs out, and pay it.
///
/// A token is forty bytes in Base64: purpose, key, expiry, generation, payment, and an HMAC-SHA256 over them cut to 128 bits. Nothing is
/// kept of it but the generation, which is counted up to take back all that were made.
public struct PaymentLink: Sendable {
    /// What a link is good for.
    public enum Purpose: UInt8, Sendable, CaseIterable {
        case pay = 1
        /// To see where the payment stands, and no more.
        case watch = 2

        public var word: String { self == .pay ? "pay" : "watch" }
        public init?(word: String) {
            guard let purpose = Purpose.allCases.first(where: { $0.word == word }) else { return nil }
            self = purpose
        }
    }

    public struct Token: Sendable {
        public let text: String
        public let expiresAtMs: Int64
    }

    /// What a genuine token says; it may have run out or been taken back.
    public struct Grant: Sendable, Equatable {
        public let purpose: Purpose
        public let payment: String
        public let generation: Int64
        public let expiresAtMs: Int64

        public var mayPay: Bool { purpose == .pay }

        public init(purpose: Purpose, payment: String, generation: Int64, expiresAtMs: Int64) {
            self.purpose = purpose
            self.payment = payment
            self.generation = generation
            self.expiresAtMs = expiresAtMs
        }
    }

    public static let standardLifeMs: Int64 = 7 * 86_400_000
    public static let longestLifeMs: Int64 = 90 * 86_400_000
    public static let shortestLifeMs: Int64 = 60_000

    private static let idPrefix = "pay_"
    private static let claimLength = 24
    private static let proofLength = 16

    private let keys: SigningKeys

    /// - Parameter secret: of the whole installation, so that every process checks what another one made.
    public init(secret: String) { keys = SigningKeys(secret: secret, use: "quittance payment link 1") }

    /// - Returns: nil for a payment whose id is none of ours.
    public func token(for payment: String, _ purpose: Purpose, generation: Int64, lifeMs: Int64 = standardLifeMs, nowMs: Int64) -> Token? {
        guard payment.hasPrefix(Self.idPrefix), let id = ULID.bytes(of: String(payment.dropFirst(Self.idPrefix.count))) else { return nil }
        let expiresAt = UInt32(clamping: (nowMs + lifeMs) / 1000)
        var claim = [purpose.rawValue, keys.signing.id]
        claim += Self.bytes(of: UInt64(expiresAt), 4) + Self.bytes(of: UInt64(generation), 2) + id
        let proof = keys.signing.hmac.authenticate(claim).prefix(Self.proofLength)
        return Token(text: Base64.urlEncode(claim + proof), expiresAtMs: Int64(expiresAt) * 1000)
    }

    /// What a token says; nil for one that nobody here has signed. Takes the same time whatever is wrong with it.
    public func read(_ token: String) -> Grant? {
        let length = Self.claimLength + Self.proofLength
        guard token.utf8.count == (length * 8 + 5) / 6, let bytes = Base64.urlDecode(token), bytes.count == length else { return nil }
        let claim = Array(bytes[..<Self.claimLength])
        let proof = Array(bytes[Self.claimLength...])
        var isGenuine = false
        for key in keys.all where key.id == claim[1] {
            isGenuine = ConstantTime.equal(proof, Array(key.hmac.authenticate(claim).prefix(Self.proofLength))) || isGenuine
        }
        guard isGenuine, let purpose = Purpose(rawValue: claim[0]) else { return nil }
        return Grant(
            purpose: purpose, payment: Self.idPrefix + ULID.text(of: claim[8..<24]), generation: Int64(Self.number(claim[6..<8])),
            expiresAtMs: Int64(Self.number(claim[2..<6])) * 1000)
    }

    private static func bytes(of number: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: number >> UInt64((count - 1 - $0) * 8)) }
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
}

/// Which links of a payment were taken back, in SQL, in the caller's transaction.
public enum PaymentLinks {
    private static let generationMax: Int64 = 65_535

    /// The generation that new links are made in, and the only one that is good.
    public static func generation(of payment: String, in connection: Connection) throws -> Int64 {
        try connection.first("SELECT generation FROM access_links WHERE payment = $1", [.text(payment)])?.int("generation") ?? 0
    }

    /// Takes back every link that was made so far. One that comes after the 65,535th time takes back nothing: the number is full.
    public static func revoke(_ payment: String, nowMs: Int64, in connection: Connection) throws {
        try connection.execute(
            """
            INSERT INTO access_links (payment, generation, revoked_at) VALUES ($1, 1, $2)
            ON CONFLICT (payment) DO UPDATE SET generation = MIN(generation + 1, $3), revoked_at = $2
            """, [.text(payment), .integer(nowMs), .integer(generationMax)])
    }
}

/// The keys of one use, made from the installation's secret: what is signed for another use never passes here.
///
/// `SECRET_KEY` may hold several secrets separated by blanks while they are exchanged, each of at least 32 characters: all verify, the first
/// signs. Of a text with blanks whose words are shorter, the whole is the one secret.
public struct SigningKeys: Sendable {
    public struct Key: Sendable {
        /// Tells the keys apart, and nothing about them.
        public let id: UInt8
        public let hmac: HMACSHA256
    }

    private static let shortest = 32

    public let all: [Key]
    public var signing: Key { all[0] }

    public init(secret: String, use: String) {
        let words = secret.split(separator: " ").map(String.init)
        let secrets = words.count > 1 && words.allSatisfy { $0.utf8.count >= Self.shortest } ? words : [secret]
        all = secrets.map { secret in
            let key = HMACSHA256(key: HMACSHA256(key: secret).authenticate(Array(use.utf8)))
            return Key(id: key.authenticate(Array("key id".utf8))[0], hmac: key)
        }
    }
}
