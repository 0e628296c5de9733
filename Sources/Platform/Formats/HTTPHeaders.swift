/// The header fields of a message: ordered, duplicates kept, names compared without case.
///
/// All names and values live in one byte array, so a request's headers cost two allocations, and a server can write or read
/// them without a `String` in between. Values are bytes as they came; the `String` accessors repair what is not UTF-8.
public struct HTTPHeaders: Sendable, ExpressibleByDictionaryLiteral {
    private struct Field: Sendable {
        var start: Int32
        var nameLength: Int32
        var valueLength: Int32
        var name: Range<Int> { Int(start)..<Int(start + nameLength) }
        var value: Range<Int> { Int(start + nameLength)..<Int(start + nameLength + valueLength) }
    }

    private var blob: [UInt8] = []
    private var fields: [Field] = []

    public init() {}

    public init(dictionaryLiteral elements: (String, String)...) {
        for (name, value) in elements { append(name, value) }
    }

    public init(_ fields: [(String, String)]) {
        for (name, value) in fields { append(name, value) }
    }

    /// Room for this many fields and bytes, so that appending does not allocate again.
    public mutating func reserve(fields count: Int, bytes: Int) {
        fields.reserveCapacity(count)
        blob.reserveCapacity(bytes)
    }

    /// The number of fields, duplicates counted.
    public var count: Int { fields.count }
    public var isEmpty: Bool { fields.isEmpty }

    // MARK: Adding

    public mutating func append(_ name: String, _ value: String) {
        let start = blob.count
        blob.append(contentsOf: name.utf8)
        let middle = blob.count
        blob.append(contentsOf: value.utf8)
        note(start, middle)
    }

    /// Adds a field from a parser's buffers; both are copied.
    public mutating func append(nameBytes: UnsafeBufferPointer<UInt8>, valueBytes: UnsafeBufferPointer<UInt8>) {
        let start = blob.count
        blob.append(contentsOf: nameBytes)
        let middle = blob.count
        blob.append(contentsOf: valueBytes)
        note(start, middle)
    }

    /// Adds a field from byte arrays; both are copied.
    public mutating func append(nameBytes: some Collection<UInt8>, valueBytes: some Collection<UInt8>) {
        let start = blob.count
        blob.append(contentsOf: nameBytes)
        let middle = blob.count
        blob.append(contentsOf: valueBytes)
        note(start, middle)
    }

    private mutating func note(_ start: Int, _ middle: Int) {
        precondition(blob.count <= Int(Int32.max), "header fields beyond 2 GiB")
        fields.append(Field(start: Int32(start), nameLength: Int32(middle - start), valueLength: Int32(blob.count - middle)))
    }

    // MARK: Reading

    /// The first value of that name. Setting replaces every field of that name by one; nil removes them.
    public subscript(_ name: String) -> String? {
        get { firstField(named: name).map { String(decoding: blob[$0.value], as: UTF8.self) } }
        set {
            remove(name)
            if let newValue { append(name, newValue) }
        }
    }

    /// Every value of that name, in the order of the message.
    public func values(_ name: String) -> [String] {
        var found: [String] = []
        for field in fields where matches(field, name) { found.append(String(decoding: blob[field.value], as: UTF8.self)) }
        return found
    }

    /// The exact bytes of the first value of that name.
    public func valueBytes(_ name: String) -> [UInt8]? {
        firstField(named: name).map { Array(blob[$0.value]) }
    }

    public func contains(_ name: String) -> Bool { firstField(named: name) != nil }

    /// Calls `body` with each field in order.
    public func forEach(_ body: (_ name: String, _ value: String) throws -> Void) rethrows {
        for field in fields {
            try body(String(decoding: blob[field.name], as: UTF8.self), String(decoding: blob[field.value], as: UTF8.self))
        }
    }

    /// Calls `body` with each field's bytes in order; they are lent for the call.
    package func forEachBytes(_ body: (_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) -> Void) {
        blob.withUnsafeBufferPointer { bytes in
            for field in fields { body(UnsafeBufferPointer(rebasing: bytes[field.name]), UnsafeBufferPointer(rebasing: bytes[field.value])) }
        }
    }

    /// Appends every field as `name: value` CRLF, as it stands in a message.
    public func write(into output: inout [UInt8]) {
        output.reserveCapacity(output.count + blob.count + fields.count * 4)
        for field in fields {
            output.append(contentsOf: blob[field.name])
            output.append(0x3A)
            output.append(0x20)
            output.append(contentsOf: blob[field.value])
            output.append(0x0D)
            output.append(0x0A)
        }
    }

    /// Takes every field of that name away.
    public mutating func remove(_ name: String) {
        guard contains(name) else { return }
        let old = self
        blob.removeAll(keepingCapacity: true)
        fields.removeAll(keepingCapacity: true)
        for field in old.fields where !old.matches(field, name) {
            append(nameBytes: old.blob[field.name], valueBytes: old.blob[field.value])
        }
    }

    private func firstField(named name: String) -> Field? {
        for field in fields where matches(field, name) { return field }
        return nil
    }

    private func matches(_ field: Field, _ name: String) -> Bool {
        let wanted = name.utf8
        guard wanted.count == Int(field.nameLength) else { return false }
        var at = Int(field.start)
        for byte in wanted {
            guard ASCII.lowercase(byte) == ASCII.lowercase(blob[at]) else { return false }
            at += 1
        }
        return true
    }
}

extension HTTPHeaders: Equatable {
    /// Same fields in the same order; names without case, values byte by byte.
    public static func == (left: HTTPHeaders, right: HTTPHeaders) -> Bool {
        guard left.fields.count == right.fields.count else { return false }
        for (mine, other) in zip(left.fields, right.fields) {
            let names = left.blob[mine.name].lazy.map(ASCII.lowercase)
            guard names.elementsEqual(right.blob[other.name].lazy.map(ASCII.lowercase)) else { return false }
            guard left.blob[mine.value].elementsEqual(right.blob[other.value]) else { return false }
        }
        return true
    }
}

/// Byte arithmetic that every parser of this room needs.
package enum ASCII {
    @inline(__always) package static func lowercase(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }
    @inline(__always) package static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    /// 0…15, or nil when the byte is no hexadecimal digit.
    @inline(__always) package static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte &- 0x30
        case 0x41...0x46: byte &- 0x37
        case 0x61...0x66: byte &- 0x57
        default: nil
        }
    }
}
