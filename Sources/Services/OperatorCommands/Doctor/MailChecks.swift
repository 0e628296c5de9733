import EventLoop
import HTTPClient
import Settings

#if canImport(Glibc)
    import Glibc
#endif

/// The mail server.
enum MailChecks {
    private static let pool = BlockingPool(name: "doctor", threads: 1)

    static func findings(_ context: CommandContext) async -> [Finding] {
        do {
            let address = try SMTPAddress(parsing: context.settings.smtpURL)
            let place = "\(address.host):\(address.port)"
            // Behind TLS from the start the greeting cannot be read without it.
            let wantsGreeting = address.security != .implicitTLS
            let answer = try await pool.run { try Greeting.read(host: address.host, port: address.port, wantsText: wantsGreeting) }
            guard wantsGreeting else { return [.ok("mail", "\(place) takes connections")] }
            return [answer.hasPrefix("220") ? .ok("mail", "\(place) answers") : .fail("mail", "\(place) does not greet like a mail server")]
        } catch let error as Greeting.Silence {
            return [.fail("mail", "\(error.description): mails wait; start the server, or correct SMTP_URL")]
        } catch {
            return [.fail("mail", "\(error): correct SMTP_URL")]
        }
    }
}

/// Connects to a server and reads the first line that it says of itself. Blocks for a few seconds at most.
enum Greeting {
    struct Silence: Error, CustomStringConvertible { let description: String }

    private static let patienceMs: Int32 = 3000

    static func read(host: String, port: Int, wantsText: Bool) throws(Silence) -> String {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &list) == 0 else { throw Silence(description: "the host \(host) is not found") }
        defer { if let list { freeaddrinfo(list) } }
        var reason = "\(host):\(port) cannot be reached"
        var entry = list
        while let current = entry {
            entry = current.pointee.ai_next
            let descriptor = socket(current.pointee.ai_family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            if let fault = connect(descriptor, to: current.pointee) {
                reason = "\(host):\(port) cannot be reached: \(fault)"
                continue
            }
            guard wantsText else { return "" }
            guard wait(descriptor, for: POLLIN) else { throw Silence(description: "\(host):\(port) says nothing") }
            var buffer = [UInt8](repeating: 0, count: 512)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { throw Silence(description: "\(host):\(port) hangs up") }
            return String(decoding: buffer[..<count], as: UTF8.self)
        }
        throw Silence(description: reason)
    }

    /// - Returns: nil once connected, else why not.
    private static func connect(_ descriptor: Int32, to address: addrinfo) -> String? {
        if Glibc.connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 { return nil }
        guard errno == EINPROGRESS else { return String(cString: strerror(errno)) }
        guard wait(descriptor, for: POLLOUT) else { return "no answer within \(patienceMs / 1000) s" }
        var number: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &number, &length)
        return number == 0 ? nil : String(cString: strerror(number))
    }

    private static func wait(_ descriptor: Int32, for events: Int32) -> Bool {
        var watched = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        return poll(&watched, 1, patienceMs) == 1
    }
}
