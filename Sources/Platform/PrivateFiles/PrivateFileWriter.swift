import Cryptography
import Formats
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// A private file that is being written, in pieces. Its calls come one after the other; the last is ``finish()`` or ``discard()``, and what is
/// forgotten without either is taken away with the writer.
public final class PrivateFileWriter: Sendable {
    private struct State: ~Copyable {
        let file: OpenFile
        var hasher = SHA256Hasher()
        var size = 0
        /// Whether the file has its name, or was taken away.
        var isOver = false
    }

    private let state: Mutex<State>
    private let temporary: String
    private let path: RelativePath
    private let files: PrivateFiles

    init(_ file: consuming OpenFile, temporary: String, path: RelativePath, files: PrivateFiles) {
        state = Mutex(State(file: file))
        self.temporary = temporary
        self.path = path
        self.files = files
    }

    deinit {
        if !state.withLock({ $0.isOver }) { files.remove(temporary: temporary) }
    }

    public func write(_ bytes: [UInt8]) async throws(PrivateFilesError) {
        try await files.onPool { [self] () throws(PrivateFilesError) in
            try state.withLock { (state) throws(PrivateFilesError) in
                precondition(!state.isOver, "a file that is finished or discarded is not written to")
                try state.file.write(bytes)
                state.hasher.update(bytes)
                state.size += bytes.count
            }
        }
    }

    /// Gives the file its name: when this returns, it is on stable storage.
    public func finish() async throws(PrivateFilesError) -> StoredFile {
        try await files.onPool { [self] () throws(PrivateFilesError) in
            try state.withLock { (state) throws(PrivateFilesError) in
                precondition(!state.isOver, "a file is finished once")
                try state.file.sync()
                try files.name(temporary, path)
                state.isOver = true
                return StoredFile(path: path.text, size: state.size, sha256Hex: Hex.encode(state.hasher.finish()))
            }
        }
    }

    /// Takes away what was written; nothing happens after ``finish()``.
    public func discard() async {
        await files.onPool { [self] in
            state.withLock { state in
                if !state.isOver { files.remove(temporary: temporary) }
                state.isOver = true
            }
        }
    }
}

extension PrivateFiles {
    /// On the pool.
    fileprivate func name(_ temporary: String, _ path: RelativePath) throws(PrivateFilesError) {
        let root = try Folder.root(self.root)
        let work = try root.below([RelativePath.workFolder], making: true, path: path.text)
        let target = try root.below(path.folders, making: true, path: path.text)
        guard renameat(work.descriptor, temporary, target.descriptor, path.name) == 0 else { throw .system("naming", path.text) }
        try target.sync(path: path.text)
    }

    /// On the pool. What cannot be taken away is swept by a later process.
    fileprivate func remove(temporary: String) {
        guard let work = try? Folder.root(root).below([RelativePath.workFolder], making: false, path: RelativePath.workFolder) else { return }
        unlinkat(work.descriptor, temporary, 0)
    }
}
