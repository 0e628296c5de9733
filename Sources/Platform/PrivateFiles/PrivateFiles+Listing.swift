#if canImport(Glibc)
    import Glibc
#endif

/// A file as listings show it.
public struct ListedFile: Sendable, Equatable {
    /// Relative to the root.
    public let path: String
    public let size: Int64
    public let changedAtMs: Int64
}

extension PrivateFiles {
    /// The plain files that stand directly in a folder, by name; none where there is no such folder.
    /// - Parameter after: only those whose path comes later.
    public func list(_ folder: String, after: String?, limit: Int) async throws(PrivateFilesError) -> [ListedFile] {
        let folder = try RelativePath(folder)
        return try await onPool { [self] () throws(PrivateFilesError) in
            do throws(PrivateFilesError) {
                return try listing(folder, after: after, limit: limit)
            } catch {
                if error.code == .notFound { return [] }
                throw error
            }
        }
    }

    /// Bytes that we may still write to the disk of the root.
    public func freeBytes() async throws(PrivateFilesError) -> Int64 {
        try await onPool { [self] () throws(PrivateFilesError) in
            let root = try Folder.root(root)
            var information = statvfs()
            guard fstatvfs(root.descriptor, &information) == 0 else { throw .system("asking for free space", ".") }
            return Int64(clamping: UInt64(information.f_bavail) * UInt64(information.f_frsize))
        }
    }

    /// On the pool.
    private func listing(_ path: RelativePath, after: String?, limit: Int) throws(PrivateFilesError) -> [ListedFile] {
        let folder = try Folder.root(root).below(path.folders + [path.name], making: false, path: path.text)
        var files: [ListedFile] = []
        for (file, name) in try folder.names(path: path.text).map({ ("\(path.text)/\($0)", $0) }).sorted(by: { Self.precedes($0.0, $1.0) }) {
            guard files.count < limit else { break }
            var information = stat()
            guard after.map({ Self.precedes($0, file) }) ?? true,
                // What was taken away meanwhile is none.
                fstatat(folder.descriptor, name, &information, AT_SYMLINK_NOFOLLOW) == 0, information.st_mode & S_IFMT == S_IFREG
            else { continue }
            let changedAtMs = Int64(information.st_mtim.tv_sec) * 1000 + Int64(information.st_mtim.tv_nsec) / 1_000_000
            files.append(ListedFile(path: file, size: Int64(information.st_size), changedAtMs: changedAtMs))
        }
        return files
    }

    /// The order of services that speak S3: by bytes.
    private static func precedes(_ one: String, _ other: String) -> Bool { one.utf8.lexicographicallyPrecedes(other.utf8) }
}
