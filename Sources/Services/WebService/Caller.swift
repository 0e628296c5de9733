import Access
import Cryptography
import Settings

/// Who calls the API: a key's holder, or the subject of a merchant's token.
struct Caller: Sendable, Equatable {
    /// A key's id, or `jwt:` and the subject: what idempotent calls and counts belong to.
    let id: String
    /// Who acted, in audit rows.
    let actor: String
    let scopes: [String]
    /// The teams that it may ask about and act for.
    let teams: TeamReach

    init(_ key: APIKey) {
        id = key.id
        actor = key.actor
        scopes = key.scopes
        teams = .all
    }

    /// - Parameter granted: what tokens may do at most, and do when they name no scopes.
    init(_ token: JSONWebToken, granted: [String]) {
        id = "jwt:\(token.subject)"
        actor = "jwt:\(token.subject)"
        scopes =
            token.scopes.map { claimed in
                (granted + [APIKey.plans]).filter { APIKey.allows($0, within: claimed) && APIKey.allows($0, within: granted) }
            } ?? granted
        teams = TeamReach(token)
    }

    func allows(_ scope: String) -> Bool { APIKey.allows(scope, within: scopes) }
}

/// Which tokens are taken, and what they may do.
struct TokenRules: Sendable {
    let check: JSONWebTokenCheck
    let granted: [String]

    /// Nil where no tokens are taken.
    init?(_ settings: APISettings) {
        guard !settings.tokenSecrets.isEmpty else { return nil }
        check = JSONWebTokenCheck(
            secrets: settings.tokenSecrets.map { JSONWebTokenCheck.Secret(id: $0.id, secret: $0.secret.value) }, issuer: settings.tokenIssuer,
            audience: settings.tokenAudience)
        granted = settings.tokenScopes
    }
}
