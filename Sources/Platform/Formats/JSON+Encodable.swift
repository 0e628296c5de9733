extension JSON {
    /// The JSON of any `Encodable` value, built as a tree without text in between. Nil members are left out, as Swift's
    /// synthesised encoding does; whole numbers stay exact.
    /// - Throws: `EncodingError` for a number JSON cannot write (infinity, not a number), and what the value itself throws.
    public static func encoding(_ value: some Encodable) throws -> JSON {
        let node = EncodedNode()
        try node.encode(value, at: [])
        return node.json
    }
}

extension JSON: Encodable {
    public func encode(to encoder: any Encoder) throws {
        if let tree = encoder as? JSONTreeEncoder {
            tree.node.content = .value(self)
            return
        }
        switch self {
        case .null:
            var container = encoder.singleValueContainer()
            try container.encodeNil()
        case .bool(let value): try value.encode(to: encoder)
        case .string(let value): try value.encode(to: encoder)
        case .array(let elements): try elements.encode(to: encoder)
        case .object(let members):
            var container = encoder.container(keyedBy: JSONKey.self)
            for member in members { try container.encode(member.value, forKey: JSONKey(member.key)) }
        case .number(let text):
            if let whole = Int64(text) { return try whole.encode(to: encoder) }
            // Another encoder knows no exact decimals: a rounded number would be a silent change.
            let why = "\(text) can only be encoded by JSON.encoding"
            throw EncodingError.invalidValue(self, EncodingError.Context(codingPath: encoder.codingPath, debugDescription: why))
        }
    }
}

/// A member name or an index on the way to a value.
struct JSONKey: CodingKey {
    let stringValue: String
    let intValue: Int?

    init(_ name: String) {
        stringValue = name
        intValue = nil
    }
    init(index: Int) {
        stringValue = "[\(index)]"
        intValue = index
    }
    init?(stringValue: String) { self.init(stringValue) }
    init?(intValue: Int) { self.init(index: intValue) }
}

/// A value that is still being written: containers fill it, in any order.
private final class EncodedNode {
    enum Content {
        case empty
        case value(JSON)
        case array([EncodedNode])
        case object([(key: String, node: EncodedNode)])
    }
    var content = Content.empty

    var json: JSON {
        switch content {
        case .empty: .object(JSONObject())
        case .value(let value): value
        case .array(let nodes): .array(nodes.map(\.json))
        case .object(let members): .object(JSONObject(distinct: members.map { JSONObject.Member(key: $0.key, value: $0.node.json) }))
        }
    }

    func encode(_ value: some Encodable, at path: [any CodingKey]) throws {
        if let value = value as? JSON {
            content = .value(value)
            return
        }
        try value.encode(to: JSONTreeEncoder(node: self, codingPath: path))
    }

    func set(_ value: some BinaryInteger) { content = .value(.number(String(value))) }

    func set(_ value: some BinaryFloatingPoint & CustomStringConvertible, at path: [any CodingKey]) throws {
        guard value.isFinite else {
            let context = EncodingError.Context(codingPath: path, debugDescription: "JSON has no infinity and no not-a-number")
            throw EncodingError.invalidValue(value, context)
        }
        content = .value(.number(value.description))
    }

    func member(_ key: any CodingKey) -> EncodedNode {
        guard case .object(var members) = content else { preconditionFailure("a keyed container writes into an object") }
        // Emptied first, so that the members are changed in place and not copied.
        content = .empty
        let node = EncodedNode()
        if let place = members.firstIndex(where: { $0.key == key.stringValue }) {
            members[place].node = node
        } else {
            members.append((key.stringValue, node))
        }
        content = .object(members)
        return node
    }

    func element() -> EncodedNode {
        guard case .array(var nodes) = content else { preconditionFailure("an unkeyed container writes into an array") }
        content = .empty
        let node = EncodedNode()
        nodes.append(node)
        content = .array(nodes)
        return node
    }

    func becomeObject() {
        if case .object = content { return }
        content = .object([])
    }

    func becomeArray() {
        if case .array = content { return }
        content = .array([])
    }

    var count: Int { if case .array(let nodes) = content { nodes.count } else { 0 } }
}

