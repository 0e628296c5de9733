import Database

/// When a source was last heard of, and what was begun at it since.
public struct SourceStanding: Sendable {
    public let provider: String
    /// Its newest event, whatever became of it; nil when it was never heard of, or not for as long as events are kept.
    public let last: EventRecord?
    /// When an attempt was first begun at it.
    public let firstAttemptMs: Int64?
    /// Attempts begun after its newest event, those of the last minutes left out: their customers may be at it still.
    public let unheardAttempts: Int64

    /// How long an attempt may take until something is heard of it.
    static let attemptMs: Int64 = 15 * 60_000
    /// More are not counted.
    static let attemptsMax = 1000

    public static func read(_ provider: String, nowMs: Int64, in connection: Connection) throws -> SourceStanding {
        let last = try EventRecord.last(of: provider, in: connection)
        let first = try connection.first("SELECT MIN(created_at) AS first FROM payments_attempts WHERE provider = $1", [.text(provider)])
        let unheard = try connection.first(
            """
            SELECT COUNT(*) AS n FROM (SELECT 1 FROM payments_attempts WHERE provider = $1 AND created_at > $2 AND created_at < $3 LIMIT $4)
            """,
            [.text(provider), .integer(last?.receivedAtMs ?? 0), .integer(nowMs - attemptMs), .integer(Int64(attemptsMax))])
        return SourceStanding(
            provider: provider, last: last, firstAttemptMs: try first?.intOrNil("first"), unheardAttempts: try unheard?.int("n") ?? 0)
    }

    /// How long nothing was heard: since its newest event or else since it was first paid at; nil when neither ever was.
    public func silentMs(nowMs: Int64) -> Int64? { (last?.receivedAtMs ?? firstAttemptMs).map { max(0, nowMs - $0) } }
}

extension EventRecord {
    /// The newest event of a provider.
    static func last(of provider: String, in connection: Connection) throws -> EventRecord? {
        try connection.first(
            "SELECT \(columns) FROM payments_events WHERE provider = $1 ORDER BY received_at DESC, id DESC LIMIT 1", [.text(provider)]
        ).map(EventRecord.init)
    }
}
