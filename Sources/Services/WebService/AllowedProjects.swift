import Access
import Cryptography
import Database
import Formats
import HTTPServer
import Synchronization
import Teams
import Telemetry
import Usage

/// What gateways ask all the time: may this project go on? The answer comes from memory, on the thread that read the question,
/// as long as neither it nor the check of the key is older than ``maxAgeMs``; everything else goes to SQL.
final class AllowedProjects: Sendable {
    static let maxAgeMs: Int64 = 5000
    /// A project that was just entered shall not be unknown for long.
    static let unknownMaxAgeMs: Int64 = 1000
    /// An answer in use is read anew when it is this old, so that nobody has to wait for it.
    static let refreshAfterMs: Int64 = 2500
    private static let path = (prefix: "/api/usage/", suffix: "/allowed")

    private struct State: Sendable {
        var known = FreshCache<String, [UInt8]>(maxAgeMs: maxAgeMs, countMax: 50_000)
        var unknown = FreshCache<String, Bool>(maxAgeMs: unknownMaxAgeMs, countMax: 1000)
        /// The limits are a team's: read once for all its projects.
        var teams = FreshCache<String, TeamStanding>(maxAgeMs: refreshAfterMs, countMax: 50_000)
        /// By the digest of the header, so that no key's text is kept.
        var keys = FreshCache<[UInt8], Bool>(maxAgeMs: maxAgeMs, countMax: 256)
        /// One read of a project at a time; whoever needs it meanwhile waits for it.
        var reads: [String: Task<Answer, any Error>] = [:]
        var keyChecks: Set<[UInt8]> = []
    }

    struct Answer: Sendable {
        /// Nil: there is no such project.
        let body: [UInt8]?
        let ageMs: Int64
    }

    private struct Found: Sendable {
        let body: [UInt8]?
        let readAt: Moment
    }

    private let database: Database
    private let callers: CallerCheck
    private let nowMs: @Sendable () -> Int64
    private let state = Mutex(State())
    private let fromMemory = AllowedProjects.counter("memory")
    private let fromSQL = AllowedProjects.counter("sql")

    private static func counter(_ source: String) -> Counter {
        MetricRegistry.shared.counter("allowed_answers_total", help: "Answers whether a project may go on.", labels: [("from", source)])
    }

    init(database: Database, callers: CallerCheck, nowMs: @escaping @Sendable () -> Int64) {
        self.database = database
        self.callers = callers
        self.nowMs = nowMs
    }

    var routes: [Route] {
        [
            Route("GET", Self.path.prefix + "{project}" + Self.path.suffix, .api(scope: APIKey.usage), bodyLimit: 0, counted: .free) { [self] call in
                try await answer(call)
            }
        ]
    }

    private var now: Moment { Moment(wallMs: nowMs()) }

    // MARK: From memory

    /// The answer to a request, if it is such a question and all that it takes is at hand. Called on the loop's thread.
    func atOnce(_ request: HTTPRequest) -> HTTPResponse? {
        guard let project = Self.project(asked: request), let print = Self.print(of: request) else { return nil }
        let now = now
        let (answer, keyNeedsCheck) = state.withLock { state -> (Answer?, Bool) in
            guard let key = state.keys.find(print, at: now), let answer = Self.find(project, in: state, at: now) else { return (nil, false) }
            if answer.body != nil, answer.ageMs >= Self.refreshAfterMs { begin(project, &state) }
            let keyNeedsCheck = key.ageMs >= Self.refreshAfterMs && state.keyChecks.insert(print).inserted
            return (answer, keyNeedsCheck)
        }
        guard let answer else { return nil }
        if keyNeedsCheck { Task { await checkAgain(print, request) } }
        fromMemory.add()
        return Self.response(answer, project)
    }

