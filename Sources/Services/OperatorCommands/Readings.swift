import Database
import Outbox

/// How many job records of a queue stand where.
struct JobStanding: Sendable {
    let queue: String
    let unfinished: Int64
    /// Of the unfinished ones, those that are not on their queue yet.
    let unpublished: Int64
    let buried: Int64

    /// One row per queue that has any.
    static func all(in connection: Connection) throws -> [JobStanding] {
        try connection.query(
            """
            SELECT queue, SUM(finished_at IS NULL) AS unfinished, SUM(finished_at IS NULL AND published_at IS NULL) AS unpublished,
              SUM(outcome IS 'buried') AS buried
            FROM outbox_jobs WHERE finished_at IS NULL OR outcome = 'buried' GROUP BY queue ORDER BY queue
            """
        ).map {
            JobStanding(
                queue: try $0.text("queue"), unfinished: try $0.int("unfinished"), unpublished: try $0.int("unpublished"),
                buried: try $0.int("buried"))
        }
    }
}

/// Which events the archive has.
enum EventArchive {
    static func known(_ ids: [String], in connection: Connection) throws -> Set<String> {
        var known: Set<String> = []
        for id in ids where try connection.first("SELECT 1 AS found FROM payments_events WHERE id = $1", [.text(id)]) != nil { known.insert(id) }
        return known
    }
}
