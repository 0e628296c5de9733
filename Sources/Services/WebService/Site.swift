import Access
import Database
import Downloads
import ErrorReports
import Formats
import HTTPServer
import JobQueueRedis
import Payments
import ProviderPort
import Scheduling
import Settings
import Telemetry

/// All routes, and what every request passes: routing, the check of who calls, the handler, the headers of the answer.
struct Site: Sendable {
    let router: Router
    private let callers: CallerCheck
    private let allowed: AllowedProjects
    private let meter: CallMeter
    private let crossOrigin: CrossOrigin
    private let clients: ClientAddresses
    private let openPosts: AddressBudget
    private let page: Page
    /// Nil where no secret is set.
    let console: Console?
    private let log: Log
    private let nowMs: @Sendable () -> Int64

    init(
        _ configuration: WebConfiguration, database: Database, events: PaymentEvents, transport: any ProviderTransport, cron: CronTable?,
        dueNowMs: @escaping @Sendable () async throws -> Int64, queues: RedisQueues? = nil, log: Log,
        nowMs: @escaping @Sendable () -> Int64
    ) {
        let start = AttemptStart(
            database: database, events: events, transport: transport, baseURL: configuration.baseURL, ingestURL: configuration.ingestURL,
            log: log, nowMs: nowMs)
        let once = IdempotentRun(database: database, log: log, nowMs: nowMs)
        let clients = ClientAddresses(proxies: configuration.trustedProxies)
        let kit = KitCalls(
            database: database, storage: configuration.storage, unpaidMax: configuration.unpaidFilesMax, clients: clients,
            baseURL: configuration.baseURL, nowMs: nowMs)
        let payments = PaymentCalls(database: database, events: events, start: start, once: once, nowMs: nowMs)
        let teams = TeamCalls(database: database, start: start, once: once, nowMs: nowMs)
        let cancelling = PaymentCancelling(database: database, events: events, transport: transport, nowMs: nowMs)
        let page = Page(formTargets: ["https:"] + configuration.payOrigins)
        let pay = CheckoutStart(database: database, start: start, nowMs: nowMs)
        let link = configuration.secretKey.map { PaymentLink(secret: $0.value) }
        let links = OwnLinks(link: link, nowMs: nowMs)
        let gate = LinkGate(database: database, link: link, clients: clients, nowMs: nowMs)
        let streams = StatusStreams(database: database, limits: configuration.streams, log: log)
        let checkout = CheckoutPages(database: database, providers: events.providers, start: pay, page: page)
        let returns = ReturnPages(
            database: database, providers: events.providers, page: page, outbox: events.facts.outbox, links: links, nowMs: nowMs)
        crossOrigin = CrossOrigin(origins: configuration.api.origins)
        meter = CallMeter(
            limits: CallLimits(calls: configuration.api.callsPerMinute, statusCalls: configuration.api.statusCallsPerMinute),
            store: queues.map { RedisCounts(connection: $0.connection, prefix: $0.prefix) })
        callers = CallerCheck(
            database: database, baseURL: configuration.baseURL, tokens: TokenRules(configuration.api), crossOrigin: crossOrigin)
        allowed = AllowedProjects(database: database, callers: callers, nowMs: nowMs)
        let teamPages = TeamPages(
            database: database, start: start, cancelling: cancelling,
            streams: TeamStreams(database: database, limits: configuration.teamStreams, log: log, nowMs: nowMs), clients: clients, page: page,
            link: configuration.secretKey.map { TeamLink(secret: $0.value) }, baseURL: configuration.baseURL, nowMs: nowMs)
        console = Console(
            Console.Parts(
                configuration: configuration, database: database, events: events, queues: queues, cron: cron, dueNowMs: dueNowMs, nowMs: nowMs))
        let routes: [[Route]] = [
            OperationCalls(database: database).routes,
            [OpenAPI.route, Page.stylesheet, LiveStatus.route] + QuittanceScript.routes,
            ProviderCalls(database: database, providers: events.providers, start: start, once: once, nowMs: nowMs).routes,
            PaymentActions(database: database, events: events, cancelling: cancelling, once: once, nowMs: nowMs).routes,
            MoneyDecisions(database: database, events: events, once: once, nowMs: nowMs).routes,
            kit.routes,
            payments.routes,
            QRCalls(database: database, baseURL: configuration.baseURL, links: links).routes,
            teams.routes,
            InquiryPage(kit: kit, page: page).routes,
            checkout.routes,
            returns.routes,
            AttemptPages(database: database, page: page, links: links).routes,
            LinkPages(gate: gate, providers: events.providers, start: pay, page: page).routes,
            LinkCalls(gate: gate, providers: events.providers, start: pay, streams: streams).routes,
            PaymentLinkCalls(database: database, link: link, baseURL: configuration.baseURL, nowMs: nowMs).routes,
            StatusCalls(database: database, streams: streams).routes,
            TeamRecordCalls(database: database, nowMs: nowMs).routes,
            TeamPlanCalls(database: database, nowMs: nowMs).routes,
            UsageCalls(database: database, nowMs: nowMs).routes,
            allowed.routes,
            CronCalls(table: cron, database: database, dueNowMs: dueNowMs).routes,
            teamPages.routes,
            console?.routes ?? [],
            DownloadPages(
                database: database, storage: configuration.storage, link: configuration.secretKey.map { DownloadLink(secret: $0.value) },
                clients: clients, log: log, nowMs: nowMs
            ).routes,
        ]
        router = Router(routes: Array(routes.joined()))
        self.clients = clients
        openPosts = AddressBudget(limit: configuration.api.openPostsPerMinute)
        self.page = page
        self.log = log
        self.nowMs = nowMs
    }

