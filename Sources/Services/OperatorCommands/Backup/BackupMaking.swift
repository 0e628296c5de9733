import Database
import EventLoop
import Formats
import Settings

#if canImport(Glibc)
    import Glibc
#endif

/// Where the parts of an installation are, and what they are called in a backup.
struct InstallationPlaces: Sendable {
    let database: String
    let privateFiles: String
    let spool: String
    let sources: String

    static let databaseName = "database.db"
    static let privateName = "private"
    static let spoolName = "spool"
    static let sourcesName = "sources.json"
    /// Where private files are written before they get their name.
    static let incoming = ".incoming"

    /// - Throws: ``CommandFailure`` when the database is no file.
    init(_ context: CommandContext) throws(CommandFailure) {
        guard let path = context.databasePath else { throw CommandFailure(.failed, "the database is a server's: use its own means of backup") }
        database = path
        privateFiles = context.settings.privateMediaRoot
        spool = context.settings.spoolDirectory
        sources = context.settings.sourcesFile
    }

    /// As they stand in a folder of a run unless settings say otherwise.
    init(in folder: String) {
        database = "\(folder)/quittance.db"
        privateFiles = "\(folder)/private"
        spool = "\(folder)/spool"
        sources = "\(folder)/sources.json"
    }
}

/// Makes a backup while everything runs.
///
/// The order carries the promise. The database comes first, as of one moment: a file written later that no row knows is harmless, a
/// row without its file is not. Ingest's journals and spool come after it: an event that was accepted before that moment is in the
/// copied database or in the copied journal.
struct BackupMaking: Sendable {
    let places: InstallationPlaces
    let shelf: BackupShelf
    let pool: BlockingPool

    struct Made: Sendable {
        let path: String
        let manifest: BackupManifest
        let removed: [String]
    }

    func make(of database: Database, keeping count: Int?, nowMs: Int64) async throws -> Made {
        let shelf = shelf
        let (name, lock) = try await pool.run { () -> (String, ShelfLock) in
            try refuseOwnFolders()
            _ = try Folders.make(shelf.folder)
            let lock = try ShelfLock(shelf)
            try shelf.sweep()
            return (shelf.freeName(atMs: nowMs), lock)
        }
        defer { lock.release() }
        let partial = "\(shelf.folder)/.\(name).partial"
        do {
            try await pool.run { _ = try Folders.make(partial) }
            try await database.backup(to: "\(partial)/\(InstallationPlaces.databaseName)")
            return try await pool.run {
                let manifest = try fill(partial, nowMs: nowMs)
                let path = "\(shelf.folder)/\(name)"
                try BackupFiles.rename(partial, to: path)
                return Made(path: path, manifest: manifest, removed: try count.map { (number) in try shelf.prune(keeping: number) } ?? [])
            }
        } catch {
            try? await pool.run { if Folders.exists(partial) { try BackupFiles.removeTree(partial) } }
            throw error
        }
    }

    /// A backup among the files it copies would copy itself.
    private func refuseOwnFolders() throws(CommandFailure) {
        for own in [places.privateFiles, places.spool] where Self.resolved(shelf.folder).hasPrefix(Self.resolved(own)) {
            throw CommandFailure(.failed, "\(shelf.folder) lies in \(own), which is itself backed up: name another folder")
        }
    }

    /// With a slash at its end. A folder that is not there yet is taken as it is written.
    private static func resolved(_ path: String) -> String {
        guard let found = realpath(path, nil) else { return path + "/" }
        defer { free(found) }
        return String(cString: found) + "/"
    }

    private func fill(_ folder: String, nowMs: Int64) throws(CommandFailure) -> BackupManifest {
        var files: [BackupManifest.File] = []
        let database = "\(folder)/\(InstallationPlaces.databaseName)"
        guard let copied = try BackupFiles.measure(database, as: InstallationPlaces.databaseName) else {
            throw BackupFiles.failure("reading", database)
        }
        files.append(copied)
        // The file beside which the last good copy stands; read as it is, whole, since it is only ever replaced.
        if let sources = try BackupFiles.copy(places.sources, to: "\(folder)/\(InstallationPlaces.sourcesName)", as: InstallationPlaces.sourcesName) {
            files.append(sources)
        }
        files += try copyTree(places.privateFiles, into: folder, as: InstallationPlaces.privateName, leavingOut: [InstallationPlaces.incoming])
        files += try copyTree(places.spool, into: folder, as: InstallationPlaces.spoolName)
        let manifest = BackupManifest(createdAtMs: nowMs, schema: BackupManifest.ownSchema, files: files.sorted { $0.path < $1.path })
        try BackupFiles.create("\(folder)/\(BackupManifest.name)", manifest.encoded)
        try BackupFiles.sync(folder)
        return manifest
    }

    private func copyTree(
        _ source: String, into folder: String, as name: String, leavingOut: Set<String> = []
    ) throws(CommandFailure) -> [BackupManifest.File] {
        var copied: [BackupManifest.File] = []
        var made: Set<String> = []
        for path in BackupFiles.plainFiles(below: source, leavingOut: leavingOut) {
            let target = "\(folder)/\(name)/\(path)"
            let place = FolderPath.parent(of: target)
            if made.insert(place).inserted { _ = try Folders.make(place) }
            // Gone since it was listed: an hour's journal at its end, a spool that was drained, a file that was replaced by none.
            if let file = try BackupFiles.copy("\(source)/\(path)", to: target, as: "\(name)/\(path)") { copied.append(file) }
        }
        for place in made { try BackupFiles.sync(place) }
        return copied
    }
}

/// Held from the sweep to the last rename.
final class ShelfLock: Sendable {
    private let descriptor: Int32

    init(_ shelf: BackupShelf) throws(CommandFailure) {
        let path = "\(shelf.folder)/.lock"
        descriptor = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw BackupFiles.failure("locking", path) }
        // What is thrown from here on closes it by the end of this object.
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw CommandFailure(.failed, "another backup into \(shelf.folder) is being made")
        }
    }

    func release() { flock(descriptor, LOCK_UN) }

    deinit { if descriptor >= 0 { close(descriptor) } }
}
