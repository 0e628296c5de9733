import Database

/// A table as the database describes it, so that one which comes later is looked through as well.
struct TableShape: Sendable {
    struct Column: Sendable {
        let name: String
        let type: String
        let isRequired: Bool
        let isKey: Bool
    }

    let name: String
    let columns: [Column]

    var keys: [String] { columns.filter(\.isKey).map(\.name) }
    var texts: [Column] { columns.filter { $0.type == "TEXT" } }
    /// Where words may stand.
    var worded: [Column] { columns.filter { $0.type == "TEXT" || $0.type == "BLOB" } }
    func has(_ column: String) -> Bool { columns.contains { $0.name == column } }

    /// Every table of ours.
    static func all(in connection: Connection) throws -> [TableShape] {
        let names = try connection.query(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name"
        ).map { try $0.text("name") }
        return try names.map { name in
            let columns = try connection.query("SELECT name, type, \"notnull\" AS required, pk FROM pragma_table_info($1)", [.text(name)]).map {
                Column(
                    name: try $0.text("name"), type: try $0.text("type"), isRequired: try $0.int("required") != 0 || $0.int("pk") != 0,
                    isKey: try $0.int("pk") != 0)
            }
            return TableShape(name: name, columns: columns)
        }
    }

    /// Rows for which one of the conditions holds.
    /// - Parameter conditions: a column and what it must hold. Several hundred at a time: SQLite bounds how deep a condition nests.
    func rows(_ conditions: [Condition], in connection: Connection) throws -> [Row] {
        var found: [[SQLValue]: Row] = [:]
        for start in stride(from: 0, to: conditions.count, by: 200) {
            let some = conditions[start..<min(start + 200, conditions.count)]
            let clauses = some.enumerated().map { $1.clause("$\($0 + 1)") }
            let sql = "SELECT * FROM \(name) WHERE \(clauses.joined(separator: " OR "))"
            try connection.forEach(sql, some.map(\.value)) { row in found[keys.map { row[$0] }] = row }
        }
        return found.values.map { $0 }
    }

    /// What makes a row one of those looked for.
    struct Condition: Sendable {
        let column: String
        let value: SQLValue
        let isWhole: Bool

        /// The column is this.
        static func equals(_ column: String, _ text: String) -> Condition { Condition(column: column, value: .text(text), isWhole: true) }
        /// It has this somewhere in it, in capitals or not.
        static func holds(_ column: String, _ text: String) -> Condition {
            Condition(column: column, value: .text(text.lowercased()), isWhole: false)
        }

        func clause(_ place: String) -> String {
            isWhole ? "\"\(column)\" = \(place)" : "instr(lower(CAST(\"\(column)\" AS TEXT)), \(place)) > 0"
        }
    }
}
