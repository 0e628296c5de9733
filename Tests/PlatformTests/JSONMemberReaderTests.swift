import Formats
import Testing

@Suite("JSON, member by member")
struct JSONMemberReaderTests {
    private static let texts = [
        #"{"v":1,"id":"job_1","args":{"a":[1,2.5,{"b":null}],"é":"\u00e9\n"},"payment":null,"attempt":12}"#,
        #" { "a" : 0 , "b\n" : "ü" , "c" : [ ] } "#, "{}", #"{"n":-1,"m":1e5,"t":true,"f":false,"big":999999999999999999999}"#,
        #"{"a":123456789012345678,"b":1234567890123456789,"c":007}"#,
    ]

    /// The members as a tree; nil when the text is refused.
    private func read(_ bytes: [UInt8], numbers: Bool) -> JSON? {
        try? bytes.withUnsafeBufferPointer { buffer throws -> JSON in
            var reader = try JSONMemberReader(buffer)
            var members = JSONObject()
            while try reader.next() {
                let name = reader.name
                // Names that stand there twice are for the caller to refuse, as the tree does.
                guard members[name] == nil else { throw JSONError(code: .duplicateKey, offset: reader.nameOffset) }
                if let text = try reader.string() {
                    members[name] = .string(text)
                } else if numbers, let number = try reader.naturalNumber() {
                    members[name] = .int(number)
                } else {
                    members[name] = try reader.value()
                }
            }
            return .object(members)
        }
    }

    @Test("accepts what the parser of the whole accepts, with the same values, and refuses what it refuses", arguments: texts, [false, true])
    func sameAsTheTree(_ text: String, numbers: Bool) {
        let bytes = Array(text.utf8)
        var random = SystemRandomNumberGenerator()
        func check(_ bytes: [UInt8]) {
            guard let tree = try? JSON(parsing: bytes), case .object = tree else {
                #expect(read(bytes, numbers: numbers) == nil, "\(String(decoding: bytes, as: UTF8.self))")
                return
            }
            #expect(read(bytes, numbers: numbers) == tree, "\(String(decoding: bytes, as: UTF8.self))")
        }
        check(bytes)
        for end in 0..<bytes.count { check(Array(bytes[..<end])) }
        let characters = Array(#"{}[],:"\0123456789.-eEtfn"#.utf8) + [0x20, 0x00, 0xC3, 0xFF]
        for _ in 0..<3_000 {
            var changed = bytes
            for _ in 0...Int.random(in: 0...1, using: &random) {
                let place = Int.random(in: 0..<changed.count, using: &random)
                changed[place] = characters.randomElement(using: &random) ?? 0x20
            }
            check(changed)
        }
    }

    @Test("a name is compared however it is written")
    func names() throws {
        let bytes = Array(#"{"id":1,"\u0069d2":2}"#.utf8)
        try bytes.withUnsafeBufferPointer { buffer in
            var reader = try JSONMemberReader(buffer)
            #expect(try reader.next())
            #expect(reader.isAt("id") && !reader.isAt("i") && !reader.isAt("id2"))
            #expect(try reader.naturalNumber() == 1)
            #expect(try reader.next())
            #expect(reader.isAt("id2") && reader.name == "id2")
            #expect(try reader.string() == nil)
            #expect(try reader.naturalNumber() == 2)
            #expect(try reader.next() == false)
        }
    }
}
