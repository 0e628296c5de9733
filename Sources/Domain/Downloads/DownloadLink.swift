import Access
import Cryptography
import Formats

/// What a genuine link says; it may be over.
public struct DownloadClaim: Sendable, Equatable {
    public let download: String
    public let expiresAtMs: Int64

    /// What stands in for a link that is none, so that looking it up takes as long.
    public static let none = DownloadClaim(download: "dl_" + String(repeating: "0", count: 26), expiresAtMs: 0)
}

/// Makes and reads the tokens in `/downloads/<token>`.
///
/// A token is 54 bytes in Base64: purpose, key, expiry in seconds, the download's 128 random bits, and an HMAC-SHA256 over them. It is kept
/// nowhere: whoever sends a link makes it from the row. While `SECRET_KEY` is exchanged the old value still verifies, so that links of before
/// live to their end.
public struct DownloadLink: Sendable {
    /// What a token is good for; of another purpose it is none of ours.
    enum Purpose: UInt8 {
        case download = 0x44
    }

    static let idPrefix = "dl_"
    private static let claimLength = 22
    private static let proofLength = 32

    private let keys: SigningKeys
    private let origins: HMACSHA256

    /// - Parameter secret: of the whole installation, so that every process checks what another one made.
    public init(secret: String) {
        keys = SigningKeys(secret: secret, use: "quittance download 1")
        origins = SigningKeys(secret: secret, use: "quittance download origin 1").signing.hmac
    }

    /// The path of a download's link, to be put after `BASE_URL`. The same for the same row and key.
    public func path(of grant: DownloadGrant) -> String? { token(of: grant).map { "/downloads/\($0)" } }

    /// - Returns: nil for a grant whose id is none of ours.
    public func token(of grant: DownloadGrant) -> String? {
        guard grant.id.hasPrefix(Self.idPrefix), let id = ULID.bytes(of: String(grant.id.dropFirst(Self.idPrefix.count))) else { return nil }
        let seconds = UInt32(clamping: grant.expiresAtMs / 1000)
        let claim = [Purpose.download.rawValue, keys.signing.id] + (0..<4).map { UInt8(truncatingIfNeeded: seconds >> UInt32(24 - $0 * 8)) } + id
        return Base64.urlEncode(claim + keys.signing.hmac.authenticate(claim))
    }

    /// What a token says; nil for one that nobody here has signed for a download. Takes the same time whatever is wrong with it.
    public func read(_ token: String) -> DownloadClaim? {
        let length = Self.claimLength + Self.proofLength
        // Every text of this length without stray bits stands for exactly one token.
        guard token.utf8.count == length / 3 * 4, let bytes = Base64.urlDecode(token), bytes.count == length else { return nil }
        let claim = Array(bytes[..<Self.claimLength])
        let proof = Array(bytes[Self.claimLength...])
        var isGenuine = false
        for key in keys.all {
            let fits = ConstantTime.equal(proof, key.hmac.authenticate(claim))
            isGenuine = isGenuine || (fits && key.id == claim[1])
        }
        guard isGenuine, Purpose(rawValue: claim[0]) != nil else { return nil }
        let seconds = claim[2..<6].reduce(Int64(0)) { $0 << 8 | Int64($1) }
        return DownloadClaim(download: Self.idPrefix + ULID.text(of: claim[6..<22]), expiresAtMs: seconds * 1000)
    }

    /// Tells addresses apart without keeping them.
    public func origin(of address: String) -> [UInt8] { Array(origins.authenticate(Array(address.utf8)).prefix(16)) }
}
