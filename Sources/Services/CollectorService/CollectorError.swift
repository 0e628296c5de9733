import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// Why the collector cannot go on. A retry helps once a person has mended what the sentence names, or a disk has room again.
public struct CollectorError: Error, Equatable, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
    init(_ error: FileError) { description = error.description }

    /// What a call of the system came to, with `errno` as it stands.
    static func system(_ what: String) -> CollectorError { CollectorError("\(what): \(String(cString: strerror(errno)))") }
}
