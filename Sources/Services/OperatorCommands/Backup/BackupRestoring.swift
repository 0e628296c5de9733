import Database
import EventLoop
import Formats
import Telemetry

#if canImport(Glibc)
    import Glibc
#endif

/// Puts a backup in place. Everything is proved before anything is touched, and what was there before is put aside, not destroyed.
struct BackupRestoring: Sendable {
    let backup: String
    let places: InstallationPlaces
    let force: Bool
    let nowMs: Int64

    struct Restored: Sendable {
        let manifest: BackupManifest
        /// Where what was there before is now.
        let putAside: [String]
        /// Whether the tables are older than this program's.
        let needsMigration: Bool
    }

    /// The backup that a path means: itself, or the newest of a folder of backups.
    static func find(_ path: String) throws(CommandFailure) -> String {
        if Folders.exists("\(path)/\(BackupManifest.name)") { return path }
        guard Folders.exists(path) else { throw CommandFailure(.notFound, "\(path) is not there") }
        guard let newest = BackupShelf(folder: path).names.last else { throw CommandFailure(.notFound, "there is no whole backup in \(path)") }
        return "\(path)/\(newest)"
    }

    /// Blocks.
    func run() throws(CommandFailure) -> Restored {
        let manifest = try proved()
        let newer = manifest.newerRooms
        guard newer.isEmpty else {
            throw CommandFailure(.failed, "the backup was made by a newer program (\(newer.joined(separator: ", "))): install that one first")
        }
        try refuseRunning()
        let there = [places.database, places.sources].filter(Folders.exists) + (Self.isEmpty(places.privateFiles) ? [] : [places.privateFiles])
        guard there.isEmpty || force else {
            throw CommandFailure(.failed, "\(there.joined(separator: " and ")) would be replaced: with --force what is there is put aside")
        }
        let mark = ".restoring-\(BackupShelf.name(atMs: nowMs))"
        // Copied beside their places first: what a full disk stops has changed nothing.
        try copy(manifest, mark: mark)
        let aside = try exchange(manifest, mark: mark)
        let own = BackupManifest.ownSchema
        return Restored(manifest: manifest, putAside: aside, needsMigration: manifest.schema != own)
    }

    /// The manifest, once every file has been found to be what it says.
    private func proved() throws(CommandFailure) -> BackupManifest {
        let manifest = try BackupManifest(of: backup)
        guard manifest.files.contains(where: { $0.path == InstallationPlaces.databaseName }) else {
            throw CommandFailure(.failed, "\(backup) has no database")
        }
        var faults: [String] = []
        for file in manifest.files {
            guard let found = try BackupFiles.measure("\(backup)/\(file.path)", as: file.path) else {
                faults.append("\(file.path) is missing")
                continue
            }
            if found != file { faults.append("\(file.path) is not the file that was backed up") }
        }
        guard faults.isEmpty else {
            let more = faults.count > 5 ? ", and \(faults.count - 5) more" : ""
            throw CommandFailure(.failed, "\(backup) is damaged: \(faults.prefix(5).joined(separator: "; "))\(more)")
        }
        return manifest
    }

    /// Every program holds a shared lock on a byte of SQLite's shared memory file for as long as it has the database open.
    private func refuseRunning() throws(CommandFailure) {
        let descriptor = open(places.database + "-shm", O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var lock = flock()
        lock.l_type = Int16(F_WRLCK)
        lock.l_whence = Int16(SEEK_SET)
        lock.l_start = Self.openByte
        lock.l_len = 1
        guard fcntl(descriptor, F_GETLK, &lock) == 0, lock.l_type != Int16(F_UNLCK) else { return }
        throw CommandFailure(.failed, "process \(lock.l_pid) has \(places.database) open: stop all programs first")
    }

    /// UNIX_SHM_DMS of SQLite's unix VFS, part of its file format.
    private static let openByte = 128

    private static func isEmpty(_ folder: String) -> Bool { BackupFiles.plainFiles(below: folder).isEmpty }

    // MARK: Copying

    private func copy(_ manifest: BackupManifest, mark: String) throws(CommandFailure) {
        do throws(CommandFailure) {
            for file in manifest.files {
                guard let target = target(of: file.path, mark: mark) else { continue }
                _ = try Folders.make(FolderPath.parent(of: target))
                let copied = try BackupFiles.copy("\(backup)/\(file.path)", to: target, as: file.path)
                guard copied == file else { throw CommandFailure(.failed, "\(file.path) changed while it was restored") }
            }
        } catch {
            discard(manifest, mark: mark)
            throw error
        }
    }

    /// Where a file is put before it has its place; nil for what nothing is known of.
    private func target(of path: String, mark: String) -> String? {
        switch path.split(separator: "/").first.map(String.init) {
        case InstallationPlaces.databaseName: places.database + mark
        case InstallationPlaces.sourcesName: places.sources + mark
        case InstallationPlaces.privateName: places.privateFiles + mark + path.dropFirst(InstallationPlaces.privateName.count)
        case InstallationPlaces.spoolName: places.spool + mark + path.dropFirst(InstallationPlaces.spoolName.count)
        default: nil
        }
    }

    private func discard(_ manifest: BackupManifest, mark: String) {
        unlink(places.database + mark)
        unlink(places.sources + mark)
        for folder in [places.privateFiles + mark, places.spool + mark] where Folders.exists(folder) { try? BackupFiles.removeTree(folder) }
    }

    // MARK: Exchanging

    private func exchange(_ manifest: BackupManifest, mark: String) throws(CommandFailure) -> [String] {
        let suffix = ".before-\(BackupShelf.name(atMs: nowMs))"
        var aside: [String] = []
        func putAside(_ path: String) throws(CommandFailure) {
            guard Folders.exists(path) else { return }
            try BackupFiles.rename(path, to: path + suffix)
            aside.append(path + suffix)
        }
        if Folders.exists(places.privateFiles + mark) {
            if Self.isEmpty(places.privateFiles) {
                if Folders.exists(places.privateFiles) { try BackupFiles.removeTree(places.privateFiles) }
            } else {
                try putAside(places.privateFiles)
            }
            try BackupFiles.rename(places.privateFiles + mark, to: places.privateFiles)
        }
        if Folders.exists(places.sources + mark) {
            try putAside(places.sources)
            // The copy of the one that was put aside is not to speak for this one.
            try putAside(places.sources + ".last-good")
            try BackupFiles.rename(places.sources + mark, to: places.sources)
        }
        try mergeSpool(mark: mark)
        // The log beside the database belongs to the one that goes.
        for part in ["-wal", "-shm"] { try putAside(places.database + part) }
        try putAside(places.database)
        try BackupFiles.rename(places.database + mark, to: places.database)
        return aside
    }

    /// A journal that is there already goes on where the backup's ends: it stays, and so does everything else of ingest's.
    private func mergeSpool(mark: String) throws(CommandFailure) {
        let copied = places.spool + mark
        guard Folders.exists(copied) else { return }
        for path in BackupFiles.plainFiles(below: copied) {
            let target = "\(places.spool)/\(path)"
            guard !Folders.exists(target) else { continue }
            _ = try Folders.make(FolderPath.parent(of: target))
            try BackupFiles.rename("\(copied)/\(path)", to: target)
        }
        try BackupFiles.removeTree(copied)
    }
}
