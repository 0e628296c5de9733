/// Why a command has no reply, or was refused.
public struct RedisError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Kind: Sendable, Equatable {
        /// Not connected, or the connection broke.
        case connection
        /// No reply in time.
        case timeout
        /// Redis answered with an error; the code is its first word: `OOM`, `READONLY`, `MISCONF`, `LOADING`, `NOSCRIPT`, `ERR`, …
        case server(code: String)
        /// What came was not RESP2. The connection has been torn down.
        case protocolError
        /// More waits to be sent than the connection holds.
        case overloaded
        /// A blocking read was given up because its task was cancelled.
        case cancelled
        /// ``RedisConnection/close()`` was called.
        case closed
        /// The address asks for something that is not built.
        case unsupported
    }

    public let kind: Kind
    /// Without what the command carried, except where Redis repeats it in a server error.
    public let message: String
    /// Whether the command may have taken effect. False only where that is certain: it was never handed to the system whole, or
    /// Redis refused it before its first write.
    public let mayHaveBeenExecuted: Bool

    public init(_ kind: Kind, _ message: String, mayHaveBeenExecuted: Bool) {
        self.kind = kind
        self.message = message
        self.mayHaveBeenExecuted = mayHaveBeenExecuted
    }

    /// The first word of an error that Redis answered.
    public var serverCode: String? {
        if case .server(let code) = kind { code } else { nil }
    }

    /// Whether the same command may succeed later without anything being changed by hand.
    public var isTransient: Bool {
        switch kind {
        case .connection, .timeout, .protocolError, .overloaded: true
        case .server(let code): Self.transientCodes.contains(code)
        case .cancelled, .closed, .unsupported: false
        }
    }

    public var description: String {
        switch kind {
        case .server: "redis answered: \(message)"
        default: "redis: \(message)"
        }
    }

    /// What an error reply means; `text` is the reply without its leading `-`.
    public static func server(_ text: String) -> RedisError {
        let word = text.prefix { $0 != " " }
        let isCode = !word.isEmpty && word.utf8.allSatisfy { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
        let code = isCode ? String(word) : "ERR"
        return RedisError(.server(code: code), text, mayHaveBeenExecuted: !codesBeforeExecution.contains(code))
    }

    func with(mayHaveBeenExecuted: Bool) -> RedisError { RedisError(kind, message, mayHaveBeenExecuted: mayHaveBeenExecuted) }

    private static let transientCodes: Set<String> = [
        "OOM", "READONLY", "MISCONF", "LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "NOSCRIPT", "UNBLOCKED",
    ]

    /// Given before a command's, or a script's, first write. A script that had written is exempt from OOM, READONLY and MISCONF.
    private static let codesBeforeExecution: Set<String> = [
        "OOM", "READONLY", "MISCONF", "LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "NOSCRIPT", "NOAUTH", "WRONGPASS",
        "NOPERM", "MOVED", "ASK", "CROSSSLOT", "EXECABORT",
    ]
}
