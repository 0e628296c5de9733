import Telemetry

/// What is measured of one queue in this process.
public struct QueueMetrics: Sendable {
    let claimed: Counter
    let depth: Gauge
    let fenced: Counter
    let stale: Counter
    let batch: Histogram
    /// From the question to the answer of one step.
    let step: Histogram
    /// Bodies that went back to the queue because their worker was lost, seen by a peer.
    package let recovered: Counter
    /// Bodies that this process put on the queue.
    package let enqueued: Counter
    /// Records of buried bodies that this process deleted for their age or number.
    package let trimmed: Counter
    /// When this queue last answered us.
    package let pulse = QueuePulse()
    private let queue: String

    /// A step takes tenths of a millisecond; what takes longer than a second is a queue that is away.
    static let stepBuckets = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]

    package init(queue: String) {
        self.queue = queue
        let registry = MetricRegistry.shared
        let labels = [("queue", queue)]
        claimed = registry.counter("jobs_claimed_total", help: "Bodies claimed from the queue.", labels: labels)
        depth = Self.depth(of: queue, state: "ready")
        fenced = registry.counter("fenced_total", help: "Times that a worker of this process found its lease lost.", labels: labels)
        stale = registry.counter("stale_acks_total", help: "Outcomes refused because their claim was no longer ours.", labels: labels)
        batch = registry.histogram("batch_duration_seconds", help: "Time that a batch took.", labels: labels)
        step = registry.histogram(
            "redis_step_seconds", help: "Time from a step's question to its answer.", buckets: Self.stepBuckets, labels: labels)
        recovered = registry.counter(
            "recovered_total", help: "Bodies put back because their worker was lost.", labels: labels + [("by", "peer")])
        trimmed = registry.counter(
            "dead_trimmed_total", help: "Records of buried bodies that were deleted for their age or number.", labels: labels)
        enqueued = registry.counter("jobs_enqueued_total", help: "Bodies that this process put on the queue.", labels: labels)
    }

    func kind(_ kind: String) -> KindMetrics { KindMetrics(queue: queue, kind: kind) }

    /// Lets a worker's slots be seen: how many are taken is asked when somebody looks.
    func watchSlots(_ slots: Int, busy: @escaping @Sendable () -> Int) {
        func gauge(_ state: String, _ value: @escaping @Sendable () -> Double) {
            MetricRegistry.shared.gaugeFunction(
                "worker_slots", help: "Jobs that this worker can run at a time, by whether they do.",
                labels: [("queue", queue), ("state", state)], value)
        }
        gauge("busy") { Double(busy()) }
        gauge("idle") { Double(max(0, slots - busy())) }
    }

    /// Shows what somebody has counted on the queue.
    /// - Parameter oldestAgeMs: of the body that would be claimed next; nil when there is none, or when it does not say how old it is.
    package static func show(_ counts: QueueCounts, oldestAgeMs: Int64?, of queue: String) {
        let states = [
            ("ready", counts.ready), ("delayed", counts.delayed), ("in_flight", counts.inFlight), ("dead", counts.dead),
            ("parked", counts.parked), ("waiting", counts.waiting), ("moving", counts.moving),
        ]
        for (state, count) in states {
            depth(of: queue, state: state).set(Double(count))
        }
        MetricRegistry.shared.gauge(
            "queue_oldest_age_seconds", help: "Age of the body that is claimed next; 0 when nothing waits.", labels: [("queue", queue)]
        ).set(Double(oldestAgeMs ?? 0) / 1000)
    }

    private static func depth(of queue: String, state: String) -> Gauge {
        MetricRegistry.shared.gauge(
            "queue_depth", help: "Bodies on the queue by state; the ready ones as of the last step, the others as of the last look.",
            labels: [("queue", queue), ("state", state)])
    }
}

/// What is measured of one kind of job. Looked up once per kind: asking the registry for every job would cost more than the job. An object:
/// handing it on counts one reference and not eleven.
final class KindMetrics: Sendable {
    let started: Counter
    let done: Counter
    let skipped: Counter
    let discarded: Counter
    let snoozed: Counter
    let retried: Counter
    let buried: Counter
    let parked: Counter
    let expired: Counter
    let cancelled: Counter
    let duration: Histogram
    let wait: Histogram

    /// A job may wait for hours.
    static let waitBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200]

    init(queue: String, kind: String) {
        let registry = MetricRegistry.shared
        let labels = [("queue", queue), ("kind", kind)]
        func counter(_ outcome: String) -> Counter {
            registry.counter("jobs_finished_total", help: "Attempts that came to an end.", labels: labels + [("outcome", outcome)])
        }
        started = registry.counter("jobs_started_total", help: "Attempts that began.", labels: labels)
        done = counter("done")
        skipped = counter("skipped")
        discarded = counter("discarded")
        snoozed = counter("snoozed")
        retried = counter("retried")
        buried = counter("buried")
        parked = counter("parked")
        expired = counter("expired")
        cancelled = counter("cancelled")
        duration = registry.histogram("job_duration_seconds", help: "Time that an attempt took.", labels: labels)
        wait = registry.histogram(
            "job_wait_seconds", help: "Time from a job's making to its first attempt, its producer's clock against ours.",
            buckets: Self.waitBuckets, labels: labels)
    }

    /// An attempt begins. Only the first tells how long the job has waited: later ones were put off on purpose.
    func began(_ job: JobEnvelope, nowMs: Int64) {
        started.add()
        guard job.attempt == 0, job.enqueuedAtMs > 0 else { return }
        wait.observe(Double(max(0, nowMs - job.enqueuedAtMs)) / 1000)
    }
}
