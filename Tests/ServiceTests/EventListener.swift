import EventLoop
import Formats
import HTTPServer
import Synchronization
import TestSupport

#if canImport(Glibc)
    import Glibc
#endif

/// A client of server-sent events on a plain socket: it keeps all that comes, and says when the server has ended it.
final class EventListener: Sendable {
    private struct Heard {
        var bytes: [UInt8] = []
        var isOver = false
    }

    private let descriptor: Int32
    private let heard = Mutex(Heard())
    private let loop: EventLoop
    private let reading = Mutex<RepeatingTimer?>(nil)

    /// - Parameters:
    ///   - loop: reads for all listeners; no thread of its own, so that there may be hundreds.
    ///   - reads: false for one that takes nothing of what it is sent.
    init(_ address: SocketAddress, _ path: String, headers: HTTPHeaders = [:], on loop: EventLoop, reads: Bool = true) throws {
        self.loop = loop
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw FixtureError("no socket: error \(errno)") }
        if !reads {
            var size: Int32 = 2048
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, 4)
        }
        var place = sockaddr_in()
        place.sin_family = sa_family_t(AF_INET)
        place.sin_port = in_port_t(address.port).bigEndian
        place.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        let connected = withUnsafePointer(to: &place) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard connected == 0 else { throw FixtureError("no connection: error \(errno)") }
        var text = "GET \(path) HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n"
        headers.forEach { text += "\($0): \($1)\r\n" }
        text += "\r\n"
        let bytes = Array(text.utf8)
        guard send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else { throw FixtureError("the request was not taken") }
        guard reads else { return }
        let timer = loop.repeating(every: .milliseconds(10)) { [weak self] in self?.read() }
        reading.withLock { $0 = timer }
    }

    deinit {
        reading.withLock { $0?.cancel() }
        close(descriptor)
    }

    func leave() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    private func read() {
        var piece = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = recv(descriptor, &piece, piece.count, Int32(MSG_DONTWAIT))
            if count > 0 {
                heard.withLock { $0.bytes += piece[..<count] }
            } else {
                if count == 0 || (errno != EAGAIN && errno != EINTR) { heard.withLock { $0.isOver = true } }
                return
            }
        }
    }

    /// All that came, with plain ends of lines.
    var text: String { heard.withLock { String(decoding: $0.bytes.filter { $0 != 13 }, as: UTF8.self) } }
    var isOver: Bool { heard.withLock { $0.isOver } }
    var status: Int { Int(text.split(separator: " ").dropFirst().first ?? "") ?? 0 }

    /// The events so far: what their data says, and their ids.
    var events: [(id: String, status: String, isFinal: Bool)] {
        text.split(separator: "\n\n").compactMap { block in
            let lines = block.split(separator: "\n")
            guard let data = lines.first(where: { $0.hasPrefix("data: ") }), let json = try? JSON(parsing: Array(data.dropFirst(6).utf8)) else {
                return nil
            }
            let id = lines.first { $0.hasPrefix("id: ") }.map { String($0.dropFirst(4)) } ?? ""
            return (id, json["status"]?.string ?? "", json["final"]?.bool ?? false)
        }
    }

    var statuses: [String] { events.map(\.status) }
}
