import Synchronization

/// What became of the wish to cancel a job.
public enum JobCancellation: Sendable, Equatable {
    /// It was waiting, and is gone from the queue.
    case removed(JobEnvelope)
    /// A worker has it: its task is cancelled within about a second, unless it ends before.
    case asked
    /// It has come to an end before.
    case ended(JobEnding.State)
    /// It is on the queue no more, if it ever was.
    case unknown
}

extension QueueOperating {
    /// How long a mark is kept.
    package static var cancelsKept: Duration { .seconds(86_400) }

    /// Cancels a job that waits, is delayed, parked or running. Its keys are let go; it is not retried.
    ///
    /// The product is not told of a job that was waiting: see ``JobWorker/cancel(_:reason:)``, which does it.
    public func cancel(_ id: String, reason: String = JobEnding.cancelled) async throws(QueueDriverError) -> JobCancellation {
        if let ended = try await report(ofJob: id)?.ending { return .ended(ended.state) }
        // The mark first: whoever claims the job while it is looked for is told.
        try await mark(cancelled: id)
        // It may be given back behind the search's back: so twice.
        for _ in 0..<2 {
            while let found = try await find(job: id) {
                if found.place == .dead {
                    try await unmark(cancelled: id)
                    return .ended(.dead)
                }
                // It is between two queues: this one has no say any more, the other not yet.
                if found.place == .moving { break }
                guard ![.claimed, .woken].contains(found.place.state), let job = found.job else { return .asked }
                if try await remove(found, ending: JobEnding(job: id, state: .cancelled, reason: reason)) { return .removed(job) }
            }
        }
        // A mark that is gone was taken by a worker.
        return try await unmark(cancelled: id) ? .unknown : .asked
    }
}

/// The jobs that somebody wants cancelled, as the queue's answers have told: a hint, since a mark may have been taken back.
final class CancelledJobs: Sendable {
    /// Spares jobs the lock while nothing was ever cancelled.
    private let used = Atomic<Bool>(false)
    private let toldMs = Mutex<[String: Int64]>([:])
    private static let kept: Int64 = 86_400_000

    func note(_ ids: [String], nowMs: Int64) {
        toldMs.withLock { told in
            if told.count > 1000 { told = told.filter { $0.value > nowMs - Self.kept } }
            for id in ids { told[id] = nowMs }
        }
        used.store(true, ordering: .releasing)
    }

    /// Whether anything was ever cancelled.
    var isUsed: Bool { used.load(ordering: .acquiring) }

    func mayHold(_ id: String) -> Bool {
        isUsed && toldMs.withLock { $0[id] != nil }
    }

    func forget(_ id: String) { toldMs.withLock { $0[id] = nil } }
}
