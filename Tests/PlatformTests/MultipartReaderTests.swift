import Formats
import Testing

@Suite("Forms with files that come in pieces")
struct MultipartReaderTests {
    private static let type = "multipart/form-data; boundary=\"xYz\""

    private struct Part: Equatable {
        var name: String
        var filename: String?
        var bytes: [UInt8]
    }

    private func read(_ body: [UInt8], inPiecesOf size: Int, type: String = MultipartReaderTests.type, partsMax: Int = 100) throws -> [Part] {
        var reader = try MultipartReader(contentType: type, partsMax: partsMax)
        var parts: [Part] = []
        var isOpen = false
        for start in stride(from: 0, to: body.count, by: size) {
            for event in try reader.receive(Array(body[start..<min(start + size, body.count)])) {
                switch event {
                case .part(let name, let filename):
                    #expect(!isOpen)
                    isOpen = true
                    parts.append(Part(name: name, filename: filename, bytes: []))
                case .bytes(let bytes):
                    #expect(isOpen && !bytes.isEmpty)
                    parts[parts.count - 1].bytes += bytes
                case .endOfPart:
                    #expect(isOpen)
                    isOpen = false
                }
            }
        }
        try reader.finish()
        return parts
    }

    private static func form(_ parts: [(head: String, body: [UInt8])], preamble: String = "", epilogue: String = "\r\n") -> [UInt8] {
        var bytes = Array(preamble.utf8)
        for part in parts { bytes += Array("--xYz\r\n\(part.head)\r\n\r\n".utf8) + part.body + [0x0D, 0x0A] }
        return bytes + Array("--xYz--\(epilogue)".utf8)
    }

    private static let text = "Content-Disposition: form-data; name=\"mission_text\""
    private static let file = "content-type: application/pdf\r\nContent-Disposition: form-data; name=\"documents\"; filename=\"a \\\"b\\\".pdf\""

    @Test("the parts are the same whatever the pieces, and the same as of a form that is read whole", arguments: [1, 2, 3, 5, 7, 64, 100_000])
    func pieces(size: Int) throws {
        // Bodies that hold what looks like a boundary, or ends in the beginning of one.
        let bodies: [[UInt8]] = [
            Array("Été\r\nligne".utf8), [], Array("\r\n--xY\r\n--xYZ\r\n-".utf8), Array("\r\n".utf8),
            (0..<3000).map { UInt8(truncatingIfNeeded: $0) },
            Array("x--xYz".utf8),
        ]
        let parts = bodies.enumerated().map { (head: $0 % 2 == 0 ? Self.text : Self.file, body: $1) }
        let body = Self.form(parts, preamble: "not for you\r\n", epilogue: "\r\nnor this --xYz")
        let found = try read(body, inPiecesOf: size)
        #expect(found.map(\.bytes) == bodies)
        #expect(found.map(\.name) == ["mission_text", "documents", "mission_text", "documents", "mission_text", "documents"])
        #expect(found[1].filename == "a \"b\".pdf" && found[0].filename == nil)
        let whole = try MultipartForm.parse(body, contentType: Self.type)
        #expect(whole.map(\.bytes) == bodies && whole.map(\.filename) == found.map(\.filename))
    }

    @Test("an empty body may end with its head")
    func empty() throws {
        let body = Array("--xYz\r\n\(Self.text)\r\n\r\n--xYz--".utf8)
        for size in [1, 4, 1000] { #expect(try read(body, inPiecesOf: size) == [Part(name: "mission_text", bytes: [])]) }
    }

    @Test("a form that is none, is cut off or has too much of something is refused", arguments: [1, 9, 100_000])
    func refused(size: Int) throws {
        let whole = Self.form([(Self.text, Array("x".utf8))])
        let faults: [([UInt8], FormError.Code)] = [
            (Array(whole.dropLast(5)), .unfinished), ([], .unfinished), (Array("no boundary".utf8), .unfinished),
            (Array(String(repeating: "x", count: 5000).utf8), .malformedPart), (Array("--xYzz\r\n".utf8), .malformedPart),
            (Array("--xYz\r\nno colon\r\n\r\nx\r\n--xYz--".utf8), .malformedPart),
            (Array("--xYz\r\nContent-Disposition: attachment; name=\"x\"\r\n\r\nx\r\n--xYz--".utf8), .malformedPart),
            (Array("--xYz\r\n\r\nx\r\n--xYz--".utf8), .malformedPart),
            (Array("--xYz\r\nContent-Disposition: form-data; name=\"\(String(repeating: "n", count: 9000))\"\r\n\r\n".utf8), .malformedPart),
            (Self.form(Array(repeating: (Self.text, []), count: 4)), .tooManyFields),
        ]
        for (body, code) in faults {
            let error = #expect(throws: FormError.self) { _ = try read(body, inPiecesOf: size, partsMax: 3) }
            #expect(error?.code == code, "\(String(decoding: body.prefix(60), as: UTF8.self))")
        }
        #expect(throws: FormError.self) { _ = try MultipartReader(contentType: "multipart/form-data") }
        #expect(throws: FormError.self) { _ = try MultipartReader(contentType: "text/plain; boundary=x") }
    }
}
