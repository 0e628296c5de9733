#if canImport(Glibc)
    import Glibc
#endif

/// Why the collector cannot go on. A retry helps once a person has mended what the sentence names, or a disk has room again.
public struct CollectorError: Error, Equatable, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }

    /// What a call of the system came to, with `errno` as it stands.
    static func system(_ what: String) -> CollectorError { CollectorError("\(what): \(String(cString: strerror(errno)))") }
}

/// Reads a small file.
enum WholeFile {
    /// - Throws: also when the file is larger than `most`.
    static func read(_ path: String, most: Int) throws(CollectorError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system("\(path) cannot be opened") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_size <= most else { throw CollectorError("\(path) is too large") }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= most {
            let count = Glibc.read(descriptor, &piece, piece.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw .system("\(path) cannot be read") }
            if count == 0 { return bytes }
            bytes += piece[..<count]
        }
        throw CollectorError("\(path) is too large")
    }
}
