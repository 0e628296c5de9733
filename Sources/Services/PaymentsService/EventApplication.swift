import Database
import ErrorReports
import Formats
import JobQueue
import Payments
import ProviderPort
import Telemetry

/// Applies events from the list in batches, one SQL transaction each; an event that fails takes no other with it.
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
        let outcomes = try await applyAll(read)
        return zip(outcomes, read).map { outcome, item in conclude(outcome, item) }
    }

    private typealias Read = Result<ReadEvent, EventFormatError>

    /// All of them in one go, which hardly ever fails; only then once more, each with a way back of its own. Such ways back cost a sixth of all
    /// the time: SQLite keeps a journal of pages for each.
    private func applyAll(_ read: [Read]) async throws -> [Applied] {
        let now = nowMs()
        do {
            return try await database.write { [events] connection in try read.map { try Self.apply($0, events, now, connection) } }
        } catch let error as DatabaseError where error.isTransient {
            throw error
        } catch {
            return try await database.write { [events] connection in
                try read.map { item in
                    do {
                        return try connection.savepoint { try Self.apply(item, events, now, connection) }
                    } catch let error as DatabaseError where error.isTransient {
                        throw error
                    } catch {
                        return .failed("\(error)")
                    }
                }
            }
        }
    }

    private static func apply(_ item: Read, _ events: PaymentEvents, _ nowMs: Int64, _ connection: Connection) throws -> Applied {
        switch item {
        case .failure(let error): return .noEvent(error.description)
        case .success(let event):
            // The jobs that an event causes are steps of its trace.
            let trace = event.event.traceparent.flatMap { Trace(traceparent: $0) } ?? Trace()
            let outcome = try Trace.$current.withValue(trace) { try events.apply(event, nowMs: nowMs, in: connection) }
            guard outcome == .quarantined, ErrorReports.isOn else { return .applied(outcome, [:]) }
            return .applied(outcome, try EventRecord.searchFields(of: event.event, in: connection))
        }
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
