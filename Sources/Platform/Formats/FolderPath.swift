#if canImport(Glibc)
    import Glibc
#endif

/// Folders by their paths.
public enum FolderPath {
    /// The folder that a file stands in: `.` for a bare name.
    public static func parent(of path: String) -> String {
        path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    }

    /// Makes a folder and those above it, unless they are there. What is there stays as it is, and need not be a folder: that shows when it
    /// is used.
    /// - Parameter mode: of every folder that is made; its owner's only, unless said otherwise.
    /// - Throws: ``FileError`` with the first folder that could not be made; those above it stay.
    public static func make(_ path: String, mode: mode_t = 0o700) throws(FileError) {
        var built = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            built += (built.isEmpty || built == "/" ? "" : "/") + part
            if mkdir(built, mode) != 0 && errno != EEXIST { throw FileError(.makeFolder, built, errno) }
        }
    }

    /// Has a folder's names on the disk: a file that was made, renamed or removed is so for good only then.
    public static func sync(_ path: String) throws(FileError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(.syncFolder, path, errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw FileError(.syncFolder, path, errno) }
    }
}
