/// A host and a TCP port.
public struct SocketAddress: Sendable, Equatable, Hashable, CustomStringConvertible {
    public let host: String
    /// 0…65535; 0 asks the system for a free port.
    public let port: Int

    public init(_ host: String, _ port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `host:port` or `[v6]:port`; nil when it is neither or the port is out of range.
    public init?(parsing text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]), (0...65535).contains(port) else { return nil }
        var host = String(text[..<colon])
        if host.hasPrefix("[") && host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        guard !host.isEmpty else { return nil }
        self.init(host, port)
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// Where Redis listens and who we are there: a `REDIS_URL`, taken apart.
public struct RedisAddress: Sendable, Equatable {
    public enum Place: Sendable, Equatable {
        case tcp(SocketAddress)
        case unix(path: String)
    }
    public var place: Place
    public var username: String?
    public var password: String?
    /// 0…15 with Redis' default configuration.
    public var database: Int
    /// Set for `rediss://`.
    public var tls: RedisTLS?

    public init(place: Place, username: String? = nil, password: String? = nil, database: Int = 0, tls: RedisTLS? = nil) {
        self.place = place
        self.username = username
        self.password = password
        self.database = database
        self.tls = tls
    }
}

/// How a Redis behind TLS is recognised, and how we show ourselves to it. Files are in PEM form.
public struct RedisTLS: Sendable, Equatable {
    /// Certificates of the authorities that may have signed the server's; those of the system unless given.
    public var authoritiesFile: String?
    /// Our own certificate, with those between it and its authority behind it, for a server that asks for one.
    public var certificateFile: String?
    public var keyFile: String?
    /// Whom the server's certificate must name; the host of the address unless given.
    public var serverName: String?
    /// False only for a trial: then anybody may play the server.
    public var verifiesServer: Bool

    public init(
        authoritiesFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil, serverName: String? = nil,
        verifiesServer: Bool = true
    ) {
        self.authoritiesFile = authoritiesFile
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        self.serverName = serverName
        self.verifiesServer = verifiesServer
    }
}

/// Where the truth is kept: a `DATABASE_URL`, taken apart.
public enum DatabaseAddress: Sendable, Equatable {
    case sqlite(path: String)
    case postgres(url: String)
}
