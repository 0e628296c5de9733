#if canImport(Glibc)
    import Glibc
#endif

/// A plain file that is open for reading, shared by those who send pieces of it and closed when the last of them lets go.
///
/// A file that is replaced or removed meanwhile stays readable as it was.
public final class ReadableFile: Sendable {
    public let descriptor: Int32
    /// As it was when the file was opened.
    public let size: Int64

    /// Takes the descriptor over: it is closed here and nowhere else.
    public init(owning descriptor: Int32, size: Int64) {
        precondition(descriptor >= 0 && size >= 0, "a readable file is open")
        self.descriptor = descriptor
        self.size = size
    }

    deinit { close(descriptor) }
}

/// Some bytes of an open file, to be sent without passing through our memory.
public struct FilePiece: Sendable {
    public let file: ReadableFile
    public let offset: Int64
    public let count: Int64

    public init(_ file: ReadableFile, offset: Int64, count: Int64) {
        precondition(offset >= 0 && count >= 0 && count <= file.size && offset <= file.size - count, "a piece lies within its file")
        self.file = file
        self.offset = offset
        self.count = count
    }

    /// The whole file.
    public init(_ file: ReadableFile) { self.init(file, offset: 0, count: file.size) }
}
