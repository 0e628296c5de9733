import Formats

/// What a server listens on and how much it takes from a client. Every wait and every size has a limit.
public struct HTTPServerConfiguration: Sendable {
    /// Port 0 asks the system for a free port; see ``HTTPServer/boundAddress``.
    public var address: SocketAddress
    /// Event loops, each with a listening socket and a thread of its own. Ignored when loops are handed to the server.
    public var loops: Int
    /// The largest body taken for a request, in bytes; asked once per request that has a body, on the loop.
    public var bodyLimit: @Sendable (HTTPRequestHead) -> Int
    /// Request line and headers together, in bytes; at most 64 KiB.
    public var headerLimit = 16 * 1024
    /// From the first byte of a request to its last one; then 408.
    public var requestDeadline: Duration = .seconds(30)
    /// The same for requests whose body is handed on in pieces. Time spent waiting for the receiver is not counted.
    public var uploadDeadline: Duration = .seconds(600)
    /// How long a connection may be silent between two requests, and how long a client may take nothing of an answer.
    public var idleTimeout: Duration = .seconds(75)
    /// Connections of all loops together; one more is answered 503 and closed.
    public var connectionLimit = 10_000
    /// Connections the system may hold for us until they are accepted.
    public var backlog: Int32 = 1024
    /// Whether another process may listen on the same address. Off, a taken port is an error even though the loops share theirs.
    public var reusePort = false
    public init(
        address: SocketAddress, loops: Int = 1, bodyLimit: @escaping @Sendable (HTTPRequestHead) -> Int = { _ in 256 * 1024 }
    ) {
        self.address = address
        self.loops = loops
        self.bodyLimit = bodyLimit
    }
}

/// Why a server could not start. A retry helps when another program gives the address up.
public struct HTTPServerError: Error, CustomStringConvertible {
    public enum Code: Sendable { case addressInUse, addressInvalid, system }
    public let code: Code
    public let description: String

    init(code: Code, description: String) {
        self.code = code
        self.description = description
    }
    public var isTransient: Bool { code == .addressInUse }
}
