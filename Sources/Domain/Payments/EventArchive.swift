import Database
import ProviderPort

/// The archive of what providers said, as staff look through it.
public enum EventArchive {
    /// A place in the archive, which lies in the order of receipt.
    public struct Place: Sendable, Equatable {
        public let receivedAtMs: Int64
        public let id: String

        public init(receivedAtMs: Int64, id: String) {
            self.receivedAtMs = receivedAtMs
            self.id = id
        }
    }

    /// Events, newest first: at most `limit` of those before `before`; of one provider and one outcome, or of all.
    public static func page(
        provider: String? = nil, outcome: PaymentEvents.Outcome? = nil, before: Place? = nil, limit: Int, in connection: Connection
    ) throws -> [EventRecord] {
        // Said so that the index of the few that are unsettled serves, or the one of the provider.
        var conditions = ["(received_at, id) < ($1, $2)"]
        if let outcome, outcome.isUnsettled { conditions.append("outcome IN ('unmatched', 'quarantined', 'verifying')") }
        conditions.append(outcome == nil ? "$3 IS NULL" : "outcome = $3")
        conditions.append(provider == nil ? "$4 IS NULL" : "provider = $4")
        return try connection.query(
            """
            SELECT \(EventRecord.columns) FROM payments_events WHERE \(conditions.joined(separator: " AND "))
            ORDER BY received_at DESC, id DESC LIMIT $5
            """,
            [
                .integer(before?.receivedAtMs ?? .max), .text(before?.id ?? ""), .optional(outcome?.rawValue), .optional(provider),
                .integer(Int64(limit)),
            ]
        ).map(EventRecord.init)
    }

    /// How many events wait for a person; more than `most` are not counted.
    public static func countUnsettled(most: Int, in connection: Connection) throws -> Int {
        let row = try connection.first(
            """
            SELECT COUNT(*) AS n FROM (SELECT 1 FROM payments_events WHERE outcome IN ('unmatched', 'quarantined', 'verifying')
              AND outcome <> 'verifying' LIMIT $1)
            """, [.integer(Int64(most))])
        return Int(try row?.int("n") ?? 0)
    }

    /// How many events that were received since a moment have been taken up, whatever they brought.
    public static func count(sinceMs: Int64, in connection: Connection) throws -> Int64 {
        try connection.first("SELECT COUNT(*) AS n FROM payments_events WHERE received_at >= $1", [.integer(sinceMs)])?.int("n") ?? 0
    }

    /// What an event brought.
    public struct Content: Sendable {
        public let record: EventRecord
        public let contentType: String
        public let body: [UInt8]
        /// Who took it up again, the newest first.
        public let replays: [Replay]
    }

    public struct Replay: Sendable {
        public let atMs: Int64
        public let actor: String
        public let before: String
        public let after: String
    }

    /// - Throws: ``PaymentError/notFound(_:)``.
    public static func content(of id: String, in connection: Connection) throws -> Content {
        guard let row = try connection.first("SELECT * FROM payments_events WHERE id = $1", [.text(id)]) else {
            throw PaymentError.notFound("event \(id.prefix(80))")
        }
        let replays = try connection.query("SELECT * FROM payments_replays WHERE event = $1 ORDER BY at DESC LIMIT 50", [.text(id)]).map {
            Replay(atMs: try $0.int("at"), actor: try $0.text("actor"), before: try $0.text("outcome_before"), after: try $0.text("outcome"))
        }
        return Content(
            record: try EventRecord(row), contentType: try row.text("content_type"), body: try row.blob("body"), replays: replays)
    }
}
