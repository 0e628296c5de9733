#if canImport(Glibc)
    import Glibc
#endif

/// Files that an operator hands in.
enum SmallFile {
    /// - Throws: ``CommandFailure`` when it is not there, cannot be read or has more than `limit` bytes.
    static func read(_ path: String, limit: Int) throws(CommandFailure) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            let number = errno
            throw CommandFailure(number == ENOENT ? .notFound : .failed, "\(path): \(String(cString: strerror(number)))")
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw CommandFailure(.failed, "\(path): \(String(cString: strerror(errno)))") }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
            guard bytes.count <= limit else { throw CommandFailure(.failed, "\(path) has more than the \(limit) bytes that are taken") }
        }
    }
}
