import Testing

@testable import Formats

@Suite("Base64 and hexadecimal") struct BinaryTextTests {
    @Test(
        "the vectors of RFC 4648",
        arguments: [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy")])
    func vectors(plain: String, encoded: String) {
        #expect(Base64.encode(Array(plain.utf8)) == encoded)
        #expect(Base64.decode(encoded) == Array(plain.utf8))
    }

    @Test("every byte survives every length")
    func allBytes() {
        for length in 0..<260 {
            let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ length) }
            #expect(Base64.decode(Base64.encode(bytes)) == bytes)
            #expect(Base64.urlDecode(Base64.urlEncode(bytes)) == bytes)
            #expect(Hex.decode(Hex.encode(bytes)) == bytes)
        }
    }

    @Test("padding may be missing or short only when read leniently", arguments: ["Zg", "Zg=", "Zm8"])
    func lenient(text: String) {
        #expect(Base64.decode(text) == nil)
        #expect(Base64.decode(text, lenientPadding: true) != nil)
    }

    @Test("what is no Base64 is refused both ways", arguments: ["Z", "Zg===", "=", "Zg==Zg==", "Zm9v ", "Zm9v\n", "Zm-v", "Zm9v=", "é"])
    func refused(text: String) {
        #expect(Base64.decode(text) == nil)
        #expect(Base64.decode(text, lenientPadding: true) == nil)
    }

    @Test("bits behind the last byte are refused strictly, since two texts would mean the same")
    func trailingBits() {
        #expect(Base64.decode("Zh==") == nil)
        #expect(Base64.decode("Zh==", lenientPadding: true) == [0x66])
    }

    @Test("the URL alphabet has no + and /, and padding is optional")
    func url() {
        #expect(Base64.urlEncode([0xFB, 0xFF, 0xFE]) == "-__-")
        #expect(Base64.urlEncode([0xFB]) == "-w")
        #expect(Base64.urlDecode("-w==") == [0xFB])
        #expect(Base64.urlDecode("+w") == nil)
    }

    @Test("hexadecimal is read in either case and refused otherwise")
    func hex() {
        #expect(Hex.encode([0, 0xAB, 0xFF]) == "00abff")
        #expect(Hex.decode("00ABfF") == [0, 0xAB, 0xFF])
        #expect(Hex.decode("0") == nil)
        #expect(Hex.decode("0g") == nil)
    }
}

@Suite("Forms") struct FormTests {
    private func fields(_ text: String) throws -> [String] {
        try FormURLEncoded.parse(Array(text.utf8)).map { "\($0.name)=\($0.value)" }
    }

    @Test("keep order and duplicates; + is a blank; missing values are empty")
    func reading() throws {
        #expect(
            try fields("cpm_trans_id=A%2B1&nom=A%C3%AFcha+Kon%C3%A9&x=1&x=2&&empty=&bare&=v&a=b=c&%26=%3d")
                == ["cpm_trans_id=A+1", "nom=Aïcha Koné", "x=1", "x=2", "empty=", "bare=", "=v", "a=b=c", "&=="])
        #expect(try fields("").isEmpty)
    }

    @Test(
        "are refused with the place of the fault",
        arguments: [
            ("a=1&b=%4", FormError.Code.invalidEscape, 6), ("%zz=1", .invalidEscape, 0), ("a=%", .invalidEscape, 2), ("ab=1&c=%FF", .invalidUTF8, 5),
            ("a=%ED%A0%80", .invalidUTF8, 0),
        ])
    func refused(text: String, code: FormError.Code, offset: Int) {
        #expect(throws: FormError(code: code, offset: offset)) { try FormURLEncoded.parse(Array(text.utf8)) }
    }

    @Test("give bytes as they are where the encoding is unknown")
    func bytes() throws {
        let fields = try FormURLEncoded.parseBytes(Array("n=Caf%E9".utf8))
        #expect(fields.count == 1)
        #expect(fields[0].value == [0x43, 0x61, 0x66, 0xE9])
    }

    @Test("have a largest number of fields")
    func tooMany() {
        #expect(throws: FormError(code: .tooManyFields, offset: 4)) { try FormURLEncoded.parse(Array("a&b&c".utf8), fieldsMax: 2) }
    }

    @Test("are written so that they read the same")
    func writing() throws {
        let text = FormURLEncoded.encode([("a b", "1+1=2&é"), ("*-._", "~")])
        #expect(text == "a+b=1%2B1%3D2%26%C3%A9&*-._=%7E")
        #expect(try fields(text) == ["a b=1+1=2&é", "*-._=~"])
    }

    @Test("a path segment is escaped whole")
    func pathSegment() {
        #expect(PercentEncoding.encodePathSegment("a/b ?é~") == "a%2Fb%20%3F%C3%A9~")
        #expect(PercentEncoding.decode("a%2Fb+%C3%A9") == "a/b+é")
        #expect(PercentEncoding.decode("%2") == nil)
        #expect(PercentEncoding.decode("%FF") == nil)
    }

    @Test("HTML's own signs are escaped")
    func html() {
        #expect(HTML.escape("<a href=\"x\">N'Guessan & fils</a>") == "&lt;a href=&quot;x&quot;&gt;N&#39;Guessan &amp; fils&lt;/a&gt;")
    }
}

