import Access
import Database
import Formats
import HTTPServer
import Scheduling
import Usage

/// `/api/v1/cron/…`: the scheduled entries for a scheduler outside, which learns what a run did.
struct CronCalls: Sendable {
    static let waitMax: Int64 = 120
    /// How often a run's report is looked for while a call waits.
    private static let lookEvery = Duration.milliseconds(100)

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
        let now = nowMs()
        let entries = try await table?.listing(nowMs: now) ?? []
        return .json(
            200,
            [
                "entries": .array(
                    entries.map { entry in
                        [
                            "entry": .string(entry.name), "schedule": .string(entry.expression), "summary": .string(entry.summary),
                            "paused": .bool(entry.paused), "last_tick": .optional(entry.lastTick),
                            "last_outcome": .optional(entry.lastOutcome), "last_detail": .optional(entry.lastDetail),
                            "next": entry.paused ? .null : PaymentAnswer.time(entry.nextMs),
                        ]
                    })
            ])
    }

    private func run(_ call: WebCall) async throws -> HTTPResponse {
        let isExtra = try call.flag("now", else: false)
        let wait = try call.whole("wait", in: 0...Self.waitMax, else: 0)
        let name = call.value("entry")
        guard let table, let entry = table.entries.first(where: { $0.name == name }) else {
            let names = table?.entries.map(\.name).joined(separator: ", ") ?? ""
            throw WebProblem.notFound("there is no entry '\(name.prefix(80))'; the entries are: \(names)")
        }
        let now = nowMs()
        try await table.install(nowMs: now)
        let result = try await isExtra ? table.runNow(entry, nowMs: now) : table.runDue(entry, nowMs: now)
        switch result {
        case .done(let tick, let detail):
            let report = try await report(of: name, tick: tick, waiting: .seconds(wait))
            return Self.answer(to: RunAnswer(entry: name, tick: tick, result: "done", detail: detail, report: report))
        case .alreadyDone(let tick):
            let report = try await report(of: name, tick: tick, waiting: .zero)
            let answer = RunAnswer(entry: name, tick: tick, result: "already done", detail: "this tick has run before or is running", report: report)
            return answer.problem(409, "Nothing to run")
        case .nothingDue:
            let answer = RunAnswer(
                entry: name, tick: nil, result: "nothing due", detail: "the entry is paused, or no tick of it has come since it exists",
                report: .none)
            return answer.problem(409, "Nothing to run")
        case .failed(let tick, let error):
            return RunAnswer(entry: name, tick: tick, result: "failed", detail: error, report: .none).problem(500, "The entry failed")
        }
    }

    private static func answer(to run: RunAnswer) -> HTTPResponse {
        switch run.report {
        case .none: .json(200, .object(run.members))
        case .open: .json(202, .object(run.members))
        case .run(let found):
            switch found.outcome {
            case .done: .json(200, .object(run.members))
            case .running: .json(202, .object(run.members))
            case .failed: run.problem(500, "The run failed")
            }
        }
    }

    // MARK: What a run did

    private enum Report: Sendable {
        /// The entry does all its work at once.
        case none
        /// A worker has not begun yet.
        case open
        case run(UsageRun)
    }

    /// The entries whose work is a job of its own.
    private static let kinds: [String: UsageRun.Kind] = ["usage-storage": .storage, "usage-limits": .limits]

    private func report(of entry: String, tick: String, waiting: Duration) async throws -> Report {
        guard let kind = Self.kinds[entry] else { return .none }
        let deadline = ContinuousClock.now.advanced(by: waiting)
        while true {
            let run = try await database.read { try UsageRun.find(kind, tick: tick, in: $0) }
            if let run, run.outcome != .running { return .run(run) }
            // A worker of another process does it: looking again is the way to learn of its end.
            guard ContinuousClock.now < deadline else { return run.map(Report.run) ?? .open }
            try await Task.sleep(for: Self.lookEvery)
        }
    }

    private struct RunAnswer {
        let entry: String
        let tick: String?
        let result: String
        let detail: String
        let report: Report

        var members: JSONObject {
            var run = JSON.null
            if case .run(let found) = report {
                run = [
                    "outcome": .string(found.outcome.rawValue), "items": .int(Int64(found.items)), "errors": .int(Int64(found.errors)),
                    "duration_ms": .optional(found.durationMs), "detail": .string(found.detail),
                ]
            }
            return [
                "entry": .string(entry), "tick": .optional(tick), "result": .string(result), "detail": .string(detail), "run": run,
            ]
        }

        func problem(_ status: Int, _ title: String) -> HTTPResponse {
            let extra = members.filter { $0.key != "detail" }.map { ($0.key, $0.value) }
            return WebProblem(status: status, title: title, detail: detail, extra: extra).response
        }
    }
}
