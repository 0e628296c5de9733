import Access
import Cryptography
import Database
import Formats
import HTTPServer

/// Who calls: API keys and tokens of programs, and whether a browser's form comes from our own page.
struct CallerCheck: Sendable {
    let database: Database
    let baseURL: String
    /// Nil where no tokens are taken.
    let tokens: TokenRules?
    let crossOrigin: CrossOrigin

    /// Who calls.
    /// - Throws: ``WebProblem`` 401.
    func caller(of request: HTTPRequest, nowMs: Int64) async throws -> Caller {
        guard let text = Self.bearer(request.headers["authorization"]) else {
            throw Self.unauthorised("a bearer key is required", challenge: #"Bearer realm="quittance""#)
        }
        if let tokens, JSONWebTokenCheck.looksLikeToken(text) { return try Self.subject(of: text, tokens, nowMs) }
        guard let key = try await database.read({ try APIKeys.authenticate(text, in: $0) }) else {
            throw Self.unauthorised("the bearer key is not valid", challenge: Self.invalidToken)
        }
        if key.needsUseNoted(nowMs: nowMs) {
            try await database.write { try APIKeys.noteUse(of: key.id, nowMs: nowMs, in: $0) }
        }
        return Caller(key)
    }

    private static let invalidToken = #"Bearer realm="quittance", error="invalid_token""#

    private static func subject(of text: String, _ tokens: TokenRules, _ nowMs: Int64) throws(WebProblem) -> Caller {
        do throws(JSONWebTokenError) {
            return Caller(try tokens.check.verify(text, now: nowMs / 1000), granted: tokens.granted)
        } catch {
            throw unauthorised(error.description, challenge: invalidToken)
        }
    }

    /// Refuses a form that another site's page posts. Our pages keep no session, but nobody shall fill in our forms in a
    /// visitor's name. Browsers say where a post comes from; other programs say nothing.
    /// - Throws: ``WebProblem`` 403.
    func refuseCrossSite(_ request: HTTPRequest) throws(WebProblem) {
        // A site whose pages may call the API is no stranger there.
        if let origin = request.headers["origin"], CrossOrigin.covers(request.path), crossOrigin.allows(origin) { return }
        let isForeign: Bool
        if let site = request.headers["sec-fetch-site"] {
            isForeign = site != "same-origin" && site != "none"
        } else if let origin = request.headers["origin"] {
            let host = request.headers["host"] ?? ""
            isForeign = origin != Self.origin(of: baseURL) && origin != "http://\(host)" && origin != "https://\(host)"
        } else {
            isForeign = false
        }
        if isForeign { throw WebProblem(status: 403, title: "Forbidden", detail: "forms are taken from our own pages only") }
    }

    /// Scheme, host and port of an address.
    static func origin(of url: String) -> String {
        guard let scheme = url.firstRange(of: "://") else { return url }
        let rest = url[scheme.upperBound...]
        return String(url[..<scheme.upperBound]) + rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    }

    private static func bearer(_ header: String?) -> String? {
        guard let header else { return nil }
        let parts = header.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        return String(parts[1].drop { $0 == " " })
    }

    private static func unauthorised(_ detail: String, challenge: String) -> WebProblem {
        WebProblem(status: 401, title: "Unauthorised", detail: detail, headers: [("WWW-Authenticate", challenge)])
    }
}

extension Caller {
    /// - Throws: ``WebProblem`` 403.
    func require(_ scope: String) throws(WebProblem) {
        guard allows(scope) else { throw WebProblem(status: 403, title: "Forbidden", detail: "the key lacks the scope '\(scope)'") }
    }

    /// What only the product's own back end may do, which a token of one of its users is not.
    /// - Throws: ``WebProblem`` 403.
    func requireKey() throws(WebProblem) {
        guard teams == .all else {
            throw WebProblem(status: 403, title: "Forbidden", detail: "this takes an API key: a user's token may only read here")
        }
    }
}
