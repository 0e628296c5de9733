import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// An open folder. Everything below is reached from its descriptor and never through a symbolic link, so that renaming or
/// linking by somebody else cannot lead a write elsewhere.
struct Folder: ~Copyable {
    let descriptor: Int32

    private init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// The root itself, made with its parents when missing. The root's own path is the operator's and may contain links.
    static func root(_ path: String) throws(PrivateFilesError) -> Folder {
        do throws(FileError) { try FolderPath.make(path) } catch {
            // A folder that may not be made may be there.
            guard access(path, F_OK) == 0 else { throw .system("making the root folder", path) }
        }
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system("opening the root folder", path) }
        return Folder(descriptor: descriptor)
    }

    /// The folder `names` deep below this one.
    /// - Parameter making: makes what is missing, durably, with mode 0700.
    func below(_ names: [String], making: Bool, path: String) throws(PrivateFilesError) -> Folder {
        var current = try opened(".", path)
        for name in names {
            if making {
                if mkdirat(current.descriptor, name, 0o700) == 0 {
                    guard fsync(current.descriptor) == 0 else { throw .system("syncing a folder", path) }
                } else if errno != EEXIST {
                    throw .system("making a folder", path)
                }
            }
            current = try current.opened(name, path)
        }
        return current
    }

    private func opened(_ name: String, _ path: String) throws(PrivateFilesError) -> Folder {
        let below = openat(descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard below >= 0 else { throw .system("opening a folder", path) }
        return Folder(descriptor: below)
    }

    func sync(path: String) throws(PrivateFilesError) {
        guard fsync(descriptor) == 0 else { throw .system("syncing a folder", path) }
    }

    /// What stands in it, in no order.
    func names(path: String) throws(PrivateFilesError) -> [String] {
        // The stream takes over a descriptor of its own.
        let copy = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0 else { throw .system("opening a folder", path) }
        guard let stream = fdopendir(copy) else {
            close(copy)
            throw .system("reading a folder", path)
        }
        defer { closedir(stream) }
        return FolderEntry.names(on: stream)
    }
}

/// An open file.
struct OpenFile: ~Copyable {
    private let descriptor: Int32
    private let path: String

    /// - Parameter flags: `O_NOFOLLOW` and `O_CLOEXEC` are added.
    init(in folder: borrowing Folder, _ name: String, flags: Int32, path: String) throws(PrivateFilesError) {
        descriptor = openat(folder.descriptor, name, flags | O_NOFOLLOW | O_CLOEXEC, 0o600)
        self.path = path
        guard descriptor >= 0 else { throw .system("opening", path) }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    func write(_ bytes: [UInt8]) throws(PrivateFilesError) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress.map { $0 + written }, $0.count - written) }
            guard count >= 0 || errno == EINTR else { throw .system("writing", path) }
            written += max(count, 0)
        }
    }

    /// Waits until what was written is on stable storage.
    func sync() throws(PrivateFilesError) {
        guard fsync(descriptor) == 0 else { throw .system("syncing", path) }
    }

    /// The plain file for whoever sends it, open for as long as somebody holds it.
    func readable() throws(PrivateFilesError) -> ReadableFile {
        let size = try plainSize()
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        guard copy >= 0 else { throw .system("opening", path) }
        posix_fadvise(copy, 0, 0, POSIX_FADV_SEQUENTIAL)
        return ReadableFile(owning: copy, size: size)
    }

    private func plainSize() throws(PrivateFilesError) -> Int64 {
        var information = stat()
        guard fstat(descriptor, &information) == 0 else { throw .system("reading", path) }
        guard information.st_mode & S_IFMT == S_IFREG else { throw PrivateFilesError(code: .invalidPath, message: "\(path) is no plain file") }
        return Int64(information.st_size)
    }

    /// Everything, when it is a plain file of at most `limit` bytes.
    func read(limit: Int) throws(PrivateFilesError) -> [UInt8] {
        let size = Int(try plainSize())
        func tooLarge() -> PrivateFilesError { PrivateFilesError(code: .tooLarge, message: "\(path) is larger than \(limit) bytes") }
        guard size <= limit else { throw tooLarge() }
        // One byte more than the file had, to see its end; a file that grows meanwhile is read on, up to the limit.
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: min(size, 1 << 20) + 1)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw .system("reading", path) }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= limit else { throw tooLarge() }
        }
    }
}
