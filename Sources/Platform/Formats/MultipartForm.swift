/// `multipart/form-data` of RFC 7578: forms with files.
public enum MultipartForm {
    public struct Part: Sendable, Equatable {
        public let name: String
        public let filename: String?
        public let contentType: String?
        public let bytes: [UInt8]

        /// The part's text when it is UTF-8.
        public var text: String? { String(validating: bytes, as: UTF8.self) }
    }

    /// The parts of a whole body that is already in memory and within its cap.
    /// - Parameters:
    ///   - contentType: the request's `Content-Type`, which names the boundary.
    ///   - partsMax: more parts than this are refused.
    public static func parse(_ body: [UInt8], contentType: String, partsMax: Int = 100) throws(FormError) -> [Part] {
        let boundary = try boundary(in: contentType)
        let delimiter = Array("--".utf8) + boundary
        guard let first = ByteSearch.offset(of: delimiter, in: body), first == 0 || endsLine(body, before: first) else {
            throw FormError(code: .malformedPart, offset: 0)
        }
        var parts: [Part] = []
        var at = first + delimiter.count
        while true {
            if starts(body, at, with: "--") { return parts }
            at = skipBlanks(body, at)
            guard starts(body, at, with: "\r\n") else { throw FormError(code: .malformedPart, offset: at) }
            at += 2
            guard parts.count < partsMax else { throw FormError(code: .tooManyFields, offset: at) }
            guard let next = ByteSearch.offset(of: Array("\r\n".utf8) + delimiter, in: body, from: max(at - 2, 0)) else {
                throw FormError(code: .unfinished, offset: body.count)
            }
            parts.append(try part(body, at, next))
            at = next + 2 + delimiter.count
        }
    }

    // MARK: Parts

    static func boundary(in contentType: String) throws(FormError) -> [UInt8] {
        let header = HeaderValue(contentType)
        guard header.value == "multipart/form-data", let boundary = header.parameters["boundary"], (1...70).contains(boundary.utf8.count) else {
            throw FormError(code: .noBoundary, offset: 0)
        }
        return Array(boundary.utf8)
    }

    /// One part between `start` (its header) and `end` (the line end before the next boundary).
    private static func part(_ body: [UInt8], _ start: Int, _ end: Int) throws(FormError) -> Part {
        var disposition: HeaderValue?
        var contentType: String?
        var at = start
        while !starts(body, at, with: "\r\n") {
            guard let lineEnd = ByteSearch.offset(of: Array("\r\n".utf8), in: body, from: at), lineEnd <= end, lineEnd - at <= 8192,
                let line = String(validating: body[at..<lineEnd], as: UTF8.self), let colon = line.firstIndex(of: ":")
            else { throw FormError(code: .malformedPart, offset: at) }
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            switch line[..<colon].lowercased() {
            case "content-disposition": disposition = HeaderValue(String(value))
            case "content-type": contentType = String(value)
            default: break
            }
            at = lineEnd + 2
        }
        at += 2
        guard let disposition, disposition.value == "form-data", let name = disposition.parameters["name"] else {
            throw FormError(code: .malformedPart, offset: start)
        }
        let bytes = at <= end ? Array(body[at..<end]) : []
        return Part(name: name, filename: disposition.parameters["filename"], contentType: contentType, bytes: bytes)
    }

    private static func endsLine(_ body: [UInt8], before place: Int) -> Bool {
        place >= 2 && body[place - 2] == 0x0D && body[place - 1] == 0x0A
    }

    private static func skipBlanks(_ body: [UInt8], _ start: Int) -> Int {
        var at = start
        while at < body.count, body[at] == 0x20 || body[at] == 0x09 { at += 1 }
        return at
    }

    private static func starts(_ body: [UInt8], _ at: Int, with text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard at + count <= body.count else { return false }
        for place in 0..<count where body[at + place] != text.utf8Start[place] { return false }
        return true
    }
}

/// A header value with parameters: `form-data; name="a"; filename="b.txt"`.
public struct HeaderValue: Sendable, Equatable {
    /// The part before the first `;`, in lower case.
    public let value: String
    /// Names in lower case; the first of a name counts.
    public let parameters: [String: String]

    public init(_ text: String) {
        var scanner = Array(text)[...]
        func trim(_ piece: ArraySlice<Character>) -> String {
            var piece = piece
            while let last = piece.last, last == " " || last == "\t" { piece.removeLast() }
            return String(piece.drop { $0 == " " || $0 == "\t" })
        }
        func take(until stops: [Character]) -> ArraySlice<Character> {
            let end = scanner.firstIndex { stops.contains($0) } ?? scanner.endIndex
            defer { scanner = scanner[end...] }
            return scanner[..<end]
        }
        value = trim(take(until: [";"])).lowercased()
        var found: [String: String] = [:]
        while scanner.first == ";" {
            scanner.removeFirst()
            let name = trim(take(until: ["=", ";"])).lowercased()
            guard scanner.first == "=" else { continue }
            scanner.removeFirst()
            scanner = scanner.drop { $0 == " " || $0 == "\t" }
            var content = ""
            if scanner.first == "\"" {
                scanner.removeFirst()
                while let character = scanner.popFirst(), character != "\"" {
                    // A backslash escapes only a quote or itself: browsers send paths with plain backslashes.
                    if character == "\\", let next = scanner.first, next == "\"" || next == "\\" {
                        content.append(next)
                        scanner.removeFirst()
                    } else {
                        content.append(character)
                    }
                }
                _ = take(until: [";"])
            } else {
                content = trim(take(until: [";"]))
            }
            if !name.isEmpty, found[name] == nil { found[name] = content }
        }
        parameters = found
    }
}
