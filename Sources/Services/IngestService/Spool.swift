import Formats
import Synchronization
import Telemetry

#if canImport(Glibc)
    import Glibc
#endif

/// Accepted events that Redis could not take: on stable storage before they are answered, pushed in order once Redis is back.
///
/// The spool is a row of files of this process, each locked by it. A file that nobody has locked belonged to a process that
/// is gone: it is adopted. A crash between push and removal pushes events twice, which their ids make harmless.
final class Spool: Sendable {
    /// Bytes that may wait here; beyond them posts are answered 503.
    static let bytesMax = 4 << 30
    /// A file that has grown to this size is closed, so that draining frees the disk step by step.
    static let fileBytesMax = 64 << 20
    static let batchBytes = 1 << 20

    enum Request: Sendable {
        case append([UInt8], @Sendable (Bool) -> Void)
        /// The next events to push, in order; empty when there are none.
        case next(@Sendable ([[UInt8]]) -> Void)
        /// The events last handed out have been pushed.
        case pushed
        case adopt
        /// Tries whether the disk takes anything.
        case probe
    }

    private let state: SpoolState
    private let thread: FileThread<Request>

    init(folder: String, list: StoredList = .events, log: Log) throws {
        try FolderListing.make(folder)
        let state = SpoolState(folder: folder, log: log)
        self.state = state
        thread = FileThread(name: "spool") { state.handle($0) }
        MetricRegistry.shared.gaugeFunction(list.spoolGauge.name, help: list.spoolGauge.help) {
            Double(state.waiting.load(ordering: .relaxed))
        }
        thread.submit(.adopt)
    }

    /// Events that wait, in this process's files and in adopted ones.
    var count: Int { state.waiting.load(ordering: .relaxed) }
    /// Whether the last append failed.
    var isFailing: Bool { state.failing.load(ordering: .relaxed) }

    /// Keeps an event. `done` is called on the spool's thread: true once it is on stable storage, false when it cannot be.
    func append(_ event: [UInt8], done: @escaping @Sendable (Bool) -> Void) { thread.submit(.append(event, done)) }

    func next(_ take: @escaping @Sendable ([[UInt8]]) -> Void) { thread.submit(.next(take)) }
    func markPushed() { thread.submit(.pushed) }
    func adoptOrphans() { thread.submit(.adopt) }
    /// Brings ``isFailing`` up to date without an event.
    func probe() { thread.submit(.probe) }
    func close() { thread.close() }
}

/// The spool's files. Touched by the spool's thread only, apart from its atomics, hence `@unchecked Sendable`.
private final class SpoolState: @unchecked Sendable {
    let waiting = Atomic<Int>(0)
    let failing = Atomic<Bool>(false)
    private let folder: String
    private let log: Log
    /// Oldest first; the last one is being written.
    private var files: [SpoolFile] = []
    /// What is being pushed: from which file, how many events, and how far into it.
    private var handedOut: (file: SpoolFile, events: Int, next: Int)?
    private var serial = 0

    init(folder: String, log: Log) {
        self.folder = folder
        self.log = log
    }

    func handle(_ requests: [Spool.Request]) {
        var appends: [(event: [UInt8], done: @Sendable (Bool) -> Void)] = []
        for request in requests {
            if case .append(let event, let done) = request {
                appends.append((event, done))
                continue
            }
            flush(&appends)
            switch request {
            case .append: break
            case .next(let take): take(nextEvents())
            case .pushed: pushed()
            case .adopt: adopt()
            case .probe: probe()
            }
        }
        flush(&appends)
    }

    private func flush(_ appends: inout [(event: [UInt8], done: @Sendable (Bool) -> Void)]) {
        guard !appends.isEmpty else { return }
        var kept = true
        do {
            let total = files.reduce(0) { $0 + $1.size }
            guard total < Spool.bytesMax else { throw EventLogError(.full, "append", folder, ENOSPC) }
            let file = try writable()
            try file.append(appends.map(\.event))
            waiting.add(appends.count, ordering: .relaxed)
        } catch {
            kept = false
            log.error("the spool cannot be written", ["error": .string("\(error)"), "events": .int(Int64(appends.count))])
        }
        failing.store(!kept, ordering: .relaxed)
        for append in appends { append.done(kept) }
        appends = []
    }

    private func probe() {
        do {
            var file = try EventLogFile(path: "\(folder)/probe-\(getpid())")
            let result = Result { () throws(EventLogError) in try file.append([[UInt8](repeating: 0, count: 4096)], sync: true) }
            file.remove()
            try result.get()
            failing.store(false, ordering: .relaxed)
        } catch {
            failing.store(true, ordering: .relaxed)
        }
    }

    private func writable() throws -> SpoolFile {
        if let last = files.last, last.isOurs, last.size < Spool.fileBytesMax { return last }
        while true {
            serial += 1
            let name = "spool-\(WallClock.nowMs)-\(getpid())-\(serial).log"
            do {
                let file = try SpoolFile(path: folder + "/" + name, isOurs: true)
                files.append(file)
                return file
            } catch {
                // Another process adopted the file between its making and its locking: it is empty, so take a new one.
                guard error.kind == .locked else { throw error }
            }
        }
    }

    private func nextEvents() -> [[UInt8]] {
        while let file = files.first {
            do {
                let (events, next) = try file.read()
                if !events.isEmpty {
                    handedOut = (file, events.count, next)
                    return events
                }
                // Damaged lines only: on to what stands behind them.
                if next > file.offset {
                    file.offset = next
                    continue
                }
            } catch {
                log.error("a spool file cannot be read", ["error": .string("\(error)")])
                return []
            }
            discard(file)
        }
        return []
    }

    /// The events last handed out are on Redis. Meanwhile another file may have been adopted in front of theirs.
    private func pushed() {
        guard let (file, count, next) = handedOut else { return }
        handedOut = nil
        waiting.subtract(count, ordering: .relaxed)
        file.offset = next
        // Pushed to its end: gone at once. Left behind it would be pushed again, whole, after a crash.
        if next >= file.size { discard(file) }
    }

    private func discard(_ file: SpoolFile) {
        file.remove()
        files.removeAll { $0 === file }
    }

    private func adopt() {
        let known = Set(files.map(\.path))
        for name in FolderListing.names(in: folder) where name.hasPrefix("spool-") {
            let path = folder + "/" + name
            guard !known.contains(path), let file = try? SpoolFile(path: path, isOurs: false) else { continue }
            let count = file.count()
            log.info("adopted a spool file", ["file": .string(name), "events": .int(Int64(count))])
            files.insert(file, at: files.firstIndex { $0.isOurs } ?? files.endIndex)
            waiting.add(count, ordering: .relaxed)
        }
    }
}

/// One spool file and how far it has been pushed.
private final class SpoolFile {
    let path: String
    let isOurs: Bool
    var offset = 0
    private var file: EventLogFile

    init(path: String, isOurs: Bool) throws(EventLogError) {
        self.path = path
        self.isOurs = isOurs
        file = try EventLogFile(path: path)
    }

    var size: Int { file.size }
    func append(_ events: [[UInt8]]) throws(EventLogError) { try file.append(events, sync: true) }

    func read() throws(EventLogError) -> (events: [[UInt8]], next: Int) {
        let (events, next, _) = try file.read(from: offset, limit: Spool.batchBytes)
        return (events, next)
    }

    func count() -> Int {
        var total = 0
        var position = 0
        while let (events, next, _) = try? file.read(from: position, limit: Spool.batchBytes), next > position {
            total += events.count
            position = next
        }
        return total
    }

    func remove() { unlink(path) }
}
