import Database
import Formats

/// The intent to send one message, and its result.
public struct NotificationRecord: Sendable {
    public let key: String
    public let messageID: String
    public let template: String
    public let recipient: String
    public let subject: String
    public let state: String
    public let attempts: Int64
    public let error: String?
    public let sentAtMs: Int64?

    init(_ row: Row) throws {
        key = try row.text("key")
        messageID = try row.text("message_id")
        template = try row.text("template")
        recipient = try row.text("recipient")
        subject = try row.text("subject")
        state = try row.text("state")
        attempts = try row.int("attempts")
        error = try row.textOrNil("error")
        sentAtMs = try row.intOrNil("sent_at")
    }

    public static let migrations = MigrationSet(
        room: "notifications",
        migrations: [Migration(number: 1, name: "messages", sqlite: String(decoding: PackageResources._001_messages_sqlite_sql, as: UTF8.self))])

    /// The messages about one payment, oldest first.
    public static func of(payment: String, in connection: Connection) throws -> [NotificationRecord] {
        try connection.query("SELECT * FROM notifications_messages WHERE payment = $1 ORDER BY created_at, key", [.text(payment)])
            .map(NotificationRecord.init)
    }

    static func find(_ key: String, in connection: Connection) throws -> NotificationRecord? {
        try connection.first("SELECT * FROM notifications_messages WHERE key = $1", [.text(key)]).map(NotificationRecord.init)
    }

    /// Enters the intent, or counts a further attempt of it. The Message-ID stays the same for good.
    package static func intend(
        _ message: SendNotification, subject: String, host: String, payment: String?, job: String, nowMs: Int64, in connection: Connection
    ) throws -> NotificationRecord {
        try connection.execute(
            """
            INSERT INTO notifications_messages (key, message_id, channel, template, language, recipient, subject, payment, job, state,
              attempts, created_at)
            VALUES ($1, $2, 'email', $3, $4, $5, $6, $7, $8, 'pending', 1, $9)
            ON CONFLICT (key) DO UPDATE SET attempts = attempts + 1 WHERE state <> 'sent'
            """,
            [
                .text(message.key), .text("<\(ULID.make(nowMs: nowMs).lowercased())@\(host)>"), .text(message.template.rawValue),
                .text(message.language), .text(message.recipient), .text(subject), .optional(payment), .text(job), .integer(nowMs),
            ])
        guard let record = try find(message.key, in: connection) else { throw MessageError.missing(variable: "row", template: message.key) }
        return record
    }

    package static func markSent(_ key: String, nowMs: Int64, in connection: Connection) throws {
        try connection.execute(
            "UPDATE notifications_messages SET state = 'sent', sent_at = COALESCE(sent_at, $2), error = NULL WHERE key = $1",
            [.text(key), .integer(nowMs)])
    }

    package static func markError(_ key: String, _ error: String, refused: Bool, in connection: Connection) throws {
        try connection.execute(
            "UPDATE notifications_messages SET error = $2, state = CASE WHEN $3 = 1 THEN 'refused' ELSE state END WHERE key = $1 AND state <> 'sent'",
            [.text(key), .text(String(error.prefix(500))), .integer(refused ? 1 : 0)])
    }
}
