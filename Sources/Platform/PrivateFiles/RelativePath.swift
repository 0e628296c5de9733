/// A path below the root that cannot lead out of it.
struct RelativePath: Sendable {
    /// Where files are written before they get their name; nobody's path begins with it.
    static let workFolder = ".incoming"

    let text: String
    let folders: [String]
    let name: String

    init(_ text: String) throws(PrivateFilesError) {
        func refuse(_ rule: String) -> PrivateFilesError { PrivateFilesError(code: .invalidPath, message: "a private file's path \(rule)") }
        // By bytes, as the system takes a path apart: to Swift a slash with an accent is another letter.
        guard text.utf8.first != UInt8(ascii: "/") else { throw refuse("must be relative to the root") }
        let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
        guard parts.count <= 16 else { throw refuse("must have at most 16 parts") }
        for part in parts {
            guard !part.isEmpty, part != ".", part != ".." else { throw refuse("must not contain empty parts, '.' or '..'") }
            guard part.utf8.count <= 200 else { throw refuse("must have parts of at most 200 bytes") }
            guard part.unicodeScalars.allSatisfy({ $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }) else {
                throw refuse("must not contain control characters")
            }
        }
        guard parts[0] != Self.workFolder else { throw refuse("must not begin with \(Self.workFolder)") }
        self.text = text
        folders = Array(parts.dropLast())
        name = parts[parts.count - 1]
    }
}
