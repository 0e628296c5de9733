/// A reply of Redis (RESP2).
public enum RedisValue: Sendable, Equatable {
    case null
    case integer(Int64)
    /// A status such as `OK`.
    case simple(String)
    case bulk([UInt8])
    case array([RedisValue])
    /// An error inside an array, as EXEC gives one per failed command. An error that is the whole reply becomes a ``RedisError``.
    case error(String)

    /// An integer, or text that is exactly one.
    public var int: Int64? {
        switch self {
        case .integer(let number): number
        case .simple(let text): Int64(text)
        case .bulk: string.flatMap { Int64($0) }
        default: nil
        }
    }

    /// A status, or a bulk reply that is valid UTF-8.
    public var string: String? {
        switch self {
        case .simple(let text): text
        case .bulk(let bytes): String(validating: bytes, as: UTF8.self)
        default: nil
        }
    }

    /// The bytes of a bulk reply or of a status.
    public var bytes: [UInt8]? {
        switch self {
        case .bulk(let bytes): bytes
        case .simple(let text): Array(text.utf8)
        default: nil
        }
    }

    public var array: [RedisValue]? {
        if case .array(let values) = self { values } else { nil }
    }

    public var isNull: Bool { self == .null }

    public var errorText: String? {
        if case .error(let text) = self { text } else { nil }
    }
}
