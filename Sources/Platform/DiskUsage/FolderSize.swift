#if canImport(Glibc)
    import Glibc
#endif

/// What a folder takes on its disk.
public struct FolderSize: Sendable, Equatable {
    /// Blocks that are allocated, in bytes: a hole in a file takes none, the folders themselves take theirs.
    public let bytes: Int64
    /// Files, folders, links and whatever else is in it, itself included.
    public let entries: Int
    /// What could not be read; its bytes are not in the sum.
    public let unreadable: Int
    /// Folders that are mounted from another file system and were left out.
    public let otherFileSystems: Int

    public init(bytes: Int64, entries: Int, unreadable: Int = 0, otherFileSystems: Int = 0) {
        self.bytes = bytes
        self.entries = entries
        self.unreadable = unreadable
        self.otherFileSystems = otherFileSystems
    }
}

/// A folder to be measured.
public struct MeasuredFolder: Sendable, Hashable {
    public let path: String
    /// Whether the path itself may be a symbolic link. An operator's path may; one that was found in a folder must not be
    /// followed elsewhere. Below the folder no link is ever followed.
    public let mayBeLink: Bool

    public init(_ path: String, mayBeLink: Bool = true) {
        self.path = path
        self.mayBeLink = mayBeLink
    }
}

/// Why a folder could not be measured at all.
public struct DiskUsageError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Code: Sendable, Equatable {
        case notFound
        case notAFolder
        case notPermitted
        /// The system gave no descriptor or no memory.
        case exhausted
        /// The same folder stands at an earlier place of the list, where it was counted.
        case sameFolder(as: Int)
        case other(Int32)
    }
    public let code: Code
    public let path: String

    public init(code: Code, path: String) {
        self.code = code
        self.path = path
    }

    init(errno number: Int32, path: String) {
        self.path = path
        code =
            switch number {
            case ENOENT: .notFound
            case ENOTDIR, ELOOP: .notAFolder
            case EACCES, EPERM: .notPermitted
            case EMFILE, ENFILE, ENOMEM: .exhausted
            default: .other(number)
            }
    }

    /// Whether measuring again may succeed without anybody doing something about it.
    public var isTransient: Bool {
        switch code {
        case .exhausted, .other: true
        case .notFound, .notAFolder, .notPermitted, .sameFolder: false
        }
    }

    public var description: String {
        switch code {
        case .notFound: "\(path) is not there"
        case .notAFolder: "\(path) is no folder"
        case .notPermitted: "\(path) may not be read"
        case .exhausted: "\(path) could not be read: no descriptor or no memory left"
        case .sameFolder: "\(path) is listed twice"
        case .other(let number): "\(path) could not be read: system error \(number)"
        }
    }
}