@Suite("Multipart forms") struct MultipartTests {
    private let type = "multipart/form-data; boundary=\"XX yy\""

    private func body(_ lines: String...) -> [UInt8] { Array(lines.joined(separator: "\r\n").utf8) }

    @Test("give every part with its name, file name, type and exact bytes")
    func parts() throws {
        let body = body(
            "preamble", "--XX yy", "Content-Disposition: form-data; name=\"title\"", "", "Été", "--XX yy  ",
            "content-type: text/plain", "content-disposition: form-data; filename=\"a\\\"b;c.txt\"; name=file", "", "line 1", "--XX y", "",
            "--XX yy--",
            "epilogue")
        let parts = try MultipartForm.parse(body, contentType: type)
        #expect(
            parts == [
                MultipartForm.Part(name: "title", filename: nil, contentType: nil, bytes: Array("Été".utf8)),
                MultipartForm.Part(name: "file", filename: "a\"b;c.txt", contentType: "text/plain", bytes: Array("line 1\r\n--XX y\r\n".utf8)),
            ])
    }

    @Test("may hold an empty part, or none")
    func empty() throws {
        let one = body("--XX yy", "Content-Disposition: form-data; name=a", "", "", "--XX yy--")
        #expect(try MultipartForm.parse(one, contentType: type) == [MultipartForm.Part(name: "a", filename: nil, contentType: nil, bytes: [])])
        #expect(try MultipartForm.parse(body("--XX yy--"), contentType: type).isEmpty)
    }

    @Test("that are malformed are refused")
    func refused() {
        let head = "Content-Disposition: form-data; name=a"
        let cases: [(body: [UInt8], type: String, code: FormError.Code)] = [
            (body("--XX yy--"), "multipart/form-data", .noBoundary), (body("--XX yy--"), "text/plain; boundary=XX", .noBoundary),
            (body("nothing"), type, .malformedPart), (body("--XX yy", head, "", "x"), type, .unfinished),
            (body("--XX yy", "Content-Type: text/plain", "", "x", "--XX yy--"), type, .malformedPart),
            (body("--XX yy", "no colon", "", "x", "--XX yy--"), type, .malformedPart),
            (body("--XX yy", head, "--XX yy--"), type, .malformedPart), (body("--XX yyz", head, "", "x", "--XX yy--"), type, .malformedPart),
        ]
        for (body, type, code) in cases {
            let error = #expect(throws: FormError.self) { try MultipartForm.parse(body, contentType: type) }
            #expect(error?.code == code, "\(String(decoding: body, as: UTF8.self))")
        }
        let two = body("--XX yy", head, "", "1", "--XX yy", head, "", "2", "--XX yy--")
        #expect(throws: FormError.self) { try MultipartForm.parse(two, contentType: type, partsMax: 1) }
    }
}

@Suite("Header fields") struct HTTPHeadersTests {
    @Test("are found without case, kept in order, duplicates too")
    func lookup() {
        var headers: HTTPHeaders = ["Content-Type": "a/b", "X-A": "1"]
        headers.append("x-a", "2")
        #expect(headers["content-TYPE"] == "a/b")
        #expect(headers["x-A"] == "1")
        #expect(headers.values("X-a") == ["1", "2"])
        #expect(headers["x"] == nil)
        #expect(headers["x-a-b"] == nil)
        #expect(headers.count == 3)
        var seen: [String] = []
        headers.forEach { seen.append("\($0): \($1)") }
        #expect(seen == ["Content-Type: a/b", "X-A: 1", "x-a: 2"])
    }

    @Test("setting replaces every field of the name, nil removes them")
    func setting() {
        var headers: HTTPHeaders = ["A": "1", "B": "2", "a": "3"]
        headers["A"] = "4"
        #expect(headers == ["B": "2", "A": "4"])
        headers["b"] = nil
        #expect(headers == ["a": "4"])
        #expect(!headers.contains("B"))
    }

    @Test("differ by a value, an order or a missing field, not by the case of a name")
    func equality() {
        #expect(["A": "x", "B": "y"] as HTTPHeaders == ["a": "x", "b": "y"])
        #expect(["A": "x", "B": "y"] as HTTPHeaders != ["B": "y", "A": "x"])
        #expect(["A": "x"] as HTTPHeaders != ["A": "X"])
        #expect(["A": "x"] as HTTPHeaders != [:])
    }

    @Test("come from a parser's bytes and go into a message as bytes")
    func bytes() {
        var headers = HTTPHeaders()
        headers.append(nameBytes: Array("Name".utf8), valueBytes: [0x63, 0xE9])
        headers.append("Empty", "")
        #expect(headers.valueBytes("name") == [0x63, 0xE9])
        var output: [UInt8] = []
        headers.write(into: &output)
        #expect(output == Array("Name: c".utf8) + [0xE9] + Array("\r\nEmpty: \r\n".utf8))
    }
}
