import TestSupport

#if canImport(Glibc)
    import Glibc
#endif

/// Recorded messages of `Tests/Fixtures`.
enum CommandFixture {
    static func bytes(_ path: String) throws -> [UInt8] {
        let root = "/" + #filePath.split(separator: "/").dropLast(2).joined(separator: "/")
        guard let stream = fopen("\(root)/Fixtures/\(path)", "r") else { throw FixtureError("\(path) cannot be read: error \(errno)") }
        defer { fclose(stream) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = fread(&bytes, 1, bytes.count, stream)
        return Array(bytes[..<count])
    }
}

func chmodOpen(_ path: String) -> Bool { chmod(path, 0o755) == 0 }
