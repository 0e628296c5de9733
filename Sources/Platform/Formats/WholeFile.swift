#if canImport(Glibc)
    import Glibc
#endif

/// Small files, read and replaced as a whole. Every call blocks.
public enum WholeFile {
    private static let pieceSize = 65_536

    /// Everything in a file, or in whatever else can be read to an end.
    /// - Throws: ``FileError``; its `isTooLarge` says that there are more than `most` bytes.
    public static func read(_ path: String, most: Int) throws(FileError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(.open, path, errno) }
        defer { close(descriptor) }
        return try read(from: descriptor, at: path, most: most)
    }

    /// The same of a file that is open already, so that what was asked about it before is true of what is read.
    public static func read(from descriptor: Int32, at path: String, most: Int) throws(FileError) -> [UInt8] {
        var status = stat()
        // A plain file is not read in vain; others have no size, or none that means anything.
        if fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size > most { throw .tooLarge(path) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: pieceSize)
        while bytes.count <= most {
            let count = Glibc.read(descriptor, &piece, piece.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw FileError(.read, path, errno) }
            if count == 0 { return bytes }
            bytes += piece[..<count]
        }
        throw .tooLarge(path)
    }

    /// Puts a file in the place of another, or where none was: a reader sees the old bytes or the new ones, and so does whoever starts after
    /// a power cut. When it returns the new ones are on the disk.
    /// - Parameters:
    ///   - draft: where the new file is written first, in the same folder; what lies there goes. Two who replace one file at the same time
    ///     need drafts of their own.
    ///   - mode: of the new file; its owner's only, unless said otherwise.
    /// - Throws: ``FileError``. The old file is still there and the draft is gone, except where the operation is `syncFolder`: then the new
    ///   file stands, and only a power cut may bring the old one back.
    public static func replace(_ path: String, with bytes: [UInt8], draft: String, mode: mode_t = 0o600) throws(FileError) {
        unlink(draft)
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw FileError(.write, draft, errno) }
        do throws(FileError) {
            defer { close(descriptor) }
            try write(bytes, descriptor, draft)
            guard fsync(descriptor) == 0 else { throw FileError(.sync, draft, errno) }
            guard rename(draft, path) == 0 else { throw FileError(.replace, path, errno) }
        } catch {
            unlink(draft)
            throw error
        }
        try FolderPath.sync(FolderPath.parent(of: path))
    }

    private static func write(_ bytes: [UInt8], _ descriptor: Int32, _ path: String) throws(FileError) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress?.advanced(by: written), $0.count - written) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw FileError(.write, path, errno) }
            written += count
        }
    }
}
