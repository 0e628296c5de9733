import EventLoop
import Formats
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// An append-only file of events, one line each: sixteen hex digits of checksum, a blank, the event's JSON. A torn last line
/// is recognised by its checksum.
///
/// All calls block: they belong on a thread of their own.
struct EventLogFile: ~Copyable {
    let path: String
    private let descriptor: Int32
    private(set) var size: Int

    /// Opens (or creates) the file and locks it for this process.
    /// - Throws: ``EventLogError``; `locked` when another process has it.
    init(path: String) throws(EventLogError) {
        let opened = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard opened >= 0 else { throw EventLogError(.system, "open", path, errno) }
        guard flock(opened, LOCK_EX | LOCK_NB) == 0 else {
            let number = errno
            close(opened)
            throw EventLogError(number == EWOULDBLOCK ? .locked : .system, "flock", path, number)
        }
        // Whoever had the lock just before may have removed the file: what were written into it now would be lost with this process.
        var status = stat()
        guard fstat(opened, &status) == 0, status.st_nlink > 0 else {
            close(opened)
            throw EventLogError(.locked, "open", path, ENOENT)
        }
        self.path = path
        descriptor = opened
        size = Int(lseek(opened, 0, SEEK_END))
        if size == 0 { Self.syncFolder(of: path) } else { endTornLine() }
    }

    /// A new name is on stable storage only once its folder is.
    private static func syncFolder(of path: String) {
        try? FolderPath.sync(FolderPath.parent(of: path))
    }

    /// A crash may have left half a line: it is ended, so that it does not spoil the one behind it.
    private mutating func endTornLine() {
        var last: UInt8 = 0
        guard pread(descriptor, &last, 1, off_t(size - 1)) == 1, last != UInt8(ascii: "\n") else { return }
        var ending = UInt8(ascii: "\n")
        if write(descriptor, &ending, 1) == 1 { size += 1 }
    }

    deinit { close(descriptor) }

    /// Appends lines in one write.
    /// - Parameter sync: whether they must be on stable storage before the call returns.
    mutating func append(_ events: [[UInt8]], sync: Bool) throws(EventLogError) {
        var buffer: [UInt8] = []
        buffer.reserveCapacity(events.reduce(0) { $0 + $1.count + 18 })
        for event in events { EventLogLine.append(event, to: &buffer) }
        var written = 0
        while written < buffer.count {
            let count = buffer.withUnsafeBytes { write(descriptor, $0.baseAddress! + written, buffer.count - written) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                let number = errno
                // Half a line would spoil the next one: take it back.
                ftruncate(descriptor, off_t(size))
                throw EventLogError(number == ENOSPC || number == EDQUOT ? .full : .system, "write", path, number)
            }
            written += count
        }
        if sync {
            guard fdatasync(descriptor) == 0 else {
                let number = errno
                // Nobody was told that these are kept, and what stands behind them later must not be lost with them.
                ftruncate(descriptor, off_t(size))
                throw EventLogError(number == ENOSPC || number == EDQUOT ? .full : .system, "fdatasync", path, number)
            }
        }
        size += buffer.count
    }

    /// Reads whole lines from `offset`, at most about `limit` bytes (at least one line).
    /// - Returns: the events, and the offset behind them. Damaged lines are left out.
    func read(from offset: Int, limit: Int) throws(EventLogError) -> (events: [[UInt8]], next: Int, damaged: Int) {
        try EventLogLine.read(descriptor, path, from: offset, limit: limit)
    }

    consuming func remove() { unlink(path) }
}

/// One line of an event log.
enum EventLogLine {
    static func append(_ event: [UInt8], to buffer: inout [UInt8]) {
        appendChecksum(of: event, to: &buffer)
        buffer.append(UInt8(ascii: " "))
        buffer.append(contentsOf: event)
        buffer.append(UInt8(ascii: "\n"))
    }

