import Formats

/// Rows that are printed as a table for people or as an array of objects for programs.
struct Listing {
    /// One column: the member's name in JSON, which is the heading too, and how its values read.
    struct Column: Sendable, ExpressibleByStringLiteral {
        enum Form: Sendable { case plain, number, time }
        let key: String
        let form: Form

        init(_ key: String, _ form: Form) {
            self.key = key
            self.form = form
        }
        init(stringLiteral key: String) { self.init(key, .plain) }
        static func number(_ key: String) -> Column { Column(key, .number) }
        /// Unix milliseconds: RFC 3339 in JSON, `2026-11-21 08:00:00` in text.
        static func time(_ key: String) -> Column { Column(key, .time) }
    }

    let columns: [Column]
    private(set) var rows: [[JSON]]
    /// What is said instead of an empty table.
    let none: String

    init(_ columns: [Column], none: String, rows: [[JSON]] = []) {
        self.columns = columns
        self.none = none
        self.rows = rows
        for row in rows { precondition(row.count == columns.count, "a row has a value for each column") }
    }

    mutating func add(_ row: JSON...) {
        precondition(row.count == columns.count, "a row has a value for each column")
        rows.append(row)
    }

    /// An array of objects.
    var json: JSON {
        .array(
            rows.map { row in
                JSON.object(
                    JSONObject(
                        zip(columns, row).map { column, value in
                            guard column.form == .time, let ms = value.int else { return (column.key, value) }
                            return (column.key, .string(Timestamp.rfc3339(ms)))
                        }))
            })
    }

    /// The table, each line ended.
    var text: String {
        guard !rows.isEmpty else { return none + "\n" }
        let cells = [columns.map { $0.key.replacing("_", with: " ") }] + rows.map { row in zip(columns, row).map(Self.cell) }
        let widths = columns.indices.map { place in cells.map { $0[place].count }.max() ?? 0 }
        return cells.map { line(of: $0, widths) + "\n" }.joined()
    }

    private func line(of cells: [String], _ widths: [Int]) -> String {
        var line = ""
        for (place, cell) in cells.enumerated() {
            if place > 0 { line += "  " }
            let gap = String(repeating: " ", count: widths[place] - cell.count)
            line += columns[place].form == .number ? gap + cell : cell + gap
        }
        while line.last == " " { line.removeLast() }
        return line
    }

    private static func cell(_ column: Column, _ value: JSON) -> String {
        switch value {
        case .null: return "-"
        case .bool(let flag): return flag ? "yes" : "no"
        case .number(let text):
            guard column.form == .time, let ms = Int64(text) else { return text }
            return PlainTime.text(ms)
        case .string(let text): return text.isEmpty ? "-" : text.onOneLine
        case .array(let values): return values.isEmpty ? "-" : values.map { $0.string ?? $0.text }.joined(separator: ", ").onOneLine
        case .object: return value.text
        }
    }
}

/// Times as people read them, UTC.
enum PlainTime {
    /// `2026-11-21 08:00:00`
    static func text(_ ms: Int64) -> String { String(Timestamp.rfc3339(ms).prefix(19)).replacing("T", with: " ") }

    /// `3 s`, `12 min`, `5 h`, `3 days`
    static func age(_ ms: Int64) -> String {
        let seconds = max(0, ms) / 1000
        switch seconds {
        case ..<120: return "\(seconds) s"
        case ..<7200: return "\(seconds / 60) min"
        case ..<172_800: return "\(seconds / 3600) h"
        default: return "\(seconds / 86_400) days"
        }
    }
}

extension String {
    /// Control characters become blanks, so that no text can move the cursor or break a line.
    var onOneLine: String {
        String(String.UnicodeScalarView(unicodeScalars.map { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) ? " " : $0 }))
    }
}

extension CommandOutput {
    func listing(_ listing: Listing, asJSON: Bool) {
        if asJSON { json(listing.json) } else { text(listing.text) }
    }
}
