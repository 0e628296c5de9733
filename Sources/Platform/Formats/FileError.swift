#if canImport(Glibc)
    import Glibc
#endif

/// What the system refused of a file or folder. A retry helps once the disk, or whoever owns the place, has changed something.
public struct FileError: Error, Equatable, CustomStringConvertible {
    public enum Operation: Sendable { case open, read, write, sync, replace, makeFolder, syncFolder }

    public let operation: Operation
    /// The file or folder that was refused, which may lie above the one that was asked for.
    public let path: String
    /// As `errno` had it.
    public let number: Int32

    public init(_ operation: Operation, _ path: String, _ number: Int32) {
        self.operation = operation
        self.path = path
        self.number = number
    }

    static func tooLarge(_ path: String) -> FileError { FileError(.read, path, EFBIG) }

    /// Whether a file has more bytes than its reader takes.
    public var isTooLarge: Bool { operation == .read && number == EFBIG }

    /// The system's words for ``number``.
    public var reason: String { String(cString: strerror(number)) }

    public var description: String {
        switch operation {
        case .open: "\(path) cannot be opened: \(reason)"
        case .read: isTooLarge ? "\(path) is too large" : "\(path) cannot be read: \(reason)"
        case .write: "\(path) cannot be written: \(reason)"
        case .sync: "\(path) cannot be synced: \(reason)"
        case .replace: "\(path) cannot be replaced: \(reason)"
        case .makeFolder: "the folder \(path) cannot be made: \(reason)"
        case .syncFolder: "the folder \(path) cannot be synced: \(reason)"
        }
    }
}
