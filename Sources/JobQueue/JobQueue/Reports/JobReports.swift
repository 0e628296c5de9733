import Formats
import Synchronization
import Telemetry

/// What the running attempts of one worker tell about themselves: progress, at most so often, and the result.
final class JobReports: Sendable {
    /// Progress of one job is sent at most so often; what is told in between waits for its turn, the latest wins.
    static let interval = Duration.milliseconds(250)

    private struct Attempt {
        var nextMs: Int64 = .min
        var pending: JobProgress?
        var flush: Task<Void, Never>?
        var result: JobResult?
    }

    private let driver: any QueueDriver
    private let clock: JobClock
    private let log: Log
    private let attempts = Mutex<[ClaimToken: Attempt]>([:])
    /// Spares jobs the lock while nobody reports anything.
    private let isUsed = Atomic<Bool>(false)

    init(driver: any QueueDriver, clock: JobClock, log: Log) {
        self.driver = driver
        self.clock = clock
        self.log = log
    }

    func report(_ progress: JobProgress, of job: String, _ token: ClaimToken, _ worker: WorkerIdentity) async {
        isUsed.store(true, ordering: .releasing)
        let nowMs = clock.now()
        let isNow = attempts.withLock { attempts in
            var attempt = attempts[token] ?? Attempt()
            defer { attempts[token] = attempt }
            if attempt.nextMs <= nowMs {
                attempt.nextMs = nowMs + Self.interval.wholeMilliseconds
                return true
            }
            attempt.pending = progress
            if attempt.flush == nil {
                let wait = Duration.milliseconds(attempt.nextMs - nowMs)
                // Unstructured: the handler does not wait for it. It ends with the attempt.
                attempt.flush = Task {
                    try? await clock.sleep(wait)
                    guard !Task.isCancelled, let latest = takePending(token) else { return }
                    await send(latest, of: job, token, worker)
                }
            }
            return false
        }
        if isNow { await send(progress, of: job, token, worker) }
    }

    private func takePending(_ token: ClaimToken) -> JobProgress? {
        attempts.withLock { attempts in
            defer {
                attempts[token]?.pending = nil
                attempts[token]?.flush = nil
                attempts[token]?.nextMs = clock.now() + Self.interval.wholeMilliseconds
            }
            return attempts[token]?.pending
        }
    }

    private func send(_ progress: JobProgress, of job: String, _ token: ClaimToken, _ worker: WorkerIdentity) async {
        do {
            guard try await driver.tell(progress, of: job, claimed: token, by: worker) else {
                // Told after the attempt was over, perhaps by a task that outlived it.
                _ = take(token)
                return log.info("progress of a job that is no longer ours", ["job": .string(job)])
            }
        } catch {
            // The job goes on: only those who watch miss something.
            log.warning("progress could not be told", ["job": .string(job), "error": .string(error.message)])
        }
    }

    func keep(_ result: JobResult, _ token: ClaimToken) {
        isUsed.store(true, ordering: .releasing)
        attempts.withLock { $0[token, default: Attempt()].result = result }
    }

    /// The attempt is over.
    func take(_ token: ClaimToken) -> JobResult? {
        guard isUsed.load(ordering: .acquiring) else { return nil }
        let attempt = attempts.withLock { $0.removeValue(forKey: token) }
        attempt?.flush?.cancel()
        return attempt?.result
    }
}

/// What a handler has returned, as it is kept.
enum JobResult: Sendable, Equatable {
    case json([UInt8])
    /// It cannot be kept, and why.
    case unfit(String)

    init<Output: Encodable>(_ output: Output) {
        do {
            let bytes = try JSON.encoding(output).bytes
            self =
                bytes.count <= QueueLimits.resultBytesMax
                ? .json(bytes) : .unfit("the result has \(bytes.count) bytes, at most \(QueueLimits.resultBytesMax) are kept")
        } catch {
            self = .unfit("the result cannot be written: \(error)")
        }
    }

    var bytes: [UInt8]? { if case .json(let bytes) = self { bytes } else { nil } }
    var problem: String? { if case .unfit(let problem) = self { problem } else { nil } }
}

extension JobContext {
    /// Tells how far the job has come, for those who watch: kept for 24 hours, never in the way of the job. Of what is told within a
    /// quarter of a second the latest is sent. Once the claim is somebody else's nothing is.
    /// - Parameter fraction: 0…1
    public func report(progress fraction: Double, note: String? = nil) async {
        await report(JobProgress(fraction: fraction, note: note, attempt: attempt))
    }

    /// Tells how many of a number of units are done.
    public func report(done: Int, of total: Int, note: String? = nil) async {
        await report(
            JobProgress(
                fraction: total > 0 ? Double(done) / Double(total) : 1, done: Int64(done), total: Int64(total), note: note, attempt: attempt))
    }

    private func report(_ progress: JobProgress) async { await reports?.report(progress, of: job.id, token, worker) }
}
