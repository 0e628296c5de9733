import CSQLite

/// One prepared statement, its parameters and the names of its columns.
final class SQLiteStatement {
    let handle: OpaquePointer
    let sql: String
    /// Lent to a running execution; a second one of the same text gets a statement of its own.
    var inUse = false
    var lastUse: UInt64 = 0
    /// SQLite's index of each parameter beside its `$n`.
    private let parameters: [(index: Int32, number: Int)]
    private let numberMax: Int
    private var knownShape: RowShape?
    private var knownReprepares: Int32 = 0

    init(handle: OpaquePointer, sql: String) throws(DatabaseError) {
        self.handle = handle
        self.sql = sql
        var found: [(index: Int32, number: Int)] = []
        for index in 0..<sqlite3_bind_parameter_count(handle) {
            guard let name = sqlite3_bind_parameter_name(handle, index + 1).map({ String(cString: $0) }), name.first == "$",
                let number = Int(name.dropFirst()), number >= 1
            else {
                sqlite3_finalize(handle)
                throw DatabaseError(kind: .statement, message: "parameters are written $1, $2, …", sql: sql)
            }
            found.append((index + 1, number))
        }
        parameters = found
        numberMax = found.map(\.number).max() ?? 0
    }

    deinit { sqlite3_finalize(handle) }

    func bind(_ values: [SQLValue]) throws(DatabaseError) {
        guard values.count == numberMax else {
            throw DatabaseError(kind: .statement, message: "\(values.count) values for \(numberMax) parameters", sql: sql)
        }
        for (index, number) in parameters {
            let code = bind(values[number - 1], at: index)
            guard code == SQLITE_OK else {
                throw DatabaseError(sqlite: code, message: String(cString: sqlite3_errstr(code)), sql: sql)
            }
        }
    }

    private func bind(_ value: SQLValue, at index: Int32) -> Int32 {
        switch value {
        case .null: return sqlite3_bind_null(handle, index)
        case .integer(let value): return sqlite3_bind_int64(handle, index, value)
        case .real(let value): return sqlite3_bind_double(handle, index, value)
        case .text(let value):
            var text = value
            return text.withUTF8 { bytes in
                guard let count = Int32(exactly: bytes.count) else { return SQLITE_TOOBIG }
                // An empty string may have no address, which SQLite would take for NULL.
                guard let start = bytes.baseAddress, count > 0 else { return quittance_bind_text(handle, index, "", 0) }
                return start.withMemoryRebound(to: CChar.self, capacity: bytes.count) { quittance_bind_text(handle, index, $0, count) }
            }
        case .blob(let value):
            guard let count = Int32(exactly: value.count) else { return SQLITE_TOOBIG }
            return value.withUnsafeBytes { quittance_bind_blob(handle, index, $0.baseAddress, count) }
        }
    }

    /// The row that the last step gave.
    func row() -> Row {
        let shape = currentShape()
        var values: [SQLValue] = []
        values.reserveCapacity(shape.names.count)
        for index in 0..<Int32(shape.names.count) { values.append(value(at: index)) }
        return Row(shape: shape, values: values)
    }

    /// A statement that SQLite had to prepare again, because the schema changed, may have other columns.
    private func currentShape() -> RowShape {
        let reprepares = sqlite3_stmt_status(handle, SQLITE_STMTSTATUS_REPREPARE, 0)
        if let knownShape, reprepares == knownReprepares { return knownShape }
        let names = (0..<sqlite3_column_count(handle)).map { index in
            sqlite3_column_name(handle, index).map { String(cString: $0) } ?? ""
        }
        let shape = RowShape(names: names)
        knownShape = shape
        knownReprepares = reprepares
        return shape
    }

    private func value(at index: Int32) -> SQLValue {
        switch sqlite3_column_type(handle, index) {
        case SQLITE_INTEGER: return .integer(sqlite3_column_int64(handle, index))
        case SQLITE_FLOAT: return .real(sqlite3_column_double(handle, index))
        case SQLITE_TEXT:
            guard let bytes = sqlite3_column_text(handle, index) else { return .text("") }
            let count = Int(sqlite3_column_bytes(handle, index))
            return .text(String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self))
        case SQLITE_BLOB:
            guard let bytes = sqlite3_column_blob(handle, index) else { return .blob([]) }
            return .blob([UInt8](UnsafeRawBufferPointer(start: bytes, count: Int(sqlite3_column_bytes(handle, index)))))
        default: return .null
        }
    }

    /// Makes the statement ready for its next use; what was bound is let go.
    func reset() {
        sqlite3_reset(handle)
        if numberMax > 0 { sqlite3_clear_bindings(handle) }
    }
}

/// The prepared statements of one connection, the least recently used given up first.
struct SQLiteStatementCache {
    let statementsMax: Int
    private var statements: [String: SQLiteStatement] = [:]
    private var uses: UInt64 = 0

    init(statementsMax: Int) { self.statementsMax = statementsMax }

    var count: Int { statements.count }

    mutating func find(_ sql: String) -> SQLiteStatement? {
        guard let statement = statements[sql] else { return nil }
        uses += 1
        statement.lastUse = uses
        return statement
    }

    mutating func keep(_ statement: SQLiteStatement) {
        uses += 1
        statement.lastUse = uses
        if statements.count >= statementsMax, let oldest = statements.values.min(by: { $0.lastUse < $1.lastUse }) {
            statements[oldest.sql] = nil
        }
        statements[statement.sql] = statement
    }

    mutating func removeAll() { statements = [:] }
}
