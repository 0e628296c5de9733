import Database
import Formats
import HTTPServer
import Payments
import Staff
import Telemetry

/// One method on one path of the console, and who may use it.
struct ConsoleEntry: Sendable {
    enum Audience: Sendable, Equatable {
        /// Whoever asks.
        case anybody
        /// Who has told the right password, and not yet the code.
        case entering
        /// Who is signed in with at least this role.
        case role(StaffRole)
    }

    typealias Handler = @Sendable (ConsoleVisit) async throws -> WebAnswer

    let method: String
    let pattern: String
    let audience: Audience
    let bodyLimit: Int
    /// The largest form with files, whose token its handler looks at once it is read; nil where none is taken.
    let uploadLimit: Int?
    /// Of those who are signed in or entering.
    let handler: Handler
    /// Of anybody.
    let open: (@Sendable (WebCall) async throws -> HTTPResponse)?

    /// A page, or a deed by POST.
    init(
        _ method: String, _ pattern: String, _ role: StaffRole, bodyLimit: Int = 64 * 1024,
        _ handler: @escaping @Sendable (ConsoleVisit) async throws -> HTTPResponse
    ) {
        self.init(method, pattern, .role(role), bodyLimit, { .whole(try await handler($0)) }, nil)
    }

    /// A form with files.
    init(
        uploading pattern: String, _ role: StaffRole, uploadLimit: Int, _ handler: @escaping @Sendable (ConsoleVisit) async throws -> HTTPResponse
    ) {
        self.init("POST", pattern, .role(role), 4096, uploadLimit: uploadLimit, { .whole(try await handler($0)) }, nil)
    }

    /// A step of the sign-in.
    init(entering method: String, _ pattern: String, _ handler: @escaping @Sendable (ConsoleVisit) async throws -> HTTPResponse) {
        self.init(method, pattern, .entering, 4096, { .whole(try await handler($0)) }, nil)
    }

    /// A page whose answer goes on.
    init(following pattern: String, _ role: StaffRole, _ handler: @escaping Handler) {
        self.init("GET", pattern, .role(role), 0, handler, nil)
    }

    /// What needs nobody to be known.
    init(open method: String, _ pattern: String, _ handler: @escaping @Sendable (WebCall) async throws -> HTTPResponse) {
        self.init(method, pattern, .anybody, 4096, { _ in throw WebProblem.notFound("nothing is here") }, handler)
    }

    private init(
        _ method: String, _ pattern: String, _ audience: Audience, _ bodyLimit: Int, uploadLimit: Int? = nil, _ handler: @escaping Handler,
        _ open: (@Sendable (WebCall) async throws -> HTTPResponse)?
    ) {
        self.method = method
        self.pattern = pattern
        self.audience = audience
        self.bodyLimit = method == "GET" ? 0 : bodyLimit
        self.uploadLimit = uploadLimit
        self.handler = handler
        self.open = open
    }
}

/// Who comes in: everything of the console passes here first. Session, role and the form's token are looked at before anything else is.
struct ConsoleGate: Sendable {
    static let cookie = "quittance_console"
    static let tokenField = "token"

    static let foreignForm = WebProblem(
        status: 403, title: "Forbidden", detail: "the form is not one of this session's: load the page again")

    let database: Database
    let limits: StaffSession.Limits
    let frame: ConsoleFrame
    let clients: ClientAddresses
    /// Whether browsers are to send the cookie over TLS only.
    let isSecure: Bool
    let nowMs: @Sendable () -> Int64

    func route(_ entry: ConsoleEntry) -> Route {
        if let open = entry.open {
            return Route(entry.method, entry.pattern, .console, bodyLimit: entry.bodyLimit, counted: .free) { call in
                try await told(Self.words(of: call.request)) { .whole(try await open(call)) }.response
            }
        }
        if entry.method == "GET" {
            return Route(following: entry.pattern, .console, counted: .free) { try await answer($0, entry) }
        }
        return Route(
            entry.method, entry.pattern, .console, bodyLimit: entry.bodyLimit, uploadLimit: entry.uploadLimit, counted: .free
        ) { call in
            try await answer(call, entry).response
        }
    }

