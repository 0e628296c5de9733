import Formats
import HTTPServer
import Synchronization
import Testing

private let large = 50_000_000

private func head(_ size: Int) -> String { "POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: \(size)\r\n\r\n" }
private let get = "GET /up HTTP/1.1\r\nHost: x\r\n\r\n"

@Suite("HTTP server takes bodies in pieces")
struct HTTPServerUploadTests {
    /// A server whose `/up` is streamed to `receiver`, up to `limit` bytes.
    private func withUploads(
        to receiver: @escaping @Sendable () -> any HTTPBodyReceiver, limit: Int = large, deadline: Duration = .seconds(30),
        body: @escaping @Sendable (HTTPServer, Int) throws -> Void
    ) async throws {
        try await withServer(
            change: {
                $0.bodyLimit = { _ in limit }
                $0.uploadDeadline = deadline
            }, streaming: { $0.path == "/up" ? receiver() : nil }, body: body)
    }

    @Test("in order and whole, then answers, and the connection goes on", arguments: [false, true])
    func whole(chunked: Bool) async throws {
        let receivers = Mutex<[RecordingReceiver]>([])
        let bytes = (0..<5_000_000).map { UInt8(truncatingIfNeeded: $0 &* 17) }
        try await withUploads(to: {
            let receiver = RecordingReceiver()
            receivers.withLock { $0.append(receiver) }
            return receiver
        }) { _, port in
            let client = try RawClient(port: port)
            for _ in 0..<2 {
                if chunked {
                    client.send("POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
                    client.send("\(String(bytes.count, radix: 16))\r\n")
                    client.send(bytes)
                    client.send("\r\n0\r\n\r\n")
                } else {
                    client.send(head(bytes.count))
                    client.send(bytes)
                }
                #expect(try client.answer().text == "took 5000000")
            }
            client.send(get.replacingUp())
            #expect(try client.answer().text == "GET /other ")
        }
        for receiver in receivers.withLock({ $0 }) {
            #expect(receiver.record.bytes == bytes)
            #expect(receiver.record.pieces > 10)
            #expect(receiver.record.ended && receiver.record.failure == nil)
        }
    }

    @Test("also when there is no body")
    func empty() async throws {
        try await withUploads(to: { RecordingReceiver() }) { _, port in
            let client = try RawClient(port: port)
            client.send(get + head(0) + get)
            for _ in 0..<3 { #expect(try client.answer().text == "took 0") }
        }
    }

    @Test("reads on only when the receiver asks for more")
    func backPressure() async throws {
        let receiver = RecordingReceiver(holds: true)
        try await withUploads(to: { receiver }) { _, port in
            let client = try RawClient(port: port)
            client.send(head(large))
            let taken = client.sendUntilBlocked([UInt8](repeating: 65, count: 50_000), atMost: large)
            #expect(taken < large)
            #expect(receiver.record.pieces == 1)
            // Answered from this thread, which is not the loop's.
            receiver.release()
            client.send([UInt8](repeating: 65, count: large - taken))
            #expect(try client.answer().text == "took \(large)")
        }
    }

    @Test("does not count the receiver's time towards the deadline")
    func receiverTakesItsTime() async throws {
        let receiver = RecordingReceiver(holds: true)
        try await withUploads(to: { receiver }, deadline: .milliseconds(200)) { _, port in
            let client = try RawClient(port: port)
            client.send(head(4) + "ab")
            try waitUntil("the first piece is there") { receiver.record.pieces == 1 }
            #expect(!client.isReadable(within: 500))
            receiver.release()
            client.send("cd")
            #expect(try client.answer().text == "took 4")
        }
    }

    @Test("lets the receiver refuse early, while the client is still sending")
    func earlyAnswer() async throws {
        let receiver = RecordingReceiver { $0.responder.respond(.text(403, "no")) }
        try await withUploads(to: { receiver }) { _, port in
            let client = try RawClient(port: port)
            client.send(head(5_000_000))
            client.send([UInt8](repeating: 65, count: 5_000_000))
            #expect(try client.answersUntilEnd().map(\.text) == ["no"])
            #expect(receiver.record.pieces == 0)
            #expect(!receiver.record.ended)
        }
        receiver.letGo()
    }

    @Test("tells the receiver when the body is too large, malformed, late, or its client gone")
    func failures() async throws {
        let chunkedHead = "POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        let cases: [(bytes: String, status: Int?, failure: HTTPUploadFailure)] = [
            (chunkedHead + "4\r\nabcd\r\n4\r\nabcd\r\n4\r\nabcd\r\n", 413, .tooLarge),
            (chunkedHead + "4\r\nabcd\r\nxx\r\n", 400, .malformed),
            (head(9) + "abc", 408, .deadlinePassed),
            (head(9) + "abc", nil, .clientLeft),
        ]
        for (bytes, status, failure) in cases {
            let receiver = RecordingReceiver()
            try await withUploads(to: { receiver }, limit: 10, deadline: failure == .deadlinePassed ? .milliseconds(200) : .seconds(30)) { _, port in
                let client = try RawClient(port: port)
                client.send(bytes)
                try waitUntil("the receiver is in charge") { receiver.record.upload != nil || receiver.record.failure != nil }
                if let status {
                    #expect(try client.answersUntilEnd().map(\.status) == [status])
                } else {
                    client.vanish()
                    _ = consume client
                }
                try waitUntil("the receiver is told") { receiver.record.failure != nil }
                #expect(receiver.record.failure == failure)
                #expect(!receiver.record.ended)
            }
        }
    }

    @Test("answers 500 when the receiver forgets its upload")
    func forgotten() async throws {
        final class Forgetful: HTTPBodyReceiver {
            func begin(_ upload: HTTPUpload) {}
            func receive(_ piece: [UInt8]) {}
            func end() {}
            func failed(_ failure: HTTPUploadFailure) {}
        }
        try await withUploads(to: { Forgetful() }) { _, port in
            let client = try RawClient(port: port)
            client.send(head(10) + "abc")
            #expect(try client.answersUntilEnd().map(\.status) == [500])
        }
    }
}

extension String {
    fileprivate func replacingUp() -> String { "GET /other" + dropFirst("GET /up".count) }
}
