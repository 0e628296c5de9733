import CEvent
import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// Opens listening sockets, or takes over opened ones.
enum Listener {
    /// The sockets of each loop, and the port they are bound to.
    /// - Parameter adopted: taken over, in place of new ones; owned, and closed on failure.
    static func perLoop(
        _ configuration: HTTPServerConfiguration, adopted: [Int32], count: Int
    ) throws(HTTPServerError) -> (descriptors: [[Int32]], port: Int) {
        let (descriptors, port) = try adopted.isEmpty ? open(configuration, count: count) : adopt(adopted, configuration, count: count)
        var loops = [[Int32]](repeating: [], count: count)
        for (place, descriptor) in descriptors.enumerated() { loops[place % count].append(descriptor) }
        return (loops, port)
    }

    /// Sockets that already listen: all of them, since what waits in one that is closed is reset; and more where there are more loops.
    private static func adopt(
        _ adopted: [Int32], _ configuration: HTTPServerConfiguration, count: Int
    ) throws(HTTPServerError) -> (descriptors: [Int32], port: Int) {
        var descriptors = adopted
        let wanted = configuration.address
        do throws(HTTPServerError) {
            let ports = Set(descriptors.map(boundPort))
            guard descriptors.allSatisfy(isListening), ports.count == 1, let port = ports.first, port > 0, [0, port].contains(wanted.port) else {
                throw HTTPServerError(code: .addressInvalid, description: "cannot take over listening on \(wanted): the sockets are others")
            }
            while descriptors.count < count {
                let descriptor = try bind(wanted.host, port, shared: true)
                descriptors.append(descriptor)
                guard listen(descriptor, configuration.backlog) == 0 else { throw failure("listen", wanted) }
            }
            return (descriptors, port)
        } catch {
            close(descriptors)
            throw error
        }
    }

    private static func isListening(_ descriptor: Int32) -> Bool {
        var listens: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, Int32(SOL_SOCKET), Int32(SO_ACCEPTCONN), &listens, &length) == 0, listens != 0 else { return false }
        // Accepting must not block; the flag belongs to the socket, so the other process has it set already.
        return fcntl(descriptor, F_GETFL) & O_NONBLOCK != 0
    }

    /// As many sockets as loops, all on the same address; the system spreads new connections over them.
    /// - Returns: the sockets and the port that was bound.
    static func open(_ configuration: HTTPServerConfiguration, count: Int) throws(HTTPServerError) -> (descriptors: [Int32], port: Int) {
        let wanted = configuration.address
        if !configuration.reusePort && wanted.port != 0 {
            // Our loops share the port by SO_REUSEPORT, which would also let a second server in unnoticed: ask without it first.
            close([try bind(wanted.host, wanted.port, shared: false)])
        }
        var descriptors: [Int32] = []
        var port = wanted.port
        do throws(HTTPServerError) {
            for _ in 0..<count {
                let descriptor = try bind(wanted.host, port, shared: true)
                descriptors.append(descriptor)
                guard listen(descriptor, configuration.backlog) == 0 else { throw failure("listen", wanted) }
                port = boundPort(descriptor)
            }
        } catch {
            close(descriptors)
            throw error
        }
        return (descriptors, port)
    }

    static func close(_ descriptors: [Int32]) {
        for descriptor in descriptors { _ = Glibc.close(descriptor) }
    }

    private static func bind(_ host: String, _ port: Int, shared: Bool) throws(HTTPServerError) -> Int32 {
        let address = SocketAddress(host, port)
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, "\(port)", &hints, &found) == 0, let found else {
            throw HTTPServerError(code: .addressInvalid, description: "cannot listen on \(address): the host is unknown")
        }
        defer { freeaddrinfo(found) }
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(found.pointee.ai_family, kind, 0)
        guard descriptor >= 0 else { throw failure("socket", address) }
        set(descriptor, Int32(SOL_SOCKET), Int32(SO_REUSEADDR))
        if shared { set(descriptor, Int32(SOL_SOCKET), Int32(SO_REUSEPORT)) }
        // Inherited by accepted sockets: answers leave at once.
        set(descriptor, Int32(IPPROTO_TCP), Int32(TCP_NODELAY))
        guard Glibc.bind(descriptor, found.pointee.ai_addr, found.pointee.ai_addrlen) == 0 else {
            let problem = failure("bind", address)
            close([descriptor])
            throw problem
        }
        return descriptor
    }

    private static func set(_ descriptor: Int32, _ level: Int32, _ option: Int32) {
        var on: Int32 = 1
        _ = setsockopt(descriptor, level, option, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func boundPort(_ descriptor: Int32) -> Int {
        var address = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let known = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        return known == 0 ? PeerAddress.port(address) : 0
    }

    private static func failure(_ operation: String, _ address: SocketAddress) -> HTTPServerError {
        let reason = errno
        let text = String(cString: strerror(reason))
        return HTTPServerError(
            code: reason == EADDRINUSE ? .addressInUse : .system, description: "cannot listen on \(address): \(operation): \(text)")
    }
}

/// Who is at the other end, as text.
enum PeerAddress {
    static func text(_ peer: sockaddr_storage) -> String {
        withUnsafeBytes(of: peer) { bytes in
            guard let base = bytes.baseAddress else { return "" }
            switch Int32(peer.ss_family) {
            case AF_INET: return text(AF_INET, base + 4, INET_ADDRSTRLEN)
            case AF_INET6:
                let text = text(AF_INET6, base + 8, INET6_ADDRSTRLEN)
                return text.hasPrefix("::ffff:") && text.contains(".") ? String(text.dropFirst(7)) : text
            default: return ""
            }
        }
    }

    static func port(_ address: sockaddr_storage) -> Int {
        withUnsafeBytes(of: address) { Int(UInt16(bigEndian: $0.loadUnaligned(fromByteOffset: 2, as: UInt16.self))) }
    }

    /// - Parameter address: the address's own bytes, at their place in the socket address.
    private static func text(_ family: Int32, _ address: UnsafeRawPointer, _ room: Int32) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(room)) { buffer in
            guard let base = buffer.baseAddress, inet_ntop(family, address, base, socklen_t(room)) != nil else { return "" }
            return String(cString: base)
        }
    }
}