private struct JSONTreeEncoder: Encoder {
    let node: EncodedNode
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        node.becomeObject()
        return KeyedEncodingContainer(KeyedWriter(node: node, codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        node.becomeArray()
        return UnkeyedWriter(node: node, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { SingleWriter(node: node, codingPath: codingPath) }
}

private struct KeyedWriter<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let node: EncodedNode
    let codingPath: [any CodingKey]

    func encodeNil(forKey key: Key) { node.member(key).content = .value(.null) }
    func encode(_ value: Bool, forKey key: Key) { node.member(key).content = .value(.bool(value)) }
    func encode(_ value: String, forKey key: Key) { node.member(key).content = .value(.string(value)) }
    func encode(_ value: Double, forKey key: Key) throws { try node.member(key).set(value, at: codingPath + [key]) }
    func encode(_ value: Float, forKey key: Key) throws { try node.member(key).set(value, at: codingPath + [key]) }
    func encode(_ value: Int, forKey key: Key) { node.member(key).set(value) }
    func encode(_ value: Int8, forKey key: Key) { node.member(key).set(value) }
    func encode(_ value: Int16, forKey key: Key) { node.member(key).set(value) }
    func encode(_ value: Int32, forKey key: Key) { node.member(key).set(value) }
    func encode(_ value: Int64, forKey key: Key) { node.member(key).set(value) }
    func encode(_ value: UInt, forKey key: Key) { node.member(key).set(value) }
    func encode(_ value: UInt8, forKey key: Key) { node.member(key).set(value) }
    func encode(_ value: UInt16, forKey key: Key) { node.member(key).set(value) }
    func encode(_ value: UInt32, forKey key: Key) { node.member(key).set(value) }
    func encode(_ value: UInt64, forKey key: Key) { node.member(key).set(value) }
    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws { try node.member(key).encode(value, at: codingPath + [key]) }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) -> KeyedEncodingContainer<Nested> {
        JSONTreeEncoder(node: node.member(key), codingPath: codingPath + [key]).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        JSONTreeEncoder(node: node.member(key), codingPath: codingPath + [key]).unkeyedContainer()
    }
    func superEncoder() -> any Encoder { JSONTreeEncoder(node: node.member(JSONKey("super")), codingPath: codingPath + [JSONKey("super")]) }
    func superEncoder(forKey key: Key) -> any Encoder { JSONTreeEncoder(node: node.member(key), codingPath: codingPath + [key]) }
}

private struct UnkeyedWriter: UnkeyedEncodingContainer {
    let node: EncodedNode
    let codingPath: [any CodingKey]
    var count: Int { node.count }
    private var nextPath: [any CodingKey] { codingPath + [JSONKey(index: count)] }

    func encodeNil() { node.element().content = .value(.null) }
    func encode(_ value: Bool) { node.element().content = .value(.bool(value)) }
    func encode(_ value: String) { node.element().content = .value(.string(value)) }
    func encode(_ value: Double) throws { try node.element().set(value, at: codingPath) }
    func encode(_ value: Float) throws { try node.element().set(value, at: codingPath) }
    func encode(_ value: Int) { node.element().set(value) }
    func encode(_ value: Int8) { node.element().set(value) }
    func encode(_ value: Int16) { node.element().set(value) }
    func encode(_ value: Int32) { node.element().set(value) }
    func encode(_ value: Int64) { node.element().set(value) }
    func encode(_ value: UInt) { node.element().set(value) }
    func encode(_ value: UInt8) { node.element().set(value) }
    func encode(_ value: UInt16) { node.element().set(value) }
    func encode(_ value: UInt32) { node.element().set(value) }
    func encode(_ value: UInt64) { node.element().set(value) }
    func encode<Value: Encodable>(_ value: Value) throws {
        let path = nextPath
        try node.element().encode(value, at: path)
    }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        let path = nextPath
        return JSONTreeEncoder(node: node.element(), codingPath: path).container(keyedBy: type)
    }
    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        let path = nextPath
        return JSONTreeEncoder(node: node.element(), codingPath: path).unkeyedContainer()
    }
    func superEncoder() -> any Encoder {
        let path = nextPath
        return JSONTreeEncoder(node: node.element(), codingPath: path)
    }
}

private struct SingleWriter: SingleValueEncodingContainer {
    let node: EncodedNode
    let codingPath: [any CodingKey]

    func encodeNil() { node.content = .value(.null) }
    func encode(_ value: Bool) { node.content = .value(.bool(value)) }
    func encode(_ value: String) { node.content = .value(.string(value)) }
    func encode(_ value: Double) throws { try node.set(value, at: codingPath) }
    func encode(_ value: Float) throws { try node.set(value, at: codingPath) }
    func encode(_ value: Int) { node.set(value) }
    func encode(_ value: Int8) { node.set(value) }
    func encode(_ value: Int16) { node.set(value) }
    func encode(_ value: Int32) { node.set(value) }
    func encode(_ value: Int64) { node.set(value) }
    func encode(_ value: UInt) { node.set(value) }
    func encode(_ value: UInt8) { node.set(value) }
    func encode(_ value: UInt16) { node.set(value) }
    func encode(_ value: UInt32) { node.set(value) }
    func encode(_ value: UInt64) { node.set(value) }
    func encode<Value: Encodable>(_ value: Value) throws { try node.encode(value, at: codingPath) }
}
