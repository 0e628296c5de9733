import Database
import ErrorReports
import Formats
import JobQueue
import Payments
import ProviderPort
import Telemetry

/// Applies events from the list in batches, one SQL transaction each; every event is a unit of its own in it.
public struct EventApplication: Sendable {
    private let database: Database
    private let events: PaymentEvents
    private let log: Log
    private let nowMs: @Sendable () -> Int64

    public static let queue = "events"
    /// Events in one transaction: large enough to share the commit, small enough to let other writers in.
    public static let batchMax = 200

    public init(database: Database, events: PaymentEvents, log: Log, nowMs: @escaping @Sendable () -> Int64) {
        self.database = database
        self.events = events
        self.log = log
        self.nowMs = nowMs
    }

    /// - Returns: one outcome per body. What is no event at all is buried; what the database cannot take now is tried again
    ///   by the caller, whole.
    public func apply(_ batch: [ClaimedJob]) async throws -> [BatchOutcome] {
        let read = batch.map { job in
            Result { () throws(EventFormatError) in ReadEvent(try ProviderEvent(decoding: job.body), providers: events.providers) }
        }
        let now = nowMs()
        let outcomes = try await database.write { [events] connection in
            try read.map { item -> Applied in
                switch item {
                case .failure(let error): return .noEvent(error.description)
                case .success(let event):
                    do {
                        // The jobs that an event causes are steps of its trace.
                        let trace = event.event.traceparent.flatMap { Trace(traceparent: $0) } ?? Trace()
                        let outcome = try Trace.$current.withValue(trace) {
                            try connection.savepoint { try events.apply(event, nowMs: now, in: connection) }
                        }
                        guard outcome == .quarantined, ErrorReports.isOn else { return .applied(outcome, [:]) }
                        return .applied(outcome, try EventRecord.searchFields(of: event.event, in: connection))
                    } catch let error as DatabaseError where error.isTransient {
                        throw error
                    } catch {
                        return .failed("\(error)")
                    }
                }
            }
        }
        return zip(outcomes, read).map { outcome, item in conclude(outcome, item) }
    }

    private enum Applied: Sendable {
        /// With what people search by, where it is told of.
        case applied(PaymentEvents.Outcome, [String: String])
        case noEvent(String)
        case failed(String)
    }

    private func conclude(_ applied: Applied, _ item: Result<ReadEvent, EventFormatError>) -> BatchOutcome {
        switch applied {
        case .applied(let outcome, let fields):
            Self.counter(outcome.rawValue).add()
            if outcome == .quarantined { tell("event quarantined", nil, item, fields) }
            return .ack
        case .noEvent(let reason):
            Self.counter("no_event").add()
            log.error("a body on the events list is no event", ["reason": .string(reason)])
            tell("a body on the events list is no event", reason, item)
            return .bury(reason: reason)
        case .failed(let reason):
            Self.counter("failed").add()
            let id = (try? item.get())?.event.id ?? ""
            log.error("an event could not be applied", ["event": .string(id), "error": .string(reason)])
            tell("an event could not be applied", reason, item)
            return .bury(reason: reason)
        }
    }

    private func tell(_ message: String, _ reason: String?, _ item: Result<ReadEvent, EventFormatError>, _ known: [String: String] = [:]) {
        guard ErrorReports.isOn else { return }
        var report = ErrorReport(message, detail: reason)
        if case .success(let read) = item {
            let event = read.event
            report.fields = ["event": event.id]
            report.fields["payment"] = event.payment
            report.fields["trace"] = event.traceparent
            switch read.reading {
            case .notice(let notice):
                report.fields["order_id"] = notice.references.first { ["ours", "order"].contains($0.kind) }?.value
                report.fields["provider_ref"] = notice.references.first { !["ours", "order"].contains($0.kind) }?.value
            case .unreadable(let why): report.detail = why
            case .noAdapter: report.detail = "the provider is off here"
            }
            report.fields.merge(known) { told, _ in told }
            // Whatever is known of the payment: the event is of this provider and this mode.
            report.fields.merge(["provider": event.provider, "mode": event.mode]) { $1 }
            report.fingerprint = [event.provider, event.mode]
        }
        ErrorReports.report(report)
    }

    private static func counter(_ outcome: String) -> Counter {
        MetricRegistry.shared.counter("payments_events_total", help: "Events taken from the list, by outcome.", labels: [("outcome", outcome)])
    }
}
