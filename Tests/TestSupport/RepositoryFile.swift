#if canImport(Glibc)
    import Glibc
#endif

/// A file of the repository, by its path from the root.
public enum RepositoryFile {
    /// - Throws: when it cannot be read.
    public static func read(_ path: String) throws -> [UInt8] {
        guard let bytes = readWhole("\(repositoryRoot)/\(path)") else { throw FixtureError("\(path) cannot be read: error \(errno)") }
        return bytes
    }

    /// For files that tests write when they are asked to.
    public static func write(_ text: String, to path: String) throws {
        guard let stream = fopen("\(repositoryRoot)/\(path)", "w") else { throw FixtureError("\(path) cannot be written: error \(errno)") }
        defer { fclose(stream) }
        guard fputs(text, stream) >= 0 else { throw FixtureError("\(path) cannot be written: error \(errno)") }
    }

    /// Whether whoever runs the tests asks for something by a variable.
    public static func isAsked(for variable: String) -> Bool { getenv(variable).map { String(cString: $0) } == "1" }
}

/// The bytes of a file; nil when it cannot be opened, and `errno` says why.
func readWhole(_ path: String) -> [UInt8]? {
    guard let stream = fopen(path, "r") else { return nil }
    defer { fclose(stream) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = fread(&piece, 1, piece.count, stream)
        if count == 0 { return bytes }
        bytes += piece[..<count]
    }
}
