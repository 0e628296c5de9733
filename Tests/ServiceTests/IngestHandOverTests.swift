import EventLoop
import Formats
import HTTPServer
import Synchronization
import Telemetry
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Handing over listening sockets")
struct IngestHandOverTests {
    /// A server that can be relieved, in this process: what `ingest` is for its successor.
    private final class Shop: Sendable {
        let server: HTTPServer
        let handOver: HandOver
        private let isRelieved = Atomic<Bool>(false)
        var knows: Bool { isRelieved.load(ordering: .acquiring) }

        init(_ name: String, path: String, port: Int, loops: Int = 1) {
            let address = SocketAddress("127.0.0.1", port)
            server = HTTPServer(configuration: HTTPServerConfiguration(address: address, loops: loops), name: name) { _, responder in
                responder.respond(.text(200, name))
            }
            handOver = HandOver(path: path, address: address, log: Log())
        }

        /// How many sockets it was given.
        func open() async throws -> Int {
            let adopted = try await handOver.take()
            try await server.start(adopting: adopted)
            let server = server
            await handOver.serve(
                lend: { body in server.withListeners(body) }, onHandedOver: { self.isRelieved.store(true, ordering: .releasing) },
                onPredecessorGone: {})
            return adopted.count
        }

        func close(patience: Duration = .zero) async {
            await handOver.close()
            await server.stop(by: .now + .seconds(60), patience: patience)
        }

        var port: Int { server.boundAddress.port }
    }

    @Test("the successor serves on the same sockets, the other is told so, and a silent connection may ask once more", arguments: [1, 3])
    func relieved(loops: Int) async throws {
        let folder = try TemporaryFolder("handover")
        let port = try freePort()
        let old = Shop("old", path: folder.file("place"), port: port, loops: loops)
        #expect(try await old.open() == 0)
        // A connection that waits in silence while all of this happens.
        let line = LineBox(try HTTPLine(port: port))
        #expect(try await line.get() == "old")
        let new = Shop("new", path: folder.file("place"), port: port, loops: 2)
        #expect(try await new.open() == loops)
        try await eventually("the old one knows") { old.knows }
        let closing = Task { await old.close(patience: .seconds(40)) }
        // Every connection is the new one's once the old one has let go.
        try await eventually("the new one has all connections") {
            for _ in 0..<20 where try await HTTPLine.once(port: port, "GET", "/").text != "new" { return false }
            return true
        }
        #expect(try await line.get() == "old")
        #expect(line.isClosing, "its last answer ends the connection")
        await closing.value
        await new.close()
    }

    @Test("a path that no socket address can hold is reached all the same")
    func longPath() async throws {
        let folder = try TemporaryFolder("handover")
        let path = folder.file(String(repeating: "a-rather-long-name/", count: 8) + "place")
        #expect(path.utf8.count > 108)
        let port = try freePort()
        let old = Shop("old", path: path, port: port)
        #expect(try await old.open() == 0)
        let new = Shop("new", path: path, port: port)
        #expect(try await new.open() == 1)
        await old.close()
        #expect(try await HTTPLine.once(port: port, "GET", "/").text == "new")
        await new.close()
    }

    @Test("one that listens elsewhere gives nothing, and is relieved once its successor serves there")
    func elsewhere() async throws {
        let folder = try TemporaryFolder("handover")
        let old = Shop("old", path: folder.file("place"), port: try freePort())
        #expect(try await old.open() == 0)
        let new = Shop("new", path: folder.file("place"), port: try freePort())
        #expect(try await new.open() == 0)
        try await eventually("the old one knows") { old.knows }
        #expect(try await HTTPLine.once(port: new.port, "GET", "/").text == "new")
        await old.close()
        await new.close()
    }

    @Test("what is no question, or too many of them at once, disturbs nobody")
    func hostile() async throws {
        let folder = try TemporaryFolder("handover")
        let port = try freePort()
        let old = Shop("old", path: folder.file("place"), port: port)
        #expect(try await old.open() == 0)
        for text in ["", "sockets", "sockets 2 127.0.0.1:\(port)", "serving", String(repeating: "x", count: 5000), "\u{0}\u{1}"] {
            let socket = socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0)
            defer { close(socket) }
            #expect(Self.connect(socket, folder.file("place")) == 0)
            let bytes = Array(text.utf8)
            if !bytes.isEmpty { #expect(send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count) }
        }
        #expect(!old.knows)
        let new = Shop("new", path: folder.file("place"), port: port)
        #expect(try await new.open() == 1)
        await old.close()
        #expect(try await HTTPLine.once(port: port, "GET", "/").text == "new")
        await new.close()
    }

    @Test("sockets that are none are not taken")
    func noSockets() async throws {
        let shop = Shop("shop", path: "/nowhere/place", port: try freePort())
        let file = open("/dev/null", O_RDONLY | O_CLOEXEC)
        await #expect(throws: HTTPServerError.self) { try await shop.server.start(adopting: [file]) }
    }

    @Test("where nothing can be handed over it serves all the same")
    func noPlace() async throws {
        let folder = try TemporaryFolder("handover")
        let blocked = try folder.write("", to: "a-file")
        let shop = Shop("shop", path: blocked + "/place", port: try freePort())
        #expect(try await shop.open() == 0)
        #expect(try await HTTPLine.once(port: shop.port, "GET", "/").text == "shop")
        await shop.close()
    }

    private static func connect(_ socket: Int32, _ path: String) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
    }

    /// One line, used by one thread after the other. `@unchecked Sendable`: the test awaits each use before the next.
    private final class LineBox: @unchecked Sendable {
        private let line: HTTPLine
        init(_ line: HTTPLine) { self.line = line }
        var isClosing: Bool { line.isClosing }
        func get() async throws -> String { try await HTTPLine.blocking { try self.line.exchange("GET", "/").text } }
    }
}
