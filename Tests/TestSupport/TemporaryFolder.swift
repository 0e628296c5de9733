import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// An empty folder (mode 0700) that is removed with all its content when the value goes.
///
/// The path is short, so that unix sockets fit into it.
public final class TemporaryFolder: Sendable {
    public let path: String

    public init(_ prefix: String = "quittance") throws {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(parent)/\(prefix)-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw FixtureError("no temporary folder in \(parent): error \(errno)") }
        path = template.withUnsafeBytes { String(decoding: $0.dropLast(), as: UTF8.self) }
    }

    deinit { removeTree(path) }

    /// The path of `name` inside the folder.
    public func file(_ name: String) -> String { "\(path)/\(name)" }

    /// Makes a folder inside the folder, unless it is there.
    public func makeFolder(_ name: String) throws {
        guard mkdir(file(name), 0o700) == 0 || errno == EEXIST else { throw FixtureError("\(file(name)) cannot be made: error \(errno)") }
    }

    /// Writes a small file into the folder and returns its path.
    @discardableResult
    public func write(_ text: String, to name: String) throws -> String { try write(Array(text.utf8), to: name) }

    /// Writes a small file into the folder and returns its path.
    @discardableResult
    public func write(_ bytes: [UInt8], to name: String) throws -> String {
        let target = file(name)
        guard let stream = fopen(target, "w") else { throw FixtureError("\(target) cannot be written: error \(errno)") }
        defer { fclose(stream) }
        guard fwrite(bytes, 1, bytes.count, stream) == bytes.count else { throw FixtureError("\(target) cannot be written: error \(errno)") }
        return target
    }

    /// The bytes of a file in the folder; nil when it is not there.
    public func read(_ name: String) -> [UInt8]? { readWhole(file(name)) }
}

/// Removes a folder and what is in it. A process that was just killed may still be leaving a file behind, hence a second round.
private func removeTree(_ path: String) {
    for _ in 0..<3 {
        removeContent(of: path)
        if rmdir(path) == 0 || errno == ENOENT { return }
    }
}

private func removeContent(of path: String) {
    for name in FolderEntry.names(in: path) ?? [] {
        let child = "\(path)/\(name)"
        var status = stat()
        guard lstat(child, &status) == 0 else { continue }
        if status.st_mode & S_IFMT == S_IFDIR {
            removeTree(child)
        } else {
            unlink(child)
        }
    }
}

/// A part of the test bench that could not be set up.
public struct FixtureError: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}