    private static func project(asked request: HTTPRequest) -> String? {
        guard request.method == "GET", request.target.hasPrefix(path.prefix), request.target.hasSuffix(path.suffix) else { return nil }
        let bytes = request.target.utf8
        guard bytes.count > path.prefix.utf8.count + path.suffix.utf8.count else { return nil }
        let name = request.target.dropFirst(path.prefix.utf8.count).dropLast(path.suffix.utf8.count)
        // Anything that would have to be decoded first takes the long way.
        return Slug.isValid(name, most: Project.idLengthMax) ? String(name) : nil
    }

    private static func print(of request: HTTPRequest) -> [UInt8]? { request.headers.valueBytes("authorization").map(Digest.sha256) }

    private static func find(_ project: String, in state: State, at now: Moment) -> Answer? {
        if let known = state.known.find(project, at: now) { return Answer(body: known.value, ageMs: known.ageMs) }
        return state.unknown.find(project, at: now).map { Answer(body: nil, ageMs: $0.ageMs) }
    }

    // MARK: The keys

    /// Keeps that a request's key is good and has the scope. A token is not kept: what it may ask about is not for memory to say.
    /// - Parameter readAt: before it was looked up.
    func keep(_ caller: Caller, keyOf request: HTTPRequest, readAt: Moment) {
        guard caller.teams == .all, let print = Self.print(of: request) else { return }
        let now = now
        state.withLock { $0.keys.keep(true, for: print, readAt: readAt, now: now) }
    }

    private func checkAgain(_ print: [UInt8], _ request: HTTPRequest) async {
        let readAt = now
        do {
            let caller = try await callers.caller(of: request, nowMs: readAt.wallMs)
            try caller.require(APIKey.usage)
            keep(caller, keyOf: request, readAt: readAt)
        } catch is WebProblem {
            state.withLock { $0.keys.forget(print) }
        } catch {
            // The database is out of reach: what is known runs out by itself.
        }
        state.withLock { _ = $0.keyChecks.remove(print) }
    }

    // MARK: From SQL

    private func answer(_ call: WebCall) async throws -> HTTPResponse {
        let project = call.value("project")
        if call.teams != .all, try await database.read({ try call.teams.project(project, in: $0) }) == nil {
            return Self.response(Answer(body: nil, ageMs: 0), project)
        }
        let now = now
        let (kept, reading) = state.withLock { state -> (Answer?, Task<Answer, any Error>?) in
            if let kept = Self.find(project, in: state, at: now) { return (kept, nil) }
            return (nil, begin(project, &state))
        }
        if let kept {
            fromMemory.add()
            return Self.response(kept, project)
        }
        // What took longer to read than it may be old is no answer any more.
        guard let answer = try await reading?.value, answer.ageMs <= Self.maxAgeMs else { throw WebProblem.unavailable }
        fromSQL.add()
        return Self.response(answer, project)
    }

    /// Begins to read a project, unless somebody does already.
    @discardableResult
    private func begin(_ project: String, _ state: inout State) -> Task<Answer, any Error> {
        if let running = state.reads[project] { return running }
        let task = Task { [self] in
            let result: Result<Found, any Error>
            do { result = .success(try await fetch(project)) } catch { result = .failure(error) }
            let now = now
            self.state.withLock { Self.settle(project, result, now, &$0) }
            let found = try result.get()
            return Answer(body: found.body, ageMs: found.readAt.age(at: now) ?? 0)
        }
        state.reads[project] = task
        return task
    }

    private func fetch(_ project: String) async throws -> Found {
        try await database.read { [self] connection in
            // SQL's view begins with the first statement: from here on it grows old.
            let readAt = now
            guard let team = try TeamStore.project(project, in: connection)?.team else { return Found(body: nil, readAt: readAt) }
            if let kept = state.withLock({ $0.teams.find(team, at: readAt)?.value }) {
                return Found(body: kept.answer(about: project), readAt: kept.readAt)
            }
            guard let allowance = try UsageAllowance.ofProject(project, nowMs: readAt.wallMs, in: connection) else {
                return Found(body: nil, readAt: readAt)
            }
            let standing = TeamStanding(allowance, readAt: readAt)
            let now = now
            state.withLock { $0.teams.keep(standing, for: team, readAt: readAt, now: now) }
            return Found(body: standing.answer(about: project), readAt: readAt)
        }
    }

