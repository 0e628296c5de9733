/// One numbered step of a room's tables. Never edited once released: its checksum is kept in the database.
public struct Migration: Sendable, Equatable {
    /// From 1 on, without gaps.
    public let number: Int
    public let name: String
    /// The statements in SQLite's dialect.
    public let sqlite: String

    public init(number: Int, name: String, sqlite: String) {
        self.number = number
        self.name = name
        self.sqlite = sqlite
    }

    /// A migration whose text is embedded as bytes.
    public init(number: Int, name: String, sqlite: [UInt8]) {
        self.init(number: number, name: name, sqlite: String(decoding: sqlite, as: UTF8.self))
    }

    /// FNV-1a over the text: it guards against an edit by mistake, not against an attack.
    public var checksum: String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in sqlite.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// The migrations of one room, in their order.
public struct MigrationSet: Sendable, Equatable {
    public let room: String
    public let migrations: [Migration]

    public init(room: String, migrations: [Migration]) {
        for (offset, migration) in migrations.enumerated() {
            precondition(migration.number == offset + 1, "migrations of \(room) are numbered from 1 without gaps")
        }
        self.room = room
        self.migrations = migrations
    }

    /// What is still to be done, given what was done.
    func pending(after applied: [AppliedMigration]) throws(DatabaseError) -> ArraySlice<Migration> {
        for (offset, old) in applied.enumerated() {
            guard old.number == offset + 1 else {
                throw DatabaseError(kind: .migration, message: "\(room) has migration \(old.number) but not \(offset + 1)")
            }
            guard offset < migrations.count else {
                throw DatabaseError(
                    kind: .migration,
                    message: "the database is newer than this program: \(room) has migration \(old.number) (\(old.name)), "
                        + "this program knows \(migrations.count); use a newer program")
            }
            guard old.checksum == migrations[offset].checksum else {
                throw DatabaseError(
                    kind: .migration,
                    message: "migration \(old.number) (\(old.name)) of \(room) was changed after it was applied; "
                        + "restore its text and put the change into a new migration")
            }
        }
        return migrations[applied.count...]
    }
}

/// A migration that the database has.
public struct AppliedMigration: Sendable, Equatable {
    public let room: String
    public let number: Int
    public let name: String
    public let checksum: String
    /// Unix milliseconds.
    public let appliedAt: Int64

    init(room: String, row: Row) throws(DatabaseError) {
        self.room = room
        number = Int(try row.int("number"))
        name = try row.text("name")
        checksum = try row.text("checksum")
        appliedAt = try row.int("applied_at")
    }
}
