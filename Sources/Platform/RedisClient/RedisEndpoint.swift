import EventLoop

#if canImport(Glibc)
    import Glibc
#endif

/// One address that a socket can connect to.
struct RedisEndpoint: Sendable {
    private let storage: sockaddr_storage
    private let length: socklen_t
    var family: Int32 { Int32(storage.ss_family) }

    private init(_ address: UnsafePointer<sockaddr>, length: socklen_t) {
        var storage = sockaddr_storage()
        withUnsafeMutableBytes(of: &storage) { target in
            target.copyMemory(from: UnsafeRawBufferPointer(start: address, count: min(Int(length), target.count)))
        }
        self.storage = storage
        self.length = length
    }

    func withSocketAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        withUnsafePointer(to: storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }

    /// - Throws: when the path does not fit into a socket address (107 bytes).
    static func unix(_ path: String) throws(RedisError) -> RedisEndpoint {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw RedisError(.unsupported, "the socket path \(path) is longer than the system allows", mayHaveBeenExecuted: false)
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { RedisEndpoint($0, length: socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
    }

    /// The addresses of a host. Blocks while names are looked up, unless `numericOnly`, which accepts only addresses.
    static func resolve(host: String, port: Int, numericOnly: Bool) -> Result<[RedisEndpoint], RedisError> {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_NUMERICSERV | (numericOnly ? AI_NUMERICHOST : 0)
        var list: UnsafeMutablePointer<addrinfo>?
        let failure = getaddrinfo(host, String(port), &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        guard failure == 0 else {
            let reason = gai_strerror(failure).map { String(cString: $0) } ?? "error \(failure)"
            return .failure(RedisError(.connection, "the host \(host) is not found: \(reason)", mayHaveBeenExecuted: false))
        }
        var endpoints: [RedisEndpoint] = []
        var entry = list
        while let current = entry {
            if let address = current.pointee.ai_addr { endpoints.append(RedisEndpoint(address, length: current.pointee.ai_addrlen)) }
            entry = current.pointee.ai_next
        }
        return .success(endpoints)
    }

    /// Name look-ups of all connections of the process; they block for seconds when a name server is away.
    static let lookups = BlockingPool(name: "redis-lookup", threads: 2)
}
