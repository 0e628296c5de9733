import EventLoop
import Formats
import Settings
import Telemetry

#if canImport(Glibc)
    import Glibc
#endif

/// One log by its path, through all the files that it is in turn: followed over rotation by renaming and by copying, truncation, and the
/// absence of the collector. A file is read to its end before the next one is begun.
///
/// Used on the reading thread only.
final class LogTrail {
    /// Where reading stopped.
    enum Stop { case end, full, limit }

    let file: CollectorSettings.File
    /// The oldest first. The last one is the log itself where ``hasCurrent`` says so; those before it were, and are read until they have
    /// been silent for a while: a gateway writes on into a renamed file until it is told to open the new one.
    private var logs: [OpenLog] = []
    private var hasCurrent = false
    private let beginsAtEnd: Bool
    /// Whether it is known where the log begins: what comes from then on is read whole.
    private(set) var isBegun = false
    private var finished: [FilePosition]
    /// Where the log begins, until the checkpoint has it.
    private var firstPlace: Checkpoint.Trail?
    /// Whether files of it were read in an earlier run.
    private let wasFollowed: Bool
    /// Files of the last run that were gone when this one began.
    private var goneCount = 0
    /// What the batch has of files that were let go.
    private var retiredSegments: [String] = []
    private let rotated: RotatedFiles
    private let metrics: FileMetrics
    private let log: Log
    /// When the log was last seen there, in nanoseconds by the clock that files are stamped with.
    private var lookedAt: Int64
    private var openingProblem: String?
    private var readingProblem: String?

    /// How long a file that was rotated away must be silent before it is let go.
    private let patience: Duration
    /// The system stamps files by a clock that lags a little.
    private static let stampLag: Int64 = 1_000_000_000

    /// Takes a log up where it was left.
    /// - Parameters:
    ///   - trail: what the checkpoint has of it; nil for a log that was never followed.
    init(
        _ file: CollectorSettings.File, _ trail: Checkpoint.Trail?, beginning: CollectorSettings.Beginning, patience: Duration = .seconds(60),
        metrics: FileMetrics, log: Log
    ) {
        self.file = file
        self.patience = patience
        self.metrics = metrics
        self.log = log
        rotated = RotatedFiles(of: file.path)
        finished = trail?.finished ?? []
        lookedAt = trail?.lookedAt ?? Self.now()
        wasFollowed = trail.map { !$0.files.isEmpty || !$0.finished.isEmpty } ?? false
        beginsAtEnd = beginning == .end
        if let trail {
            isBegun = true
            restore(trail.files)
        } else {
            begin()
        }
    }

    /// A log that was never followed. One that cannot be opened yet is begun when it can.
    private func begin() {
        attempt(\.openingProblem) { () throws(CollectorError) in
            let now = Self.now()
            if let fresh = try OpenLog.fresh(file.path) {
                if beginsAtEnd { fresh.goToEnd() }
                append(fresh)
                hasCurrent = true
            }
            lookedAt = now
            isBegun = true
            firstPlace = position
        }
    }

    /// Where the log begins, once.
    func takeFirstPlace() -> Checkpoint.Trail? {
        defer { firstPlace = nil }
        return firstPlace
    }

    /// Finds the files again that were being read, wherever they are by now.
    private func restore(_ positions: [FilePosition]) {
        for position in positions {
            if let opened = try? OpenLog.open(file.path) {
                if FileIdentity(opened.status) == position.identity, Int64(opened.status.st_size) >= position.offset,
                    position.fingerprint.fits(opened.descriptor)
                {
                    append(OpenLog(opened.descriptor, position))
                    hasCurrent = true
                    continue
                }
                close(opened.descriptor)
            }
            if let found = rotated.find(position, except: known) {
                append(OpenLog(found, position))
            } else {
                gone(position)
            }
        }
    }

    /// A file is nowhere as it was. Where it was compressed and is no longer than what was read, nothing of it is missing.
    private func gone(_ position: FilePosition) {
        if rotated.compressed(since: 0).contains(where: { $0.holds(position.offset) }) {
            remember(position)
        } else {
            lost(position)
            goneCount += 1
        }
    }

