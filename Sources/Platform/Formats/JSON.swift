/// A JSON value that keeps what was written: the order of members, and numbers as their exact text.
///
/// Numbers are never turned into `Double` on the way in or out, so an amount such as `12500.10` stays itself.
/// Equality compares numbers by their text: `1.0` and `1` differ.
public enum JSON: Sendable, Equatable {
    case null
    case bool(Bool)
    /// The number's text, exactly as it was written (a valid JSON number).
    case number(String)
    case string(String)
    case array([JSON])
    case object(JSONObject)

    public static func int(_ value: Int64) -> JSON { .number(String(value)) }

    /// A string, or null for nil.
    public static func optional(_ value: String?) -> JSON { value.map(JSON.string) ?? .null }

    /// A number, or null for nil.
    public static func optional(_ value: Int64?) -> JSON { value.map(JSON.int) ?? .null }

    // MARK: Reading

    /// The member of that name; nil when there is none or this is no object.
    public subscript(_ key: String) -> JSON? {
        if case .object(let members) = self { members[key] } else { nil }
    }

    /// The element at that place; nil when there is none or this is no array.
    public subscript(_ index: Int) -> JSON? {
        if case .array(let elements) = self, elements.indices.contains(index) { elements[index] } else { nil }
    }

    public var string: String? { if case .string(let value) = self { value } else { nil } }
    public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    public var array: [JSON]? { if case .array(let value) = self { value } else { nil } }
    public var object: JSONObject? { if case .object(let value) = self { value } else { nil } }
    public var isNull: Bool { self == .null }

    /// The number's exact text; nil when this is no number.
    public var numberText: String? { if case .number(let text) = self { text } else { nil } }

    /// The number when it is written as a whole number that 64 bits hold; nil for `1.0`, `1e3`, `"1"`.
    public var int: Int64? { if case .number(let text) = self { Int64(text) } else { nil } }

    // MARK: Writing

    /// The compact text.
    public var text: String { String(decoding: bytes, as: UTF8.self) }

    /// The compact text as UTF-8.
    public var bytes: [UInt8] {
        var writer = JSONWriter()
        writer.value(self)
        return writer.bytes
    }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .int(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }
    public init(nilLiteral: ()) { self = .null }

    /// Members in the order written; a name written twice keeps the last value.
    public init(dictionaryLiteral elements: (String, JSON)...) {
        var members = JSONObject()
        for (key, value) in elements { members[key] = value }
        self = .object(members)
    }
}

extension JSON: CustomStringConvertible {
    public var description: String { text }
}

/// The members of a JSON object in their order, each name once.
public struct JSONObject: Sendable, Equatable, RandomAccessCollection, ExpressibleByDictionaryLiteral {
    public struct Member: Sendable, Equatable {
        public var key: String
        public var value: JSON
    }

    private var members: [Member] = []

    public init() {}

    public init(dictionaryLiteral elements: (String, JSON)...) {
        for (key, value) in elements { self[key] = value }
    }

    public init(_ members: [(String, JSON)]) {
        for (key, value) in members { self[key] = value }
    }

    /// Members whose names the parser has already found to be distinct.
    init(distinct members: [Member]) { self.members = members }

    /// The member's value. Setting keeps the member's place or adds it at the end; nil removes it.
    public subscript(_ key: String) -> JSON? {
        get {
            for member in members where member.key == key { return member.value }
            return nil
        }
        set {
            let place = members.firstIndex { $0.key == key }
            switch (place, newValue) {
            case (let place?, let value?): members[place].value = value
            case (let place?, nil): members.remove(at: place)
            case (nil, let value?): members.append(Member(key: key, value: value))
            case (nil, nil): break
            }
        }
    }

    public var keys: [String] { members.map(\.key) }
    public var startIndex: Int { members.startIndex }
    public var endIndex: Int { members.endIndex }
    public subscript(position: Int) -> Member { members[position] }
}
