import EventLoop
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// A program that is kept running and answers one request after the other, for programs whose start costs more than their work.
///
/// It reads four bytes of length (the highest first) and the request, and writes one byte of status, four of length and the answer; at the end
/// of its input it ends. It is started when there is something to ask, started anew after a fault, and killed with its group when an answer
/// takes too long or the asking task is cancelled. It dies with this process.
public final class ServingProcess: Sendable {
    public struct Configuration: Sendable {
        /// A path, or a name looked for in `PATH`.
        public var executable: String
        public var arguments: [String]
        public var environment: [String: String]
        /// Of memory and file size; its time is limited by request, and `cpuSeconds` would count all of them together.
        public var limits: Subprocess.Limits
        /// A process that has answered so many requests makes place for a new one: what it may have lost goes with it.
        public var requestsMax: Int

        public init(
            executable: String, arguments: [String] = [], environment: [String: String] = [:], limits: Subprocess.Limits = Subprocess.Limits(),
            requestsMax: Int = 500
        ) {
            self.executable = executable
            self.arguments = arguments
            self.environment = environment
            self.limits = limits
            self.requestsMax = requestsMax
        }
    }

    public enum Answer: Sendable {
        case answered(status: UInt8, bytes: [UInt8])
        /// It ended instead. The text is the last 32 KiB of its standard error.
        case ended(ExitStatus, errorText: String)
    }

    private let configuration: Configuration
    private let pool: BlockingPool
    private let idle = Mutex<[ServedChild]>([])

    /// - Parameter pool: each of its threads keeps one process running at most.
    public init(_ configuration: Configuration, pool: BlockingPool) {
        self.configuration = configuration
        self.pool = pool
    }

    deinit { close() }

    /// Asks, and waits for the answer at most as long as the limits' wall time, a start included.
    /// - Throws: ``SubprocessError`` when there is no answer and no end either.
    public func ask(_ request: [UInt8]) async throws(SubprocessError) -> Answer {
        let stop = Subprocess.Stop()
        let result: Result<Answer, SubprocessError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                pool.submit { [self] in
                    let result: Result<Answer, SubprocessError>
                    do throws(SubprocessError) { result = .success(try answer(to: request, stop)) } catch { result = .failure(error) }
                    continuation.resume(returning: result)
                }
            }
        } onCancel: {
            stop.cancel()
        }
        return try result.get()
    }

    /// Ends the processes that wait for a request.
    public func close() {
        let ending = idle.withLock { idle in
            defer { idle = [] }
            return idle
        }
        for child in ending { child.end() }
    }

    // MARK: On the pool's thread

    private func answer(to request: [UInt8], _ stop: Subprocess.Stop) throws(SubprocessError) -> Answer {
        // Writing to a child that has ended is an error code here, not the end of this process.
        var pipeSignal = sigset_t()
        sigemptyset(&pipeSignal)
        sigaddset(&pipeSignal, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &pipeSignal, nil)

        let deadline = ContinuousClock.now.advanced(by: configuration.limits.wallTime)
        guard !stop.isCancelled else { throw cancelled }
        var child: ServedChild
        if let waiting = living() { child = waiting } else { child = try start() }
        stop.attach(child.life)
        let answer: Answer
        do throws(SubprocessError) {
            answer = try child.converse(request, configuration.limits, until: deadline, program: configuration.executable)
        } catch {
            child.end()
            throw stop.isCancelled ? cancelled : error
        }
        let isCancelled = stop.detach()
        if case .answered = answer {
            if isCancelled || child.served >= configuration.requestsMax { child.end() } else { idle.withLock { [child] in $0.append(child) } }
        }
        if isCancelled { throw cancelled }
        return answer
    }

    private var cancelled: SubprocessError { SubprocessError(.cancelled, "\(configuration.executable) was cancelled") }

    /// One that waits and has not died of waiting.
    private func living() -> ServedChild? {
        while let child = idle.withLock({ $0.popLast() }) {
            if child.isQuiet { return child }
            child.end()
        }
        return nil
    }

    private func start() throws(SubprocessError) -> ServedChild {
        let launch = ChildLaunch(
            executable: configuration.executable, arguments: configuration.arguments, environment: configuration.environment,
            workingDirectory: nil, limits: configuration.limits.launcherArguments)
        var pipes: [Pipe] = []
        do throws(SubprocessError) {
            let pid = try launch.spawn { () throws(SubprocessError) in
                for _ in 0..<3 { pipes.append(try Pipe()) }
                return [.descriptor(pipes[0].reading), .descriptor(pipes[1].writing), .descriptor(pipes[2].writing)]
            }
            for descriptor in [pipes[0].reading, pipes[1].writing, pipes[2].writing] { Glibc.close(descriptor) }
            return ServedChild(life: ChildLife(pid: pid), input: pipes[0].writing, output: pipes[1].reading, error: pipes[2].reading)
        } catch {
            for pipe in pipes { pipe.closeAll() }
            throw error
        }
    }
}

