import Database

/// How many jobs of a queue are still to be done, read by an index however many are on record: cheap enough to be asked all the time.
public struct UnfinishedJobs: Sendable {
    public let queue: String
    public let count: Int64
    /// Of these, those that are not on their queue yet.
    public let unpublished: Int64

    /// One per queue that has any.
    public static func all(in connection: Connection) throws -> [UnfinishedJobs] {
        try connection.query(
            """
            SELECT queue, COUNT(*) AS unfinished, SUM(published_at IS NULL) AS unpublished FROM outbox_jobs
            WHERE finished_at IS NULL GROUP BY queue ORDER BY queue
            """
        ).map { UnfinishedJobs(queue: try $0.text("queue"), count: try $0.int("unfinished"), unpublished: try $0.int("unpublished")) }
    }
}