    /// The answer that takes neither SQL nor another thread, if this request has one. Called on the loop's thread.
    func respondAtOnce(to request: HTTPRequest) -> HTTPResponse? {
        if crossOrigin.isOn, request.headers.contains("origin") { return nil }
        return allowed.atOnce(request)
    }

    /// Ends what goes on behind the answers.
    func close() {
        meter.close()
        console?.close()
    }

    /// Everything that a call causes, its jobs too, belongs to the caller's trace or to one that begins here.
    /// - Parameter upload: the body of a form with files; the request's own is empty then.
    func respond(to request: HTTPRequest, upload: UploadBody? = nil) async -> WebAnswer {
        let trace = request.headers["traceparent"].flatMap { Trace(traceparent: $0) }?.child() ?? Trace()
        return await Trace.$current.withValue(trace) {
            await answer(to: request, upload).with { response in
                var response = response
                crossOrigin.complete(&response, to: request)
                return response
            }
        }
    }

    private func answer(to request: HTTPRequest, _ upload: UploadBody?) async -> WebAnswer {
        let route: Route
        let values: [String: String]
        switch router.match(method: request.method, path: request.path) {
        case .found(let found, let pieces): (route, values) = (found, pieces)
        case .wrongMethod(let allowed):
            return .whole(Self.guarded(crossOrigin.preflight(request, methods: allowed) ?? Self.wrongMethod(allowed).response))
        case .none:
            let answer = Self.wantsPage(request) ? page.notFound(Words("fr")) : WebProblem.notFound("nothing is at this address").response
            return .whole(Self.guarded(answer))
        }
        let begin = ContinuousClock.now
        defer { route.seconds.observe(begin.duration(to: .now)) }
        var standing: CallMeter.Standing?
        let response: WebAnswer
        do {
            response = try await carryOut(request, upload, route, values, &standing)
            if response.status >= 500 { tell("a call was answered \(response.status)", nil, route, values) }
        } catch {
            response = .whole(answer(to: problem(of: error, route, values), route))
        }
        return response.with { response in
            var response = response
            if let standing { Self.add(standing, to: &response) }
            return Self.guarded(response, route)
        }
    }

    /// How many calls are left (draft-ietf-httpapi-ratelimit-headers, in the form that clients know).
    private static func add(_ standing: CallMeter.Standing, to response: inout HTTPResponse) {
        response.headers.append("RateLimit-Limit", String(standing.limit))
        response.headers.append("RateLimit-Remaining", String(standing.room))
        response.headers.append("RateLimit-Reset", String((standing.resetMs + 999) / 1000))
    }

    private func carryOut(
        _ request: HTTPRequest, _ upload: UploadBody?, _ route: Route, _ values: [String: String], _ standing: inout CallMeter.Standing?
    ) async throws -> WebAnswer {
        var caller: Caller?
        switch route.kind {
        case .api(let scope): caller = try await admit(request, route, scope, &standing)
        case .backEnd(let scope):
            caller = try await admit(request, route, scope, &standing)
            try caller?.requireKey()
        case .openAPI, .page: if route.method == "POST" { try admitPost(request) }
        case .console: if route.method == "POST" { try callers.refuseCrossSite(request) }
        case .returnPage, .operation, .capability: break
        }
        return try await route.handler(WebCall(request: request, values: values, caller: caller, upload: upload))
    }

