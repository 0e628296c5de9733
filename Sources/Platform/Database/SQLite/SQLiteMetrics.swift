import Telemetry

/// What the writer measures. One set per process, like the registry that shows it.
struct SQLiteMetrics: Sendable {
    static let shared = SQLiteMetrics(MetricRegistry.shared)

    private let commits: Counter
    private let undone: Counter
    private let commitSeconds: Histogram
    private let groupSize: Histogram
    private let waitSeconds: Histogram
    private let walPages: Gauge

    init(_ registry: MetricRegistry) {
        commits = registry.counter("db_commits_total", help: "Groups of writes that were committed.")
        undone = registry.counter("db_undone_groups_total", help: "Groups of writes that failed as a whole.")
        commitSeconds = registry.histogram("db_commit_seconds", help: "From the beginning of a group to the end of its commit.")
        groupSize = registry.histogram(
            "db_group_size", help: "Closures that share one commit.", buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256])
        waitSeconds = registry.histogram("db_write_wait_seconds", help: "From handing in a write to its start, other processes' turns included.")
        walPages = registry.gauge("db_wal_pages", help: "Pages in the write-ahead log after the last commit.")
    }

    func waited(_ duration: Duration) { waitSeconds.observe(duration / .seconds(1)) }

    func committed(writes: Int, in duration: Duration, walPages pages: Int) {
        commits.add()
        groupSize.observe(Double(writes))
        commitSeconds.observe(duration / .seconds(1))
        walPages.set(Double(pages))
    }

    func groupUndone() { undone.add() }
}