/// One running process and our ends of its pipes; used by one thread at a time.
private struct ServedChild: Sendable {
    private static let errorTextMax = 32 << 10
    private static let headLength = 5

    let life: ChildLife
    private let input: Int32
    private let output: Int32
    private let error: Int32
    /// Requests that it has answered.
    private(set) var served = 0

    init(life: ChildLife, input: Int32, output: Int32, error: Int32) {
        self.life = life
        self.input = input
        self.output = output
        self.error = error
        for descriptor in [input, output, error] { _ = fcntl(descriptor, F_SETFL, O_NONBLOCK) }
    }

    /// Kills it and waits until it is gone. Once.
    func end() {
        life.killGroup()
        reap()
    }

    private func reap() {
        life.reap()
        for descriptor in [input, output, error] { close(descriptor) }
    }

    /// Whether it runs and says nothing unasked.
    var isQuiet: Bool {
        var watched = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
        return poll(&watched, 1, 0) == 0
    }

    mutating func converse(
        _ request: [UInt8], _ limits: Subprocess.Limits, until deadline: ContinuousClock.Instant, program: String
    ) throws(SubprocessError) -> ServingProcess.Answer {
        let length = UInt32(clamping: request.count)
        let unsent = (0..<4).map { UInt8(truncatingIfNeeded: length >> UInt32(24 - 8 * $0)) } + request
        var sent = 0
        var received: [UInt8] = []
        var complaint: [UInt8] = []
        while true {
            if let answer = try Self.whole(received, limits, program) {
                served += 1
                return answer
            }
            guard ContinuousClock.now < deadline else {
                throw SubprocessError(
                    .timedOut, "\(program) was killed after \(limits.wallTime)", errorText: String(decoding: complaint, as: UTF8.self))
            }
            var watched = [
                pollfd(fd: output, events: Int16(POLLIN), revents: 0), pollfd(fd: error, events: Int16(POLLIN), revents: 0),
                // A negative descriptor is passed over.
                pollfd(fd: sent < unsent.count ? input : -1, events: Int16(POLLOUT), revents: 0),
            ]
            guard poll(&watched, nfds_t(watched.count), Conversation.pollTime(until: deadline)) > 0 else { continue }
            if watched[2].revents != 0, !feed(unsent, &sent) { sent = unsent.count }
            if watched[1].revents != 0 { _ = Self.listen(error, &complaint, keepingLast: Self.errorTextMax) }
            if watched[0].revents != 0, !Self.listen(output, &received, keepingLast: nil), try Self.whole(received, limits, program) == nil {
                awaitEnd(&complaint)
                reap()
                return .ended(life.status ?? .signalled(0), errorText: String(decoding: complaint, as: UTF8.self))
            }
        }
    }

    /// It has closed its output: a moment is left for its last words and its end, which closes the other pipe too.
    private func awaitEnd(_ complaint: inout [UInt8]) {
        let deadline = ContinuousClock.now.advanced(by: .milliseconds(200))
        while Self.listen(error, &complaint, keepingLast: Self.errorTextMax), ContinuousClock.now < deadline {
            var watched = pollfd(fd: error, events: Int16(POLLIN), revents: 0)
            _ = poll(&watched, 1, Conversation.pollTime(until: deadline))
        }
        life.killGroup()
    }

    /// The answer, once all of it is there.
    private static func whole(
        _ received: [UInt8], _ limits: Subprocess.Limits, _ program: String
    ) throws(SubprocessError) -> ServingProcess.Answer? {
        guard received.count >= headLength else { return nil }
        let length = received[1..<headLength].reduce(0) { $0 << 8 | Int($1) }
        guard length <= limits.outputBytesMax, received.count <= headLength + length else {
            throw SubprocessError(.outputTooLarge, "\(program) answered with more than \(limits.outputBytesMax) bytes and was killed")
        }
        guard received.count == headLength + length else { return nil }
        return .answered(status: received[0], bytes: Array(received[headLength...]))
    }

    /// - Returns: false when it takes no more.
    private func feed(_ bytes: [UInt8], _ sent: inout Int) -> Bool {
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { write(input, $0.baseAddress.map { $0 + sent }, $0.count - sent) }
            if count > 0 {
                sent += count
            } else if errno == EAGAIN {
                return true
            } else if errno != EINTR {
                return false
            }
        }
        return true
    }

    /// - Returns: false at the end.
    private static func listen(_ descriptor: Int32, _ received: inout [UInt8], keepingLast most: Int?) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            if count < 0 && errno == EAGAIN { return true }
            guard count > 0 else { return false }
            received += chunk[..<count]
            if let most, received.count > most { received.removeFirst(received.count - most) }
        }
    }
}
