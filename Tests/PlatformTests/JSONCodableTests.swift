import Formats
import Testing

@Suite("Codable values in JSON") struct JSONCodableTests {
    enum Plan: String, Codable { case free, pro }

    struct Line: Codable, Equatable {
        var name: String
        var amount: Int64
        var share: Double?
    }

    struct Job: Codable, Equatable {
        var payment: String
        var plan: Plan
        var lines: [Line]
        var flags: [String: Bool]
        var note: String?
        var small: UInt8
        var raw: JSON
    }

    private let job = Job(
        payment: "pay_1", plan: .pro, lines: [Line(name: "a", amount: 9_007_199_254_740_993, share: 0.5), Line(name: "b", amount: -1)],
        flags: ["x": true], note: nil, small: 255, raw: ["exact": .number("1.10")])

    @Test("become a tree and come back")
    func roundTrip() throws {
        let json = try JSON.encoding(job)
        #expect(
            json.text
                == #"{"payment":"pay_1","plan":"pro","lines":[{"name":"a","amount":9007199254740993,"share":0.5},{"name":"b","amount":-1}],"#
                + #""flags":{"x":true},"small":255,"raw":{"exact":1.10}}"#)
        #expect(try json.decode(Job.self) == job)
        #expect(try JSON(parsing: json.text).decode(Job.self) == job)
    }

    @Test("of single values, arrays and tuples of optionals")
    func shapes() throws {
        #expect(try JSON.encoding(7) == 7)
        #expect(try JSON.encoding("x") == "x")
        #expect(try JSON.encoding([1, nil, 3] as [Int?]) == [1, nil, 3])
        #expect(try (["a", nil] as JSON).decode([String?].self) == ["a", nil])
        #expect(try JSON.number("12").decode(Double.self) == 12)
        #expect(try JSON.null.decode(Int?.self) == nil)
        #expect(try JSON.encoding([String: Int]()) == [:])
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let text: String
        let says: String
        var testDescription: String { text }
    }

    @Test(
        "are refused with the path and the reason",
        arguments: [
            Case(text: #"{"amount":1}"#, says: "name is missing"),
            Case(text: #"{"name":5,"amount":1}"#, says: "a string is wanted, a number is there"),
            Case(text: #"{"name":"a","amount":1.5}"#, says: "1.5 is no whole number"),
            Case(text: #"{"name":"a","amount":9223372036854775808}"#, says: "9223372036854775808 is no whole number"),
            Case(text: #"{"name":"a","amount":"1"}"#, says: "a number is wanted, a string is there"),
            Case(text: #"{"name":null,"amount":1}"#, says: "a string is wanted, null is there"),
            Case(text: #"{"name":"a","amount":1,"share":1e400}"#, says: "1e400 is too large"), Case(text: "[]", says: "an object is wanted"),
        ])
    func refused(_ example: Case) throws {
        let json = try JSON(parsing: example.text)
        let error = #expect(throws: DecodingError.self) { try json.decode(Line.self) }
        #expect(error.map { "\($0)" }?.contains(example.says) == true, "\(String(describing: error))")
    }

    @Test("name the way to the fault")
    func path() throws {
        let json = try JSON(parsing: #"[{"name":"a","amount":1},{"name":"b","amount":true}]"#)
        let error = #expect(throws: DecodingError.self) { try json.decode([Line].self) }
        guard case .typeMismatch(_, let context)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(context.codingPath.map(\.stringValue) == ["[1]", "amount"])
    }

    @Test("without an end are no JSON")
    func infinite() {
        #expect(throws: EncodingError.self) { try JSON.encoding(["x": Double.infinity]) }
    }

    class Parent: Codable {
        var a = 1
    }
    final class Child: Parent {
        var b = 2
        enum Keys: String, CodingKey { case b, list }
        override init() { super.init() }
        required init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Keys.self)
            b = try container.decode(Int.self, forKey: .b)
            var list = try container.nestedUnkeyedContainer(forKey: .list)
            while !list.isAtEnd { b += try list.decode(Int.self) }
            try super.init(from: container.superDecoder())
        }
        override func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: Keys.self)
            try container.encode(b, forKey: .b)
            var list = container.nestedUnkeyedContainer(forKey: .list)
            try list.encode(10)
            try list.encode(20)
            try super.encode(to: container.superEncoder())
        }
    }

    @Test("with a superclass and nested containers")
    func inheritance() throws {
        let json = try JSON.encoding(Child())
        #expect(json == ["b": 2, "list": [10, 20], "super": ["a": 1]])
        #expect(try json.decode(Child.self).b == 32)
    }
}
