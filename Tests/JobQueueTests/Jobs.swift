import Formats
import JobQueue
import Synchronization

struct Work: JobParameters {
    static let kind = "work"
    static let queue = "ignored"
    let name: String
}

struct PaidWork: PaidOnlyParameters {
    static let kind = "paid.work"
    static let queue = "ignored"
    let name: String
}

struct Unlucky: Error, CustomStringConvertible { let description = "no luck" }

/// Calls in order, seen from any thread.
final class Diary: Sendable {
    private let lines = Mutex<[String]>([])
    func write(_ line: String) { lines.withLock { $0.append(line) } }
    var all: [String] { lines.withLock { $0 } }
    var count: Int { lines.withLock { $0.count } }
}

/// Holds jobs until it is opened; a cancelled one leaves with `CancellationError`.
final class Gate: Sendable {
    private let open = Mutex(false)
    func unlock() { open.withLock { $0 = true } }
    func pass() async throws { while !open.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(1)) } }
}

extension QueueDriver {
    func job(
        _ name: String, kind: String = Work.kind, payment: String? = nil, attempt: Int = 0, at nowMs: Int64 = 0, unique: String? = nil,
        slots: JobSlots? = nil, rate: JobRate? = nil, expiresAtMs: Int64? = nil
    ) -> JobEnvelope {
        JobEnvelope(
            id: "job_\(name)", kind: kind, queue: queue, args: ["name": .string(name)], payment: payment, attempt: attempt, enqueuedAtMs: nowMs,
            unique: unique, slots: slots, rate: rate, expiresAtMs: expiresAtMs)
    }

    func put(_ jobs: [JobEnvelope]) async throws { try await enqueue(jobs.map { EnqueueItem($0) }) }
}

func jobWorker(
    _ driver: any QueueDriver, concurrency: Int = 4, clock: JobClock = .system, onSkip: JobNotice? = nil, onBury: JobNotice? = nil
) -> JobWorker {
    JobWorker(
        driver: driver,
        configuration: .init(name: "worker", concurrency: concurrency, onSkip: onSkip, onBury: onBury, clock: clock, random: { 0.5 }))
}

extension JobWorker {
    func stopped(within grace: Duration = .seconds(5)) async { await stop(by: .now + grace) }
}

/// No retry, so that a test which is wrong shows it at once.
let once = RetryPolicy.none
