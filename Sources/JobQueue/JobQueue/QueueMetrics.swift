import Telemetry

/// What is measured of one queue in this process.
public struct QueueMetrics: Sendable {
    let claimed: Counter
    let depth: Gauge
    let fenced: Counter
    let stale: Counter
    let batch: Histogram
    /// Bodies that went back to the queue because their worker was lost.
    package let recovered: Counter
    private let queue: String

    package init(queue: String) {
        self.queue = queue
        let registry = MetricRegistry.shared
        let labels = [("queue", queue)]
        claimed = registry.counter("jobs_claimed_total", help: "Bodies claimed from the queue.", labels: labels)
        depth = registry.gauge("queue_depth", help: "Bodies ready and unclaimed, as of the last step.", labels: labels)
        fenced = registry.counter("fenced_total", help: "Times that a worker of this process found its lease lost.", labels: labels)
        stale = registry.counter("stale_acks_total", help: "Outcomes refused because their claim was no longer ours.", labels: labels)
        batch = registry.histogram("batch_duration_seconds", help: "Time that a batch took.", labels: labels)
        recovered = registry.counter("recovered_total", help: "Bodies put back because their worker was lost.", labels: labels)
    }

    func kind(_ kind: String) -> KindMetrics { KindMetrics(queue: queue, kind: kind) }
}

/// What is measured of one kind of job. Looked up once per kind: asking the registry for every job would cost more than the job.
struct KindMetrics: Sendable {
    let done: Counter
    let skipped: Counter
    let discarded: Counter
    let snoozed: Counter
    let retried: Counter
    let buried: Counter
    let parked: Counter
    let duration: Histogram

    init(queue: String, kind: String) {
        let registry = MetricRegistry.shared
        func counter(_ outcome: String) -> Counter {
            registry.counter(
                "jobs_finished_total", help: "Attempts that came to an end.", labels: [("queue", queue), ("kind", kind), ("outcome", outcome)])
        }
        done = counter("done")
        skipped = counter("skipped")
        discarded = counter("discarded")
        snoozed = counter("snoozed")
        retried = counter("retried")
        buried = counter("buried")
        parked = counter("parked")
        duration = registry.histogram("job_duration_seconds", help: "Time that an attempt took.", labels: [("queue", queue), ("kind", kind)])
    }
}
