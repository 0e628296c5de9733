import Database

/// How many job records of a queue stand where.
public struct JobStanding: Sendable {
    public let queue: String
    public let unfinished: Int64
    /// Of the unfinished ones, those that are not on their queue yet.
    public let unpublished: Int64
    public let buried: Int64

    /// One row per queue that has any.
    public static func all(in connection: Connection) throws -> [JobStanding] {
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
