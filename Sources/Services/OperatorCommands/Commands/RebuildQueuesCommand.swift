import Database
import Formats
import IngestService
import JobQueue
import JobQueueRedis
import MessagePort
import Operating
import Outbox
import Payments
import PaymentsService
import ProviderPort
import RedisClient
import Settings
import UsageSamples

/// `quittance rebuild-queues`: fills an emptied Redis again, from SQL and from ingest's journals.
enum RebuildQueuesCommand {
    static let command = Command(
        CommandSyntax(
            "rebuild-queues", "fill an emptied Redis again: unfinished jobs from SQL, events and samples from ingest's journals",
            options: [.flag("--dry-run", "only count what would be put back"), .json],
            notes: [
                "To be run on the machine where ingest runs, whose journal holds the last 24 hours. The programs may run meanwhile. What Redis still "
                    + "has is then there twice, which does no harm: an event, an effect and a batch of samples count once.",
                "Exit codes: 0 done, 3 nothing to put back.",
            ])
    ) { invocation, context in
        let isTrial = invocation.has("--dry-run")
        let counts = try await context.withDatabase { database in
            let missing = try await JournalReading.missing(database, context)
            if isTrial {
                let unfinished = try await database.read { try JobStanding.all(in: $0).reduce(0) { $0 + $1.unfinished } }
                let batches = try await ListJournal.samples.forEachPiece(context) { _ in }
                let receipts = try await ListJournal.receipts.forEachPiece(context) { _ in }
                return Counts(jobs: unfinished, journal: missing, batches: batches, receipts: receipts)
            }
            return try await context.withRedis { redis in
                // Before anything is put back: what an operator has left off stays off.
                try await LeavingJob.settle(in: database, redis, names: ProductQueues.names, isFinal: true, nowMs: context.nowMs())
                let jobs = try await putBackJobs(database, context)
                try await redis.redisDriver(of: EventApplication.queue).enqueue(missing.events.map { EnqueueItem(body: $0) })
                let samples = redis.redisDriver(of: SampleBatch.queue)
                let batches = try await ListJournal.samples.forEachPiece(context) { try await samples.enqueue($0.map { EnqueueItem(body: $0) }) }
                let told = redis.redisDriver(of: ReceiptPost.queue)
                let receipts = try await ListJournal.receipts.forEachPiece(context) { try await told.enqueue($0.map { EnqueueItem(body: $0) }) }
                return Counts(jobs: Int64(jobs), journal: missing, batches: batches, receipts: receipts)
            }
        }
        if invocation.wantsJSON {
            context.output.json([
                "dry_run": .bool(isTrial), "jobs": .int(counts.jobs), "events": .int(counts.events), "journal": .int(Int64(counts.journal)),
                "unreadable": .int(Int64(counts.unreadable)), "sample_batches": .int(Int64(counts.batches)),
                "receipts": .int(Int64(counts.receipts)),
            ])
        } else {
            context.output.line("\(counts.jobs) unfinished jobs \(isTrial ? "would go" : "went") back onto their queues")
            context.output.line(
                "\(counts.events) of \(counts.journal) events in the journal are not in SQL and \(isTrial ? "would go" : "went") back onto the list")
            if counts.batches > 0 {
                context.output.line("\(counts.batches) batches of samples in the journal \(isTrial ? "would go" : "went") back onto the list")
            }
            if counts.receipts > 0 {
                context.output.line("\(counts.receipts) posts of receipts in the journal \(isTrial ? "would go" : "went") back onto the list")
            }
            if counts.unreadable > 0 { context.output.line("\(counts.unreadable) lines of the journal are no events and were left out") }
        }
        return counts.jobs + counts.events + Int64(counts.batches + counts.receipts) > 0 ? .ok : .nothingDue
    }

    private struct Counts: Sendable {
        let jobs: Int64
        let events: Int64
        let journal: Int
        let unreadable: Int
        let batches: Int
        let receipts: Int

        init(jobs: Int64, journal: JournalReading, batches: (count: Int, damaged: Int), receipts: (count: Int, damaged: Int)) {
            self.jobs = jobs
            events = Int64(journal.events.count)
            self.journal = journal.total
            unreadable = journal.unreadable + batches.damaged + receipts.damaged
            self.batches = batches.count
            self.receipts = receipts.count
        }
    }

    /// Publishes every unfinished job again, under its old id. The rows' numbers begin a new epoch, so that Redis' memory of
    /// numbers, lost or not, skips none of them; a job that was on its queue after all is delivered twice and done once.
    private static func putBackJobs(_ database: Database, _ context: CommandContext) async throws -> Int {
        _ = try await database.write { try JobRecord.markUnpublished(in: $0) }
        let slots = try await database.read { try JobRecord.silentSlots(olderThan: .max, in: $0) }
        let relay = context.relay(database)
        var published = 0
        for slot in slots { published += try await relay.adopt(slot: slot) }
        return published
    }
}

/// The events in ingest's journal that SQL does not know.
struct JournalReading: Sendable {
    let events: [[UInt8]]
    let total: Int
    let unreadable: Int

    private static let lookupMax = 500

    static func missing(_ database: Database, _ context: CommandContext) async throws -> JournalReading {
        let folder = context.settings.spoolDirectory
        var seen: Set<String> = []
        var missing: [[UInt8]] = []
        var total = 0
        var unreadable = 0
        // One file at a time: a day of events may be large.
        for name in Folders.names(in: folder) ?? [] where name.hasPrefix("journal-") {
            let events = try EventLogReader.events(in: folder, prefix: name)
            total += events.count
            var unknown: [(id: String, body: [UInt8])] = []
            for body in events {
                guard let event = try? ProviderEvent(decoding: body) else {
                    unreadable += 1
                    continue
                }
                let id = "\(event.provider)/\(event.id)"
                if seen.insert(id).inserted { unknown.append((id, body)) }
            }
            var rest = unknown[...]
            while !rest.isEmpty {
                let batch = Array(rest.prefix(lookupMax))
                rest = rest.dropFirst(lookupMax)
                let known = try await database.read { try EventRecord.known(batch.map(\.id), in: $0) }
                missing += batch.filter { !known.contains($0.id) }.map(\.body)
            }
        }
        return JournalReading(events: missing, total: total, unreadable: unreadable)
    }
}

/// What counts once by itself in ingest's journals: batches of samples, and receipts of messages. All of it is put back.
enum ListJournal {
    case samples, receipts

    private func folder(_ spoolDirectory: String) -> String {
        switch self {
        case .samples: IngestFolders.samples(in: spoolDirectory)
        case .receipts: IngestFolders.receipts(in: spoolDirectory)
        }
    }

    /// Hands them on in the order in which they came, a piece of a file at a time.
    func forEachPiece(_ context: CommandContext, _ body: ([[UInt8]]) async throws -> Void) async throws -> (count: Int, damaged: Int) {
        let folder = folder(context.settings.spoolDirectory)
        var count = 0
        var damaged = 0
        for name in Folders.names(in: folder) ?? [] where name.hasPrefix("journal-") {
            damaged += try await EventLogReader.forEachPiece(of: "\(folder)/\(name)") { batches in
                try await body(batches)
                count += batches.count
            }
        }
        return (count, damaged)
    }
}