    private func admit(
        _ request: HTTPRequest, _ route: Route, _ scope: String, _ standing: inout CallMeter.Standing?
    ) async throws -> Caller {
        let readAt = Moment(wallMs: nowMs())
        let known = try await callers.caller(of: request, nowMs: readAt.wallMs)
        standing = meter.take(route.counted, by: known.id, nowMs: readAt.wallMs)
        if let standing, !standing.isAllowed { throw WebProblem.tooMany(standing) }
        try known.require(scope)
        if scope == APIKey.usage { allowed.keep(known, keyOf: request, readAt: readAt) }
        return known
    }

    /// Anybody may post there, so nobody may do it in masses.
    private func admitPost(_ request: HTTPRequest) throws {
        try callers.refuseCrossSite(request)
        guard openPosts.take(clients.limitKey(of: request), nowMs: nowMs()) else {
            throw WebProblem.tooMany("so much comes from this address that it has to wait", afterSeconds: 60)
        }
    }

    /// What a failed call is answered; what is no caller's fault is recorded.
    private func problem(of error: any Error, _ route: Route, _ values: [String: String]) -> WebProblem {
        if let problem = WebProblem(error) {
            if problem.status >= 500 { tell("a call was answered \(problem.status)", problem.title, route, values, problem.about) }
            return problem
        }
        var fields: [String: Log.Value] = ["route": .string("\(route.method) \(route.pattern)"), "error": .string("\(error)")]
        fields["trace"] = Trace.current.map { .string($0.id) }
        log.error("a call failed", fields)
        tell("a call failed", "\(error)", route, values)
        if let error = error as? DatabaseError, error.isTransient { return .unavailable }
        return WebProblem(status: 500, title: "Internal error", detail: "the failure was recorded")
    }

    private func tell(_ message: String, _ detail: String?, _ route: Route, _ values: [String: String], _ about: [String: String] = [:]) {
        // A probe that is told "not ready" asks again every few seconds.
        if case .operation = route.kind { return }
        let name = "\(route.method) \(route.pattern)"
        guard ErrorReports.isOn else { return }
        var report = ErrorReport(message, detail: detail, fields: ["route": name, "trace": Trace.current?.traceparent], fingerprint: [name])
        // What the path names is known at once; a database that may be the trouble is not asked for more.
        report.fields.merge(values.filter { ["payment", "provider"].contains($0.key) }) { $1 }
        report.fields.merge(about) { $1 }
        ErrorReports.report(report)
    }

    private func answer(to problem: WebProblem, _ route: Route) -> HTTPResponse {
        switch route.kind {
        case .page, .returnPage, .console: page.problem(problem, Words("fr"), back: nil)
        case .api, .backEnd, .openAPI, .operation, .capability: problem.response
        }
    }

    /// Whether a person's browser asks.
    private static func wantsPage(_ request: HTTPRequest) -> Bool { request.headers["accept"]?.contains("text/html") ?? false }

    private static func wrongMethod(_ allowed: [String]) -> WebProblem {
        let methods = allowed.joined(separator: ", ")
        return WebProblem(status: 405, title: "Method not allowed", detail: "allowed: \(methods)", headers: [("Allow", methods)])
    }

    /// What holds for every answer: it is what its type says, it is nobody else's to keep, it says nothing of where it was.
    private static func guarded(_ response: HTTPResponse, _ route: Route? = nil) -> HTTPResponse {
        var response = response
        if case .capability? = route?.kind {
            // Any site may read it: whoever has the token may do that anyway, and nobody is known here by a cookie.
            response.headers["Access-Control-Allow-Origin"] = "*"
            response.headers["Access-Control-Expose-Headers"] = "Retry-After"
        }
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        if response.headers["cache-control"] == nil { response.headers["Cache-Control"] = "no-store" }
        return response
    }
}

/// `/healthz`, `/readyz`, `/metrics`.
struct OperationCalls: Sendable {
    let database: Database

    var routes: [Route] {
        [
            Route("GET", "/healthz", .operation, bodyLimit: 0) { _ in .text(200, "ok\n") },
            Route("GET", "/readyz", .operation, bodyLimit: 0, ready),
            Route("GET", "/metrics", .operation, bodyLimit: 0) { _ in .metrics() },
        ]
    }

    private func ready(_ call: WebCall) async throws -> HTTPResponse {
        do {
            _ = try await database.read { try $0.first("SELECT 1 AS one") }
            return .text(200, "ready\n")
        } catch {
            return .problem(503, "Not ready", detail: "the database cannot be read")
        }
    }
}
