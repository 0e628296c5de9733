/// What went wrong in the database, and whether trying again can help.
public struct DatabaseError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The kind of failure, the same for every driver.
    public enum Kind: Sendable, Equatable {
        /// Another program holds the database longer than we wait.
        case busy
        /// No room left on the disk, or the database reached its page limit.
        case full
        case inputOutput
        case outOfMemory
        case interrupted
        /// More calls wait than we keep.
        case overloaded
        /// ``Database/close()`` was called.
        case closed
        case uniqueViolation
        case foreignKeyViolation
        case notNullViolation
        case checkViolation
        /// A value of the wrong type for a STRICT column.
        case typeViolation
        /// Any other constraint, a trigger's `RAISE(ABORT, …)` included.
        case otherConstraint
        /// A write on a connection that only reads.
        case readOnly
        case cannotOpen
        case corrupt
        /// The statement itself is wrong: its syntax, its tables, its parameters.
        case statement
        /// A row has no such column, or not of this type.
        case column
        /// The database's version and the program's do not fit, or a migration failed.
        case migration
        case other
    }

    public let kind: Kind
    /// The driver's own code (SQLite: the extended result code); 0 when the failure is found by us.
    public let code: Int32
    /// The driver's message; never contains bound values.
    public let message: String
    /// The statement with its `$n`, without values.
    public let sql: String?

    public init(kind: Kind, code: Int32 = 0, message: String, sql: String? = nil) {
        self.kind = kind
        self.code = code
        self.message = message
        self.sql = sql
    }

    /// Whether the same call may succeed later, unchanged.
    public var isTransient: Bool {
        switch kind {
        case .busy, .full, .inputOutput, .outOfMemory, .interrupted, .overloaded, .closed: true
        default: false
        }
    }

    /// Whether a rule of the schema refused the data.
    public var isConstraint: Bool {
        switch kind {
        case .uniqueViolation, .foreignKeyViolation, .notNullViolation, .checkViolation, .typeViolation, .otherConstraint: true
        default: false
        }
    }

    /// Whether room is missing on the disk.
    public var isFull: Bool { kind == .full }

    public var description: String {
        let number = code == 0 ? "" : " (\(code))"
        let statement = sql.map { " in: \($0)" } ?? ""
        return "database: \(message)\(number)\(statement)"
    }
}
