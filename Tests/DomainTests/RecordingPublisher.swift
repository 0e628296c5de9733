import Formats
import JobQueue
import Outbox
import Synchronization
import TestSupport

/// Takes published jobs as Redis would, and fails when told to.
final class RecordingPublisher: JobPublisher {
    struct Push: Sendable, Equatable {
        let slot: String
        let queue: String
        let sequence: Int64
        let id: String
    }

    private struct State {
        var pushes: [Push] = []
        var failuresLeft = 0
        var failures = 0
    }
    private let state = Mutex(State())

    /// Everything that was pushed, repetitions included, in order.
    var pushes: [Push] { state.withLock { $0.pushes } }
    var failures: Int { state.withLock { $0.failures } }

    func fail(times: Int) { state.withLock { $0.failuresLeft = times } }

    func publish(_ items: [PublishItem], slot: String, queue: String) async throws {
        let pushes = try items.map { Push(slot: slot, queue: queue, sequence: $0.sequence, id: try JobEnvelope(decoding: $0.body).id) }
        try state.withLock { state in
            if state.failuresLeft > 0 {
                state.failuresLeft -= 1
                state.failures += 1
                throw FixtureError("the queue is away")
            }
            state.pushes += pushes
        }
    }
}

/// A job that means nothing.
struct Note: JobParameters {
    static let kind = "note.write"
    static let queue = "notes"
    let number: Int
}

struct OtherNote: JobParameters {
    static let kind = "other.write"
    static let queue = "others"
    let number: Int
}
