import Formats
import Synchronization
import Telemetry

#if canImport(Glibc)
    import Glibc
#endif

/// Every accepted event, kept for 24 hours in hourly files of this process's own, so that an emptied Redis costs a rebuild
/// and no money. Where Redis does not promise durability, an event is on stable storage here before it is answered.
final class Journal: Sendable {
    struct Entry: Sendable {
        let events: [[UInt8]]
        /// Called on the journal's thread once the events are on stable storage (true) or cannot be (false).
        let synced: (@Sendable (Bool) -> Void)?
    }

    static let keepMs: Int64 = 24 * 60 * 60_000
    private static let hourMs: Int64 = 60 * 60_000
    /// A file is followed by another one once it has this part of the bytes that all may have.
    private static let partsOfMax = 8
    /// How long events that nobody waits for may gather: a write of a millisecond's posts costs little more than one of a single post.
    private static let linger = Duration.milliseconds(3)
    private static let failures = MetricRegistry.shared.counter("ingest_journal_failures_total", help: "Events that the journal could not keep.")

    /// Bytes that may wait for the journal's disk.
    static let waitingBytesMax = 128 << 20

    private final class ByteCount: Sendable { let value = Atomic<Int>(0) }
    private let waitingBytes = ByteCount()
    private let writer: JournalWriter
    private let thread: FileThread<Entry>

    /// - Parameter bytesMax: of all files together; beyond it the oldest go before their time. Nil keeps everything for ``keepMs``.
    init(folder: String, bytesMax: Int? = nil, log: Log) throws {
        try FolderListing.make(folder)
        let writer = JournalWriter(folder: folder, bytesMax: bytesMax, log: log, failures: Self.failures)
        self.writer = writer
        let waitingBytes = waitingBytes
        thread = FileThread(name: "journal", linger: Self.linger, isUrgent: { $0.synced != nil }) { entries in
            writer.write(entries)
            waitingBytes.value.subtract(entries.reduce(0) { $0 + $1.events.reduce(0) { $0 + $1.count } }, ordering: .relaxed)
        }
    }

    /// Keeps events. Where nobody waits for it and the disk does not keep up, events beyond ``waitingBytesMax`` are left out and
    /// counted: Redis has them on stable storage, and memory is not to grow with a sick disk.
    func append(_ events: [[UInt8]], synced: (@Sendable (Bool) -> Void)? = nil) {
        let bytes = events.reduce(0) { $0 + $1.count }
        guard synced != nil || waitingBytes.value.load(ordering: .relaxed) < Self.waitingBytesMax else {
            Self.failures.add(Int64(events.count))
            return
        }
        waitingBytes.value.add(bytes, ordering: .relaxed)
        thread.submit(Entry(events: events, synced: synced))
    }

    func close() { thread.close() }

    /// Touched by the journal's thread only, hence `@unchecked Sendable`.
    private final class JournalWriter: @unchecked Sendable {
        private let folder: String
        private let bytesMax: Int?
        private let log: Log
        private let failures: Counter
        private var file: JournalFile?

        init(folder: String, bytesMax: Int?, log: Log, failures: Counter) {
            self.folder = folder
            self.bytesMax = bytesMax
            self.log = log
            self.failures = failures
        }

        func write(_ entries: [Entry]) {
            let mustSync = entries.contains { $0.synced != nil }
            var kept = true
            do {
                let file = try currentFile()
                try file.append(entries.flatMap(\.events), sync: mustSync)
            } catch {
                kept = false
                let count = Int64(entries.reduce(0) { $0 + $1.events.count })
                failures.add(count)
                log.error("the journal cannot be written", ["error": .string("\(error)"), "events": .int(count)])
            }
            for entry in entries { entry.synced?(kept) }
        }

        private func currentFile() throws -> JournalFile {
            let hour = WallClock.nowMs / Journal.hourMs
            let isFull = bytesMax.map { max in (file?.size ?? 0) > max / Journal.partsOfMax } ?? false
            if let file, file.hour == hour, !isFull { return file }
            let fresh = try JournalFile(hour: hour, part: file.map { $0.hour == hour ? $0.part + 1 : 0 } ?? 0, folder: folder)
            file = fresh
            removeOld(before: hour - Journal.keepMs / Journal.hourMs)
            if let bytesMax { removeSurplus(bytesMax) }
            return fresh
        }

        /// The oldest first, down to what leaves room for the next part. What another process may be writing is left to it.
        private func removeSurplus(_ bytesMax: Int) {
            guard let file else { return }
            let names = FolderListing.names(in: folder).filter { $0.hasPrefix("journal-") }
            let sizes = names.map { FolderListing.size(of: folder + "/" + $0) }
            var total = sizes.reduce(0, +)
            let thisHour = "journal-\(JournalFile.padded(file.hour, 10))-"
            for (name, size) in zip(names, sizes) where total > bytesMax - bytesMax / Journal.partsOfMax {
                guard name != file.name, !name.hasPrefix(thisHour) || name.hasPrefix("\(thisHour)\(getpid())-") else { continue }
                unlink(folder + "/" + name)
                total -= size
            }
        }

        /// A file's name begins with its hour, in ten digits.
        private func removeOld(before hour: Int64) {
            for name in FolderListing.names(in: folder) where name.hasPrefix("journal-") {
                if let named = Int64(name.dropFirst(8).prefix(10)), named < hour { unlink(folder + "/" + name) }
            }
        }
    }

    private final class JournalFile {
        let hour: Int64
        /// Files of one hour that were full are followed by others.
        let part: Int
        let name: String
        private var file: EventLogFile

        var size: Int { file.size }

        init(hour: Int64, part: Int, folder: String) throws(EventLogError) {
            self.hour = hour
            self.part = part
            name = "journal-\(Self.padded(hour, 10))-\(getpid())-\(Self.padded(Int64(part), 4)).log"
            file = try EventLogFile(path: "\(folder)/\(name)")
        }

        static func padded(_ number: Int64, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }

        func append(_ events: [[UInt8]], sync: Bool) throws(EventLogError) { try file.append(events, sync: sync) }
    }
}
