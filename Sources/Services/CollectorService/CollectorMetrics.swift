import Formats
import Synchronization
import Telemetry

/// What is counted of one log.
struct FileMetrics: Sendable {
    let read, lines, rotations, truncations, lost: Counter
    let lag: Gauge

    init(path: String, registry: MetricRegistry = .shared) {
        let labels = [("file", path)]
        read = registry.counter("collector_log_bytes_read_total", help: "Bytes of access logs that were read.", labels: labels)
        lines = registry.counter("collector_lines_total", help: "Lines of access logs that were read, those that do not count too.", labels: labels)
        rotations = registry.counter("collector_rotations_total", help: "How often a log was another file.", labels: labels)
        truncations = registry.counter("collector_truncations_total", help: "How often a log was emptied under our hands.", labels: labels)
        lost = registry.counter(
            "collector_lost_files_total",
            help: "Files that were gone, compressed, or emptied without a copy, before they were known to be read whole.", labels: labels)
        lag = registry.gauge("collector_lag_bytes", help: "Bytes that are written and not read.", labels: labels)
    }
}

/// What is counted of the collector as a whole.
struct CollectorMetrics: Sendable {
    let traffic, unknownLines: Counter
    let unknownHosts: Gauge
    private let rejected: [LineRejection: Counter]
    private let posts: [PostOutcome: Counter]
    let postSeconds: Histogram

    init(registry: MetricRegistry = .shared) {
        traffic = registry.counter("collector_traffic_bytes_total", help: "Bytes sent to clients, as the lines of known projects say.")
        unknownLines = registry.counter("collector_unknown_lines_total", help: "Lines of hosts, routers and services without a project: not counted.")
        unknownHosts = registry.gauge("collector_unknown_hosts", help: "Hosts, routers and services without a project since the start, 200 at most.")
        rejected = Dictionary(
            uniqueKeysWithValues: LineRejection.allCases.map { reason in
                let labels = [("reason", reason.rawValue)]
                return (reason, registry.counter("collector_rejected_lines_total", help: "Lines that were not counted.", labels: labels))
            })
        posts = Dictionary(
            uniqueKeysWithValues: PostOutcome.allCases.map { outcome in
                (outcome, registry.counter("collector_posts_total", help: "Posts to ingest.", labels: [("outcome", outcome.rawValue)]))
            })
        postSeconds = registry.histogram("collector_post_seconds", help: "From a post to its answer.")
    }

    func add(_ counts: LineIntake.Counts) {
        traffic.add(counts.traffic)
        unknownLines.add(counts.unknown)
        for (reason, count) in counts.rejected { rejected[reason]?.add(count) }
    }

    func count(_ outcome: PostOutcome) { posts[outcome]?.add() }
}
