import Formats
import HTTPServer
import Testing

/// The same numbers for the same seed, so that a failure can be played again.
private struct SeededNumbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

@Suite("HTTP server fed with damaged requests")
struct HTTPServerMutationTests {
    private static let sound = Array(
        ("GET /a?b=c HTTP/1.1\r\nHost: x\r\nX-Long: \(String(repeating: "y", count: 60))\r\n\r\n"
            + "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\nConnection: keep-alive\r\n\r\nhello world"
            + "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;e=f\r\nhello\r\n6\r\n world\r\n0\r\nT: u\r\n\r\n"
            + "GET /d HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n").utf8)

    @Test("ends every connection with answers of its own, and serves the next client", arguments: 0..<8)
    func damaged(seed: Int) async throws {
        var numbers = SeededNumbers(state: UInt64(seed))
        let damaged = (0..<60).map { _ in Self.damage(&numbers) }
        let pieceSizes = damaged.map { Int.random(in: 1...$0.count, using: &numbers) }
        let streaming: HTTPServer.Streaming = { $0.path.hasPrefix("/c") ? RecordingReceiver() : nil }
        try await withServer(streaming: streaming) { server, port in
            for (bytes, size) in zip(damaged, pieceSizes) {
                let client = try RawClient(port: port)
                client.send(bytes, inPiecesOf: max(size, bytes.count / 40))
                client.shutdownSending()
                for answer in try client.answersUntilEnd() {
                    #expect([100, 200, 400, 413, 417, 431, 501, 505].contains(answer.status), "\(answer.head)")
                }
            }
            try waitUntil("all connections are forgotten") { server.connectionCount == 0 }
            let client = try RawClient(port: port)
            client.send("GET /after HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try client.answer().text == "GET /after ")
        }
    }

    /// Changes, removes, doubles or swaps a few bytes.
    private static func damage(_ numbers: inout SeededNumbers) -> [UInt8] {
        var bytes = sound
        let spice: [UInt8] = [0, 9, 10, 13, 32, 44, 47, 48, 58, 59, 127, 255]
        for _ in 0..<Int.random(in: 1...4, using: &numbers) {
            let place = Int.random(in: 0..<bytes.count, using: &numbers)
            switch Int.random(in: 0..<4, using: &numbers) {
            case 0: bytes[place] = spice.randomElement(using: &numbers) ?? 0
            case 1: bytes.remove(at: place)
            case 2: bytes.insert(spice.randomElement(using: &numbers) ?? 0, at: place)
            default: bytes.swapAt(place, Int.random(in: 0..<bytes.count, using: &numbers))
            }
        }
        return bytes
    }
}