    private func answer(_ call: WebCall, _ entry: ConsoleEntry) async throws -> WebAnswer {
        let now = nowMs()
        guard let id = Self.sessionID(of: call.request),
            let session = try await database.read({ [limits] in try StaffSession.find(id, limits: limits, nowMs: now, in: $0) })
        else { return .whole(toSignIn(call)) }
        switch entry.audience {
        case .anybody: break
        case .entering:
            guard session.stage != .open else { return .whole(.redirect(303, ConsolePath.root)) }
        case .role(let role):
            guard session.stage == .open else { return .whole(toSignIn(call)) }
            // A page that follows its figures asks by itself: that is no use of anybody's.
            if entry.pattern != OverviewPage.livePath, session.needsUseNoted(nowMs: now) {
                try await database.write { try session.noteUse(nowMs: now, in: $0) }
            }
            guard session.user.role >= role else {
                try await refuse(call, session, now)
                return .whole(frame.forbidden(Words(session.user.language), role))
            }
            let isOwnPassword = entry.pattern.hasPrefix("/console/account/") || entry.pattern == "/console/sign-out"
            if session.user.mustChangePassword, !isOwnPassword { return .whole(.redirect(303, "/console/account/?must=change")) }
        }
        return try await told(Words(session.user.language)) {
            var fields: [String: String] = [:]
            if entry.method == "POST", RequestBody.mediaType(of: call.request) == "application/x-www-form-urlencoded" {
                fields = try RequestBody.form(call.request.body)
            }
            // Of a form with files the token comes with the body: its handler looks at it.
            if entry.method == "POST", call.upload == nil {
                let token = fields.removeValue(forKey: Self.tokenField) ?? ""
                guard StaffSession.isFormToken(token, of: id) else { throw Self.foreignForm }
            }
            return try await entry.handler(
                ConsoleVisit(call: call, session: session, sessionID: id, fields: fields, place: place(of: call.request), nowMs: now))
        }
    }

    /// What nobody may do is a row of the audit where it would have changed something.
    private func refuse(_ call: WebCall, _ session: StaffSession, _ now: Int64) async throws {
        guard call.request.method == "POST" else { return }
        let (path, place) = (call.request.path, self.place(of: call.request))
        try await database.write { connection in
            try StaffAudit.record(
                "refused", of: path, detail: "the role \(session.user.role.rawValue) may not", actor: session.user.actor, address: place.address,
                nowMs: now, in: connection)
        }
    }

    /// Tells what is a person's to know in a page of the console; what is not goes on to be recorded.
    private func told(_ words: Words, _ body: () async throws -> WebAnswer) async throws -> WebAnswer {
        do {
            return try await body()
        } catch {
            guard let problem = WebProblem(error), problem.status < 500 || problem.status == 507 else { throw error }
            return .whole(frame.problem(problem, words))
        }
    }

    // MARK: Cookies

    /// To the sign-in, and back to a page that was asked for.
    private func toSignIn(_ call: WebCall) -> HTTPResponse {
        guard call.request.method == "GET", let own = ConsolePath.isOwn(call.request.target), own != ConsolePath.root else {
            return .redirect(303, ConsolePath.signIn)
        }
        return .redirect(303, ConsolePath.signIn + ConsolePath.query([("next", own)]))
    }

    static func sessionID(of request: HTTPRequest) -> String? {
        for pair in (request.headers["cookie"] ?? "").split(separator: ";") {
            let parts = pair.split(separator: "=", maxSplits: 1).map { $0.filter { $0 != " " } }
            if parts.count == 2, parts[0] == cookie { return String(parts[1]) }
        }
        return nil
    }

    /// A redirection that leaves the browser with a session, or without one.
    func leaving(_ id: String?, to path: String) -> HTTPResponse { keeping(id, .redirect(303, path)) }

    func keeping(_ id: String?, _ response: HTTPResponse) -> HTTPResponse {
        var response = response
        let life = id == nil ? "; Max-Age=0" : ""
        response.headers["Set-Cookie"] =
            "\(Self.cookie)=\(id ?? ""); Path=/console; HttpOnly; SameSite=Lax\(isSecure ? "; Secure" : "")\(life)"
        return response
    }

    // MARK: Whoever asks

    func place(of request: HTTPRequest) -> SignIn.Place {
        SignIn.Place(
            address: clients.address(of: request), network: clients.limitKey(of: request), agent: request.headers["user-agent"] ?? "")
    }

    /// The language of somebody who is not known: what the address says, or the browser.
    static func words(of request: HTTPRequest) -> Words {
        if let asked = request.queryValue("lang"), ["fr", "en"].contains(asked) { return Words(asked) }
        let accepted = (request.headers["accept-language"] ?? "").lowercased().split(separator: ",").first ?? ""
        return Words(accepted.hasPrefix("en") ? "en" : "fr")
    }
}

extension WebAnswer {
    /// Of an answer that is known to be whole.
    fileprivate var response: HTTPResponse {
        switch self {
        case .whole(let response): response
        case .stream(let stream): stream.head
        }
    }
}
