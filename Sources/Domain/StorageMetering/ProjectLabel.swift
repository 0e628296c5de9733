import Formats
import Teams

/// The projects that a label's value names.
struct ProjectLabel: Sendable, Equatable {
    /// Each once, sorted.
    let names: [String]

    /// - Parameter value: names separated by commas; blanks around them do not count.
    init(_ value: String) {
        let words = value.split(separator: ",").map { $0.drop { $0 == " " || $0 == "\t" } }
        names = Set(words.map { word in String(word.reversed().drop { $0 == " " || $0 == "\t" }.reversed()) }.filter { !$0.isEmpty }).sorted()
    }

    static func isProject(_ name: String) -> Bool { Slug.isValid(name, most: Project.idLengthMax) }

    /// Splits bytes into equal whole parts, one for each name; bytes that are left over go to the first names, one each, so
    /// that the parts add up exactly.
    func shares(of bytes: Int64) -> [(name: String, bytes: Int64)] {
        guard !names.isEmpty else { return [] }
        let (part, rest) = bytes.quotientAndRemainder(dividingBy: Int64(names.count))
        return names.enumerated().map { index, name in (name, part + (index < rest ? 1 : 0)) }
    }
}
