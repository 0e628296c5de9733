import Testing

@testable import Formats

@Suite("JSON texts") struct JSONTests {
    struct Accepted: Sendable, CustomTestStringConvertible {
        let text: String
        let value: JSON
        init(_ text: String, _ value: JSON) {
            self.text = text
            self.value = value
        }
        var testDescription: String { text }
    }

    @Test(
        "are read by RFC 8259",
        arguments: [
            Accepted("null", nil), Accepted(" \t\r\n true ", true), Accepted("false", false), Accepted("\"\"", ""), Accepted("[]", []),
            Accepted("{}", [:]), Accepted("0", 0), Accepted("-0", .number("-0")), Accepted("-0.0e-0", .number("-0.0e-0")),
            Accepted("1E+2", .number("1E+2")), Accepted("12500.10", .number("12500.10")),
            Accepted("123456789012345678901234567890.123456789", .number("123456789012345678901234567890.123456789")),
            Accepted("1e400", .number("1e400")), Accepted("[1,[2,[3]],{}]", [1, [2, [3]], [:]]),
            Accepted(#"{"b":1,"a":{"c":null}}"#, ["b": 1, "a": ["c": nil]]), Accepted(#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{C}\n\r\t"),
            Accepted(#""A\u00e9\u20AC""#, "Aé€"), Accepted(#""\uD83D\uDE00""#, "😀"), Accepted(#""\udbff\udfff""#, "\u{10FFFF}"),
            Accepted(#""\u0000""#, "\0"), Accepted("\"\u{7F}\u{2028}\"", "\u{7F}\u{2028}"), Accepted("\"Aïcha חיפה 😀\"", "Aïcha חיפה 😀"),
            Accepted(#""\uFFFF""#, "\u{FFFF}"), Accepted(#"{"":""}"#, ["": ""]), Accepted(#"{"a":1,"A":2}"#, ["a": 1, "A": 2]),
        ])
    func accepted(_ example: Accepted) throws {
        #expect(try JSON(parsing: Array(example.text.utf8)) == example.value)
    }

    struct Refused: Sendable, CustomTestStringConvertible {
        let bytes: [UInt8]
        let code: JSONError.Code
        let offset: Int
        init(_ text: String, _ code: JSONError.Code, _ offset: Int) { self.init(Array(text.utf8), code, offset) }
        init(_ bytes: [UInt8], _ code: JSONError.Code, _ offset: Int) {
            self.bytes = bytes
            self.code = code
            self.offset = offset
        }
        var testDescription: String { String(decoding: bytes, as: UTF8.self) }
    }

    private static let quote = UInt8(ascii: "\"")

    @Test(
        "are refused with the place of the fault",
        arguments: [
            Refused("", .unexpectedEnd, 0), Refused("  ", .unexpectedEnd, 2), Refused("nul", .unexpectedEnd, 3), Refused("nulL", .unexpectedByte, 3),
            Refused("True", .unexpectedByte, 0), Refused("NaN", .unexpectedByte, 0), Refused("Infinity", .unexpectedByte, 0),
            Refused("1 2", .trailingData, 2), Refused("{}}", .trailingData, 2), Refused("01", .invalidNumber, 1), Refused("-", .unexpectedEnd, 1),
            Refused("-a", .invalidNumber, 1), Refused("+1", .unexpectedByte, 0), Refused(".5", .unexpectedByte, 0), Refused("1.", .unexpectedEnd, 2),
            Refused("1.e5", .invalidNumber, 2), Refused("1e", .unexpectedEnd, 2), Refused("1e+", .unexpectedEnd, 3), Refused("0x1", .trailingData, 1),
            Refused("[1,]", .unexpectedByte, 3), Refused("[,1]", .unexpectedByte, 1), Refused("[1 2]", .unexpectedByte, 3),
            Refused("[1", .unexpectedEnd, 2), Refused("]", .unexpectedByte, 0), Refused("{\"a\":1,}", .unexpectedByte, 7),
            Refused("{a:1}", .unexpectedByte, 1), Refused("{\"a\" 1}", .unexpectedByte, 5), Refused("{\"a\":}", .unexpectedByte, 5),
            Refused("{\"a\"", .unexpectedEnd, 4), Refused("{'a':1}", .unexpectedByte, 1), Refused("[1]//", .trailingData, 3),
            Refused("\"a", .unexpectedEnd, 2), Refused("\"\\", .unexpectedEnd, 2), Refused("\"\\x\"", .invalidEscape, 2),
            Refused("\"\\u12\"", .invalidEscape, 5), Refused("\"\\u12g4\"", .invalidEscape, 5), Refused("\"a\nb\"", .controlCharacter, 2),
            Refused("\"\\n\tb\"", .controlCharacter, 3), Refused(#""\uD83D""#, .loneSurrogate, 1), Refused(#""\uDE00""#, .loneSurrogate, 1),
            Refused(#""ab\uD83Dx""#, .loneSurrogate, 3), Refused(#""\uD83D\uD83D""#, .loneSurrogate, 1), Refused(#""\uD83D\n""#, .loneSurrogate, 1),
            Refused(#"{"a":1,"b":2,"a":3}"#, .duplicateKey, 13), Refused(#"{"a":1,"\u0061":3}"#, .duplicateKey, 7),
            Refused([0xEF, 0xBB, 0xBF, 0x7B, 0x7D], .unexpectedByte, 0), Refused([quote, 0x61, 0xFF, quote], .invalidUTF8, 2),
            Refused([quote, 0xC3, quote], .invalidUTF8, 1), Refused([quote, 0xC0, 0xAF, quote], .invalidUTF8, 1),
            Refused([quote, 0xED, 0xA0, 0x80, quote], .invalidUTF8, 1), Refused([quote, 0xF4, 0x90, 0x80, 0x80, quote], .invalidUTF8, 1),
            Refused([quote, 0x5C, 0x6E, 0xC3, 0xA9, 0xE2, 0x82, quote], .invalidUTF8, 5), Refused([0x31, 0x00], .trailingData, 1),
            Refused([0x00], .unexpectedByte, 0),
        ])
    func refused(_ example: Refused) {
        #expect(throws: JSONError(code: example.code, offset: example.offset)) { try JSON(parsing: example.bytes) }
    }

    @Test("nest as deeply as allowed and not one level more")
    func depth() throws {
        func nested(_ levels: Int) -> String { String(repeating: "[", count: levels) + String(repeating: "]", count: levels) }
        _ = try JSON(parsing: nested(64))
        #expect(throws: JSONError(code: .tooDeep, offset: 64)) { try JSON(parsing: nested(65)) }
        #expect(throws: JSONError(code: .tooDeep, offset: 6)) { try JSON(parsing: #"[{"a":[]}]"#, depthLimit: 2) }
        // A hostile text of a megabyte of brackets ends at the limit and not in the stack.
        #expect(throws: JSONError(code: .tooDeep, offset: 512)) {
            try JSON(parsing: String(repeating: "[", count: 1 << 20), depthLimit: 512)
        }
    }

    @Test("are as large as allowed and not one byte more")
    func size() throws {
        _ = try JSON(parsing: "[1,2]", sizeLimit: 5)
        #expect(throws: JSONError(code: .tooLarge, offset: 4)) { try JSON(parsing: "[1,2]", sizeLimit: 4) }
    }

    @Test("with very many members are still read, and a late duplicate is still found")
    func manyMembers() throws {
        let members = (0..<20_000).map { "\"m\($0)\":\($0)" }.joined(separator: ",")
        #expect(try JSON(parsing: "{\(members)}").object?.count == 20_000)
        #expect(throws: JSONError.self) { try JSON(parsing: "{\(members),\"m7\":1}") }
    }

    @Test("come back byte by byte when written again")
    func roundTrip() throws {
        let text = #"{"z":1,"amount":12500.10,"e":1E5,"list":[true,false,null,"é\n\"\\\u0001"],"empty":{}}"#
        #expect(try JSON(parsing: text).text == text)
    }

    @Test("tell what they hold, and nil for what they do not")
    func access() throws {
        let json = try JSON(parsing: #"{"n":9223372036854775807,"big":9223372036854775808,"d":1.0,"s":"x","b":true,"l":[1],"z":null}"#)
        #expect(json["n"]?.int == .max)
        #expect(json["big"]?.int == nil)
        #expect(json["big"]?.numberText == "9223372036854775808")
        #expect(json["d"]?.int == nil)
        #expect(json["s"]?.string == "x")
        #expect(json["s"]?.int == nil)
        #expect(json["b"]?.bool == true)
        #expect(json["l"]?[0] == 1)
        #expect(json["l"]?[1] == nil)
        #expect(json["z"]?.isNull == true)
        #expect(json["none"] == nil)
        #expect(json.object?.keys == ["n", "big", "d", "s", "b", "l", "z"])
    }

    @Test(
        "a character to be escaped is found wherever it stands in a text", arguments: ["\"", "\\", "\n", "\u{1f}", "\u{00}", "\u{7f}", "\u{20}", "é"])
    func writerEscapesAnywhere(character: String) throws {
        for before in 0..<20 {
            for after in [0, 1, 7, 8, 9] {
                let text = String(repeating: "a", count: before) + character + String(repeating: "z", count: after) + character
                var writer = JSONWriter()
                writer.string(text)
                #expect(try JSON(parsing: writer.bytes).string == text)
            }
        }
    }

    @Test("keep the order of members when one is set or removed")
    func mutation() {
        var object: JSONObject = ["a": 1, "b": 2, "c": 3]
        object["b"] = 5
        object["a"] = nil
        object["d"] = "x"
        #expect(JSON.object(object).text == #"{"b":5,"c":3,"d":"x"}"#)
    }

    @Test("are written piece by piece with commas in the right places")
    func writer() {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("id", "a\"b")
        writer.member("n", Int64.min)
        writer.key(literal: "list")
        writer.beginArray()
        writer.int(0)
        writer.bool(false)
        writer.beginObject()
        writer.endObject()
        writer.null()
        writer.endArray()
        writer.member("none", optional: nil)
        writer.key("bytes")
        writer.base64([1, 2, 3, 4])
        writer.key("x")
        writer.double(.infinity)
        writer.endObject()
        let expected = #"{"id":"a\"b","n":-9223372036854775808,"list":[0,false,{},null],"none":null,"bytes":"AQIDBA==","x":null}"#
        #expect(String(decoding: writer.bytes, as: UTF8.self) == expected)
    }
}
