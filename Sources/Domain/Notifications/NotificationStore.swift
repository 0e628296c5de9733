import Database
import Formats
import MessagePort

/// The intent to send one message, and its result.
public struct NotificationRecord: Sendable {
    public enum State: String, Sendable, CaseIterable {
        case pending, sent, delivered, read
        /// No carrier took it.
        case refused
        /// Taken, and not delivered.
        case failed
        /// Of no use any more before it could be sent.
        case late
        /// Nobody knows whether it was taken, and it may not be sent once more.
        case unknown

        /// Whether it has gone out, as far as is known.
        var hasGone: Bool { [.sent, .delivered, .read, .unknown].contains(self) }
    }

    public let key: String
    public let messageID: String
    /// The channel that took it last.
    public let channel: String
    public let template: String
    public let language: String
    public let recipient: String
    public let subject: String
    public let payment: String?
    public let state: String
    public let attempts: Int64
    public let error: String?
    public let createdAtMs: Int64
    public let sentAtMs: Int64?
    package let round: Int64
    package let usefulUntilMs: Int64?
    let request: String?

    init(_ row: Row) throws {
        key = try row.text("key")
        messageID = try row.text("message_id")
        channel = try row.text("channel")
        template = try row.text("template")
        language = try row.text("language")
        recipient = try row.text("recipient")
        subject = try row.text("subject")
        payment = try row.textOrNil("payment")
        state = try row.text("state")
        attempts = try row.int("attempts")
        error = try row.textOrNil("error")
        createdAtMs = try row.int("created_at")
        sentAtMs = try row.intOrNil("sent_at")
        round = try row.int("round")
        usefulUntilMs = try row.intOrNil("useful_until")
        request = try row.textOrNil("request")
    }

    public static let migrations = MigrationSet(
        room: "notifications",
        migrations: [
            Migration(number: 1, name: "messages", sqlite: String(decoding: PackageResources._001_messages_sqlite_sql, as: UTF8.self)),
            Migration(number: 2, name: "channels", sqlite: String(decoding: PackageResources._002_channels_sqlite_sql, as: UTF8.self)),
            Migration(number: 3, name: "listing", sqlite: String(decoding: PackageResources._003_listing_sqlite_sql, as: UTF8.self)),
            Migration(number: 4, name: "optout_ids", sqlite: String(decoding: PackageResources._004_optout_ids_sqlite_sql, as: UTF8.self)),
        ])

    /// The messages about one payment, oldest first.
    public static func of(payment: String, in connection: Connection) throws -> [NotificationRecord] {
        try connection.query("SELECT * FROM notifications_messages WHERE payment = $1 ORDER BY created_at, key", [.text(payment)])
            .map(NotificationRecord.init)
    }

    /// Which messages a listing shows.
    public struct Filter: Sendable {
        public var state: State?
        public var template: MessageTemplate?
        public var channel: MessageChannel?
        /// An address or a number, exactly.
        public var recipient: String?
        /// The Message-ID of the one behind which the list goes on.
        public var before: String?
        public var limit: Int

        public init(
            state: State? = nil, template: MessageTemplate? = nil, channel: MessageChannel? = nil, recipient: String? = nil,
            before: String? = nil, limit: Int = 50
        ) {
            self.state = state
            self.template = template
            self.channel = channel
            self.recipient = recipient
            self.before = before
            self.limit = limit
        }
    }

    /// Newest first.
    public static func list(_ filter: Filter, in connection: Connection) throws -> [NotificationRecord] {
        guard let (text, bindings) = try query(filter, in: connection) else { return [] }
        return try connection.query(text, bindings).map(NotificationRecord.init)
    }

