import EventLoop
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Runs another program to its end: bytes in, bytes out, within limits of time, memory and output.
///
/// The child has a process group of its own; whatever ends the run (deadline, too much output, cancellation, our own death)
/// kills the whole group. It gets three descriptors and exactly the given environment.
public struct Subprocess {
    /// What a run may use. A limit that is nil is the system's own.
    public struct Limits: Sendable {
        /// Time by the clock on the wall, from the start on; past it the group is killed.
        public var wallTime: Duration
        /// Seconds of CPU; the child gets SIGXCPU and a second later SIGKILL.
        public var cpuSeconds: Int?
        public var addressSpaceBytes: Int?
        /// Bytes of standard output that are kept; more kill the run.
        public var outputBytesMax: Int
        /// The largest file that the child may write.
        public var fileSizeMax: Int?

        public init(
            wallTime: Duration = .seconds(30), cpuSeconds: Int? = nil, addressSpaceBytes: Int? = nil, outputBytesMax: Int = 16 << 20,
            fileSizeMax: Int? = nil
        ) {
            self.wallTime = wallTime
            self.cpuSeconds = cpuSeconds
            self.addressSpaceBytes = addressSpaceBytes
            self.outputBytesMax = outputBytesMax
            self.fileSizeMax = fileSizeMax
        }

        var launcherArguments: [String] {
            var arguments = ["--core=0"]
            if let cpuSeconds { arguments.append("--cpu=\(cpuSeconds):\(cpuSeconds + 1)") }
            if let addressSpaceBytes { arguments.append("--as=\(addressSpaceBytes)") }
            if let fileSizeMax { arguments.append("--fsize=\(fileSizeMax)") }
            return arguments
        }
    }

    public struct Output: Sendable {
        public let status: ExitStatus
        public let output: [UInt8]
        /// The last 32 KiB of standard error.
        public let errorText: String
    }

    /// Runs `executable` (a path, or a name looked for in `PATH`) and waits for its end on a thread of `pool`, whose size so
    /// bounds how many children run at once.
    /// - Throws: ``SubprocessError`` when there is no result; a bad exit code is a result.
    public static func run(
        executable: String, arguments: [String] = [], environment: [String: String] = [:], input: [UInt8] = [], limits: Limits = Limits(),
        workingDirectory: String? = nil, pool: BlockingPool
    ) async throws(SubprocessError) -> Output {
        let launch = ChildLaunch(
            executable: executable, arguments: arguments, environment: environment, workingDirectory: workingDirectory,
            limits: limits.launcherArguments)
        let stop = Stop()
        let result: Result<Output, SubprocessError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                pool.submit { continuation.resume(returning: converse(launch, input, limits, stop)) }
            }
        } onCancel: {
            stop.cancel()
        }
        return try result.get()
    }

    /// The variables that this process was started with.
    public static let inheritedEnvironment: [String: String] = {
        let file = open("/proc/self/environ", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [:] }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16384)
        while true {
            let count = read(file, &chunk, chunk.count)
            if count <= 0 { break }
            bytes += chunk[..<count]
        }
        var variables: [String: String] = [:]
        for entry in bytes.split(separator: 0) {
            guard let equals = entry.firstIndex(of: UInt8(ascii: "=")) else { continue }
            variables[String(decoding: entry[..<equals], as: UTF8.self)] = String(decoding: entry[(equals + 1)...], as: UTF8.self)
        }
        return variables
    }()

    // MARK: On the pool's thread

    private static func converse(
        _ launch: ChildLaunch, _ input: [UInt8], _ limits: Limits, _ stop: Stop
    ) -> Result<Output, SubprocessError> {
        // Writing to a child that has closed its input is an error code here, not the end of this process.
        var pipeSignal = sigset_t()
        sigemptyset(&pipeSignal)
        sigaddset(&pipeSignal, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &pipeSignal, nil)

        guard !stop.isCancelled else { return .failure(SubprocessError(.cancelled, "\(launch.executable) was cancelled before it started")) }
        do throws(SubprocessError) {
            let (life, pipes) = try start(launch)
            let reaper = ThreadLaunch.start(name: "reaper") {
                life.reap()
                close(pipes.ended.writing)
            }
            stop.attach(life)
            var conversation = Conversation(pipes: pipes, input: input, limits: limits, life: life)
            let ending = conversation.run(program: launch.executable)
            pthread_join(reaper, nil)
            if stop.isCancelled { return .failure(SubprocessError(.cancelled, "\(launch.executable) was cancelled")) }
            return ending
        } catch {
            return .failure(error)
        }
    }

    private static func start(_ launch: ChildLaunch) throws(SubprocessError) -> (ChildLife, ConversationPipes) {
        var made: ConversationPipes?
        do throws(SubprocessError) {
            let pid = try launch.spawn { () throws(SubprocessError) in
                let pipes = try ConversationPipes.make()
                made = pipes
                return pipes.targets
            }
            guard let made else { preconditionFailure("a child without its pipes") }
            for descriptor in made.childEnds { close(descriptor) }
            return (ChildLife(pid: pid), made)
        } catch {
            made?.closeAll()
            throw error
        }
    }

    /// Joins the task's cancellation to a child that may not be born yet.
    final class Stop: Sendable {
        private let state = Mutex<(cancelled: Bool, life: ChildLife?)>((false, nil))

        var isCancelled: Bool { state.withLock(\.cancelled) }

        func attach(_ life: ChildLife) {
            let late = state.withLock { state in
                state.life = life
                return state.cancelled
            }
            if late { life.killGroup() }
        }

        func cancel() {
            // Under the lock: a child that was detached has another request.
            state.withLock { state in
                state.cancelled = true
                state.life?.killGroup()
            }
        }

        /// Lets the child go on without this task.
        /// - Returns: whether it was cancelled before.
        func detach() -> Bool {
            state.withLock { state in
                state.life = nil
                return state.cancelled
            }
        }
    }
}