    private static func settle(_ project: String, _ result: Result<Found, any Error>, _ now: Moment, _ state: inout State) {
        state.reads[project] = nil
        guard case .success(let found) = result else { return }
        if let body = found.body {
            state.known.keep(body, for: project, readAt: found.readAt, now: now)
            state.unknown.forget(project)
        } else {
            state.known.forget(project)
            state.unknown.keep(true, for: project, readAt: found.readAt, now: now)
        }
    }

    /// How much is kept, and how much is under way.
    var counts: (known: Int, unknown: Int, keys: Int, reads: Int) {
        state.withLock { ($0.known.count, $0.unknown.count, $0.keys.count, $0.reads.count) }
    }

    // MARK: Answers

    private static func response(_ answer: Answer, _ project: String) -> HTTPResponse {
        guard let body = answer.body else {
            var response = WebProblem.notFound("there is no project \(project.prefix(Project.idLengthMax))").response
            complete(&response, answer, maxAgeMs: unknownMaxAgeMs)
            return response
        }
        var response = HTTPResponse(status: 200, body: body)
        response.headers.reserve(fields: 5, bytes: 160)
        response.headers.append("Content-Type", "application/json")
        complete(&response, answer, maxAgeMs: maxAgeMs)
        return response
    }

    private static func complete(_ response: inout HTTPResponse, _ answer: Answer, maxAgeMs: Int64) {
        response.headers.append("Cache-Control", "private, max-age=\(maxAgeMs / 1000)")
        // Rounded up: a cache on the way must not keep it longer than we would.
        response.headers.append("Age", String((answer.ageMs + 999) / 1000))
        response.headers.append("X-Content-Type-Options", "nosniff")
        response.headers.append("Referrer-Policy", "no-referrer")
    }
}

/// How a team stands with its plan's metered limits at one moment.
struct TeamStanding: Sendable {
    let readAt: Moment
    private let team: String
    private let checks: [Allowance]
    private let refused: [Allowance]
    private let gauge: StorageGauge

    init(_ allowance: ProjectAllowance, readAt: Moment) {
        self.readAt = readAt
        team = allowance.team
        checks = allowance.checks
        refused = allowance.refusals
        gauge = allowance.gauge
    }

    /// The body of the answer about one of the team's projects.
    func answer(about project: String) -> [UInt8] {
        let json: JSON = [
            "allowed": .bool(refused.isEmpty), "project": .string(project), "team": .string(team),
            "as_of": PaymentAnswer.time(readAt.wallMs), "max_age_ms": .int(AllowedProjects.maxAgeMs),
            "checks": .array(checks.map { .object(Self.check($0)) }),
            "storage": ["measured_at": PaymentAnswer.time(gauge.measuredAtMs), "stale": .bool(gauge.isStale(nowMs: readAt.wallMs))],
            "refusals": .array(refused.map { .object(refusal($0, project)) }),
        ]
        return json.bytes
    }

    private static func check(_ check: Allowance) -> JSONObject {
        let metric: UsageMetric = check.limit == UsageMetric.traffic.limitName ? .traffic : .storage
        return [
            "limit": .string(check.limit), "metric": .string(metric.rawValue), "used": .int(check.used), "allowed": .int(check.allowed),
            "unit": .string(check.unit),
        ]
    }

    private func refusal(_ check: Allowance, _ project: String) -> JSONObject {
        var members = Self.check(check)
        members["team"] = .string(team)
        members["project"] = .string(project)
        members["detail"] = .string(
            "\(check.limit): project \(project) is stopped, since team \(team) has used \(check.used) of \(check.allowed) \(check.unit)")
        return members
    }
}
