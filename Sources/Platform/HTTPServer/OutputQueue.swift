import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// Bytes on their way to a client. Small answers are gathered in one buffer and leave in one call; a large body is queued as
/// it is, without a copy; a piece of a file goes from the system's cache to the socket and never passes through here.
struct OutputQueue {
    enum Progress { case drained, blocked, failed }

    /// From this size on a body is queued instead of copied.
    static let copyMax = 32 * 1024
    /// What one connection may send of a file before the others have their turn.
    static let fileTurnMax = 2 * 1024 * 1024

    private enum Queued {
        case bytes([UInt8])
        case file(FilePiece)
    }

    private var front: [UInt8] = []
    private var sent = 0
    /// The file that leaves once `front` has left, and how much of its piece has.
    private var file: FilePiece?
    private var fileSent: Int64 = 0
    private var rest: [Queued] = []
    /// Bytes not yet taken by the system.
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }
    /// Whether a buffer may be lent to this queue.
    var wantsBuffer: Bool { front.capacity == 0 }

    mutating func lend(_ buffer: [UInt8]) { front = buffer }

    /// Gives the emptied buffer back, so that idle connections hold none; nil when there is none or it is larger than that.
    mutating func takeBuffer(capacityMax: Int) -> [UInt8]? {
        precondition(isEmpty, "the buffer still holds bytes")
        var taken: [UInt8] = []
        swap(&taken, &front)
        sent = 0
        guard (1...capacityMax).contains(taken.capacity) else { return nil }
        taken.removeAll(keepingCapacity: true)
        return taken
    }

    /// Lets `write` append to the queue.
    mutating func append(_ write: (inout [UInt8]) -> Void) {
        if rest.isEmpty && file == nil {
            let before = front.count
            write(&front)
            count += front.count - before
        } else {
            var buffer: [UInt8] = []
            write(&buffer)
            count += buffer.count
            rest.append(.bytes(buffer))
        }
    }

    mutating func append(large body: [UInt8]) {
        rest.append(.bytes(body))
        count += body.count
    }

    mutating func append(_ piece: FilePiece) {
        guard piece.count > 0 else { return }
        if rest.isEmpty && file == nil { file = piece } else { rest.append(.file(piece)) }
        count += Int(piece.count)
    }

    mutating func drain(to descriptor: Int32) -> Progress {
        var fileRoom = Self.fileTurnMax
        while count > 0 {
            let written: Int
            if sent < front.count {
                written = sendBytes(to: descriptor)
            } else if let piece = file {
                // The rest waits for the loop to come round: it asks at once whether there is room again.
                guard fileRoom > 0 else { return .blocked }
                written = send(piece, most: fileRoom, to: descriptor)
                // A file that ends before its length cannot be answered as promised.
                guard written != 0 else { return .failed }
                fileRoom -= max(0, written)
            } else {
                takeNext()
                continue
            }
            if written < 0 {
                if errno == EINTR { continue }
                return errno == EAGAIN ? .blocked : .failed
            }
            count -= written
        }
        return .drained
    }

    private mutating func sendBytes(to descriptor: Int32) -> Int {
        let flags = Int32(MSG_NOSIGNAL) | (rest.isEmpty && file == nil ? 0 : Int32(MSG_MORE))
        let written = front.withUnsafeBytes { bytes in
            bytes.baseAddress.map { Glibc.send(descriptor, $0 + sent, bytes.count - sent, flags) } ?? 0
        }
        sent += max(0, written)
        return written
    }

    private mutating func send(_ piece: FilePiece, most: Int, to descriptor: Int32) -> Int {
        var offset = off_t(piece.offset + fileSent)
        let written = sendfile(descriptor, piece.file.descriptor, &offset, min(most, Int(piece.count - fileSent)))
        fileSent += Int64(max(0, written))
        if fileSent == piece.count {
            file = nil
            fileSent = 0
        }
        return written
    }

    private mutating func takeNext() {
        front = []
        sent = 0
        switch rest.removeFirst() {
        case .bytes(let bytes): front = bytes
        case .file(let piece): file = piece
        }
    }

    mutating func removeAll() { self = OutputQueue() }
}