    private func lost(_ position: FilePosition) {
        metrics.lost.add()
        log.error(
            "a log is gone before it was read to its end, or was emptied and not copied",
            ["file": .string(file.path), "read": .int(position.offset)])
    }

    // MARK: What is where

    var position: Checkpoint.Trail { Checkpoint.Trail(files: logs.map(\.position), finished: finished, lookedAt: lookedAt) }

    /// What the batch has of the log.
    var segments: [String] { retiredSegments + logs.compactMap(\.segment) }

    func beginBatch() {
        retiredSegments = []
        for log in logs { log.beginBatch() }
    }

    /// Bytes that are written and not read.
    var lag: Int64 { logs.reduce(0) { $0 + max(0, $1.size - $1.offset) } }

    private var known: Set<FileIdentity> { Set(logs.map(\.identity)) }

    private func append(_ log: OpenLog) { logs.append(log) }

    /// Lets a file go; what the batch has of it stays.
    private func retire(_ place: Int) {
        if let segment = logs[place].segment { retiredSegments.append(segment) }
        logs.remove(at: place)
    }

    private static func now() -> Int64 { WallClock.nowMs * 1_000_000 }

    /// What keeps the log from being read; nil when nothing does.
    var problem: String? { openingProblem ?? readingProblem }

    /// An error is told once, and tried again at the next look.
    private func attempt(_ problem: ReferenceWritableKeyPath<LogTrail, String?>, _ body: () throws(CollectorError) -> Void) {
        do throws(CollectorError) {
            try body()
            self[keyPath: problem] = nil
        } catch {
            if self[keyPath: problem] != error.description {
                log.error("a log cannot be read", ["file": .string(file.path), "error": .string(error.description)])
            }
            self[keyPath: problem] = error.description
        }
    }

    // MARK: Rotation

    /// Looks whether the log is another file by now, or was emptied, and lets go what is done with.
    func look() {
        guard isBegun else { return begin() }
        let since = lookedAt - Self.stampLag
        let now = Self.now()
        attempt(\.openingProblem) { () throws(CollectorError) in
            truncation()
            // Renamed, and not there again: what is written goes into the file that we have.
            guard let opened = try OpenLog.open(file.path) else { return }
            // Whatever comes and goes before the log is there again is found by the older moment.
            lookedAt = now
            let identity = FileIdentity(opened.status)
            guard !hasCurrent || logs.last?.identity != identity else {
                close(opened.descriptor)
                return
            }
            if hasCurrent { metrics.rotations.add() }
            takeMissed(since: since, except: identity)
            append(OpenLog(descriptor: opened.descriptor, identity: identity))
            hasCurrent = true
        }
        finishSilent()
    }

    /// Files that came and went between two looks: written to since, and read by nobody.
    private func takeMissed(since: Int64, except current: FileIdentity) {
        // On the first look of all there is nothing that was being followed.
        guard wasFollowed || !logs.isEmpty || !finished.isEmpty else { return }
        // The inode of a finished file may be another's by now: such a file is known by its first bytes alone.
        for found in rotated.missed(since: since, except: known.union([current]), like: logs.map(\.fingerprint) + finished.map(\.fingerprint)) {
            append(OpenLog(descriptor: found.descriptor, identity: found.identity))
            metrics.rotations.add()
        }
        tellCompressed(since: since)
    }

    /// Files that came, went and were compressed between two looks: they are not read, and that is said.
    private func tellCompressed(since: Int64) {
        let read = logs.map(\.size) + finished.map(\.offset)
        let unread = rotated.compressed(since: since).filter { archive in !read.contains { archive.holds($0) } }
        // Those that were gone at the start are the oldest, and were told of then.
        for archive in unread.dropFirst(goneCount) {
            metrics.lost.add()
            log.warning("a log was compressed before it was read", ["file": .string(file.path), "compressed": .string(archive.path)])
        }
        goneCount = 0
    }

