import Cryptography
import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// Files and folders as backups copy them: for this user only, on the disk when the call returns, never through a link.
enum BackupFiles {
    private static let pieceSize = 1 << 20

    /// Copies a plain file into a new one.
    /// - Returns: what was copied; nil when the source has gone meanwhile.
    static func copy(_ source: String, to target: String, as name: String) throws(CommandFailure) -> BackupManifest.File? {
        let reading = open(source, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard reading >= 0 else {
            if errno == ENOENT { return nil }
            throw failure("reading", source)
        }
        defer { close(reading) }
        let writing = open(target, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard writing >= 0 else { throw failure("making", target) }
        defer { close(writing) }
        var hasher = SHA256Hasher()
        var bytes: Int64 = 0
        try forEachPiece(reading, source) { piece throws(CommandFailure) in
            hasher.update(piece)
            bytes += Int64(piece.count)
            try write(piece, writing, target)
        }
        guard fsync(writing) == 0 else { throw failure("syncing", target) }
        return BackupManifest.File(path: name, bytes: bytes, sha256: Hex.encode(hasher.finish()))
    }

    /// What a file has now; nil when there is none.
    static func measure(_ path: String, as name: String) throws(CommandFailure) -> BackupManifest.File? {
        let reading = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard reading >= 0 else {
            if errno == ENOENT { return nil }
            throw failure("reading", path)
        }
        defer { close(reading) }
        var hasher = SHA256Hasher()
        var bytes: Int64 = 0
        try forEachPiece(reading, path) { piece in
            hasher.update(piece)
            bytes += Int64(piece.count)
        }
        return BackupManifest.File(path: name, bytes: bytes, sha256: Hex.encode(hasher.finish()))
    }

    /// Writes a new file.
    static func create(_ path: String, _ bytes: [UInt8]) throws(CommandFailure) {
        let writing = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard writing >= 0 else { throw failure("making", path) }
        defer { close(writing) }
        try bytes.withUnsafeBufferPointer { (all) throws(CommandFailure) in try write(all, writing, path) }
        guard fsync(writing) == 0 else { throw failure("syncing", path) }
    }

    /// Plain files below a folder by their paths within it, in order; links and other things are left out.
    /// - Parameter leavingOut: names at the top that are not looked at.
    static func plainFiles(below folder: String, leavingOut: Set<String> = []) -> [String] {
        var found: [String] = []
        for name in Folders.names(in: folder) ?? [] where !leavingOut.contains(name) {
            var information = stat()
            guard lstat("\(folder)/\(name)", &information) == 0 else { continue }
            switch information.st_mode & S_IFMT {
            case S_IFREG: found.append(name)
            case S_IFDIR: found += plainFiles(below: "\(folder)/\(name)").map { "\(name)/\($0)" }
            default: continue
            }
        }
        return found
    }

    /// Renames, and has the folder on the disk.
    static func rename(_ path: String, to target: String) throws(CommandFailure) {
        guard Glibc.rename(path, target) == 0 else { throw failure("renaming \(path) to", target) }
        try sync(FolderPath.parent(of: target))
    }

    /// Has a folder's names on the disk.
    static func sync(_ folder: String) throws(CommandFailure) {
        do throws(FileError) { try FolderPath.sync(folder) } catch { throw CommandFailure(.failed, error.description) }
    }

    /// Takes a folder away with all that is in it; links in it are taken away, not followed.
    static func removeTree(_ folder: String) throws(CommandFailure) {
        for name in Folders.names(in: folder) ?? [] {
            let path = "\(folder)/\(name)"
            var information = stat()
            guard lstat(path, &information) == 0 else { continue }
            if information.st_mode & S_IFMT == S_IFDIR {
                try removeTree(path)
            } else if unlink(path) != 0 {
                throw failure("removing", path)
            }
        }
        guard rmdir(folder) == 0 else { throw failure("removing", folder) }
    }

    static func failure(_ operation: String, _ path: String) -> CommandFailure {
        CommandFailure(.failed, "\(operation) \(path): \(String(cString: strerror(errno)))")
    }

    // MARK: Bytes

    private static func forEachPiece(
        _ descriptor: Int32, _ path: String, _ body: (UnsafeBufferPointer<UInt8>) throws(CommandFailure) -> Void
    ) throws(CommandFailure) {
        var information = stat()
        guard fstat(descriptor, &information) == 0 else { throw failure("reading", path) }
        guard information.st_mode & S_IFMT == S_IFREG else { throw CommandFailure(.failed, "\(path) is no plain file") }
        let piece = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: pieceSize)
        defer { piece.deallocate() }
        while true {
            let count = read(descriptor, piece.baseAddress, piece.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw failure("reading", path) }
            if count == 0 { return }
            try body(UnsafeBufferPointer(rebasing: piece[..<count]))
        }
    }

    private static func write(_ bytes: UnsafeBufferPointer<UInt8>, _ descriptor: Int32, _ path: String) throws(CommandFailure) {
        var written = 0
        while written < bytes.count {
            let count = Glibc.write(descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw failure("writing", path) }
            written += count
        }
    }
}
