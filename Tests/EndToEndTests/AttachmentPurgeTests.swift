import Database
import Formats
import RedisClient
import TestSupport
import Testing

@Suite("worker-drafts is killed while files of unpaid inquiries are removed", .timeLimit(.minutes(5)))
struct AttachmentPurgeTests {
    /// So many that a kill comes in the middle of them.
    private static let unpaid = 1500

    @Test("what was paid for is whole, every row has its file meanwhile, and the run that follows leaves nothing of the others")
    func killed() async throws {
        try await Stage.run([], Instance.Configuration(hasTemplate: true)) { stage in
            let folder = stage.instance.folder
            let paid = try await stage.seed(.kit, 2)
            _ = try await stage.seed(.kit, Self.unpaid)
            let files = try await Self.handIn(stage, paid: paid.map(\.id))
            try folder.makeFolder("private")
            try folder.makeFolder("private/attachments")
            for file in files { try folder.write("%PDF-1.7 %%EOF", to: "private/attachments/\(file)") }

            try await stage.instance.start("worker-drafts")
            let job: JSON = [
                "v": 1, "id": "job_purge", "kind": "attachments.purge", "queue": "drafts", "args": ["tick": "t"], "payment": .null, "attempt": 0,
                "enqueued_at": .int(WallClock.nowMs),
            ]
            _ = try await stage.redis.call("LPUSH", stage.key("drafts", "ready"), job.bytes)
            try await eventually("some are removed") { folder.list("private/attachments").count < files.count }
            try await stage.instance.kill9("worker-drafts")

            let left = Set(folder.list("private/attachments"))
            let rows = try await stage.texts("SELECT inquiry FROM drafts_attachments")
            #expect(!rows.isEmpty && rows.count > paid.count, "the kill came in the middle")
            #expect(rows.allSatisfy { left.contains($0) }, "a row without its file")

            try await stage.instance.start("worker-drafts")
            try await eventually(within: .seconds(90), "the job is done by the next one") {
                try await stage.texts("SELECT outcome FROM outbox_jobs WHERE id = 'job_purge'") == ["done"]
            }
            #expect(Set(folder.list("private/attachments")) == Set(paid.map(\.subject)))
            #expect(Set(try await stage.texts("SELECT inquiry FROM drafts_attachments")) == Set(paid.map(\.subject)))
            let trail = try await stage.texts("SELECT inquiry FROM drafts_audit WHERE action = 'attachments_purged'")
            #expect(trail.count == Self.unpaid && Set(trail).count == Self.unpaid, "each inquiry has one row of it")
        }
    }

    /// Gives each inquiry a file, and makes all of them old; some are paid. - Returns: the files' names, which are the inquiries' ids.
    private static func handIn(_ stage: Stage, paid: [String]) async throws -> [String] {
        let old = WallClock.nowMs - 40 * 86_400_000
        return try await stage.database.write { connection in
            for table in ["drafts_inquiries", "payments_payments"] {
                try connection.execute("UPDATE \(table) SET created_at = $1, updated_at = $1", [.integer(old)])
            }
            try connection.execute("UPDATE payments_attempts SET created_at = $1, expires_at = NULL", [.integer(old)])
            for payment in paid {
                try connection.execute(
                    "UPDATE payments_payments SET state = 'paid', captured = amount, paid_at = $2 WHERE id = $1", [.text(payment), .integer(old)])
            }
            try connection.execute(
                """
                INSERT INTO drafts_orders (id, inquiry, product, price, currency, payment, created_at)
                SELECT order_id, id, 'audit-sans-peur', 12500, 'XOF', 'pay_' || substr(id, 5), $1 FROM drafts_inquiries
                """, [.integer(old)])
            try connection.execute(
                """
                INSERT INTO drafts_attachments SELECT id, 1, 'attachments/' || id, 'pdf', 'a.pdf', 'ab', 14, $1 FROM drafts_inquiries
                """, [.integer(old)])
            return try connection.query("SELECT inquiry FROM drafts_attachments").map { try $0.text("inquiry") }
        }
    }
}
