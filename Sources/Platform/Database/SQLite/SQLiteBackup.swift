import CSQLite
import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// A copy of the database as of one moment, complete or not there at all.
enum SQLiteBackup {
    /// Copies into `<target>.partial`, which is renamed once it is on the disk.
    static func make(of session: SQLiteSession, at target: String) throws(DatabaseError) {
        guard access(target, F_OK) != 0 else { throw DatabaseError(kind: .cannotOpen, message: "\(target) exists already") }
        let partial = target + ".partial"
        unlink(partial)
        let descriptor = open(partial, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure(partial) }
        defer { close(descriptor) }
        do throws(DatabaseError) {
            try session.backup(to: partial)
            guard fsync(descriptor) == 0, rename(partial, target) == 0 else { throw failure(target) }
            try syncFolder(of: target)
        } catch {
            unlink(partial)
            throw error
        }
    }

    private static func syncFolder(of path: String) throws(DatabaseError) {
        do throws(FileError) { try FolderPath.sync(FolderPath.parent(of: path)) } catch {
            throw DatabaseError(kind: .inputOutput, message: error.description)
        }
    }

    private static func failure(_ path: String) -> DatabaseError {
        DatabaseError(kind: .inputOutput, message: "\(path): \(systemMessage(errno))")
    }
}
