import Formats

extension SettingsReader {
    /// `REDIS_URL`, with the files of `REDIS_CA_FILE` and so on for TLS.
    mutating func redisAddress() -> RedisAddress {
        var address = redisURL()
        let tls = redisTLS()
        if address.tls != nil {
            address.tls = tls
        } else if raw("REDIS_URL") == nil || problems.allSatisfy({ $0.variable != "REDIS_URL" }) {
            for name in Self.redisTLSNames where raw(name) != nil && (name != "REDIS_VERIFY" || !tls.verifiesServer) {
                problem(name, "it is set, and REDIS_URL is not rediss://", "certificates are for TLS only", "REDIS_URL=rediss://redis.example.com")
            }
        }
        return address
    }

    private static let redisTLSNames = ["REDIS_CA_FILE", "REDIS_CERTIFICATE_FILE", "REDIS_KEY_FILE", "REDIS_SERVER_NAME", "REDIS_VERIFY"]

    private mutating func redisTLS() -> RedisTLS {
        let tls = RedisTLS(
            authoritiesFile: raw("REDIS_CA_FILE"), certificateFile: raw("REDIS_CERTIFICATE_FILE"), keyFile: raw("REDIS_KEY_FILE"),
            serverName: raw("REDIS_SERVER_NAME"), verifiesServer: choice("REDIS_VERIFY", Verification.self) == .yes)
        if (tls.certificateFile == nil) != (tls.keyFile == nil) {
            let missing = tls.keyFile == nil ? "REDIS_KEY_FILE" : "REDIS_CERTIFICATE_FILE"
            problem(
                missing, "it is not set, and its counterpart is", "a certificate and its key are given together",
                "\(missing)=/etc/quittance/redis.pem")
        }
        return tls
    }

    private enum Verification: String, CaseIterable { case yes, no }

    private mutating func redisURL() -> RedisAddress {
        let name = "REDIS_URL"
        let standard = RedisAddress(place: .tcp(SocketAddress("127.0.0.1", 6390)))
        guard let text = value(name) else { return standard }
        switch Self.redis(text) {
        case .success(let address): return address
        case .failure(let fault):
            problem(
                name, fault.description, "redis:// or rediss://[user:password@]host[:port][/database], or unix:///path/to/socket",
                "\(name)=redis://127.0.0.1:6390/0")
            return standard
        }
    }

    private struct Fault: Error { let description: String }

    private static func redis(_ text: String) -> Result<RedisAddress, Fault> {
        func refused(_ why: String) -> Result<RedisAddress, Fault> { .failure(Fault(description: why)) }
        if text.hasPrefix("redis+sentinel://") { return refused("Sentinel is not built yet; name the Redis itself by redis://") }
        if text.hasPrefix("unix://") { return unix(text) }
        let isSecure = text.hasPrefix("rediss://")
        guard isSecure || text.hasPrefix("redis://"), let parts = URLParts(text) else { return refused("it is not the address of a Redis") }
        guard !parts.host.isEmpty else { return refused("it names no host") }
        guard parts.query == nil else { return refused("options after ? are not known") }
        guard let database = database(parts.path) else { return refused("the database is not a number from 0 to 9999") }
        return .success(
            RedisAddress(
                place: .tcp(SocketAddress(parts.host, parts.port ?? 6379)), username: parts.user, password: parts.password, database: database,
                tls: isSecure ? RedisTLS() : nil))
    }

    /// `unix://[user:password@]/path[?db=2]`; a path without a leading slash is relative.
    private static func unix(_ text: String) -> Result<RedisAddress, Fault> {
        var rest = text.dropFirst("unix://".count)
        var number = 0
        if let question = rest.firstIndex(of: "?") {
            let query = rest[rest.index(after: question)...]
            guard query.hasPrefix("db="), let given = database("/" + query.dropFirst(3)) else {
                return .failure(Fault(description: "behind ? only db=<number> is known"))
            }
            number = given
            rest = rest[..<question]
        }
        var username: String?
        var password: String?
        if let at = rest.firstIndex(of: "@"), !rest[..<at].contains("/") {
            guard let parts = URLParts("unix://" + rest[...at]) else { return .failure(Fault(description: "user and password cannot be read")) }
            username = parts.user
            password = parts.password
            rest = rest[rest.index(after: at)...]
        }
        guard let path = PercentEncoding.decode(String(rest)), !path.isEmpty else { return .failure(Fault(description: "it names no path")) }
        guard path.utf8.count <= 107 else { return .failure(Fault(description: "the socket's path is longer than 107 bytes")) }
        return .success(RedisAddress(place: .unix(path: path), username: username, password: password, database: number))
    }

    private static func database(_ path: String) -> Int? {
        let digits = path.drop { $0 == "/" }
        guard !digits.isEmpty else { return 0 }
        guard digits.utf8.count <= 4, digits.utf8.allSatisfy(ASCII.isDigit) else { return nil }
        return Int(digits)
    }

    /// `DATABASE_URL`, by default in the folder of a run.
    mutating func databaseAddress(in folder: String) -> DatabaseAddress {
        let name = "DATABASE_URL"
        let standard = DatabaseAddress.sqlite(path: "\(folder)/quittance.db")
        guard let text = raw(name) else { return standard }
        let rule = "sqlite: and the path of a file"
        let example = "\(name)=sqlite:var/quittance.db"
        if text.hasPrefix("postgres://") || text.hasPrefix("postgresql://") {
            problem(name, "PostgreSQL is not built yet", rule, example)
            return standard
        }
        guard text.hasPrefix("sqlite:") else {
            problem(name, "it does not begin with sqlite:", rule, example)
            return standard
        }
        var path = text.dropFirst("sqlite:".count)
        // sqlite:///var/lib/x.db is the absolute path written as an address.
        if path.hasPrefix("///") { path = path.dropFirst(2) }
        if path.hasPrefix("//") || path.isEmpty || path.hasSuffix("/") || path == ":memory:" || path.contains("?") {
            problem(name, "it names no file that several programs can share", rule, example)
            return standard
        }
        return .sqlite(path: String(path))
    }
}
