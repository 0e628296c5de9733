import Formats
import JobQueue
import JobQueueRedis
import Operating

/// Which of the standing and dead jobs a command means.
struct JobFilter: Sendable {
    static let queueOption = CommandSyntax.Option.value("--queue", "QUEUE", "only this queue; all unless given")
    static let stateOption = CommandSyntax.Option.value(
        "--state", "STATE", "only " + StandingJob.State.allCases.map(\.rawValue).joined(separator: ", "))
    /// What a job is chosen by, beside its queue and its state.
    static let options: [CommandSyntax.Option] = [
        .value("--kind", "KIND", "only this kind"), .value("--payment", "PAYMENT", "only jobs of this payment"),
        .value("--error", "ERROR", "only those whose last failure is of this error, as `quittance dead --by-error` names it"),
        .value("--older-than", "AGE", "only those made, or buried, longer ago: 90s, 15m, 6h or 2d"),
    ]

    let queues: [String]
    let kind: String?
    let payment: String?
    let error: String?
    let beforeMs: Int64?
    let states: [StandingJob.State]

    /// - Parameter states: those looked at unless one is asked for, in this order.
    init(_ invocation: Invocation, nowMs: Int64, states: [StandingJob.State]) throws {
        queues = try ProductQueues.named(invocation.value("--queue"))
        kind = invocation.value("--kind")
        payment = invocation.value("--payment")
        error = invocation.value("--error")
        beforeMs = try invocation.age("--older-than").map { nowMs - $0 }
        let chosen = try invocation.choice("--state", of: StandingJob.State.allCases.map(\.rawValue)).flatMap(StandingJob.State.init(rawValue:))
        if let chosen {
            guard states.contains(chosen) else {
                throw UsageError("--state takes one of \(states.map(\.rawValue).joined(separator: ", ")) here, not '\(chosen.rawValue)'")
            }
            self.states = [chosen]
        } else {
            self.states = states
        }
    }

    /// Whether anything is said that not every job is.
    static func isGiven(_ invocation: Invocation) -> Bool {
        (options.map(\.name) + [queueOption.name, stateOption.name]).contains { invocation.has($0) }
    }

    /// - Parameter limit: how many of each queue at most.
    func find(_ redis: RedisQueues, limit: Int) async throws -> [StandingJob] {
        var found: [StandingJob] = []
        for queue in queues {
            let driver = redis.redisDriver(of: queue)
            found += try await QueueInspection(queue, redis).jobs(in: states, limit: limit) { try await matches($0, on: driver) }
        }
        return found
    }

    func matches(_ entry: StandingJob, on driver: RedisDriver) async throws -> Bool {
        guard kind == nil || entry.kind == kind, payment == nil || entry.payment == payment else { return false }
        if let beforeMs { guard let sinceMs = entry.sinceMs, sinceMs < beforeMs else { return false } }
        guard let error else { return true }
        if let record = entry.record { return record.fingerprint.description == error }
        guard let job = entry.job, job.attempt > 0, let last = try await driver.history(ofJob: job.id).last else { return false }
        return ErrorFingerprint(kind: job.kind, reason: last.reason).description == error
    }
}

extension Invocation {
    /// `90s`, `15m`, `6h`, `2d` in milliseconds; nil when the option is not there.
    func age(_ option: String) throws(UsageError) -> Int64? {
        guard let text = value(option) else { return nil }
        let units: [Character: Int64] = ["s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000]
        guard let unit = text.last.flatMap({ units[$0] }), let number = Int64(text.dropLast()), (0...1_000_000).contains(number) else {
            throw UsageError("\(option) takes a time such as 90s, 15m, 6h or 2d, not '\(text)'")
        }
        return number * unit
    }
}

/// What became of each of several jobs.
struct Deeds: Sendable {
    private var rows: [(id: String, queue: String, result: String, isDone: Bool)] = []

    var done: Int { rows.count { $0.isDone } }

    mutating func add(_ id: String, on queue: String, _ result: String, isDone: Bool = true) { rows.append((id, queue, result, isDone)) }

    /// Tells them.
    /// - Parameter none: said when there was nothing to do.
    /// - Returns: the exit code: ``ExitCode/nothingDue`` when nothing was done.
    func tell(_ invocation: Invocation, _ output: CommandOutput, none: String) -> ExitCode {
        if invocation.wantsJSON {
            output.json(
                .array(rows.map { ["id": .string($0.id), "queue": .string($0.queue), "result": .string($0.result), "done": .bool($0.isDone)] }))
        } else {
            for row in rows { output.line("\(row.id) \(row.result)".onOneLine) }
            if rows.isEmpty { output.line(none) }
        }
        return done > 0 ? .ok : .nothingDue
    }
}
