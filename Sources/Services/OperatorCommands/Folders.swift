import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// Folders as commands look at them and make them.
enum Folders {
    /// Names of a folder's files, sorted; nil when there is no such folder or it may not be read.
    static func names(in folder: String) -> [String]? { FolderEntry.names(in: folder) }

    /// Bytes of a file; nil when there is none.
    static func size(of path: String) -> Int64? {
        var information = stat()
        return stat(path, &information) == 0 ? Int64(information.st_size) : nil
    }

    /// Kind and permissions of what is at a path; nil when there is nothing.
    static func mode(of path: String) -> (isFolder: Bool, permissions: UInt32)? {
        var information = stat()
        guard stat(path, &information) == 0 else { return nil }
        return (information.st_mode & S_IFMT == S_IFDIR, UInt32(information.st_mode & 0o777))
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }
    static func isExecutable(_ path: String) -> Bool { access(path, X_OK) == 0 }
    static func isWritable(_ path: String) -> Bool { access(path, W_OK | X_OK) == 0 }

    /// Makes a folder and those above it, for this user only.
    /// - Returns: whether it was made now.
    static func make(_ path: String) throws(CommandFailure) -> Bool {
        if let found = mode(of: path) {
            guard found.isFolder else { throw CommandFailure(.failed, "\(path) is no folder") }
            return false
        }
        do throws(FileError) { try FolderPath.make(path) } catch { throw CommandFailure(.failed, error.description) }
        return true
    }
}
