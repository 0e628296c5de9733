/// Brings one SQLite file to the program's version, or says why it is not there.
struct SQLiteMigrator {
    let session: SQLiteSession
    let path: String

    /// Within the writers' turn.
    func migrate(_ sets: [MigrationSet]) throws(DatabaseError) -> [AppliedMigration] {
        try session.executeScript(
            """
            CREATE TABLE IF NOT EXISTS quittance_migrations (
                room TEXT NOT NULL,
                number INTEGER NOT NULL CHECK (number >= 1),
                name TEXT NOT NULL,
                checksum TEXT NOT NULL,
                applied_at INTEGER NOT NULL,
                PRIMARY KEY (room, number)
            ) STRICT;
            """)
        // Everything is compared before anything is changed.
        var pending: [(room: String, migration: Migration)] = []
        for set in sets {
            for migration in try set.pending(after: try applied(set.room)) { pending.append((set.room, migration)) }
        }
        var done: [AppliedMigration] = []
        for (room, migration) in pending { done.append(try apply(migration, room)) }
        return done
    }

    func check(_ sets: [MigrationSet]) throws(DatabaseError) {
        let exists = try session.rows("SELECT 1 FROM sqlite_schema WHERE name = 'quittance_migrations'", [], atMost: 1)
        guard !exists.isEmpty else {
            throw DatabaseError(kind: .migration, message: "\(path) has no tables yet: run `quittance migrate`")
        }
        for set in sets {
            guard let first = try set.pending(after: try applied(set.room)).first else { continue }
            throw DatabaseError(
                kind: .migration,
                message: "\(path) is too old for this program: \(set.room) lacks migration \(first.number) (\(first.name)); run `quittance migrate`")
        }
    }

    private func applied(_ room: String) throws(DatabaseError) -> [AppliedMigration] {
        var applied: [AppliedMigration] = []
        for row in try session.rows(
            "SELECT number, name, checksum, applied_at FROM quittance_migrations WHERE room = $1 ORDER BY number", [.text(room)], atMost: .max)
        {
            applied.append(try AppliedMigration(room: room, row: row))
        }
        return applied
    }

    private func apply(_ migration: Migration, _ room: String) throws(DatabaseError) -> AppliedMigration {
        try session.beginImmediate()
        do throws(DatabaseError) {
            // As in a write: the migration may not end our transaction.
            session.isLent = true
            defer { session.isLent = false }
            try session.executeScript(migration.sqlite)
            guard
                let row = try session.rows(
                    """
                    INSERT INTO quittance_migrations (room, number, name, checksum, applied_at)
                    VALUES ($1, $2, $3, $4, CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER))
                    RETURNING number, name, checksum, applied_at
                    """, [.text(room), .int(migration.number), .text(migration.name), .text(migration.checksum)], atMost: 1
                ).first
            else { throw DatabaseError(kind: .migration, message: "the migration could not be recorded") }
            try session.commit()
            return try AppliedMigration(room: room, row: row)
        } catch {
            _ = session.rollback()
            throw DatabaseError(
                kind: error.isTransient ? error.kind : .migration, code: error.code,
                message: "migration \(migration.number) (\(migration.name)) of \(room) failed: \(error.message)")
        }
    }
}