    /// The query of a listing: only what is asked for stands in it, so that an index leads to it. Nil when the list is to go on behind a message
    /// that is not there.
    static func query(_ filter: Filter, in connection: Connection) throws -> (text: String, bindings: [SQLValue])? {
        var conditions: [String] = []
        var bindings: [SQLValue] = []
        let wanted = [
            ("state", filter.state?.rawValue), ("template", filter.template?.rawValue), ("channel", filter.channel?.rawValue),
            ("recipient", filter.recipient),
        ]
        for (column, value) in wanted {
            guard let value else { continue }
            bindings.append(.text(value))
            conditions.append("\(column) = $\(bindings.count)")
        }
        if let before = filter.before {
            guard let last = try find(messageID: before, in: connection) else { return nil }
            bindings += [.integer(last.createdAtMs), .text(last.key)]
            conditions.append("(created_at, key) < ($\(bindings.count - 1), $\(bindings.count))")
        }
        bindings.append(.integer(Int64(filter.limit)))
        let narrowed = conditions.isEmpty ? "" : "WHERE \(conditions.joined(separator: " AND "))"
        return ("SELECT * FROM notifications_messages \(narrowed) ORDER BY created_at DESC, key DESC LIMIT $\(bindings.count)", bindings)
    }

    package static func find(_ key: String, in connection: Connection) throws -> NotificationRecord? {
        try connection.first("SELECT * FROM notifications_messages WHERE key = $1", [.text(key)]).map(NotificationRecord.init)
    }

    static func find(messageID: String, in connection: Connection) throws -> NotificationRecord? {
        try connection.first("SELECT * FROM notifications_messages WHERE message_id = $1", [.text(messageID)]).map(NotificationRecord.init)
    }

    // MARK: Writing

    /// Enters the intent, or counts a further attempt of it. The Message-ID stays the same for good.
    /// - Parameter madeAtMs: when the message was wanted; its useful life counts from there.
    package static func intend(
        _ message: SendNotification, subject: String, host: String, payment: String?, job: String, channel: MessageChannel = .email,
        madeAtMs: Int64? = nil, nowMs: Int64, in connection: Connection
    ) throws -> NotificationRecord {
        let gone = State.allCases.filter(\.hasGone).map { "'\($0.rawValue)'" }.joined(separator: ", ")
        try connection.execute(
            """
            INSERT INTO notifications_messages (key, message_id, channel, template, language, recipient, subject, payment, job, state,
              attempts, created_at, useful_until, request)
            VALUES ($1, $2, $10, $3, $4, $5, $6, $7, $8, 'pending', 1, $9, $11, $12)
            ON CONFLICT (key) DO UPDATE SET attempts = attempts + 1, job = $8,
              round = round + CASE WHEN state = 'pending' THEN 0 ELSE 1 END, state = 'pending', request = COALESCE(request, $12)
              WHERE state NOT IN (\(gone))
            """,
            [
                .text(message.key), .text("<\(ULID.make(nowMs: nowMs).lowercased())@\(host)>"), .text(message.template.rawValue),
                .text(message.language), .text(message.recipient), .text(subject), .optional(payment), .text(job), .integer(nowMs),
                .text(channel.rawValue), .integer((madeAtMs ?? nowMs) + message.template.usefulLifeMs), .text(try JSON.encoding(message).text),
            ])
        guard let record = try find(message.key, in: connection) else { throw MessageError.missing(variable: "row", template: message.key) }
        return record
    }

    package static func markSent(
        _ key: String, as state: State = .sent, channel: MessageChannel = .email, nowMs: Int64, in connection: Connection
    ) throws {
        try connection.execute(
            """
            UPDATE notifications_messages SET state = $3, channel = $4, sent_at = COALESCE(sent_at, $2), error = NULL WHERE key = $1
            """, [.text(key), .integer(nowMs), .text(state.rawValue), .text(channel.rawValue)])
    }

    /// - Parameter state: what it comes to; nil while it is still to be sent.
    package static func markError(_ key: String, _ error: String, state: State? = nil, in connection: Connection) throws {
        try connection.execute(
            "UPDATE notifications_messages SET error = $2, state = COALESCE($3, state) WHERE key = $1 AND state NOT IN ('sent', 'delivered', 'read')",
            [.text(key), .text(String(error.prefix(500))), .optional(state?.rawValue)])
    }

    static func mark(_ messageID: String, as state: State, error: String? = nil, in connection: Connection) throws {
        try connection.execute(
            "UPDATE notifications_messages SET state = $2, error = $3 WHERE message_id = $1",
            [.text(messageID), .text(state.rawValue), .optional(error)])
    }

    /// The job that sent it, for the carrier that is tried next.
    func sending() throws -> SendNotification? { try request.map { try JSON(parsing: $0).decode(SendNotification.self) } }
}
