import EventLoop
import Formats
import HTTPClient
import HTTPServer
import PaymentsService
import ProviderPort
import Synchronization
import Telemetry
import TestSupport
import Testing

@Suite("Calls that must arrive once")
struct CallsOnceTests {
    /// A provider that answers the first request, and hangs up on every other once it has read it: on a connection that was kept, that looks like
    /// one that died.
    private func withProvider(_ body: (_ url: String, _ transport: CurlTransport, _ arrived: @Sendable () -> Int) async throws -> Void) async throws {
        let loop = try EventLoop.started(name: "once-test")
        let count = Mutex(0)
        let server = HTTPServer(
            configuration: HTTPServerConfiguration(address: SocketAddress("127.0.0.1", 0)), loops: [loop], name: "once", log: Log()
        ) { _, responder in
            let number = count.withLock { count in
                count += 1
                return count
            }
            if number == 1 { responder.respond(.json(200, [:])) } else { responder.hangUp() }
        }
        try await server.start()
        let client = HTTPClient(loop: loop)
        let result: Result<Void, any Error>
        do {
            try await body("http://\(server.boundAddress)/pay", CurlTransport(client)) { count.withLock { $0 } }
            result = .success(())
        } catch { result = .failure(error) }
        await client.close()
        await server.stop(by: .now + .seconds(2))
        let ending = BlockingPool(name: "once-end", threads: 1)
        try await ending.run { loop.stop() }
        ending.close()
        try result.get()
    }

    @Test("a call that moves money is not sent again by the client when its connection dies without an answer")
    func once() async throws {
        try await withProvider { url, transport, arrived in
            _ = try await transport.send(.postJSON(url, [:]))
            #expect(arrived() == 1)
            let error = await #expect(throws: ProviderError.self) {
                try await transport.send(.postJSON(url, ["amount": "5000"], mustArriveOnce: true))
            }
            #expect(error?.kind == .unavailable)
            #expect(arrived() == 2)
        }
    }
}
