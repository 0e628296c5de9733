import Formats
import ProviderPort

/// Calls of API v3: `POST <base>/<module>/<method>` with a JSON object.
struct ICountAPI: Sendable {
    private let base: String
    private let access: ICountAccess
    private let sessions: AccessTokenCache
    private let pace: RequestPace?
    private let nowMs: @Sendable () -> Int64

    init(apiURL: String, access: ICountAccess, pace: RequestPace?, nowMs: @escaping @Sendable () -> Int64) {
        var base = apiURL
        while base.hasSuffix("/") { base.removeLast() }
        self.base = base
        self.access = access
        self.pace = pace
        self.nowMs = nowMs
        sessions = AccessTokenCache(nowMs: nowMs)
    }

    /// - Returns: the answer, which iCount does not call a refusal.
    func call(_ method: String, _ fields: [(String, JSON)], over transport: any ProviderTransport) async throws(ProviderError) -> JSON {
        guard case .session = access else { return try Self.read(try await send(method, fields, over: transport), method) }
        let session = try await session(over: transport)
        let answer = try await send(method, [("sid", .string(session.value))] + fields, over: transport)
        guard ICountFault(answer)?.isAboutAccess == true else { return try Self.read(answer, method) }
        // It was refused before it was carried out: one new session, and once more.
        sessions.drop(session)
        let fresh = try await self.session(over: transport)
        let second = try await send(method, [("sid", .string(fresh.value))] + fields, over: transport)
        if ICountFault(second)?.isAboutAccess == true { sessions.drop(fresh) }
        return try Self.read(second, method)
    }

    private func session(over transport: any ProviderTransport) async throws(ProviderError) -> AccessToken {
        try await sessions.token { () async throws(ProviderError) in try await logIn(over: transport) }
    }

    private func logIn(over transport: any ProviderTransport) async throws(ProviderError) -> AccessToken {
        guard case .session(let company, let user, let password) = access else { throw ProviderError(.misconfigured, "iCount has no login here") }
        let fields: [(String, JSON)] = [("cid", .string(company)), ("user", .string(user)), ("pass", .string(password))]
        let answer = try await send("auth/login", fields, over: transport)
        if let fault = ICountFault(answer) {
            let error = fault.error(asking: "auth/login")
            // Whatever word a login is refused by: it is the login that is wrong.
            guard error.kind == .rejected || error.kind == .notFound else { throw error }
            throw ProviderError(.misconfigured, error.message, code: error.code)
        }
        guard let sid = try answer.json()["sid"]?.string, !sid.isEmpty else {
            throw ProviderError(.unavailable, "the answer to auth/login has no sid")
        }
        return AccessToken(sid, lifeMs: ICountAccess.sessionLifeMs, nowMs: nowMs())
    }

    private func send(
        _ method: String, _ fields: [(String, JSON)], over transport: any ProviderTransport
    ) async throws(ProviderError) -> ProviderAnswer {
        try await pace?.pass()
        var headers: HTTPHeaders = [:]
        if case .token(let token) = access { headers["authorization"] = "Bearer \(token)" }
        return try await transport.send(
            .postJSON("\(base)/\(method)", .object(JSONObject(fields)), headers: headers, mustArriveOnce: method == "doc/cancel"))
    }

    private static func read(_ answer: ProviderAnswer, _ method: String) throws(ProviderError) -> JSON {
        if let fault = ICountFault(answer) { throw fault.error(asking: method) }
        let json = try answer.json()
        guard json.object != nil else { throw ProviderError(.unavailable, "the answer to \(method) is no JSON object") }
        return json
    }
}
