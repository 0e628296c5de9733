import Database

/// How many jobs of a queue were made and came to their end since a moment, read by indexes however many are on record.
public struct JobRates: Sendable, Equatable {
    public let queue: String
    public internal(set) var made: Int64 = 0
    /// Done, or left off with a reason.
    public internal(set) var finished: Int64 = 0
    /// Given up.
    public internal(set) var buried: Int64 = 0

    static let endedQuery = """
        SELECT queue, outcome, COUNT(*) AS ended, SUM(created_at >= $1) AS made FROM outbox_jobs
        WHERE finished_at IS NOT NULL AND finished_at >= $1 GROUP BY queue, outcome
        """
    static let unfinishedQuery = """
        SELECT queue, COUNT(*) AS made FROM outbox_jobs WHERE finished_at IS NULL AND created_at >= $1 GROUP BY queue
        """

    /// One per queue of which there is any, by name.
    public static func read(sinceMs: Int64, in connection: Connection) throws -> [JobRates] {
        var found: [String: JobRates] = [:]
        for row in try connection.query(endedQuery, [.integer(sinceMs)]) {
            let queue = try row.text("queue")
            var rates = found[queue] ?? JobRates(queue: queue)
            rates.made += try row.int("made")
            let ended = try row.int("ended")
            if try row.text("outcome") == "buried" { rates.buried += ended } else { rates.finished += ended }
            found[queue] = rates
        }
        for row in try connection.query(unfinishedQuery, [.integer(sinceMs)]) {
            let queue = try row.text("queue")
            found[queue, default: JobRates(queue: queue)].made += try row.int("made")
        }
        return found.values.sorted { $0.queue < $1.queue }
    }
}
