import Formats

/// A job that somebody waits for.
///
/// ```swift
/// service.registerJob(parameters: Resize.self, keepResult: .seconds(3600)) { image, context in Size(…) }
/// let job = try await service.push(Resize(image: "a.png"), returning: Size.self)
/// let size = try await job.value(timeout: .seconds(30))
/// ```
public struct JobHandle<Output: Decodable & Sendable>: Sendable {
    public let id: String
    private let driver: any QueueDriver
    private let clock: JobClock

    /// Asked again after this long, at first and at last.
    private static var pauses: ClosedRange<Duration> { .milliseconds(100)...(.milliseconds(500)) }

    public init(id: String, on driver: any QueueDriver, clock: JobClock = .system) {
        self.id = id
        self.driver = driver
        self.clock = clock
    }

    public func status() async throws(QueueDriverError) -> JobStatus { try await driver.status(of: id) }

    /// Waits until the job has ended, and gives what its handler has returned. Its kind must be registered with `keepResult`: of any
    /// other the end is not remembered, and waiting times out.
    public func value(timeout: Duration) async throws(JobHandleError) -> Output {
        let untilMs = clock.now() + timeout.wholeMilliseconds
        var pause = Self.pauses.lowerBound
        while true {
            let report: JobReport?
            do {
                report = try await driver.report(ofJob: id)
            } catch {
                guard error.isTransient, clock.now() < untilMs else { throw .queue(error) }
                report = nil
            }
            if let ended = report?.ending { return try read(ended) }
            let leftMs = untilMs - clock.now()
            guard leftMs > 0 else { throw .timedOut }
            do { try await clock.sleep(min(pause, .milliseconds(leftMs))) } catch { throw .interrupted }
            pause = min(pause + pause / 4, Self.pauses.upperBound)
        }
    }

    private func read(_ ended: JobReport.Ended) throws(JobHandleError) -> Output {
        guard ended.state == .done else { throw .ended(ended.state, reason: ended.reason ?? "") }
        guard let result = ended.result else { throw .noResult(reason: ended.reason ?? "the handler has returned nothing") }
        do { return try JSON(parsing: result).decode(Output.self) } catch { throw .noResult(reason: "the result is not readable: \(error)") }
    }
}

/// Why there is no result of a job.
public enum JobHandleError: Error, CustomStringConvertible {
    /// It has not ended in time, or its kind does not keep results. Asking again may help.
    case timedOut
    /// It has ended otherwise than by being done.
    case ended(JobEnding.State, reason: String)
    /// It is done, and nothing is kept that can be read.
    case noResult(reason: String)
    /// The queue cannot be asked.
    case queue(QueueDriverError)
    /// The task that waits was cancelled.
    case interrupted

    public var description: String {
        switch self {
        case .timedOut: "the job has not ended in time"
        case .ended(let state, let reason): "the job is \(state.rawValue)" + (reason.isEmpty ? "" : ": \(reason)")
        case .noResult(let reason): reason
        case .queue(let error): error.message
        case .interrupted: "the waiting was cancelled"
        }
    }

    /// Whether asking again may help.
    public var isTransient: Bool {
        switch self {
        case .timedOut, .interrupted: true
        case .queue(let error): error.isTransient
        case .ended, .noResult: false
        }
    }
}

extension JobService {
    /// Puts a job of an ordinary kind on its queue, to be waited for.
    public func push<P: JobParameters, Output: Decodable & Sendable>(
        _ parameters: P, options: JobOptions = JobOptions(), returning output: Output.Type
    ) async throws -> JobHandle<Output> where P.PaymentRule == PaymentOptional {
        handle(of: try await push(parameters, options: options), on: P.queue, returning: output)
    }

    /// Puts a job of a paid-only kind on its queue, to be waited for.
    public func push<P: PaidOnlyParameters, Output: Decodable & Sendable>(
        _ parameters: P, options: JobOptions, returning output: Output.Type
    ) async throws -> JobHandle<Output> {
        handle(of: try await push(parameters, options: options), on: P.queue, returning: output)
    }

    /// A job that was pushed before, by whoever.
    public func handle<Output: Decodable & Sendable>(of id: String, on queue: String, returning output: Output.Type) -> JobHandle<Output> {
        JobHandle(id: id, on: queues.driver(of: queue), clock: clock)
    }

    /// Where a job stands, or how it ended.
    public func status(of id: String, on queue: String) async throws -> JobStatus { try await queues.driver(of: queue).status(of: id) }

    /// Cancels a job, waiting or running. What was waiting is told to the `onSkip` of its kind, when that is registered here; what runs is
    /// told so by its worker.
    @discardableResult
    public func cancel(_ id: String, on queue: String, reason: String = JobEnding.cancelled) async throws -> JobCancellation {
        guard let worker = knownWorker(of: queue) else { return try await queues.driver(of: queue).cancel(id, reason: reason) }
        return try await worker.cancel(id, reason: reason)
    }
}
