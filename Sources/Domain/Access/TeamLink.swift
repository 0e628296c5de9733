import Cryptography
import Formats

/// Makes and checks the tokens of links to a team's page: who holds one may see the page of one team
/// until it runs out, pay for its plan, cancel what is being paid, and say whether the plan goes on after its period.
public struct TeamLink: Sendable {
    /// Of a link that somebody was just given.
    public static let lifeMs: Int64 = 60 * 60_000
    /// The most that a link in a message lasts: it is read days later.
    public static let mailLifeMs: Int64 = 15 * 86_400_000

    private let keys: SigningKeys
    private let mailKeys: SigningKeys

    /// - Parameter secret: of the whole installation, so that any process checks what another one made.
    public init(secret: String) {
        keys = SigningKeys(secret: secret, use: "quittance team page link 1")
        mailKeys = SigningKeys(secret: secret, use: "quittance team renewal link 1")
    }

    public struct Token: Sendable {
        public let text: String
        public let expiresAtMs: Int64
    }

    public func token(for team: String, nowMs: Int64) -> Token { token(for: team, until: nowMs + Self.lifeMs, keys) }

    /// A token for a link in a message.
    /// - Parameter untilMs: what is further away than ``mailLifeMs`` is refused when the link is followed.
    public func mailToken(for team: String, until untilMs: Int64) -> Token { token(for: team, until: untilMs, mailKeys) }

    private func token(for team: String, until untilMs: Int64, _ keys: SigningKeys) -> Token {
        let expiresAt = untilMs / 1000
        return Token(text: "\(expiresAt).\(Base64.urlEncode(proof(team, expiresAt, keys.signing)))", expiresAtMs: expiresAt * 1000)
    }

    /// How a link came to whoever follows it.
    public enum Way: Sendable {
        /// The product has just given it.
        case given
        case mailed
    }

    /// Whether a token is of this team and has not run out.
    public func accepts(_ token: String, for team: String, nowMs: Int64) -> Bool { way(of: token, for: team, nowMs: nowMs) != nil }

    /// How a token of this team came that has not run out; nil for any other. What is wrong with one that is refused cannot be told from the
    /// time taken.
    public func way(of token: String, for team: String, nowMs: Int64) -> Way? {
        let parts = token.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, (1...12).contains(parts[0].utf8.count), let expiresAt = Int64(parts[0]), String(expiresAt) == parts[0] else {
            return nil
        }
        let proof = String(parts[1])
        let isGiven = isGenuine(proof, team, expiresAt, keys)
        let isMailed = isGenuine(proof, team, expiresAt, mailKeys)
        // One that lasts longer than we make them is none of ours, whoever has signed it.
        let left = expiresAt * 1000 - nowMs
        guard left > 0 else { return nil }
        if isGiven && left <= Self.lifeMs { return .given }
        return isMailed && left <= Self.mailLifeMs ? .mailed : nil
    }

    private func isGenuine(_ proof: String, _ team: String, _ expiresAt: Int64, _ keys: SigningKeys) -> Bool {
        keys.all.reduce(false) { known, key in ConstantTime.equal(proof, Base64.urlEncode(self.proof(team, expiresAt, key))) || known }
    }

    private func proof(_ team: String, _ expiresAt: Int64, _ key: SigningKeys.Key) -> [UInt8] {
        key.hmac.authenticate(Array("\(expiresAt) \(team)".utf8))
    }
}
