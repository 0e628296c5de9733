import Formats

/// HTML whose inserted texts are always escaped: only markup goes into markup as it is.
struct Markup: Sendable, ExpressibleByStringInterpolation {
    let text: String

    static let empty: Markup = ""

    init(stringLiteral value: String) { text = value }
    init(stringInterpolation: StringInterpolation) { text = stringInterpolation.text }

    struct StringInterpolation: StringInterpolationProtocol {
        fileprivate var text = ""

        init(literalCapacity: Int, interpolationCount: Int) { text.reserveCapacity(literalCapacity + interpolationCount * 16) }

        mutating func appendLiteral(_ literal: String) { text += literal }
        mutating func appendInterpolation(_ value: String) { text += HTML.escape(value) }
        mutating func appendInterpolation(_ value: Int) { text += String(value) }
        mutating func appendInterpolation(_ value: Markup) { text += value.text }
        mutating func appendInterpolation(_ values: [Markup]) { for value in values { text += value.text } }
    }
}

/// A page's two languages.
struct Words: Sendable {
    /// `fr` or `en`.
    let language: String

    init(_ language: String) { self.language = language == "en" ? "en" : "fr" }

    func callAsFunction(_ french: String, _ english: String) -> String { language == "en" ? english : french }
}
