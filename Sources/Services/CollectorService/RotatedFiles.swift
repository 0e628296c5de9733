import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// The files beside a log that were the log before: `access.log.1`, `access.log-20261121`, `access-20261121.log`.
struct RotatedFiles {
    /// One of them, open.
    struct Found {
        let path: String
        let descriptor: Int32
        let status: stat

        var identity: FileIdentity { FileIdentity(status) }
        /// When it was last written to, in nanoseconds.
        var writtenAt: Int64 { Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec) }
    }

    private let folder: String
    private let name: String

    init(of path: String) {
        let slash = path.lastIndex(of: "/")
        folder = slash.map { String(path[..<$0]) } ?? "."
        name = slash.map { String(path[path.index(after: $0)...]) } ?? path
    }

    /// Where a file is now that was read before: under its own inode, or as a copy of it (which `copytruncate` makes). A copy may have less
    /// than was read: what was written between the copying and the emptying is in no copy.
    func find(_ position: FilePosition, except others: Set<FileIdentity>) -> Found? {
        var copy: Found?
        for path in paths() {
            guard let found = open(path) else { continue }
            if !others.contains(found.identity), position.fingerprint.fits(found.descriptor) {
                if found.identity == position.identity, Int64(found.status.st_size) >= position.offset {
                    if let copy { close(copy.descriptor) }
                    return found
                }
                // Without a first byte nothing tells a copy from any other file.
                if copy == nil, found.identity != position.identity, position.fingerprint.length > 0 {
                    copy = found
                    continue
                }
            }
            close(found.descriptor)
        }
        return copy
    }

    /// Files that were the log after `moment`, and that nobody has read: the oldest first.
    func missed(since moment: Int64, except others: Set<FileIdentity>, like known: [Fingerprint]) -> [Found] {
        var missed: [Found] = []
        for path in paths() {
            guard let found = open(path) else { continue }
            let isKnown = others.contains(found.identity) || known.contains { $0.length > 0 && $0.fits(found.descriptor) }
            if !isKnown, found.writtenAt >= moment, found.status.st_size > 0 { missed.append(found) } else { close(found.descriptor) }
        }
        return missed.sorted { ($0.writtenAt, $0.path) < ($1.writtenAt, $1.path) }
    }

    /// All of the folder.
    func names() -> [String] { FolderEntry.names(in: folder) ?? [] }
    func path(of name: String) -> String { "\(folder)/\(name)" }

    private func paths() -> [String] { names().filter(isRotation).map(path) }

    func open(_ path: String) -> Found? {
        guard let opened = try? OpenLog.open(path) else { return nil }
        return Found(path: path, descriptor: opened.descriptor, status: opened.status)
    }

    /// Whether a file of the folder is called as log rotation calls what it moves away. Compressed files are none: they are not read.
    func isRotation(_ other: String) -> Bool {
        if other.hasPrefix(name) { return Self.isMark(other.dropFirst(name.count)) }
        guard let dot = name.lastIndex(of: "."), dot > name.startIndex else { return false }
        let (stem, ending) = (name[..<dot], name[dot...])
        guard other.hasPrefix(stem), other.hasSuffix(ending), other.utf8.count > name.utf8.count else { return false }
        return Self.isMark(other.dropFirst(stem.count).dropLast(ending.count))
    }

    /// A number or a date, behind a point or a dash.
    private static func isMark(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, first == UInt8(ascii: ".") || first == UInt8(ascii: "-") else { return false }
        let rest = text.utf8.dropFirst()
        return rest.contains(where: ASCII.isDigit) && rest.allSatisfy { ASCII.isDigit($0) || "-_:T.".utf8.contains($0) }
    }
}
