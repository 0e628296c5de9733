import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// The file that holds a ``SourceBook``: for its owner only, replaced as a whole, with the last good one kept beside it.
public struct SourcesFile: Sendable {
    public let path: String
    /// What was last found good, in force while the file cannot be used.
    public var copyPath: String { path + ".last-good" }
    private var lockPath: String { path + ".lock" }

    static let sizeMax = 1 << 20

    public init(path: String) { self.path = path }

    /// What the file came to.
    public enum Reading: Sendable, Equatable {
        /// There is neither a file nor a copy.
        case absent
        case good(SourceBook)
        /// The file cannot be used, and this is its last good copy.
        case copy(SourceBook, problem: String)
        /// Neither can be used.
        case unusable(problem: String)
    }

    /// Reads the file, or else its copy. Blocks.
    public func read() -> Reading {
        switch Result(catching: { () throws(SourcesFileError) in try Self.book(at: path) }) {
        case .success(let book?): return .good(book)
        case .success(nil):
            guard let copy = try? Self.book(at: copyPath) else { return .absent }
            return .copy(copy, problem: "\(path) is gone")
        case .failure(let error):
            guard let copy = try? Self.book(at: copyPath) else { return .unusable(problem: error.description) }
            return .copy(copy, problem: error.description)
        }
    }

    /// The last good book; nil when there is none.
    public func readCopy() -> SourceBook? { try? Self.book(at: copyPath) }

    /// Changes the file under a lock: what others write meanwhile is not lost. Blocks.
    /// - Parameter change: gets the book as it stands, an empty one where there is none.
    public func change<Value>(_ change: (inout SourceBook) throws -> Value) throws -> Value {
        try makeFolder()
        let lock = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw SourcesFileError("lock", lockPath, errno) }
        defer { close(lock) }
        while flock(lock, LOCK_EX) != 0 { guard errno == EINTR else { throw SourcesFileError("lock", lockPath, errno) } }
        var book: SourceBook
        switch read() {
        case .absent: book = SourceBook()
        case .good(let found), .copy(let found, _): book = found
        case .unusable(let problem): throw SourcesFileError(problem)
        }
        let before = book
        let value = try change(&book)
        let isThere = access(path, F_OK) == 0
        if book != before || !isThere {
            // What nobody could read is not to be written: a program would refuse its own file.
            _ = try SourceBook(decoding: book.encoded())
            try Self.replace(path, book.encoded())
        }
        return value
    }

    /// Notes that a book is good: a program has made its sources of it. Nothing depends on it now, so nobody is told when the disk refuses.
    public func keepCopy(of book: SourceBook) {
        guard (try? Self.book(at: copyPath)) != book else { return }
        try? Self.replace(copyPath, book.encoded())
    }

    /// Tells one state of the file from another without reading it.
    public struct Signature: Sendable, Equatable {
        let device, file, size, seconds, nanoseconds, permissions: Int64
    }

    /// nil when there is no file.
    public var signature: Signature? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return Signature(
            device: Int64(status.st_dev), file: Int64(status.st_ino), size: Int64(status.st_size), seconds: Int64(status.st_mtim.tv_sec),
            nanoseconds: Int64(status.st_mtim.tv_nsec), permissions: Int64(status.st_mode))
    }

    // MARK: The disk

    /// nil when there is no such file.
    private static func book(at path: String) throws(SourcesFileError) -> SourceBook? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw SourcesFileError("open", path, errno)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw SourcesFileError("stat", path, errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw SourcesFileError("\(path) is no file") }
        let permissions = status.st_mode & 0o777
        guard permissions & 0o077 == 0 else {
            throw SourcesFileError("\(path) is open to other users (\(String(permissions, radix: 8))): it holds secrets; chmod 600 \(path)")
        }
        guard [0, geteuid()].contains(status.st_uid) || geteuid() == 0 else { throw SourcesFileError("\(path) belongs to another user") }
        let bytes: [UInt8]
        do throws(FileError) { bytes = try WholeFile.read(from: descriptor, at: path, most: sizeMax) } catch {
            throw error.isTooLarge ? SourcesFileError("\(path) has more than \(sizeMax) bytes") : SourcesFileError(error)
        }
        do { return try SourceBook(decoding: bytes) } catch { throw SourcesFileError("\(path) cannot be used: \(error)") }
    }

    private static func replace(_ path: String, _ bytes: [UInt8]) throws(SourcesFileError) {
        do throws(FileError) { try WholeFile.replace(path, with: bytes, draft: path + ".\(getpid()).new") } catch {
            // It stands all the same, and a power cut leaves a whole file either way.
            guard error.operation != .syncFolder else { return }
            throw SourcesFileError(error)
        }
    }

    private func makeFolder() throws(SourcesFileError) {
        do throws(FileError) { try FolderPath.make(FolderPath.parent(of: path)) } catch { throw SourcesFileError(error) }
    }
}

/// A sources file that cannot be read or written. A retry helps once the disk or the file's owner has changed something.
public struct SourcesFileError: Error, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
    init(_ error: FileError) { description = error.description }
    init(_ operation: String, _ path: String, _ number: Int32) { description = "\(operation) \(path): \(String(cString: strerror(number)))" }
}
