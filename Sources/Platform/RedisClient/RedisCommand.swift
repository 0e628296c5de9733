/// What a command may carry: text, bytes or a whole number.
public protocol RedisArgument: Sendable {
    func append(to command: inout RedisCommand)
}

extension String: RedisArgument {
    public func append(to command: inout RedisCommand) { command.append(self) }
}
extension Substring: RedisArgument {
    public func append(to command: inout RedisCommand) { command.append(String(self)) }
}
extension Int: RedisArgument {
    public func append(to command: inout RedisCommand) { command.append(Int64(self)) }
}
extension Int64: RedisArgument {
    public func append(to command: inout RedisCommand) { command.append(self) }
}
extension Array: RedisArgument where Element == UInt8 {
    public func append(to command: inout RedisCommand) { command.append(self) }
}
extension ArraySlice: RedisArgument where Element == UInt8 {
    public func append(to command: inout RedisCommand) { withUnsafeBytes { command.append($0) } }
}

/// A command in the form in which it goes over the wire, made of any bytes: nothing in it is ever interpreted.
///
/// One array holds it all, so a command of the hot path costs one allocation:
/// ```swift
/// var command = RedisCommand("LPUSH", reserving: body.count + 64)
/// command.append(key)
/// command.append(body)
/// ```
public struct RedisCommand: Sendable {
    /// The arguments as `$<length>\r\n<bytes>\r\n`; the head with their number is written when the command is sent.
    private(set) var body: [UInt8] = []
    public private(set) var count = 0

    /// - Parameter reserving: bytes to make room for beforehand.
    public init(_ name: String, _ arguments: any RedisArgument..., reserving: Int = 0) {
        self.init(name, arguments: arguments, reserving: reserving)
    }

    public init(_ name: String, arguments: [any RedisArgument], reserving: Int = 0) {
        if reserving > 0 { body.reserveCapacity(reserving + name.utf8.count + 16) }
        append(name)
        for argument in arguments { argument.append(to: &self) }
    }

    /// Arguments without a name, to be put behind one by ``append(argumentsOf:)``.
    init() {}

    public mutating func append(_ text: String) {
        count += 1
        var text = text
        text.withUTF8 { bytes in Self.frame(UnsafeRawBufferPointer(bytes), into: &body) }
    }

    public mutating func append(_ bytes: [UInt8]) {
        count += 1
        bytes.withUnsafeBytes { Self.frame($0, into: &body) }
    }

    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        count += 1
        Self.frame(bytes, into: &body)
    }

    public mutating func append(_ number: Int64) { append(String(number)) }
    public mutating func append(_ number: Int) { append(String(number)) }
    public mutating func append(_ argument: any RedisArgument) { argument.append(to: &self) }

    /// All arguments of another command, its name too.
    mutating func append(argumentsOf other: RedisCommand) {
        count += other.count
        body += other.body
    }

    /// Appends the whole command to what is about to be written.
    func encode(into bytes: inout [UInt8]) {
        Self.line(UInt8(ascii: "*"), count, into: &bytes)
        bytes += body
    }

    private static func frame(_ content: UnsafeRawBufferPointer, into bytes: inout [UInt8]) {
        line(UInt8(ascii: "$"), content.count, into: &bytes)
        bytes.append(contentsOf: content)
        bytes.append(UInt8(ascii: "\r"))
        bytes.append(UInt8(ascii: "\n"))
    }

    /// A type mark, a number that is not negative, and the end of the line.
    private static func line(_ mark: UInt8, _ number: Int, into bytes: inout [UInt8]) {
        bytes.append(mark)
        var place = 1
        while number / place >= 10 { place *= 10 }
        while place > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / place % 10))
            place /= 10
        }
        bytes.append(UInt8(ascii: "\r"))
        bytes.append(UInt8(ascii: "\n"))
    }
}
