import Database
import Formats
import Notifications
import TestSupport
import Testing

@Suite("Messages of before the channels")
struct MessageMigrationTests {
    @Test("are all kept as they were, may be sent again where they were refused, and take the new states")
    func kept() async throws {
        let folder = try TemporaryFolder("quittance-messages")
        let database = try Database.open(.sqlite(path: folder.file("messages.db")))
        let all = NotificationRecord.migrations
        _ = try database.migrate([MigrationSet(room: all.room, migrations: Array(all.migrations.prefix(1)))])
        try await database.write { connection in
            for (number, state) in ["pending", "sent", "refused"].enumerated() {
                try connection.execute(
                    """
                    INSERT INTO notifications_messages (key, message_id, channel, template, language, recipient, subject, payment, job, state, attempts,
                      error, created_at, sent_at)
                    VALUES ($1, $2, 'email', 'invoice', 'fr', 'awa@example.org', 'Facture', 'pay_1', 'job_1', $3, 2, 'why', $4, $5)
                    """,
                    [
                        .text("invoice:\(number):awa@example.org"), .text("<\(number)@h>"), .text(state), .integer(Int64(number)),
                        .optional(state == "sent" ? Int64(9) : nil),
                    ])
            }
        }
        _ = try database.migrate([all])
        let records = try await database.read { try NotificationRecord.of(payment: "pay_1", in: $0) }
        #expect(records.map(\.state) == ["pending", "sent", "refused"] && records.map(\.sentAtMs) == [nil, 9, nil])
        #expect(records.allSatisfy { $0.attempts == 2 && $0.channel == "email" && $0.error == "why" })
        let listed = try await database.read { try NotificationRecord.list(NotificationRecord.Filter(state: .refused), in: $0) }
        #expect(listed.map(\.messageID) == ["<2@h>"])
        try await database.write { try $0.execute("UPDATE notifications_messages SET state = 'read', channel = 'whatsapp' WHERE state = 'sent'") }
        await #expect(throws: DatabaseError.self) {
            try await database.write { try $0.execute("UPDATE notifications_messages SET channel = 'fax'") }
        }
    }
}
