import Cryptography
import EventLoop
import Formats
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// What was stored, as it is to be remembered beside its owner.
public struct StoredFile: Sendable, Equatable {
    /// Relative to the root.
    public let path: String
    public let size: Int
    public let sha256Hex: String

    public init(path: String, size: Int, sha256Hex: String) {
        self.path = path
        self.size = size
        self.sha256Hex = sha256Hex
    }
}

/// Files that only we may read, below one folder: generated documents, invoices, attachments.
///
/// A file appears whole or not at all and stays through a power cut; writing the same path again replaces it. Files are 0600,
/// folders 0700. Paths are relative, and no symbolic link below the root is ever followed.
public final class PrivateFiles: Sendable {
    /// As it was given to the initialiser.
    public let root: String
    private let pool: BlockingPool
    private let sweptAtMs = Mutex<Int64?>(nil)
    /// Far more than any write takes.
    private static let leftAfterMs: Int64 = 3_600_000

    /// The folder is made at the first write.
    public init(root: String, pool: BlockingPool) {
        self.root = root
        self.pool = pool
    }

    /// Stores `bytes` under `relativePath`, in place of what was there.
    @discardableResult
    public func write(_ bytes: [UInt8], to relativePath: String) async throws(PrivateFilesError) -> StoredFile {
        let path = try RelativePath(relativePath)
        return try await onPool { [self] () throws(PrivateFilesError) in
            try store(bytes, path)
            return StoredFile(path: path.text, size: bytes.count, sha256Hex: Hex.encode(Digest.sha256(bytes)))
        }
    }

    /// - Parameter limit: a larger file is an error, not a cut.
    public func read(_ relativePath: String, limit: Int = 64 << 20) async throws(PrivateFilesError) -> [UInt8] {
        let path = try RelativePath(relativePath)
        return try await onPool { [self] () throws(PrivateFilesError) in
            let folder = try Folder.root(root).below(path.folders, making: false, path: path.text)
            // A pipe put there by somebody must not make us wait for its writer.
            return try OpenFile(in: folder, path.name, flags: O_RDONLY | O_NONBLOCK, path: path.text).read(limit: limit)
        }
    }

    /// Begins a file that comes in pieces. It appears when the writer has finished.
    public func begin(_ relativePath: String) async throws(PrivateFilesError) -> PrivateFileWriter {
        let path = try RelativePath(relativePath)
        return try await onPool { [self] () throws(PrivateFilesError) in
            let work = try Folder.root(root).below([RelativePath.workFolder], making: true, path: path.text)
            sweep(work)
            let temporary = Hex.encode(SecureRandom.bytes(12))
            let file = try OpenFile(in: work, temporary, flags: O_WRONLY | O_CREAT | O_EXCL, path: path.text)
            return PrivateFileWriter(file, temporary: temporary, path: path, files: self)
        }
    }

    /// Opens a plain file for whoever sends it: what is written to the path from now on does not change it.
    public func open(_ relativePath: String) async throws(PrivateFilesError) -> ReadableFile {
        let path = try RelativePath(relativePath)
        return try await onPool { [self] () throws(PrivateFilesError) in
            let folder = try Folder.root(root).below(path.folders, making: false, path: path.text)
            return try OpenFile(in: folder, path.name, flags: O_RDONLY | O_NONBLOCK, path: path.text).readable()
        }
    }

    /// Whether there is a plain file.
    public func exists(_ relativePath: String) async throws(PrivateFilesError) -> Bool { try await size(relativePath) != nil }

    /// Bytes of the plain file; nil when there is none.
    public func size(_ relativePath: String) async throws(PrivateFilesError) -> Int64? {
        let path = try RelativePath(relativePath)
        return try await onPool { [self] () throws(PrivateFilesError) in
            do throws(PrivateFilesError) {
                let folder = try Folder.root(root).below(path.folders, making: false, path: path.text)
                var information = stat()
                guard fstatat(folder.descriptor, path.name, &information, AT_SYMLINK_NOFOLLOW) == 0 else { throw .system("looking up", path.text) }
                return information.st_mode & S_IFMT == S_IFREG ? Int64(information.st_size) : nil
            } catch {
                if error.code == .notFound { return nil }
                throw error
            }
        }
    }

    /// Refuses what is no path of a private file, without looking for one.
    public static func check(_ relativePath: String) throws(PrivateFilesError) { _ = try RelativePath(relativePath) }

    /// Takes a file away; false when there was none.
    @discardableResult
    public func remove(_ relativePath: String) async throws(PrivateFilesError) -> Bool {
        let path = try RelativePath(relativePath)
        return try await onPool { [self] () throws(PrivateFilesError) in
            do throws(PrivateFilesError) {
                let folder = try Folder.root(root).below(path.folders, making: false, path: path.text)
                guard unlinkat(folder.descriptor, path.name, 0) == 0 else { throw .system("removing", path.text) }
                try folder.sync(path: path.text)
                return true
            } catch {
                if error.code == .notFound { return false }
                throw error
            }
        }
    }

    /// The path for another program, such as the one that fills a template. That the path leads nowhere else is then no longer
    /// ours to ensure.
    public func absolutePath(_ relativePath: String) throws(PrivateFilesError) -> String {
        let path = try RelativePath(relativePath)
        if root.hasPrefix("/") { return "\(root)/\(path.text)" }
        guard let here = getcwd(nil, 0) else { throw .system("looking up the current folder", path.text) }
        defer { free(here) }
        return "\(String(cString: here))/\(root)/\(path.text)"
    }

    // MARK: On the pool's threads

    func onPool<Value: Sendable, Failure: Error>(
        _ body: @escaping @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let result: Result<Value, Failure> = await withCheckedContinuation { continuation in
            pool.submit { continuation.resume(returning: Result(catching: body)) }
        }
        return try result.get()
    }

    private func store(_ bytes: [UInt8], _ path: RelativePath) throws(PrivateFilesError) {
        let root = try Folder.root(self.root)
        let work = try root.below([RelativePath.workFolder], making: true, path: path.text)
        sweep(work)
        let target = try root.below(path.folders, making: true, path: path.text)
        let temporary = Hex.encode(SecureRandom.bytes(12))
        do throws(PrivateFilesError) {
            let file = try OpenFile(in: work, temporary, flags: O_WRONLY | O_CREAT | O_EXCL, path: path.text)
            try file.write(bytes)
            try file.sync()
            guard renameat(work.descriptor, temporary, target.descriptor, path.name) == 0 else { throw .system("naming", path.text) }
            try target.sync(path: path.text)
        } catch {
            unlinkat(work.descriptor, temporary, 0)
            throw error
        }
    }

    /// Takes away what writers that were killed have left: at a process' first write, and at most once an hour from then on.
    private func sweep(_ work: borrowing Folder) {
        let nowMs = WallClock.nowMs
        let isDue = sweptAtMs.withLock { last in
            // A clock that was put back counts as time that has passed.
            if let last, (0..<Self.leftAfterMs).contains(nowMs - last) { return false }
            last = nowMs
            return true
        }
        guard isDue, let names = try? work.names(path: RelativePath.workFolder) else { return }
        let before = (nowMs - Self.leftAfterMs) / 1000
        for name in names {
            var information = stat()
            guard fstatat(work.descriptor, name, &information, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
            if information.st_mode & S_IFMT == S_IFREG && Int64(information.st_mtim.tv_sec) < before { unlinkat(work.descriptor, name, 0) }
        }
    }
}
