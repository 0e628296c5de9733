import Database

/// A table as the database describes it, so that one which comes later is looked through as well.
struct TableShape: Sendable {
    /// Whose words a column holds.
    enum Wording: Sendable {
        /// Ids, and what points at another record: never changed.
        case reference
        /// Words that the product coined, and keys: a name may stand among them ("Wave", "Paid"), but is not the person's. An address or a
        /// number is theirs even there, as in the key of a mail.
        case coined
        /// What people wrote.
        case prose
    }

    struct Column: Sendable {
        let name: String
        let type: String
        let isKey: Bool
        let wording: Wording
        /// Whether it holds one address or number and nothing else, so that it is compared as a whole.
        var isOneAddress: Bool { TableShape.addresses.contains(name) }
    }

    let name: String
    let columns: [Column]

    var keys: [String] { columns.filter(\.isKey).map(\.name) }
    /// Where words of any kind may stand.
    var texts: [Column] { columns.filter { $0.type == "TEXT" || $0.type == "BLOB" } }
    /// Where words of people may stand.
    var worded: [Column] { texts.filter { $0.wording != .reference } }
    func has(_ column: String) -> Bool { columns.contains { $0.name == column } }

    private static let addresses: Set<String> = ["customer_email", "customer_phone", "email", "phone", "recipient"]

    /// Ids that are not declared as what they are, since rooms know nothing of each other's tables; references at providers, which stay; and
    /// where a file lies.
    private static let references: Set<String> = [
        "id", "payment", "address_payment", "attempt", "inquiry", "event", "job", "owner_job", "team", "project", "order_id", "made", "value",
        "provider_reference", "provider_transaction", "path", "object_key", "pdf_path", "sha256", "pdf_sha256", "traceparent", "epoch",
    ]
    /// Words of the product where no CHECK says so: one that a later version adds need not be known to the database.
    private static let coined: Set<String> = [
        "purpose", "subject", "kind", "type", "state", "from_state", "to_state", "status", "outcome", "outcome_before", "claim", "problem", "rule",
        "role", "plan", "provider", "mode", "trust", "method", "network", "currency", "language", "source", "actor", "requested_by", "asked",
        "fact_key", "error_code", "nonce", "model", "content_type", "template", "channel", "message_id", "queue", "owner_queue", "owner_worker",
        "slot", "unique_key",
    ]

    // MARK: Reading

    /// Every table of ours.
    static func all(in connection: Connection) throws -> [TableShape] {
        let tables = try connection.query(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name"
        ).map { (name: try $0.text("name"), sql: try $0.text("sql")) }
        let links = try connection.query(
            """
            SELECT s.name AS table_name, f."table" AS other_table, f."from" AS column_name, COALESCE(f."to", 'id') AS other_column
            FROM sqlite_schema s, pragma_foreign_key_list(s.name) f WHERE s.type = 'table'
            """)
        let linked = try Set(
            links.flatMap {
                [try "\($0.text("table_name")).\($0.text("column_name"))", try "\($0.text("other_table")).\($0.text("other_column"))"]
            })
        return try tables.map { table in
            let checked = columnsWithCheck(table.sql)
            let columns = try connection.query("SELECT name, type, pk FROM pragma_table_info($1)", [.text(table.name)]).map { row in
                let (name, type, isKey) = (try row.text("name"), try row.text("type"), try row.int("pk") != 0)
                let isChecked = checked.contains(name)
                // Bytes of a length that is checked are digests.
                let isReference = linked.contains("\(table.name).\(name)") || references.contains(name) || (isChecked && type == "BLOB")
                return Column(
                    name: name, type: type, isKey: isKey,
                    wording: isReference ? .reference : isKey || isChecked || coined.contains(name) ? .coined : .prose)
            }
            return TableShape(name: table.name, columns: columns)
        }
    }

    /// The columns whose own definition has a CHECK: SQLite tells it nowhere but in the statement that made the table.
    static func columnsWithCheck(_ sql: String) -> Set<String> {
        let code = sql.split(separator: "\n").map { line in line.firstRange(of: "--").map { line[..<$0.lowerBound] } ?? line }
        var definitions = [""]
        var (depth, isQuoted) = (0, false)
        for character in code.joined(separator: " ") {
            if character == "'" { isQuoted.toggle() }
            if !isQuoted {
                if character == ")" { depth -= 1 }
                if depth == 1, character == "," { definitions.append("") } else if depth > 0 { definitions[definitions.count - 1].append(character) }
                if character == "(" { depth += 1 }
            }
        }
        return Set(
            definitions.compactMap { definition in
                let words = definition.split { !($0.isLetter || $0.isNumber || $0 == "_") }.map(String.init)
                guard let name = words.first, name.uppercased() != "CHECK" else { return nil }
                return words.contains { $0.uppercased() == "CHECK" } ? name : nil
            })
    }

    /// Rows for which one of the conditions holds.
    /// - Parameter conditions: a column and what it must hold. Some at a time: SQLite bounds how deep a condition nests.
    /// - Parameter isWanted: decides where a condition only proposes.
    func rows(_ conditions: [Condition], in connection: Connection, where isWanted: (Row) -> Bool = { _ in true }) throws -> [Row] {
        var found: [[SQLValue]: Row] = [:]
        for start in stride(from: 0, to: conditions.count, by: 100) {
            var values: [SQLValue] = []
            let clauses = conditions[start..<min(start + 100, conditions.count)].map { $0.clause(&values) }
            let sql = "SELECT * FROM \(name) WHERE \(clauses.joined(separator: " OR "))"
            try connection.forEach(sql, values) { row in
                let key = keys.map { row[$0] }
                if found[key] == nil, isWanted(row) { found[key] = row }
            }
        }
        return found.values.map { $0 }
    }

    /// What makes a row one of those looked for.
    enum Condition: Sendable {
        /// The column is this.
        case equals(String, String)
        /// It is this, in capitals or not.
        case equalsWithoutCase(String, String)
        /// It has this id somewhere in it.
        case holds(String, String)
        /// It may have this mark in it; whether it has is to be looked at.
        case mayHold(String, PersonalMark)

        fileprivate func clause(_ values: inout [SQLValue]) -> String {
            func place(_ text: String) -> String {
                values.append(.text(text))
                return "$\(values.count)"
            }
            switch self {
            case .equals(let column, let text): return "\"\(column)\" = \(place(text))"
            case .equalsWithoutCase(let column, let text): return "lower(\"\(column)\") = \(place(text.lowercased()))"
            case .holds(let column, let text): return "instr(\(Self.words(column)), \(place(text.lowercased()))) > 0"
            case .mayHold(let column, let mark):
                let proposal = mark.proposal
                let clauses = zip(proposal.clauses, proposal.values).map { clause, value in
                    clause.replacing("$column", with: Self.words(column)).replacing("$value", with: place(value))
                }
                return "(\(clauses.joined(separator: proposal.joint)))"
            }
        }

        private static func words(_ column: String) -> String { "lower(CAST(\"\(column)\" AS TEXT))" }
    }
}
