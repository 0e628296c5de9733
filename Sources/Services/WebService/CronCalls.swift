import Access
import Database
import Formats
import HTTPServer
import PaymentsService
import Scheduling

/// `/api/v1/cron/…`: the scheduled entries for a scheduler outside, which learns what a run did.
struct CronCalls: Sendable {
    /// The longest that a call may wait, in seconds.
    static let waitMax: Int64 = 120

    let table: CronTable?
    let database: Database
    let nowMs: @Sendable () -> Int64

    var routes: [Route] {
        let scope = Route.Kind.api(scope: APIKey.cron)
        return [
            Route("GET", "/api/v1/cron/", scope, bodyLimit: 0, list), Route("POST", "/api/v1/cron/{entry}/run", scope, bodyLimit: 4096, run),
        ]
    }

    private func list(_ call: WebCall) async throws -> HTTPResponse {
        let entries = try await table?.listing(nowMs: nowMs()) ?? []
        return .json(200, ["entries": .array(entries.map(Self.entry))])
    }

    private static func entry(_ entry: CronListing) -> JSON {
        [
            "entry": .string(entry.name), "schedule": .string(entry.expression), "summary": .string(entry.summary),
            "paused": .bool(entry.paused), "last_tick": .optional(entry.lastTick), "last_outcome": .optional(entry.lastOutcome),
            "last_detail": .optional(entry.lastDetail), "next": entry.paused ? .null : PaymentAnswer.time(entry.nextMs),
        ]
    }

    private func run(_ call: WebCall) async throws -> HTTPResponse {
        let isExtra = try call.flag("now", else: false)
        let wait = Duration.seconds(try call.whole("wait", in: 0...Self.waitMax, else: 0))
        let name = call.value("entry")
        guard let table, let entry = table.entries.first(where: { $0.name == name }) else {
            let names = table?.entries.map(\.name).joined(separator: ", ") ?? "none"
            throw WebProblem.notFound("there is no entry '\(name.prefix(80))'; the entries are \(names)")
        }
        let now = nowMs()
        try await table.install(nowMs: now)
        let result = try await isExtra ? table.runNow(entry, nowMs: now) : table.runDue(entry, nowMs: now)
        var report: CronReport?
        if let tick = CronAnswer.tick(of: result) {
            // What was begun before, here or elsewhere, is told as it stands.
            let patience = if case .done = result { wait } else { Duration.zero }
            report = try await CronReport.wait(entry: name, tick: tick, atMost: patience, database: database)
        }
        return Self.response(CronAnswer(entry: name, result: result, report: report))
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
