import Formats

/// The folder in which backups stand side by side, each a folder named by its moment: `20261121T020000Z`.
struct BackupShelf: Sendable {
    let folder: String

    static func name(atMs ms: Int64) -> String { Timestamp.rfc3339(ms).prefix(19).filter { $0 != "-" && $0 != ":" } + "Z" }

    /// Whole backups, the oldest first.
    var names: [String] {
        (Folders.names(in: folder) ?? []).filter { Self.isName($0) && Folders.exists("\(folder)/\($0)/\(BackupManifest.name)") }
    }

    /// A name nobody has yet.
    func freeName(atMs ms: Int64) -> String {
        let name = Self.name(atMs: ms)
        var candidate = name
        var number = 1
        while Folders.exists("\(folder)/\(candidate)") {
            number += 1
            candidate = "\(name)-\(number)"
        }
        return candidate
    }

    /// Takes away what killed makers have left.
    func sweep() throws(CommandFailure) {
        for name in Folders.names(in: folder) ?? [] where name.hasPrefix(".") && (name.hasSuffix(".partial") || name.hasSuffix(".removed")) {
            try BackupFiles.removeTree("\(folder)/\(name)")
        }
    }

    /// Keeps the newest.
    /// - Returns: the names of what was taken away.
    func prune(keeping count: Int) throws(CommandFailure) -> [String] {
        let old = Array(names.dropLast(count))
        for name in old {
            // Renamed first: half of a backup never bears a backup's name.
            let removed = "\(folder)/.\(name).removed"
            try BackupFiles.rename("\(folder)/\(name)", to: removed)
            try BackupFiles.removeTree(removed)
        }
        return old
    }

    private static func isName(_ name: String) -> Bool {
        let stem = name.prefix(16)
        guard stem.count == 16, stem.hasSuffix("Z"), stem.dropFirst(8).first == "T" else { return false }
        return name.dropFirst(16).isEmpty || name.dropFirst(16).first == "-"
    }
}
