import CSQLite

extension DatabaseError {
    /// The error of an (extended) result code.
    init(sqlite code: Int32, message: String, sql: String? = nil) {
        self.init(kind: Kind(sqlite: code), code: code, message: message, sql: sql)
    }
}

extension DatabaseError.Kind {
    init(sqlite code: Int32) {
        switch code {
        case sqliteConstraintUnique, sqliteConstraintPrimaryKey, sqliteConstraintRowID: self = .uniqueViolation
        case sqliteConstraintForeignKey: self = .foreignKeyViolation
        case sqliteConstraintNotNull: self = .notNullViolation
        case sqliteConstraintCheck: self = .checkViolation
        case sqliteConstraintDataType: self = .typeViolation
        default:
            switch code & 0xff {
            case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_PROTOCOL: self = .busy
            case SQLITE_FULL: self = .full
            case SQLITE_IOERR: self = .inputOutput
            case SQLITE_NOMEM: self = .outOfMemory
            case SQLITE_INTERRUPT: self = .interrupted
            case SQLITE_CONSTRAINT: self = .otherConstraint
            case SQLITE_READONLY: self = .readOnly
            case SQLITE_CANTOPEN: self = .cannotOpen
            case SQLITE_CORRUPT, SQLITE_NOTADB: self = .corrupt
            // A stale schema is read again by SQLite itself; it is reported only when the statement is wrong besides.
            case SQLITE_ERROR, SQLITE_SCHEMA, SQLITE_MISUSE, SQLITE_RANGE, SQLITE_MISMATCH, SQLITE_AUTH, SQLITE_TOOBIG: self = .statement
            default: self = .other
            }
        }
    }
}

// SQLite builds these from expressions, which Swift does not import: SQLITE_CONSTRAINT | (n << 8).
private let sqliteConstraintCheck = SQLITE_CONSTRAINT | (1 << 8)
private let sqliteConstraintForeignKey = SQLITE_CONSTRAINT | (3 << 8)
private let sqliteConstraintNotNull = SQLITE_CONSTRAINT | (5 << 8)
private let sqliteConstraintPrimaryKey = SQLITE_CONSTRAINT | (6 << 8)
private let sqliteConstraintUnique = SQLITE_CONSTRAINT | (8 << 8)
private let sqliteConstraintRowID = SQLITE_CONSTRAINT | (10 << 8)
private let sqliteConstraintDataType = SQLITE_CONSTRAINT | (12 << 8)
