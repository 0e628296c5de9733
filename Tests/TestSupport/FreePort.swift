import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

private let handedOut = Mutex<Set<Int>>([])

/// A TCP port of 127.0.0.1 that nobody listens on. Never the same twice in one test process, and below the range from which the
/// system takes the ports of outgoing connections, so that it stays free until its user binds it.
public func freePort() throws -> Int {
    for _ in 0..<1000 {
        let port = Int.random(in: 15_000..<32_000)
        guard handedOut.withLock({ $0.insert(port).inserted }) else { continue }
        if isFree(port) { return port }
    }
    throw FixtureError("no free port found")
}

private func isFree(_ port: Int) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr = in_addr(s_addr: in_addr_t(0x7f00_0001).bigEndian)
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    } == 0
}
