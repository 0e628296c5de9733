import Access
import Cryptography
import Formats

/// Makes and checks the tokens of links to a team's page: who holds one may see the page of one team for an hour and pay for it.
struct TeamLink: Sendable {
    static let lifeMs: Int64 = 60 * 60_000
    private let keys: SigningKeys

    /// - Parameter secret: of the whole installation, so that any web process checks what another one made.
    init(secret: String) { keys = SigningKeys(secret: secret, use: "quittance team page link 1") }

    struct Token: Sendable {
        let text: String
        let expiresAtMs: Int64
    }

    func token(for team: String, nowMs: Int64) -> Token {
        let expiresAt = nowMs / 1000 + Self.lifeMs / 1000
        return Token(text: "\(expiresAt).\(Base64.urlEncode(proof(team, expiresAt, keys.signing)))", expiresAtMs: expiresAt * 1000)
    }

    /// Whether a token is of this team and has not run out. What is wrong with a token that is refused cannot be told from the time taken.
    func accepts(_ token: String, for team: String, nowMs: Int64) -> Bool {
        let parts = token.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, (1...12).contains(parts[0].utf8.count), let expiresAt = Int64(parts[0]), String(expiresAt) == parts[0] else {
            return false
        }
        let isGenuine = keys.all.reduce(false) { known, key in
            ConstantTime.equal(String(parts[1]), Base64.urlEncode(proof(team, expiresAt, key))) || known
        }
        // One that lasts longer than we make them is none of ours, whoever has signed it.
        return isGenuine && expiresAt * 1000 > nowMs && expiresAt * 1000 - nowMs <= Self.lifeMs
    }

    private func proof(_ team: String, _ expiresAt: Int64, _ key: SigningKeys.Key) -> [UInt8] {
        key.hmac.authenticate(Array("\(expiresAt) \(team)".utf8))
    }
}
