#if canImport(Glibc)
    import Glibc
#endif

/// Why a private file could not be written or read.
public struct PrivateFilesError: Error, Sendable, CustomStringConvertible {
    public enum Code: Sendable, Equatable {
        /// Absolute, with `..`, through a symbolic link, or otherwise not a name that we keep files under.
        case invalidPath
        case notFound
        /// Larger than the reader allows.
        case tooLarge
        /// The system refused: full, read-only, no descriptors, broken.
        case system(Int32)
    }
    public let code: Code
    /// Names the path within the root and the rule, never the content.
    public let message: String

    /// Whether the same call may succeed later: whatever the system refused may be put right, bad paths stay bad.
    public var isTransient: Bool {
        if case .system = code { return true }
        return false
    }

    /// Whether the disk is full or the quota used up.
    public var isFull: Bool { code == .system(ENOSPC) || code == .system(EDQUOT) }

    public var description: String { message }

    static func system(_ operation: String, _ path: String, _ number: Int32 = errno) -> PrivateFilesError {
        let reason = String(cString: strerror(number))
        switch number {
        case ENOENT: return PrivateFilesError(code: .notFound, message: "\(path): no such file")
        case ELOOP, ENOTDIR, EISDIR: return PrivateFilesError(code: .invalidPath, message: "\(path): \(operation): \(reason)")
        default: return PrivateFilesError(code: .system(number), message: "\(path): \(operation): \(reason)")
        }
    }
}
