import Formats
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// The process-wide destination: a bounded buffer that a thread of its own writes to standard error.
///
/// Its thread lives as long as the process.
///
/// `@unchecked Sendable`: everything mutable is guarded by `mutex`.
final class LogWriter: LogDestination, @unchecked Sendable {
    static let shared = LogWriter(descriptor: STDERR_FILENO)

    /// Beyond this many waiting bytes lines are dropped and counted.
    static let bytesMax = 4 << 20

    private struct Configuration {
        var format = Log.Format.text
        var program = ""
        var level = Log.Level.warning
        var hasThread = false
    }

    private let descriptor: Int32
    private let configuration = Mutex(Configuration())
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var waiting: [UInt8] = []
    private var writing = false
    private var dropped: Int64 = 0
    private let droppedTotal = MetricRegistry.shared.counter("log_lines_dropped_total", help: "Log lines lost because standard error did not keep up")

    init(descriptor: Int32) {
        self.descriptor = descriptor
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    var level: Log.Level { configuration.withLock { $0.level } }
    var format: Log.Format { configuration.withLock { $0.format } }
    var program: String { configuration.withLock { $0.program } }

    func configure(format: Log.Format, program: String, level: Log.Level) {
        let isFirst = configuration.withLock { configuration in
            defer { configuration = Configuration(format: format, program: program, level: level, hasThread: true) }
            return !configuration.hasThread
        }
        guard isFirst else { return }
        startThread()
        if self === Self.shared { atexit { LogWriter.shared.flush() } }
    }

    func write(_ line: [UInt8]) {
        guard configuration.withLock({ $0.hasThread }) else { return put(line + [0x0A]) }
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard waiting.count + line.count < Self.bytesMax else {
            dropped += 1
            droppedTotal.add()
            return
        }
        waiting.append(contentsOf: line)
        waiting.append(0x0A)
        pthread_cond_broadcast(changed)
    }

    func flush() {
        guard configuration.withLock({ $0.hasThread }) else { return }
        var deadline = timespec()
        clock_gettime(CLOCK_REALTIME, &deadline)
        deadline.tv_sec += 1
        pthread_mutex_lock(mutex)
        while !waiting.isEmpty || writing {
            if pthread_cond_timedwait(changed, mutex, &deadline) != 0 { break }
        }
        pthread_mutex_unlock(mutex)
    }

    // MARK: The thread

    private func startThread() {
        // The thread takes no signals, whatever the caller's mask: a service group waits for them elsewhere.
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        var thread = pthread_t()
        let failure = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<LogWriter>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        pthread_sigmask(SIG_SETMASK, &before, nil)
        precondition(failure == 0, "the system refuses a thread for the log (\(failure))")
        pthread_detach(thread)
    }

    private func run() {
        while true {
            pthread_mutex_lock(mutex)
            writing = false
            if waiting.isEmpty { pthread_cond_broadcast(changed) }
            while waiting.isEmpty { pthread_cond_wait(changed, mutex) }
            var taken: [UInt8] = []
            swap(&taken, &waiting)
            let lost = dropped
            dropped = 0
            writing = true
            pthread_mutex_unlock(mutex)
            put(taken)
            if lost > 0 { Log("log", destination: self).warning("log lines were dropped", ["lines": .int(lost)]) }
        }
    }

    /// Writes everything, or gives up when nobody reads it any more.
    private func put(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { buffer in
            var rest = buffer[...]
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count > 0 {
                    rest = rest.dropFirst(count)
                } else if errno == EAGAIN {
                    var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    poll(&waiting, 1, 1000)
                } else if errno != EINTR {
                    return
                }
            }
        }
    }
}

/// Keeps lines in memory, so that a test can read what would have been written.
public final class LogCapture: LogDestination {
    public let level: Log.Level
    public let format: Log.Format
    public let program: String
    private let kept = Mutex<[String]>([])

    public init(format: Log.Format = .json, program: String = "test", level: Log.Level = .debug) {
        self.format = format
        self.program = program
        self.level = level
    }

    public var lines: [String] { kept.withLock { $0 } }

    public func write(_ line: [UInt8]) {
        kept.withLock { $0.append(String(decoding: line, as: UTF8.self)) }
    }
}
