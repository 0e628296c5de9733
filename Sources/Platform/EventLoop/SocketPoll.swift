import CEvent

#if canImport(Glibc)
    import Glibc
#endif

/// Waits on a thread of the caller's own until sockets can be read: for programs that are no server, and need a time finer than
/// the loop's milliseconds.
public struct SocketPoll: Sendable {
    private struct Entry: Sendable {
        let descriptor: Int32
        var isReadable = false
    }
    private var entries: [Entry]

    public init(_ descriptors: [Int32]) { entries = descriptors.map { Entry(descriptor: $0) } }

    /// Blocks for so many nanoseconds at most. - Returns: whether any can be read; see ``isReadable(_:)``.
    public mutating func wait(nanoseconds: Int64) -> Bool {
        var polled = entries.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        let count = quittance_poll(&polled, UInt32(polled.count), Int64(max(0, nanoseconds)))
        for place in entries.indices { entries[place].isReadable = count > 0 && polled[place].revents != 0 }
        return count > 0
    }

    /// Whether the socket at this place can be read, or has ended, as of the last wait.
    public func isReadable(_ place: Int) -> Bool { entries[place].isReadable }
}
