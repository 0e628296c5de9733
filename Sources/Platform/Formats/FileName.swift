/// The name that somebody's program gave a file, as it may be shown and offered for saving. Never a path, and nothing is opened by it.
public struct FileName: Sendable, Equatable, CustomStringConvertible {
    public static let longest = 120

    public let text: String

    /// - Parameters:
    ///   - given: as it came, with folders perhaps.
    ///   - kind: what the file is: the name ends as such files' names do, whatever it was called.
    public init(_ given: String, kind: FileKind) {
        // By scalars: to Swift a slash with an accent is another letter.
        let last = given.unicodeScalars.split(whereSeparator: { $0 == "/" || $0 == "\\" }).last ?? []
        var name = String(String.UnicodeScalarView(last.filter { !Self.isForbidden($0) }))
        if let dot = name.lastIndex(of: "."), name.distance(from: dot, to: name.endIndex) <= 6 { name = String(name[..<dot]) }
        while let first = name.first, first == "." || first == " " { name.removeFirst() }
        while let end = name.last, end == "." || end == " " { name.removeLast() }
        name = String(name.prefix(Self.longest - 5))
        text = "\(name.isEmpty ? "document" : name).\(kind.fileExtension)"
    }

    public var description: String { text }

    /// Control characters, what turns the direction of writing, and what shells, browsers and other systems take for more than a letter.
    private static func isForbidden(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F...0x9F, 0x200B...0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF: true
        default: "\"*:<>?|;`$".unicodeScalars.contains(scalar)
        }
    }
}
