import Database
import Formats
import RedisClient
import Subprocess

/// What a play came to, in numbers.
struct EngineFigures: Sendable {
    var seconds = 0.0
    var acknowledged = 0
    var effects = 0
    /// Attempts that found the effect there already.
    var refused = 0
    /// Calls outside, and second ones that the other side refused under their key.
    var calls = 0
    var callsRefused = 0
    var fenced = 0
    var reclaimed = 0
    var drainSeconds = 0.0
}

/// The reckoning: everything is put right again, the load stops, the queue runs empty, and then the books must agree.
extension EnginePlay {
    func reckon() async throws -> EngineFigures {
        var figures = EngineFigures()
        figures.seconds = field.clock
        field.note("the load stops")
        await end(Self.producerName)
        let stoppedNs = Monotonic.nowNs
        let isEmpty = await field.eventually(within: .seconds(60), pause: .milliseconds(50)) { try await self.isDrained() }
        figures.drainSeconds = Double(Monotonic.nowNs - stoppedNs) / 1e9
        if !isEmpty { field.violate("not empty after 60 s: \(try await standing())") }
        try await checkKeys(workers: FaultPlan.workers)
        for name in Self.workerNames { await end(name) }
        try await checkKeys(workers: 0)
        try await checkBooks(&figures)
        try await checkOutside(&figures)
        for name in Self.workerNames {
            figures.fenced += TextFile.lines(of: field.log(of: name), containing: Self.fencedLine).count
            figures.reclaimed += TextFile.lines(of: field.log(of: name), containing: "worker lost, its work is back").count
            let crashes = TextFile.lines(of: field.log(of: name), containing: "Fatal error")
            if let crash = crashes.first { field.violate("\(name) crashed: \(crash)") }
        }
        let all = results.recovery.values.flatMap(\.values)
        let slowest = Distribution(all).percentile(99)
        if slowest > options.recoveryLimit {
            field.violate("recovery took \(Number.fixed(slowest, 2)) s at p99, more than \(Number.fixed(options.recoveryLimit, 1)) s")
        }
        return figures
    }

    private func end(_ name: String) async {
        guard let child = try? field.process(name) else { return }
        child.terminate()
        guard let status = await child.waitForExit(within: .seconds(20)) else { return field.violate("\(name) does not end within 20 s of SIGTERM") }
        if !status.isSuccess { field.violate("\(name) ended with \(status)") }
    }

    // MARK: Redis

    /// Every key of the queue with its size, but what an empty queue may keep.
    private func standing() async throws -> [String: Int64] {
        var found: [String: Int64] = [:]
        let prefix = "quittance:{\(ChaosJob.queue)}:"
        for key in try await keys("*") {
            let name = String(key.dropFirst(prefix.count))
            // The last number of each slot; a bell that nobody heard; what a late read might have left behind, looked at for a minute.
            guard !["published", "wake", "retired", "leases"].contains(name) else { continue }
            found[name] = try await size(of: key)
        }
        return found
    }

    private func size(of key: String) async throws -> Int64? {
        switch try await ask("TYPE", key).string {
        case "list": try await ask("LLEN", key).int
        case "hash": try await ask("HLEN", key).int
        case "set": try await ask("SCARD", key).int
        case "zset": try await ask("ZCARD", key).int
        case nil, "none": nil
        default: 1
        }
    }

    private func isDrained() async throws -> Bool {
        let open = try await number("SELECT COUNT(*) FROM outbox_jobs WHERE finished_at IS NULL") ?? 0
        return try await standing().isEmpty && (open == 0 || options.losesEffects)
    }

    /// Nothing is left but what is named here.
    private func checkKeys(workers: Int) async throws {
        let left = try await standing()
        if !left.isEmpty { field.violate("keys are left on an empty queue: \(left.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" })") }
        let prefix = "quittance:{\(ChaosJob.queue)}:"
        let hasLeases = await field.eventually(within: .seconds(6)) { try await ask("ZCARD", prefix + "leases").int ?? 0 == workers }
        if !hasLeases { field.violate("leases of others than the \(workers) workers: \(try await ask("ZRANGE", prefix + "leases", "0", "-1"))") }
        guard workers > 0 else { return }
        // Every member is looked at in its time while anybody lives.
        let now = try await ask("TIME")
        let cutoff = ((now.array?.first?.int ?? 0) - 4) * 1000
        let overdue = try await ask("ZCOUNT", prefix + "retired", "-inf", "\(cutoff)").int ?? 0
        if overdue > 0 { field.violate("\(overdue) workers that are gone have not been looked after") }
    }

    // MARK: SQL

    /// Every acknowledged job has its effect, once, and nothing has one that was never tried.
    private func checkBooks(_ figures: inout EngineFigures) async throws {
        let ledger = EnqueueLedger.read(field.folder + "/ledger")
        let rows = try await database.read { connection in
            try connection.query("SELECT job FROM chaos_effects").map { try $0.text("job") }
        }
        let effects = Set(rows)
        figures.acknowledged = ledger.acknowledged.count
        figures.effects = rows.count
        figures.refused = Int(try await number("SELECT COUNT(*) FROM chaos_refusals") ?? 0)
        if effects.count != rows.count { field.violate("\(rows.count - effects.count) effects are there twice") }
        let lost = ledger.acknowledged.subtracting(effects)
        if !lost.isEmpty { field.violate("\(lost.count) acknowledged jobs have no effect, such as \(lost.sorted()[0])") }
        // Rows of the outbox are acknowledged by their commit: a producer that was killed may not have come to note it.
        let recorded = try await texts("SELECT id FROM outbox_jobs")
        let unknown = effects.subtracting(ledger.tried).subtracting(recorded)
        if !unknown.isEmpty { field.violate("\(unknown.count) effects of jobs that nobody asked for, such as \(unknown.sorted()[0])") }
        let unhappy = try await texts(
            "SELECT id || ' ' || COALESCE(outcome || ': ' || COALESCE(detail, ''), 'unfinished') FROM outbox_jobs WHERE outcome IS NOT 'done'")
        if !unhappy.isEmpty { field.violate("\(unhappy.count) jobs did not end well, such as \(unhappy.sorted()[0])") }
        let effectless = try await texts("SELECT id FROM outbox_jobs WHERE id NOT IN (SELECT job FROM chaos_effects)")
        if !effectless.isEmpty { field.violate("\(effectless.count) committed jobs have no effect, such as \(effectless.sorted()[0])") }
    }

    /// Every job that calls outside has its call there and its result on record.
    private func checkOutside(_ figures: inout EngineFigures) async throws {
        let wanted = try await texts("SELECT id FROM outbox_jobs WHERE json_extract(args, '$.callsOutside') AND outcome = 'done'")
        let made = try outside.keys()
        figures.calls = made.count
        figures.callsRefused = outside.refused
        if wanted != made { field.violate("\(wanted.subtracting(made).count) calls outside are missing, \(made.subtracting(wanted).count) too many") }
        let recorded = try await texts("SELECT key FROM outbox_effects WHERE name = '\(Outside.effect)' AND state = 'done'")
        let open = try await texts("SELECT key || ' ' || state FROM outbox_effects WHERE state <> 'done'")
        if !open.isEmpty { field.violate("\(open.count) calls outside have no result, such as \(open.sorted()[0])") }
        if recorded != wanted { field.violate("\(wanted.count) jobs call outside, \(recorded.count) calls are on record as done") }
    }

    private func texts(_ sql: String) async throws -> Set<String> {
        try await database.read { connection in Set(try connection.query(sql).compactMap { try $0.textOrNil($0.names[0]) }) }
    }
}
