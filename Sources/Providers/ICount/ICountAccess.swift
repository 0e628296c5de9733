import ProviderPort

/// How we show iCount who we are. An API token is preferred: it keeps the password out of bodies.
enum ICountAccess: Sendable {
    /// `Authorization: Bearer`, with the token of Settings → API.
    case token(String)
    /// `auth/login`, and its `sid` in every body after that.
    case session(company: String, user: String, password: String)

    /// How long a session is used before it is begun anew. iCount does not say how long one lives; one that ended earlier is noticed by the
    /// refusal, at the price of a call.
    static let sessionLifeMs: Int64 = 20 * 60_000

    /// - Throws: ``ProviderError`` `misconfigured` when there is neither.
    init(token: String?, company: String?, user: String?, password: String?) throws(ProviderError) {
        if let token, !token.isEmpty {
            guard token.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
                throw ProviderError(.misconfigured, "ICOUNT_API_TOKEN holds a blank or a sign beyond ASCII")
            }
            self = .token(token)
        } else if let company, let user, let password, !company.isEmpty, !user.isEmpty, !password.isEmpty {
            self = .session(company: company, user: user, password: password)
        } else {
            throw ProviderError(.misconfigured, "provider icount needs ICOUNT_API_TOKEN, or ICOUNT_CID, ICOUNT_USER and ICOUNT_PASS together")
        }
    }
}
