import Database
import Formats
import Synchronization
import TestSupport
import Testing

@Suite("A backup under load, restored elsewhere", .timeLimit(.minutes(5)))
struct BackupTests {
    private static let workers = ["ingest", "worker-payments", "worker-invoices", "worker-plans"]

    @Test("books, invoices and every event that was accepted before the backup began are there, and unfinished work goes on and ends once")
    func elsewhere() async throws {
        try await Stage.run(Self.workers) { stage in
            let payments = try await stage.seed(.order, 120) + stage.seed(.plan, 20)
            let rest = Mutex(payments.shuffled())
            let stream = EventStream.start(port: stage.ingestPort, lines: 4, pause: .milliseconds(5)) {
                let payment = Int.random(in: 0..<3) > 0 ? rest.withLock { $0.popLast() } : nil
                return payment.map { .paid($0) } ?? .unmatched()
            }
            try await eventually("the stream is in full flow") { stream.tally.accepted.count > 80 }
            let before = stream.tally.accepted
            let shelf = try TemporaryFolder("quittance-backups")
            let made = try await stage.instance.quittance("backup", shelf.path)
            try #require(made.code == 0, "\(made.errors)")
            let during = stream.tally.accepted.count - before.count
            let tally = try await stream.end()
            #expect(tally.statuses == [200: tally.accepted.count] && during > 0, "\(during) were accepted while it was made")

            // Another place: its own folder, its own, empty Redis.
            let elsewhere = try await Instance.make()
            defer { elsewhere.end() }
            let restored = try await elsewhere.quittance("restore", shelf.path)
            try #require(restored.code == 0, "\(restored.errors)")
            for command in [["ledger", "verify"], ["invoices", "verify"]] {
                let result = try await elsewhere.quittance(command)
                #expect(result.code == 0, "\(command): \(result.output) \(result.errors)")
            }
            let rebuilt = try await elsewhere.quittance("rebuild-queues")
            #expect([0, 3].contains(rebuilt.code), "\(rebuilt.errors)")
            try await Stage.lend(elsewhere) { other in
                try await other.instance.start(all: Self.workers)
                try await other.awaitJobs()
                // The queue may still hold events when no job is open yet.
                try await eventually(within: .seconds(60), "all that was accepted before is there") {
                    let accounting = try await other.account()
                    let missing = before.subtracting(accounting.everywhere)
                    guard missing.isEmpty, accounting.held.isEmpty else { throw FixtureError("\(missing.count) are missing: \(accounting)") }
                    return true
                }
                try await other.awaitJobs()
                let paid = try await other.texts("SELECT id FROM payments_payments WHERE state = 'paid'")
                try await other.requirePaidOnce(payments.filter { paid.contains($0.id) })
                try await other.requireEffectsOnce(payments.filter { paid.contains($0.id) })
                for command in [["ledger", "verify"], ["invoices", "verify", "--files"]] {
                    let result = try await other.instance.quittance(command)
                    #expect(result.code == 0, "\(command): \(result.output) \(result.errors)")
                }
            }
        }
    }

    @Test("the scheduler has a backup made by the job of its nightly entry")
    func nightly() async throws {
        let shelf = try TemporaryFolder("quittance-backups")
        let settings = ["BACKUP_DIRECTORY": shelf.path, "BACKUP_KEEP": "2"]
        try await Stage.run(["scheduler"], Instance.Configuration(settings: settings)) { stage in
            let asked = try await stage.instance.quittance("cron", "run", "backup", "--now")
            try #require(asked.code == 0, "\(asked.errors)")
            try await stage.awaitJobs()
            let details = try await stage.texts("SELECT detail FROM outbox_jobs WHERE kind = 'backup.make' AND outcome = 'done'")
            #expect(details.count == 1 && details[0].hasPrefix(shelf.path), "\(details)")
            let restored = try await stage.instance.quittance("restore", shelf.path, "--into", stage.instance.folder.file("other"))
            #expect(restored.code == 0, "\(restored.errors)")
        }
    }
}
