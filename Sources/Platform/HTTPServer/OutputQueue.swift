#if canImport(Glibc)
    import Glibc
#endif

/// Bytes on their way to a client. Small answers are gathered in one buffer and leave in one call; a large body is queued as
/// it is, without a copy.
struct OutputQueue {
    enum Progress { case drained, blocked, failed }

    /// From this size on a body is queued instead of copied.
    static let copyMax = 32 * 1024

    private var front: [UInt8] = []
    private var sent = 0
    private var rest: [[UInt8]] = []
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
        if rest.isEmpty {
            let before = front.count
            write(&front)
            count += front.count - before
        } else {
            var buffer: [UInt8] = []
            write(&buffer)
            count += buffer.count
            rest.append(buffer)
        }
    }

    mutating func append(large body: [UInt8]) {
        rest.append(body)
        count += body.count
    }

    mutating func drain(to descriptor: Int32) -> Progress {
        while count > 0 {
            if sent == front.count {
                front = rest.removeFirst()
                sent = 0
                continue
            }
            let flags = Int32(MSG_NOSIGNAL) | (rest.isEmpty ? 0 : Int32(MSG_MORE))
            let written = front.withUnsafeBytes { bytes in
                bytes.baseAddress.map { send(descriptor, $0 + sent, bytes.count - sent, flags) } ?? 0
            }
            if written < 0 {
                if errno == EINTR { continue }
                return errno == EAGAIN ? .blocked : .failed
            }
            sent += written
            count -= written
        }
        return .drained
    }

    mutating func removeAll() { self = OutputQueue() }
}
