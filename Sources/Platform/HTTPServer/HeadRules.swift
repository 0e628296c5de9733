import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// The strict reading of one head: RFC 9112 without any of its leniences.
struct HeadRules {
    private(set) var verb: Method?
    private(set) var target = ""
    private(set) var headers = HTTPHeaders()
    private(set) var version10 = false
    private(set) var expectsContinue = false
    private var hasHost = false
    private var chunked = false
    private var length: Int?
    private var fields = 0

    var framing: Framing {
        if chunked { return .chunked }
        return length.map { .length($0) } ?? .none
    }

    /// - Parameter bytes: a head whose every line ends with CR LF, the last one being empty.
    mutating func readAll(_ bytes: UnsafeRawBufferPointer) throws(Refusal) {
        guard let base = bytes.baseAddress else { throw .malformed("the request is empty") }
        headers.reserve(fields: 16, bytes: bytes.count)
        var start = 0
        var isFirst = true
        while let found = memchr(base + start, 10, bytes.count - start) {
            let end = base.distance(to: UnsafeRawPointer(found)) - 1
            if end <= start { break }
            let line = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
            if isFirst { try readRequestLine(line) } else { try readField(line) }
            isFirst = false
            start = end + 2
        }
        guard !isFirst else { throw .malformed("the request line is empty") }
        guard hasHost || version10 else { throw .malformed("Host is missing") }
        guard !(chunked && length != nil) else { throw .malformed("Transfer-Encoding together with Content-Length") }
        guard !(chunked && version10) else { throw .malformed("Transfer-Encoding in HTTP/1.0") }
    }

    // MARK: Request line

    private mutating func readRequestLine(_ line: UnsafeRawBufferPointer) throws(Refusal) {
        let nameEnd = Bytes.tokenEnd(line)
        guard nameEnd > 0, nameEnd < line.count, line[nameEnd] == 32 else { throw .malformed("the request line has no method") }
        let afterName = UnsafeRawBufferPointer(rebasing: line[(nameEnd + 1)...])
        guard let blank = afterName.firstIndex(of: 32) else { throw .malformed("the request line has no version") }
        try readVersion(UnsafeRawBufferPointer(rebasing: afterName[(blank + 1)...]))
        try readTarget(UnsafeRawBufferPointer(rebasing: afterName[..<blank]))
        verb = Bytes.method(UnsafeRawBufferPointer(rebasing: line[..<nameEnd]))
        guard let verb else { return }
        guard !target.isEmpty, target != "*" || verb == .options else { throw .malformed("the request target must begin with /") }
    }

    private mutating func readVersion(_ version: UnsafeRawBufferPointer) throws(Refusal) {
        if Bytes.equal(version, "HTTP/1.1") { return }
        if Bytes.equal(version, "HTTP/1.0") {
            version10 = true
            return
        }
        let shape = version.count == 8 && Bytes.equal(UnsafeRawBufferPointer(rebasing: version[..<5]), "HTTP/")
        if shape && Bytes.isDigit(version[5]) && version[6] == UInt8(ascii: ".") && Bytes.isDigit(version[7]) {
            throw Refusal(status: 505, detail: "only HTTP/1.1 and HTTP/1.0 are spoken here")
        }
        throw .malformed("the request line's version is malformed")
    }

    /// Takes `/path?query`, `*` and the absolute form, of which path and query are kept.
    private mutating func readTarget(_ text: UnsafeRawBufferPointer) throws(Refusal) {
        guard let first = text.first, text.allSatisfy({ $0 > 32 && $0 != 127 && $0 != UInt8(ascii: "#") }) else {
            throw .malformed("the request target is malformed")
        }
        if first == UInt8(ascii: "/") || text.count == 1 && first == UInt8(ascii: "*") {
            target = String(decoding: text, as: UTF8.self)
            return
        }
        let whole = String(decoding: text, as: UTF8.self)
        // CONNECT's host:port is let through to be answered 501 with its method.
        for scheme in ["http://", "https://"] where whole.utf8.count >= scheme.utf8.count && whole.prefix(scheme.count).lowercased() == scheme {
            let rest = whole.dropFirst(scheme.count)
            let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
            guard end > rest.startIndex else { throw .malformed("the request target has no host") }
            let path = String(rest[end...])
            target = path.hasPrefix("/") ? path : "/" + path
            return
        }
        guard text.contains(UInt8(ascii: ":")) else { throw .malformed("the request target must begin with /") }
        target = ""
    }

    // MARK: Header fields

    private mutating func readField(_ line: UnsafeRawBufferPointer) throws(Refusal) {
        fields += 1
        guard fields <= HeadReader.fieldsMax else { throw .headTooLarge }
        guard line[0] != 32 && line[0] != 9 else { throw .malformed("a header must not be folded over lines") }
        let nameEnd = Bytes.tokenEnd(line)
        guard nameEnd > 0, nameEnd < line.count, line[nameEnd] == UInt8(ascii: ":") else {
            throw .malformed("a header's name must be a token followed by a colon")
        }
        var start = nameEnd + 1
        var end = line.count
        while start < end, line[start] == 32 || line[start] == 9 { start += 1 }
        while end > start, line[end - 1] == 32 || line[end - 1] == 9 { end -= 1 }
        let name = UnsafeRawBufferPointer(rebasing: line[..<nameEnd])
        let value = UnsafeRawBufferPointer(rebasing: line[start..<end])
        guard !Bytes.hasControl(value) else { throw .malformed("control character in a header") }
        try weigh(name, value)
        headers.append(nameBytes: name.bindMemory(to: UInt8.self), valueBytes: value.bindMemory(to: UInt8.self))
    }

    /// The headers that decide where the request ends. Told apart by length first: most names fail there.
    private mutating func weigh(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(Refusal) {
        switch name.count {
        case 4 where Bytes.equalLowercased(name, "host"):
            guard !hasHost else { throw .malformed("Host is given twice") }
            guard value.allSatisfy({ $0 > 32 && $0 < 127 && $0 != UInt8(ascii: ",") }) else { throw .malformed("Host is malformed") }
            hasHost = true
        case 6 where Bytes.equalLowercased(name, "expect"):
            guard Bytes.equalLowercased(value, "100-continue") else { throw Refusal(status: 417, detail: "only 100-continue can be expected") }
            expectsContinue = true
        case 14 where Bytes.equalLowercased(name, "content-length"):
            guard length == nil else { throw .malformed("Content-Length is given twice") }
            guard let number = Bytes.decimal(value) else { throw .malformed("Content-Length must be a number") }
            length = number
        case 17 where Bytes.equalLowercased(name, "transfer-encoding"):
            guard !chunked else { throw .malformed("Transfer-Encoding is given twice") }
            guard Bytes.equalLowercased(value, "chunked") else { throw .malformed("Transfer-Encoding must be chunked") }
            chunked = true
        default: break
        }
    }
}
