import Database

/// An address or a number that is one person's, as it is found in texts: whole, never as a piece of somebody else's.
///
/// The database only proposes rows, generously; what stands in them is decided here.
enum PersonalMark: Sendable, Hashable {
    /// In small letters.
    case email(String)
    /// The digits of the international form.
    case phone(String)

    /// Whether the value of a column has it.
    func stands(in value: SQLValue, of column: TableShape.Column) -> Bool {
        switch value {
        case .text(let text): column.isOneAddress ? isAll(of: text) : !ranges(in: UnescapedText(Array(text.utf8))).isEmpty
        case .blob(let bytes): !ranges(in: UnescapedText(bytes)).isEmpty
        default: false
        }
    }

    /// Whether a text is this and nothing else.
    func isAll(of text: String) -> Bool {
        switch self {
        case .email(let email): text.lowercased() == email
        case .phone(let digits): text == digits || text == "+" + digits
        }
    }

    /// Where marks stand in bytes, first to last, none over another.
    static func ranges(of marks: Set<PersonalMark>, in bytes: [UInt8]) -> [Range<Int>] {
        let text = UnescapedText(bytes)
        let all = marks.flatMap { $0.ranges(in: text) }.sorted { ($0.lowerBound, $1.upperBound) < ($1.lowerBound, $0.upperBound) }
        return all.reduce(into: []) { apart, range in
            if range.lowerBound >= apart.last?.upperBound ?? 0 { apart.append(range) }
        }
    }

    private func ranges(in text: UnescapedText) -> [Range<Int>] {
        switch self {
        case .email(let email): text.places(ofAddress: Array(email.utf8))
        case .phone(let digits): text.places(ofNumber: Array(digits.utf8))
        }
    }

    // MARK: For the database

    /// What a column must satisfy to be looked at, `$column` being its words in small letters; the values are bound in their order.
    /// An address may be written with escapes and a number with spaces, so only their longest plain runs are asked for, and digits in their order.
    var proposal: (clauses: [String], joint: String, values: [String]) {
        switch self {
        case .email(let email):
            let runs = email.split(separator: "@").map(Self.longestRun)
            return (runs.map { _ in "instr($column, $value) > 0" }, " AND ", runs)
        case .phone(let digits):
            let inOrder = "%" + digits.map { "\($0)%" }.joined()
            return (["instr($column, $value) > 0", "$column LIKE $value"], " OR ", [digits, inOrder])
        }
    }

    private static func longestRun(_ part: Substring) -> String {
        let runs = part.utf8.split { !UnescapedText.isAlphanumeric($0) }
        return runs.max { $0.count < $1.count }.map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}
