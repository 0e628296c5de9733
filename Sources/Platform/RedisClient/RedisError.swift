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
        /// TLS did not come about: a certificate or its key is not accepted, or the other side does not speak it. Somebody must mend it.
        case tls
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
    ///
    /// False for ``isAccessRefusal``: a retry helps only once the address or the server's list of users has been put right. Connections
    /// keep trying all the same, so that this needs no restart.
    public var isTransient: Bool {
        switch kind {
        case .connection, .timeout, .protocolError, .overloaded: true
        case .server(let code): Self.transientCodes.contains(code)
        case .cancelled, .closed, .unsupported, .tls: false
        }
    }

    /// Whether the server does not know us (`WRONGPASS`), wants to (`NOAUTH`), or does not allow its user this (`NOPERM`).
    public var isAccessRefusal: Bool { serverCode.map(Self.accessCodes.contains) ?? false }

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
        // What a script may not do for its user is refused without the word for it: so by Redis 7.0, so by later ones.
        let isDenied = text.hasPrefix("ERR The user executing the script can't") || text.hasPrefix("ERR ACL failure in script")
        let code = isDenied ? "NOPERM" : isCode ? String(word) : "ERR"
        if isDenied { return RedisError(.server(code: code), text, mayHaveBeenExecuted: true) }
        return RedisError(.server(code: code), text, mayHaveBeenExecuted: !codesBeforeExecution.contains(code))
    }

    func with(mayHaveBeenExecuted: Bool) -> RedisError { RedisError(kind, message, mayHaveBeenExecuted: mayHaveBeenExecuted) }

    /// What a refused greeting means; without what was sent, which Redis may repeat.
    static func refusedGreeting(code: String, user: String?) -> RedisError {
        let who = user.map { "the user \($0)" } ?? "the default user"
        let what =
            switch code {
            case "WRONGPASS": "\(who) is not known there, is off, or has another password"
            case "NOAUTH": "a password is asked for, and there is none in the address"
            case "NOPERM": "\(who) lacks a right that every connection needs"
            default: "the password was refused"
            }
        return RedisError(
            accessCodes.contains(code) ? .server(code: code) : .connection,
            "\(code): \(what); a retry helps only once the address or the server's users are put right", mayHaveBeenExecuted: false)
    }

    private static let accessCodes: Set<String> = ["NOAUTH", "WRONGPASS", "NOPERM"]
    private static let transientCodes: Set<String> = [
        "OOM", "READONLY", "MISCONF", "LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "NOSCRIPT", "UNBLOCKED",
    ]

    /// Given before a command's, or a script's, first write. A script that had written is exempt from OOM, READONLY and MISCONF.
    private static let codesBeforeExecution: Set<String> = [
        "OOM", "READONLY", "MISCONF", "LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "NOSCRIPT", "NOAUTH", "WRONGPASS",
        "NOPERM", "MOVED", "ASK", "CROSSSLOT", "EXECABORT",
    ]
}
