import EventLoop
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// A process under test: its output is captured line by line, signals can be sent to it, and it is gone (with its whole process group)
/// when the value goes, or when the test process does.
public final class ProcessFixture: Sendable {
    /// How a process ended.
    public enum Ending: Sendable, Equatable {
        case exited(Int32)
        case signalled(Int32)
    }
    public enum Stream: Sendable { case output, errors }
    public struct Line: Sendable {
        public let stream: Stream
        public let text: String
    }

    public let name: String
    public let pid: pid_t
    private let capture: Capture

    /// Starts a program.
    /// - Parameters:
    ///   - executable: a path, or a name to be found on `PATH`.
    ///   - environment: added to (or in place of, see `inheriting`) the environment of the test process.
    ///   - folder: where it runs; the test's own folder unless given.
    public static func start(
        _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:], inheriting: Bool = true, folder: String? = nil
    ) async throws -> ProcessFixture {
        let whole = (inheriting ? Spawning.inheritedEnvironment() : [:]).merging(environment) { $1 }
        return try await Spawning.thread.run {
            let child = try Spawning.start(executable, arguments, environment: whole, folder: folder)
            return ProcessFixture(name: executable, child: child)
        }
    }

    private init(name: String, child: Spawning.Child) {
        self.name = name
        pid = child.pid
        let capture = Capture()
        self.capture = capture
        pthread_detach(ThreadLaunch.start(name: "capture") { capture.readLines(output: child.output, errors: child.errors) })
        pthread_detach(ThreadLaunch.start(name: "wait") { capture.awaitEnd(of: child.pid) })
    }

    deinit { end() }

    // MARK: Output

    /// All lines so far, of both streams, in the order in which they were read.
    public var lines: [Line] { capture.state.withLock { $0.lines } }
    /// The lines of standard output so far.
    public var output: [String] { lines.filter { $0.stream == .output }.map(\.text) }
    /// The lines of standard error so far.
    public var errors: [String] { lines.filter { $0.stream == .errors }.map(\.text) }
    /// Everything captured, for a failure's message.
    public var transcript: String { lines.map(\.text).joined(separator: "\n") }

    /// Waits for a line, of either stream, that contains `text`.
    @discardableResult
    public func waitForLine(
        containing text: String, within limit: Duration = .seconds(20), fileID: StaticString = #fileID, line: UInt = #line
    ) async throws -> String {
        var found: String?
        let deadline = ContinuousClock.now.advanced(by: limit)
        while true {
            // The end is looked up first: whatever was written before it is then among the lines.
            let ended = capture.state.withLock { $0.streamsEnded ? $0.ending : nil }
            found = lines.first { $0.text.contains(text) }?.text
            if let found { return found }
            if let ended {
                throw FixtureError("\(fileID):\(line): \(name) ended (\(ended)) without a line containing \"\(text)\":\n\(transcript)")
            }
            if ContinuousClock.now >= deadline {
                throw FixtureError("\(fileID):\(line): \(name) wrote no line containing \"\(text)\" within \(limit):\n\(transcript)")
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    // MARK: Life

    /// How it ended; nil while it runs.
    public var ending: Ending? { capture.state.withLock { $0.ending } }
    public var isRunning: Bool { ending == nil }

    /// Sends a signal to the process; nothing happens when it has ended.
    public func signal(_ number: Int32) {
        // Not reaped yet, so the number cannot belong to another process by now.
        capture.state.withLock { if $0.ending == nil { kill(pid, number) } }
    }
    public func terminate() { signal(SIGTERM) }
    public func kill9() { signal(SIGKILL) }
    public func pause() { signal(SIGSTOP) }
    public func resume() { signal(SIGCONT) }

    /// Waits until the process has ended, by itself or by a signal sent before, and what it said has been read.
    @discardableResult
    public func waitForExit(within limit: Duration = .seconds(20), fileID: StaticString = #fileID, line: UInt = #line) async throws -> Ending {
        let deadline = ContinuousClock.now.advanced(by: limit)
        var endedAt: ContinuousClock.Instant?
        while true {
            if let ending {
                // What it wrote last may still be on its way; what it has left behind may hold the streams open for good.
                let since = endedAt ?? .now
                endedAt = since
                if capture.state.withLock({ $0.streamsEnded }) || since.duration(to: .now) > .milliseconds(500) { return ending }
            }
            if ContinuousClock.now >= deadline {
                throw FixtureError("\(fileID):\(line): \(name) still runs after \(limit):\n\(transcript)")
            }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    /// Kills the process and its group at once, and returns when it is gone. Called at the latest when the value goes.
    public func end() {
        capture.state.withLock { if !$0.reaped { kill(-pid, SIGKILL) } }
        capture.waitUntilEnded()
        capture.state.withLock { state in
            guard !state.reaped else { return }
            var status: Int32 = 0
            _ = waitpid(pid, &status, 0)
            state.reaped = true
        }
    }
}

/// What the capturing threads and the fixture share.
///
/// `@unchecked Sendable`: the condition variable and its mutex are made for several threads.
private final class Capture: @unchecked Sendable {
    struct State {
        var lines: [ProcessFixture.Line] = []
        var ending: ProcessFixture.Ending?
        var streamsEnded = false
        /// Until then the process id, and that of its group, is ours even though the process has ended.
        var reaped = false
    }
    let state = Mutex(State())
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let ended = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(ended, nil)
    }

    deinit {
        pthread_cond_destroy(ended)
        pthread_mutex_destroy(mutex)
        ended.deallocate()
        mutex.deallocate()
    }

    func awaitEnd(of pid: pid_t) {
        // Waits without reaping: the group of a process that has ended can then still be killed without hitting a stranger.
        var information = siginfo_t()
        while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0 && errno == EINTR {}
        let status = information._sifields._sigchld.si_status
        pthread_mutex_lock(mutex)
        state.withLock { $0.ending = information.si_code == CLD_EXITED ? .exited(status) : .signalled(status) }
        pthread_cond_broadcast(ended)
        pthread_mutex_unlock(mutex)
    }

    func waitUntilEnded() {
        pthread_mutex_lock(mutex)
        while state.withLock({ $0.ending == nil }) { pthread_cond_wait(ended, mutex) }
        pthread_mutex_unlock(mutex)
    }

    func readLines(output: Int32, errors: Int32) {
        var sources = [pollfd(fd: output, events: Int16(POLLIN), revents: 0), pollfd(fd: errors, events: Int16(POLLIN), revents: 0)]
        let streams: [ProcessFixture.Stream] = [.output, .errors]
        var rest: [[UInt8]] = [[], []]
        var piece = [UInt8](repeating: 0, count: 16384)
        while sources.contains(where: { $0.fd >= 0 }) {
            guard poll(&sources, nfds_t(sources.count), -1) > 0 else { continue }
            for index in sources.indices where sources[index].fd >= 0 && sources[index].revents != 0 {
                let count = read(sources[index].fd, &piece, piece.count)
                if count > 0 {
                    rest[index] += piece[..<count]
                } else if count == 0 || errno != EINTR {
                    close(sources[index].fd)
                    sources[index].fd = -1
                    if !rest[index].isEmpty { rest[index].append(UInt8(ascii: "\n")) }
                }
                take(&rest[index], streams[index])
            }
        }
        state.withLock { $0.streamsEnded = true }
    }

    private func take(_ bytes: inout [UInt8], _ stream: ProcessFixture.Stream) {
        guard let last = bytes.lastIndex(of: UInt8(ascii: "\n")) else { return }
        let texts = bytes[..<last].split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        let found = texts.map { ProcessFixture.Line(stream: stream, text: String(decoding: $0, as: UTF8.self)) }
        bytes.removeSubrange(...last)
        state.withLock { $0.lines += found }
    }
}
