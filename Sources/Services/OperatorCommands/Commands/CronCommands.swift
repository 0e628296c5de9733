import Database
import Formats
import JobQueue
import PaymentsService
import Scheduling
import Settings

/// `quittance cron …`: the scheduled work, for people and for an outside scheduler.
enum CronCommands {
    static let commands = [list, next, run, pause, resume]
    private static let entry = CommandSyntax.Operand.needed("ENTRY", "a name that `quittance cron list` shows")

    /// - Parameter database: open, at this program's version.
    static func table(_ database: Database, _ context: CommandContext) throws -> CronTable {
        let entries = try SchedulerService.entries(settings: context.settings, relay: context.relay(database), database: database)
        return CronTable(entries: entries, database: database, runner: CommandContext.slot)
    }

    private static func find(_ name: String, in table: CronTable) throws -> CronEntry {
        guard let entry = table.entries.first(where: { $0.name == name }) else {
            let names = table.entries.map(\.name)
            throw CommandFailure(.notFound, "there is no entry '\(name)'; the entries are \(names.joined(separator: ", "))")
        }
        return entry
    }

    // MARK: Looking

    static func listing(_ database: Database, _ context: CommandContext) async throws -> Listing {
        var listing = Listing(
            ["entry", "schedule", "zone", "catch_up", "overlap", "paused", "last_tick", "last_outcome", "last_detail", .time("next"), "summary"],
            none: "No entries.")
        for entry in try await table(database, context).listing(nowMs: await context.previewNowMs()) {
            listing.add(
                .string(entry.name), .string(entry.expression), .string(entry.zone), .string(entry.catchUp.description),
                .string(entry.overlap.rawValue), .bool(entry.paused), .optional(entry.lastTick), .optional(entry.lastOutcome),
                .optional(entry.lastDetail), .optional(entry.paused ? nil : entry.nextMs), .string(entry.summary))
        }
        return listing
    }

    private static let list = Command(
        CommandSyntax("cron list", "the scheduled entries with their last and next tick, UTC", options: [.json])
    ) { invocation, context in
        let entries = try await context.withDatabase { try await listing($0, context) }
        context.output.listing(entries, asJSON: invocation.wantsJSON)
        return .ok
    }

    private static let next = Command(
        CommandSyntax(
            "cron next", "when an entry is due next, by UTC and by the clocks of its zone",
            operands: [entry, .optional("N", "how many ticks, 10 unless given")],
            options: [.value("--count", "N", "the same, as an option"), .json])
    ) { invocation, context in
        let asked = invocation.value("--count") ?? invocation.operand(1) ?? "10"
        guard let count = Int(asked), (1...1000).contains(count) else {
            throw UsageError("N is a whole number from 1 to 1000, not '\(asked)'")
        }
        if invocation.has("--count") && invocation.operand(1) != nil { throw UsageError("N is given twice") }
        let schedule = try await context.withDatabase { database in
            let table = try table(database, context)
            return try table.schedule(of: find(invocation.operands[0], in: table))
        }
        var listing = Listing(["tick", .time("at"), "local", "zone"], none: "It is never due.")
        for due in schedule.next(count, after: await context.previewNowMs()) {
            listing.add(.string(CronTable.name(ofTick: due)), .int(due), .string(local(due, schedule.zone)), .string(schedule.zone.name))
        }
        context.output.listing(listing, asJSON: invocation.wantsJSON)
        return .ok
    }

    /// `2026-11-21 09:00:00 +01:00`
    private static func local(_ ms: Int64, _ zone: NamedTimeZone) -> String {
        let text = zone.rfc3339(ms)
        let offset = text.hasSuffix("Z") ? "+00:00" : String(text.suffix(6))
        return "\(text.prefix(10)) \(text.dropFirst(11).prefix(8)) \(offset)"
    }

    // MARK: Running

    private static let waitMax = 24 * 60 * 60

    private static let run = Command(
        CommandSyntax(
            "cron run", "run the latest tick of an entry that is due and did not run yet", operands: [entry],
            options: [
                .flag("--now", "an extra tick with a name of its own, whatever is due"),
                .value("--wait", "SECONDS", "where the tick adds a job: wait so long for the job's end"),
            ],
            notes: [
                "Prints one line of JSON: entry, tick, result (done, already done, failed, skipped, nothing due), detail; for \(UsageEntries.storage) and "
                    + "\(UsageEntries.limits) also run: what their job did (outcome, items, errors, duration_ms, detail), null until it begins. "
                    + "The same tick never runs twice, whoever runs it. What is due is for Redis' clock to say.",
                "Exit codes: 0 done, 1 the tick or its job failed, 3 already done, skipped or nothing due, 5 the job is still at work after the wait.",
            ])
    ) { invocation, context in
        let nowMs = try await context.dueNowMs()
        let patience = Duration.seconds(try invocation.number("--wait", in: 0...waitMax, standard: 0))
        let answer = try await context.withDatabase { database in
            let table = try table(database, context)
            let entry = try find(invocation.operands[0], in: table)
            try await table.install(nowMs: nowMs)
            let result = try await invocation.has("--now") ? table.runNow(entry, nowMs: nowMs) : table.runDue(entry, nowMs: nowMs)
            if case .done = result, let problem = try await context.publishOwnJobs(database) {
                context.output.error("quittance cron run: the jobs wait for the next sweep: \(problem)")
            }
            var report: CronReport?
            if let tick = CronAnswer.tick(of: result) {
                report = try await CronReport.wait(entry: entry.name, tick: tick, atMost: patience, database: database)
            }
            return CronAnswer(entry: entry.name, result: result, report: report)
        }
        context.output.json(answer.json)
        if answer.hasFailed { return .failed }
        if invocation.has("--wait") && answer.isUnderWay { return .underWay }
        if case .done = answer.result { return .ok }
        return .nothingDue
    }

    // MARK: Pausing

    private static let pause = Command(
        CommandSyntax("cron pause", "let an entry rest until it is resumed", operands: [entry])
    ) { try await setPaused(true, $0, $1) }

    private static let resume = Command(
        CommandSyntax("cron resume", "let a paused entry run again; ticks missed meanwhile do not come back", operands: [entry])
    ) { try await setPaused(false, $0, $1) }

    private static func setPaused(_ paused: Bool, _ invocation: Invocation, _ context: CommandContext) async throws -> ExitCode {
        let wasPaused = try await context.withDatabase { database in
            let table = try table(database, context)
            let name = try find(invocation.operands[0], in: table).name
            let nowMs = try await context.dueNowMs()
            try await table.install(nowMs: nowMs)
            let before = try await table.listing(nowMs: nowMs).first { $0.name == name }?.paused
            _ = try await table.setPaused(paused, entry: name, nowMs: nowMs)
            return before
        }
        let word = paused ? "paused" : "running"
        context.output.line("\(invocation.operands[0]) \(wasPaused == paused ? "was already" : "is now") \(word)")
        return wasPaused == paused ? .nothingDue : .ok
    }
}
