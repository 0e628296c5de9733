import Formats

/// A message with its variables put in, in every form that a channel may need.
public struct RenderedMessage: Sendable, Equatable {
    public let subject: String
    public let text: String
    public let html: String
    /// In a sentence or two, for a telephone.
    public let short: String
    /// What stands in the variables of the short form, in their order there.
    public let parameters: [String]

    /// - Throws: ``MessageError`` when a variable is missing or not one of the template's.
    public init(_ template: MessageTemplate, language: String, values: [String: String]) throws(MessageError) {
        try template.check(values, template.variables)
        let (subject, paragraphs) = template.wording(in: language)
        // A line break in a value would break the header.
        self.subject = Self.oneLine(Self.fill(subject, values))
        text = paragraphs.map { Self.fill($0, values) }.joined(separator: "\n\n") + "\n"
        let escaped = values.mapValues(HTML.escape)
        let body = paragraphs.map { "<p>" + Self.linking(Self.fill(HTML.escape($0), escaped), escaped) + "</p>" }.joined(separator: "\n")
        let page = "<!DOCTYPE html>\n<html lang=\"\(language == "en" ? "en" : "fr")\"><head><meta charset=\"utf-8\"><title>"
        html = page + HTML.escape(self.subject) + "</title></head>\n<body>\n" + body + "\n</body></html>\n"
        let pattern = template.shortWording(in: language)
        let plain = values.mapValues { ShortText.plain(Self.oneLine($0)) }
        short = Self.fill(pattern, plain)
        parameters = Self.variables(of: pattern).map { plain[$0] ?? "" }
    }

    /// The subject alone, where what is made at sending is not made yet. No subject speaks of it.
    /// - Throws: ``MessageError``.
    public static func subject(_ template: MessageTemplate, language: String, values: [String: String]) throws(MessageError) -> String {
        try template.check(values)
        return oneLine(fill(template.wording(in: language).subject, values))
    }

    /// A paragraph that is an address and nothing else can be followed.
    private static func linking(_ paragraph: String, _ values: [String: String]) -> String {
        guard let link = values[MessageVariable.link.rawValue], paragraph == link, link.hasPrefix("https://") || link.hasPrefix("http://") else {
            return paragraph
        }
        return "<a href=\"\(link)\">\(link)</a>"
    }

    private static func oneLine(_ text: String) -> String { text.split(whereSeparator: \.isNewline).joined(separator: " ") }

    /// The variables of a pattern in their order, each once.
    static func variables(of pattern: String) -> [String] {
        var names: [String] = []
        var rest = pattern[...]
        while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
            let name = String(rest[rest.index(after: open)..<close])
            if !names.contains(name) { names.append(name) }
            rest = rest[rest.index(after: close)...]
        }
        return names
    }

    /// One pass from left to right: what a value contains is never taken for a variable.
    static func fill(_ pattern: String, _ values: [String: String]) -> String {
        var result = ""
        var rest = pattern[...]
        while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
            result += rest[..<open]
            result += values[String(rest[rest.index(after: open)..<close])] ?? ""
            rest = rest[rest.index(after: close)...]
        }
        return result + rest
    }
}

/// Why a message cannot be made. No retry helps.
public enum MessageError: Error, Equatable, CustomStringConvertible {
    case missing(variable: String, template: String)
    case unknown(variable: String, template: String)

    public var description: String {
        switch self {
        case .missing(let variable, let template): "message \(template) needs the variable '\(variable)'"
        case .unknown(let variable, let template): "message \(template) has no variable '\(variable)'"
        }
    }
}
