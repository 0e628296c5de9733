#if canImport(Glibc)
    import Glibc
#endif

/// One log file that is open, and how far it has been read. A file that is renamed or removed meanwhile is read on.
///
/// Used on the reading thread only.
final class OpenLog {
    /// What happened to the file under our hands.
    enum Change { case none, truncated }

    let descriptor: Int32
    let identity: FileIdentity
    private(set) var offset: Int64
    private(set) var isSkipping: Bool
    /// Where the batch begins that is being gathered.
    private(set) var batchStart: Int64
    /// The first bytes, as they were when they were first seen. A file of which nothing is read yet may be emptied too.
    private(set) var head: [UInt8]
    /// Since when nothing has come, and how large the file was then.
    private var quiet: (since: ContinuousClock.Instant, size: Int64)?

    /// Takes the descriptor over.
    init(descriptor: Int32, identity: FileIdentity, offset: Int64 = 0, isSkipping: Bool = false, head: [UInt8] = []) {
        self.descriptor = descriptor
        self.identity = identity
        self.offset = offset
        self.isSkipping = isSkipping
        self.head = head
        batchStart = offset
        if head.isEmpty { noteHead() }
    }

    deinit { close(descriptor) }

    /// Opens a plain file; nil when it is not there.
    static func open(_ path: String) throws(CollectorError) -> (descriptor: Int32, status: stat)? {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        if descriptor < 0 && errno == ENOENT { return nil }
        guard descriptor >= 0 else { throw .system("\(path) cannot be opened") }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw CollectorError("\(path) is no plain file")
        }
        return (descriptor, status)
    }

    /// A file that nobody has read yet, from its beginning.
    static func fresh(_ path: String) throws(CollectorError) -> OpenLog? {
        try open(path).map { OpenLog(descriptor: $0.descriptor, identity: FileIdentity($0.status)) }
    }

    // MARK: What it is like now

    var size: Int64 {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int64(status.st_size) : 0
    }

    var fingerprint: Fingerprint { Fingerprint(head) }
    var position: FilePosition { FilePosition(identity: identity, fingerprint: fingerprint, offset: offset, isSkipping: isSkipping) }

    /// Whether what was read is still what stands there. A file that was emptied and has grown beyond our place since begins with other
    /// bytes: each line has its time.
    func change() -> Change {
        if size < offset { return .truncated }
        guard !head.isEmpty else {
            noteHead()
            return .none
        }
        return FileHead.read(descriptor, head.count) == head ? .none : .truncated
    }

    private func noteHead() { head = FileHead.read(descriptor, Int(min(size, Int64(Fingerprint.lengthMax)))) ?? [] }

    // MARK: Reading

    /// Fills the buffer from where the next line begins.
    /// - Returns: how many bytes there are; 0 at the end.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws(CollectorError) -> Int {
        while true {
            let count = pread(descriptor, buffer.baseAddress, buffer.count, off_t(offset))
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw .system("an access log cannot be read") }
            return count
        }
    }

    /// So many bytes are done with.
    func advance(_ count: Int, isSkipping: Bool = false) {
        offset += Int64(count)
        self.isSkipping = isSkipping
        let length = min(Int(min(offset, Int64(Fingerprint.lengthMax))), Fingerprint.lengthMax)
        // It grows as the file does, over bytes that were read.
        if head.count < length, let longer = FileHead.read(descriptor, length), longer.starts(with: head) { head = longer }
    }

    /// Reading has come to the end of what was there.
    /// - Parameter rest: bytes that were seen and not taken: half a line.
    func noteEnd(rest: Int = 0) {
        let seen = offset + Int64(rest)
        if quiet?.size != seen { quiet = (ContinuousClock.now, seen) }
    }

    /// Something was read.
    func noteMore() { quiet = nil }

    /// Whether nothing has come for so long, and nothing has now.
    func isSilent(for patience: Duration) -> Bool {
        guard let quiet else { return false }
        return ContinuousClock.now - quiet.since >= patience && size == quiet.size
    }

    /// Begins at the end of what is there, behind its last whole line.
    func goToEnd() {
        let size = size
        var last: UInt8 = 0
        offset = size
        isSkipping = size > 0 && !(pread(descriptor, &last, 1, off_t(size - 1)) == 1 && last == 0x0A)
        noteHead()
        batchStart = offset
    }

    /// What the batch has of this file: which bytes of it.
    var segment: String? {
        offset > batchStart ? "\(identity.device):\(identity.inode):\(fingerprint.hash):\(batchStart)-\(offset)" : nil
    }

    func beginBatch() { batchStart = offset }
}