    /// As `EventLogFile.read`.
    static func read(
        _ descriptor: Int32, _ path: String, from offset: Int, limit: Int
    ) throws(EventLogError) -> (events: [[UInt8]], next: Int, damaged: Int) {
        var wanted = limit
        while true {
            var buffer = [UInt8](repeating: 0, count: wanted)
            let count = buffer.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, wanted, off_t(offset)) }
            guard count >= 0 else { throw EventLogError(.system, "read", path, errno) }
            guard let lastBreak = buffer[..<count].lastIndex(of: UInt8(ascii: "\n")) else {
                // No whole line: the end of the file, a torn end, or a line longer than the buffer.
                if count < wanted { return ([], offset, 0) }
                wanted *= 2
                continue
            }
            var events: [[UInt8]] = []
            var damaged = 0
            for line in buffer[..<lastBreak].split(separator: UInt8(ascii: "\n")) {
                if let event = event(in: line) { events.append(event) } else { damaged += 1 }
            }
            return (events, offset + lastBreak + 1, damaged)
        }
    }

    static func event(in line: ArraySlice<UInt8>) -> [UInt8]? {
        guard line.count > 17, line[line.startIndex + 16] == UInt8(ascii: " ") else { return nil }
        let event = Array(line.dropFirst(17))
        var checksum: [UInt8] = []
        appendChecksum(of: event, to: &checksum)
        return checksum.elementsEqual(line.prefix(16)) ? event : nil
    }

    private static func appendChecksum(of event: [UInt8], to buffer: inout [UInt8]) {
        let sum = event.withUnsafeBytes { checksum($0) }
        for shift in stride(from: 60, through: 0, by: -4) {
            let digit = UInt8(truncatingIfNeeded: sum >> UInt64(shift)) & 15
            buffer.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") - 10 + digit)
        }
    }

    /// Eight bytes a step, each folded in by a multiplication: finds torn and damaged lines; nobody is meant to be kept out by it.
    private static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325 ^ UInt64(bytes.count)
        func fold(_ word: UInt64) {
            let product = (hash ^ word).multipliedFullWidth(by: 0x9e37_79b9_7f4a_7c15)
            hash = product.high ^ product.low
        }
        var offset = 0
        while offset + 8 <= bytes.count {
            fold(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
            offset += 8
        }
        var rest: UInt64 = 0
        while offset < bytes.count {
            rest = rest << 8 | UInt64(bytes[offset])
            offset += 1
        }
        fold(rest)
        return hash
    }
}

/// What a file of events could not do.
struct EventLogError: Error, CustomStringConvertible {
    enum Kind: Sendable { case locked, full, system }
    let kind: Kind
    let description: String

    init(_ kind: Kind, _ operation: String, _ path: String, _ number: Int32) {
        self.kind = kind
        description = "\(operation) \(path): \(String(cString: strerror(number)))"
    }
}

/// Reads journals and spools from outside, for `quittance rebuild-queues` and tests.
public enum EventLogReader {
    /// The events of every file of `folder` whose name begins with `prefix`, in the order of the names; locked files too.
    public static func events(in folder: String, prefix: String) throws -> [[UInt8]] {
        var events: [[UInt8]] = []
        for name in FolderListing.names(in: folder) where name.hasPrefix(prefix) {
            let descriptor = open(folder + "/" + name, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw EventLogError(.system, "open", name, errno) }
            defer { close(descriptor) }
            let size = Int(lseek(descriptor, 0, SEEK_END))
            var buffer = [UInt8](repeating: 0, count: size)
            var filled = 0
            while filled < size {
                let count = buffer.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress! + filled, size - filled, off_t(filled)) }
                guard count > 0 else { break }
                filled += count
            }
            events += buffer[..<filled].split(separator: UInt8(ascii: "\n")).compactMap(EventLogLine.event(in:))
        }
        return events
    }

    /// Hands on the events of one file in their order, in pieces of a few megabytes: a file may be larger than memory.
    /// - Returns: how many lines were damaged.
    @discardableResult
    public static func forEachPiece(of path: String, _ body: ([[UInt8]]) async throws -> Void) async throws -> Int {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw EventLogError(.system, "open", path, errno) }
        defer { close(descriptor) }
        var offset = 0
        var damaged = 0
        while true {
            let piece = try EventLogLine.read(descriptor, path, from: offset, limit: pieceBytes)
            guard piece.next > offset else { return damaged }
            offset = piece.next
            damaged += piece.damaged
            if !piece.events.isEmpty { try await body(piece.events) }
        }
    }

    private static let pieceBytes = 4 << 20
}

enum FolderListing {
    /// Names of the folder's files, sorted; empty when there is no such folder.
    static func names(in folder: String) -> [String] {
        FolderEntry.names(in: folder) ?? []
    }

    /// Bytes of a file; 0 when it cannot be asked.
    static func size(of path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }

    /// Makes the folder and those above it, for this user only.
    static func make(_ path: String) throws(EventLogError) {
        do throws(FileError) { try FolderPath.make(path) } catch { throw EventLogError(.system, "mkdir", error.path, error.number) }
    }
}
