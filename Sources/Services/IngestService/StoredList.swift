import MessagePort
import Telemetry
import UsageSamples

/// A list that ingest fills, and how its keeping is measured.
struct StoredList: Sendable {
    struct Counters: Sendable {
        let pushed, spooled, drained, lost: Counter
    }

    /// The queue's name.
    let name: String
    let counters: Counters
    let spoolGauge: Gauge
    /// Bytes that its journal may have; nil is without a bound.
    let journalBytesMax: Int?

    struct Gauge: Sendable {
        let name: String
        let help: String
    }

    /// What providers say.
    static let events = StoredList(
        name: "events",
        counters: Counters(
            pushed: MetricRegistry.shared.counter("ingest_events_pushed_total", help: "Events pushed onto the Redis list."),
            spooled: MetricRegistry.shared.counter("ingest_events_spooled_total", help: "Events kept in the local spool first."),
            drained: MetricRegistry.shared.counter("ingest_events_drained_total", help: "Spooled events pushed later."),
            lost: MetricRegistry.shared.counter("ingest_events_unavailable_total", help: "Posts answered 503: nothing could keep them.")),
        spoolGauge: Gauge(name: "ingest_spool_events", help: "Accepted events that wait in the local spool."),
        journalBytesMax: nil)

    /// Batches of usage samples.
    static let samples = StoredList(
        name: SampleBatch.queue,
        counters: Counters(
            pushed: MetricRegistry.shared.counter("ingest_batches_pushed_total", help: "Batches of samples pushed onto the Redis list."),
            spooled: MetricRegistry.shared.counter("ingest_batches_spooled_total", help: "Batches of samples kept in the local spool first."),
            drained: MetricRegistry.shared.counter("ingest_batches_drained_total", help: "Spooled batches of samples pushed later."),
            lost: MetricRegistry.shared.counter(
                "ingest_batches_unavailable_total", help: "Batches of samples answered 503: nothing could keep them.")),
        spoolGauge: Gauge(name: "ingest_spool_batches", help: "Accepted batches of samples that wait in the local spool."),
        // Samples come in masses, and share the disk with payments' events.
        journalBytesMax: 4 << 30)

    /// What carriers tell of messages.
    static let receipts = StoredList(
        name: ReceiptPost.queue,
        counters: Counters(
            pushed: MetricRegistry.shared.counter("ingest_receipts_pushed_total", help: "Receipts of messages pushed onto the Redis list."),
            spooled: MetricRegistry.shared.counter("ingest_receipts_spooled_total", help: "Receipts of messages kept in the local spool first."),
            drained: MetricRegistry.shared.counter("ingest_receipts_drained_total", help: "Spooled receipts of messages pushed later."),
            lost: MetricRegistry.shared.counter(
                "ingest_receipts_unavailable_total", help: "Receipts of messages answered 503: nothing could keep them.")),
        spoolGauge: Gauge(name: "ingest_spool_receipts", help: "Accepted receipts of messages that wait in the local spool."),
        journalBytesMax: 1 << 30)
}

/// Where ingest keeps what it has accepted, below the spool's directory.
public enum IngestFolders {
    /// Journal and spool of the batches of samples; those of events are in the directory itself.
    public static func samples(in spoolDirectory: String) -> String { spoolDirectory + "/samples" }
    /// Journal and spool of receipts of messages.
    public static func receipts(in spoolDirectory: String) -> String { spoolDirectory + "/receipts" }
}
