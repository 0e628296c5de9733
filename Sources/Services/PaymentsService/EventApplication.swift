import Database
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
                        return .applied(try connection.savepoint { try events.apply(event, nowMs: now, in: connection) })
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
        case applied(PaymentEvents.Outcome)
        case noEvent(String)
        case failed(String)
    }

    private func conclude(_ applied: Applied, _ item: Result<ReadEvent, EventFormatError>) -> BatchOutcome {
        switch applied {
        case .applied(let outcome):
            Self.counter(outcome.rawValue).add()
            return .ack
        case .noEvent(let reason):
            Self.counter("no_event").add()
            log.error("a body on the events list is no event", ["reason": .string(reason)])
            return .bury(reason: reason)
        case .failed(let reason):
            Self.counter("failed").add()
            let id = (try? item.get())?.event.id ?? ""
            log.error("an event could not be applied", ["event": .string(id), "error": .string(reason)])
            return .bury(reason: reason)
        }
    }

    private static func counter(_ outcome: String) -> Counter {
        MetricRegistry.shared.counter("payments_events_total", help: "Events taken from the list, by outcome.", labels: [("outcome", outcome)])
    }
}
