/// Placeholder until the room is filled: same surface as the finished one.
public struct Log: Sendable {
    public enum Value: Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
        case string(String), int(Int64), double(Double), bool(Bool)
        public init(stringLiteral value: String) { self = .string(value) }
        public init(integerLiteral value: Int64) { self = .int(value) }
    }
    public init() {}
    public func info(_ message: StaticString, _ fields: [String: Value] = [:]) {}
    public func warning(_ message: StaticString, _ fields: [String: Value] = [:]) {}
    public func error(_ message: StaticString, _ fields: [String: Value] = [:]) {}
    public func debug(_ message: StaticString, _ fields: [String: Value] = [:]) {}
}
