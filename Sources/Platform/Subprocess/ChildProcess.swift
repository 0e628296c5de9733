import EventLoop

#if canImport(Glibc)
    import Glibc
#endif

/// A long-lived child: a server started by a test, one of our programs. It dies with this process, however that ends, and
/// when the last reference to it goes.
public final class ChildProcess: Sendable {
    /// Where the child's standard output goes.
    public enum OutputDestination: Sendable {
        /// To ``ChildProcess/stdoutLines``.
        case lines
        /// Appended to a file, made with mode 0600.
        case file(String)
        case inherited
        case discarded
    }
    /// Where the child's standard error goes.
    public enum ErrorDestination: Sendable {
        case file(String)
        case inherited
        case discarded
        /// To where standard output goes.
        case withOutput
    }

    public struct Configuration: Sendable {
        /// A path, or a name looked for in `PATH`.
        public var executable: String
        public var arguments: [String]
        public var environment: [String: String]
        public var workingDirectory: String?
        public var output: OutputDestination
        public var errorOutput: ErrorDestination
        /// Whether the kernel kills the child when this process ends.
        public var diesWithParent: Bool

        public init(
            executable: String, arguments: [String] = [], environment: [String: String] = Subprocess.inheritedEnvironment,
            workingDirectory: String? = nil, output: OutputDestination = .lines, errorOutput: ErrorDestination = .inherited,
            diesWithParent: Bool = true
        ) {
            self.executable = executable
            self.arguments = arguments
            self.environment = environment
            self.workingDirectory = workingDirectory
            self.output = output
            self.errorOutput = errorOutput
            self.diesWithParent = diesWithParent
        }
    }

    public let configuration: Configuration
    public var pid: Int32 { life.pid }
    /// The lines of standard output, when it is `.lines`; ends when the child has closed it. To be read by one reader; of
    /// lines that nobody reads the last 10,000 are kept.
    public let stdoutLines: AsyncStream<String>

    private let life: ChildLife

    private init(_ configuration: Configuration, _ life: ChildLife, _ lines: AsyncStream<String>) {
        self.configuration = configuration
        self.life = life
        stdoutLines = lines
    }

    deinit { life.killGroup() }

    /// Starts the child. It is running when this returns, not necessarily ready.
    public static func start(_ configuration: Configuration) async throws(SubprocessError) -> ChildProcess {
        let result: Result<ChildProcess, SubprocessError> = await withCheckedContinuation { continuation in
            // The thread that gives birth also waits: the death signal is bound to the parent's thread, not its process.
            let thread = ThreadLaunch.start(name: "child") {
                do throws(SubprocessError) {
                    try spawn(configuration) { process in continuation.resume(returning: .success(process)) }.reap()
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
            pthread_detach(thread)
        }
        return try result.get()
    }

    /// Asks the child to end, by SIGTERM.
    public func terminate() { life.signal(SIGTERM) }

    /// Ends the child and its process group at once, by SIGKILL.
    public func kill9() { life.killGroup() }

    /// Sends any signal to the child itself.
    public func signal(_ number: Int32) { life.signal(number) }

    /// How the child ended; nil while it runs.
    public var exitStatus: ExitStatus? { life.status }

    public var isRunning: Bool { life.status == nil }

    /// Waits for the child's end. The cancellation of the waiting task does not shorten it.
    @discardableResult
    public func waitForExit() async -> ExitStatus {
        // A wait that nobody gives up always has an answer.
        await life.wait(life.makeTicket()) ?? .signalled(0)
    }

    /// Waits for the child's end, at most `limit`; nil when it still runs then.
    public func waitForExit(within limit: Duration) async -> ExitStatus? {
        let ticket = life.makeTicket()
        let clock = Task { [life] in
            try? await Task.sleep(for: limit)
            life.giveUp(ticket)
        }
        defer { clock.cancel() }
        return await life.wait(ticket)
    }

    /// Asks the child to end and kills it when it has not after `grace`.
    @discardableResult
    public func stop(grace: Duration = .seconds(10)) async -> ExitStatus {
        terminate()
        if let status = await waitForExit(within: grace) { return status }
        kill9()
        return await waitForExit()
    }

    // MARK: On the child's thread

    /// Hands the born child to `born` and keeps only what reaping needs, so that its deinit can end it.
    private static func spawn(
        _ configuration: Configuration, born: (ChildProcess) -> Void
    ) throws(SubprocessError) -> ChildLife {
        let launch = ChildLaunch(
            executable: configuration.executable, arguments: configuration.arguments, environment: configuration.environment,
            workingDirectory: configuration.workingDirectory, diesWithParent: configuration.diesWithParent)
        var pipe: Pipe?
        do throws(SubprocessError) {
            let pid = try launch.spawn { () throws(SubprocessError) in
                if case .lines = configuration.output { pipe = try Pipe() }
                return targets(configuration, pipe)
            }
            let life = ChildLife(pid: pid)
            let (lines, sink) = AsyncStream<String>.makeStream(bufferingPolicy: .bufferingNewest(10_000))
            if let pipe {
                close(pipe.writing)
                pthread_detach(ThreadLaunch.start(name: "child-output") { read(lines: pipe.reading, into: sink) })
            } else {
                sink.finish()
            }
            born(ChildProcess(configuration, life, lines))
            return life
        } catch {
            pipe?.closeAll()
            throw error
        }
    }

    private static func targets(_ configuration: Configuration, _ pipe: Pipe?) -> [ChildLaunch.Target] {
        let append = O_WRONLY | O_CREAT | O_APPEND
        let output: ChildLaunch.Target =
            switch configuration.output {
            case .lines: pipe.map { .descriptor($0.writing) } ?? .null
            case .file(let path): .file(path: path, flags: append)
            case .inherited: .inherited
            case .discarded: .null
            }
        let error: ChildLaunch.Target =
            switch configuration.errorOutput {
            case .file(let path): .file(path: path, flags: append)
            case .inherited: .inherited
            case .discarded: .null
            case .withOutput: .descriptor(1)
            }
        return [.null, output, error]
    }

    private static func read(lines descriptor: Int32, into sink: AsyncStream<String>.Continuation) {
        var pending: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16384)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            if count <= 0 { break }
            pending += chunk[..<count]
            while let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                sink.yield(String(decoding: pending[..<end], as: UTF8.self))
                pending.removeFirst(end + 1)
            }
        }
        if !pending.isEmpty { sink.yield(String(decoding: pending, as: UTF8.self)) }
        sink.finish()
        close(descriptor)
    }
}