    /// A log that was emptied begins anew. Where it was copied before (`copytruncate`), the copy has what was not read yet.
    private func truncation() {
        guard hasCurrent, let current = logs.last, current.change() == .truncated else { return }
        let position = current.position
        metrics.truncations.add()
        retire(logs.count - 1)
        hasCurrent = false
        if let copy = rotated.find(position, except: known.union([position.identity])) {
            append(OpenLog(copy, position))
        } else {
            lost(position)
        }
    }

    /// Lets go of files that were rotated away and have been silent for long enough.
    private func finishSilent() {
        // Without the log itself the last one may still be written to.
        while hasCurrent, logs.count > 1, let oldest = logs.first, oldest.isSilent(for: patience) {
            remember(oldest.position)
            onUnfinished?(oldest.offset, oldest.size - oldest.offset)
            retire(0)
        }
    }

    private func remember(_ position: FilePosition) {
        finished.append(position)
        if finished.count > Checkpoint.finishedMax { finished.removeFirst() }
    }

    /// Called with what stands behind the last whole line of a file that is let go, where anything does.
    var onUnfinished: ((_ offset: Int64, _ length: Int64) -> Void)?

    // MARK: Reading

    /// Reads on, file after file.
    /// - Parameter budget: bytes that may still be read in this turn.
    func read(into intake: inout LineIntake, _ buffer: UnsafeMutableRawBufferPointer, budget: inout Int) -> Stop {
        var stop = Stop.end
        attempt(\.readingProblem) { () throws(CollectorError) in
            for log in logs {
                stop = try read(log, into: &intake, buffer, budget: &budget)
                guard stop == .end else { return }
            }
        }
        return stop
    }

    private func read(
        _ log: OpenLog, into intake: inout LineIntake, _ buffer: UnsafeMutableRawBufferPointer, budget: inout Int
    ) throws(CollectorError) -> Stop {
        while budget > 0 {
            let count = try log.read(into: buffer)
            // Only what is still the file that we know: emptied between the look and the reading, it waits for the next look.
            guard count > 0, log.change() == .none else {
                log.noteEnd()
                return .end
            }
            let piece = UnsafeBufferPointer(rebasing: UnsafeRawBufferPointer(buffer).assumingMemoryBound(to: UInt8.self)[..<count])
            if log.isSkipping {
                let rest = piece.firstIndex(of: 0x0A).map { $0 + 1 }
                log.advance(rest ?? count, isSkipping: rest == nil)
                note(log, rest ?? count, &budget)
                continue
            }
            let (done, isFull) = intake.take(piece, file.format, at: log.offset)
            if done > 0 {
                log.advance(done)
                note(log, done, &budget)
            }
            if isFull { return .full }
            guard done == 0 else { continue }
            if count > LineIntake.lineMax {
                intake.reject(.overlong, at: log.offset, length: count, "more than \(LineIntake.lineMax) bytes")
                log.advance(count, isSkipping: true)
                note(log, count, &budget)
                continue
            }
            // Half a line: the rest is still to be written.
            log.noteEnd(rest: count)
            return .end
        }
        return .limit
    }

    private func note(_ log: OpenLog, _ count: Int, _ budget: inout Int) {
        log.noteMore()
        metrics.read.add(Int64(count))
        budget -= count
    }
}

extension OpenLog {
    /// A file that was read before, from where it was left. Its first bytes were compared.
    fileprivate convenience init(_ descriptor: Int32, _ position: FilePosition) {
        self.init(
            descriptor: descriptor, identity: position.identity, offset: position.offset, isSkipping: position.isSkipping,
            head: FileHead.read(descriptor, position.fingerprint.length) ?? [])
    }

    /// The same, where it lies now; a copy may end before the place that was reached.
    fileprivate convenience init(_ found: RotatedFiles.Found, _ position: FilePosition) {
        self.init(
            descriptor: found.descriptor, identity: found.identity, offset: min(position.offset, Int64(found.status.st_size)),
            isSkipping: position.isSkipping, head: FileHead.read(found.descriptor, position.fingerprint.length) ?? [])
    }
}
