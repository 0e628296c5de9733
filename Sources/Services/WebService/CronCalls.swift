import Access
import Database
import Formats
import HTTPServer
import JobQueue
import PaymentsService
import Scheduling

/// `/api/v1/cron/…`: the scheduled entries for a scheduler outside, which learns what a run did.
struct CronCalls: Sendable {
    /// The longest that a call may wait, in seconds.
    static let waitMax: Int64 = 120

    let table: CronTable?
    let database: Database
    /// By Redis' clock: what is due is not for the machine's own to say.
    let dueNowMs: @Sendable () async throws -> Int64

    /// Ticks that one call may ask to see.
    static let nextMax: Int64 = 1000

    var routes: [Route] {
        let scope = Route.Kind.api(scope: APIKey.cron)
        return [
            Route("GET", "/api/v1/cron/", scope, bodyLimit: 0, list),
            Route("GET", "/api/v1/cron/{entry}/next", scope, bodyLimit: 0, next),
            Route("POST", "/api/v1/cron/{entry}/run", scope, bodyLimit: 4096, run),
            Route("POST", "/api/v1/cron/{entry}/pause", scope, bodyLimit: 4096) { try await setPaused(true, $0) },
            Route("POST", "/api/v1/cron/{entry}/resume", scope, bodyLimit: 4096) { try await setPaused(false, $0) },
        ]
    }

    private func list(_ call: WebCall) async throws -> HTTPResponse {
        guard let table else { return .json(200, ["entries": []]) }
        let entries = try await table.listing(nowMs: try await now())
        return .json(200, ["entries": .array(entries.map(Self.entry))])
    }

    private func next(_ call: WebCall) async throws -> HTTPResponse {
        let count = try call.whole("count", in: 1...Self.nextMax, else: 10)
        let (table, entry) = try find(call)
        let schedule = try table.schedule(of: entry)
        let ticks = schedule.next(Int(count), after: try await now()).map { due -> JSON in
            ["tick": .string(CronTable.name(ofTick: due)), "at": .string(Timestamp.rfc3339(due)), "local": .string(schedule.zone.rfc3339(due))]
        }
        return .json(200, ["entry": .string(entry.name), "zone": .string(schedule.zone.name), "next": .array(ticks)])
    }

    private func setPaused(_ paused: Bool, _ call: WebCall) async throws -> HTTPResponse {
        let (table, entry) = try find(call)
        let nowMs = try await now()
        try await table.install(nowMs: nowMs)
        _ = try await table.setPaused(paused, entry: entry.name, nowMs: nowMs)
        guard let listing = try await table.listing(nowMs: nowMs).first(where: { $0.name == entry.name }) else {
            throw WebProblem.notFound("the entry is gone")
        }
        return .json(200, Self.entry(listing))
    }

    private func find(_ call: WebCall) throws -> (CronTable, CronEntry) {
        let name = call.value("entry")
        guard let table, let entry = table.entries.first(where: { $0.name == name }) else {
            let names = table?.entries.map(\.name).joined(separator: ", ") ?? "none"
            throw WebProblem.notFound("there is no entry '\(name.prefix(80))'; the entries are \(names)")
        }
        return (table, entry)
    }

    private func now() async throws -> Int64 {
        do { return try await dueNowMs() } catch {
            throw WebProblem(
                status: 503, title: "Temporarily unavailable", detail: "what is due is for Redis' clock to say, and Redis is away",
                headers: [("Retry-After", "5")])
        }
    }

    private static func entry(_ entry: CronListing) -> JSON {
        [
            "entry": .string(entry.name), "schedule": .string(entry.expression), "zone": .string(entry.zone),
            "catch_up": .string(entry.catchUp.description), "overlap": .string(entry.overlap.rawValue), "summary": .string(entry.summary),
            "paused": .bool(entry.paused), "last_tick": .optional(entry.lastTick), "last_outcome": .optional(entry.lastOutcome),
            "last_detail": .optional(entry.lastDetail), "next": entry.paused ? .null : PaymentAnswer.time(entry.nextMs),
        ]
    }

    private func run(_ call: WebCall) async throws -> HTTPResponse {
        let isExtra = try call.flag("now", else: false)
        let wait = Duration.seconds(try call.whole("wait", in: 0...Self.waitMax, else: 0))
        let (table, entry) = try find(call)
        let nowMs = try await now()
        try await table.install(nowMs: nowMs)
        let result = try await isExtra ? table.runNow(entry, nowMs: nowMs) : table.runDue(entry, nowMs: nowMs)
        var report: CronReport?
        if let tick = CronAnswer.tick(of: result) {
            // What was begun before, here or elsewhere, is told as it stands.
            let patience = if case .done = result { wait } else { Duration.zero }
            report = try await CronReport.wait(entry: entry.name, tick: tick, atMost: patience, database: database)
        }
        return Self.response(CronAnswer(entry: entry.name, result: result, report: report))
    }

    private static func response(_ answer: CronAnswer) -> HTTPResponse {
        switch answer.result {
        case .alreadyDone: problem(409, "Nothing to run", "this tick has run before, or is running", answer)
        case .nothingDue: problem(409, "Nothing to run", "the entry is paused, or no tick of it has come since it exists", answer)
        case .skipped(_, let reason): problem(409, "Nothing to run", reason, answer)
        case .failed(_, let error): problem(500, "The entry failed", error, answer)
        case .done:
            // A run that failed may be tried again; its caller learns of the failure at once.
            if answer.hasFailed {
                problem(500, "The run failed", answer.report?.detail ?? "", answer)
            } else {
                .json(answer.isUnderWay ? 202 : 200, answer.json)
            }
        }
    }

    private static func problem(_ status: Int, _ title: String, _ detail: String, _ answer: CronAnswer) -> HTTPResponse {
        let extra = (answer.json.object ?? JSONObject()).filter { $0.key != "detail" }.map { ($0.key, $0.value) }
        return WebProblem(status: status, title: title, detail: detail, extra: extra).response
    }
}
