import ErrorReports
import EventLoop
import Formats
import HTTPServer
import ProgramStart
import Synchronization
import Telemetry
import TestSupport
import Testing

/// Takes envelopes as Sentry does.
private final class PlayedSentry: Sendable {
    struct Envelope: Sendable {
        let path: String
        let auth: String
        let head: JSON
        let item: JSON
        let event: JSON
        let raw: String

        var message: String? { event["message"]?["formatted"]?.string }
        func tag(_ name: String) -> String? { event["tags"]?[name]?.string }
    }

    private let received = Mutex<[Envelope]>([])
    private let status: Int
    private let loop: EventLoop
    private let server: HTTPServer
    private let box = ReceiverBox()

    init(answering status: Int = 200) async throws {
        self.status = status
        loop = try EventLoop.started(name: "played sentry")
        server = HTTPServer(
            configuration: HTTPServerConfiguration(address: SocketAddress("127.0.0.1", 0)), loops: [loop], name: "sentry",
            handler: HTTPServer.asyncHandler { [box] request in await box.take(request) })
        box.receiver.withLock { $0 = self }
        try await server.start()
    }

    private final class ReceiverBox: Sendable {
        let receiver = Mutex<PlayedSentry?>(nil)
        func take(_ request: HTTPRequest) async -> HTTPResponse {
            guard let receiver = receiver.withLock({ $0 }) else { return .text(500, "") }
            return receiver.take(request)
        }
    }

    private func take(_ request: HTTPRequest) -> HTTPResponse {
        let lines = request.body.split(separator: 0x0A).map { Array($0) }
        guard lines.count == 3, let head = try? JSON(parsing: lines[0]), let item = try? JSON(parsing: lines[1]),
            let event = try? JSON(parsing: lines[2]), item["length"]?.int == Int64(lines[2].count)
        else { return .text(400, "no envelope") }
        let envelope = Envelope(
            path: request.path, auth: request.headers["x-sentry-auth"] ?? "", head: head, item: item, event: event,
            raw: String(decoding: request.body, as: UTF8.self))
        received.withLock { $0.append(envelope) }
        return HTTPResponse(status: status, headers: status == 429 ? ["retry-after": "60"] : [:], body: Array("{}".utf8))
    }

    var envelopes: [Envelope] { received.withLock { $0 } }
    var dsn: String { "http://publickey@\(server.boundAddress)/42" }

    func stop() async {
        await server.stop(by: .now + .seconds(2))
        // The box, the server's handler and this one hold each other.
        box.receiver.withLock { $0 = nil }
        try? await BlockingPool(name: "test-end", threads: 1).run { [loop] in loop.stop() }
    }
}

@Suite("Reports of errors")
struct SentryTests {
    private func reporter(_ dsn: String, _ change: (inout ErrorReporter.Configuration) -> Void = { _ in }) throws -> ErrorReporter {
        var configuration = ErrorReporter.Configuration(
            address: try #require(SentryAddress(dsn: dsn)), program: "worker-test", release: "quittance@1.2.3")
        change(&configuration)
        return ErrorReporter(configuration)
    }

    @Test(
        "a DSN says where envelopes go",
        arguments: [
            ("https://key@sentry.example/1", "https://sentry.example/api/1/envelope/", "key"),
            ("http://key:old@127.0.0.1:9000/sub/path/77", "http://127.0.0.1:9000/sub/path/api/77/envelope/", "key"),
            ("https://sentry.example/1", nil, nil), ("https://key@sentry.example/", nil, nil), ("https://key@sentry.example/x", nil, nil),
            ("ftp://key@sentry.example/1", nil, nil), ("", nil, nil),
        ])
    func addresses(dsn: String, url: String?, key: String?) {
        let address = SentryAddress(dsn: dsn)
        #expect(address?.envelopeURL == url && address?.key == key)
    }

    @Test("go out as an envelope with what people search by, masked as the logs are")
    func envelope() async throws {
        let sentry = try await PlayedSentry()
        let reporter = try reporter(sentry.dsn)
        let trace = Trace()
        reporter.report(
            ErrorReport(
                "job buried", detail: "call +2250707123456, token=abcdefghijklmnop1234",
                fields: [
                    "payment": "pay_1", "inquiry_id": "inq_1", "order_id": "ORD-2025-000184", "provider": "cinetpay",
                    "provider_ref": "17639999999999",
                    "job": "job_1", "mode": "live", "trace": trace.traceparent, "phone": "+2250707123456", "api_key": "very-secret", "absent": nil,
                ], fingerprint: ["a1"]))
        await reporter.flush(within: .seconds(10))
        let seen = try #require(sentry.envelopes.first)
        #expect(sentry.envelopes.count == 1 && seen.path == "/api/42/envelope/")
        #expect(seen.auth == "Sentry sentry_version=7, sentry_client=quittance/1.2.3, sentry_key=publickey")
        #expect(seen.head["event_id"] == seen.event["event_id"] && seen.event["event_id"]?.string?.count == 32)
        #expect(seen.item["type"] == "event" && seen.message == "job buried" && seen.event["level"] == "error")
        #expect(seen.event["release"] == "quittance@1.2.3" && seen.event["environment"] == "live" && seen.event["logger"] == "worker-test")
        let tags = ["payment": "pay_1", "inquiry_id": "inq_1", "order_id": "ORD-2025-000184", "provider": "cinetpay", "job": "job_1", "mode": "live"]
        for (name, value) in tags { #expect(seen.tag(name) == value, "\(name)") }
        #expect(seen.tag("provider_ref") == "17639999999999")
        #expect(seen.event["contexts"]?["trace"]?["trace_id"]?.string == trace.id)
        #expect(seen.event["fingerprint"] == ["job buried", "a1"])
        for word in ["0707123456", "abcdefghijklmnop", "very-secret"] { #expect(!seen.raw.contains(word), "\(word)") }
        await sentry.stop()
    }

    @Test("the same error is told once in a while, with how often it was held back")
    func repeated() async throws {
        let sentry = try await PlayedSentry()
        let reporter = try reporter(sentry.dsn) { $0.quiet = .milliseconds(300) }
        for _ in 1...5 { reporter.report(ErrorReport("again", fingerprint: ["x"])) }
        reporter.report(ErrorReport("again", fingerprint: ["y"]))
        await reporter.flush(within: .seconds(10))
        #expect(sentry.envelopes.count == 2)
        try await eventually("it is told again") {
            reporter.report(ErrorReport("again", fingerprint: ["x"]))
            await reporter.flush(within: .seconds(10))
            // On a busy machine it may have been told more than once by now.
            return sentry.envelopes.count >= 3
        }
        #expect((sentry.envelopes[2].event["extra"]?["repeated"]?.int ?? 0) >= 4)
        await sentry.stop()
    }

    @Test("nobody waits for a Sentry that is away, and what does not fit is counted")
    func away() async throws {
        let dropped = MetricRegistry.shared.counter(
            "error_reports_total", help: "Reports of errors, by what became of them.", labels: [("outcome", "dropped")])
        let before = dropped.value
        let reporter = try reporter("http://key@127.0.0.1:1/1") { $0.waitingMax = 10 }
        let began = ContinuousClock.now
        for number in 1...500 { reporter.report(ErrorReport("away", fingerprint: ["\(number)"])) }
        #expect(began.duration(to: .now) < (.seconds(2) as Duration).stretched)
        #expect(dropped.value - before >= 100)
        await reporter.flush(within: .seconds(10))
    }

    @Test("a Sentry that asks for patience gets it")
    func patience() async throws {
        let sentry = try await PlayedSentry(answering: 429)
        let reporter = try reporter(sentry.dsn)
        reporter.report(ErrorReport("first"))
        await reporter.flush(within: .seconds(10))
        reporter.report(ErrorReport("second"))
        await reporter.flush(within: .seconds(10))
        #expect(sentry.envelopes.map(\.message) == ["first"])
        await sentry.stop()
    }

    @Test("what is about no payment in particular carries the program's mode, and a crash the release that crashed")
    func modeAndRelease() async throws {
        let sentry = try await PlayedSentry()
        let reporter = try reporter(sentry.dsn) { $0.mode = "live" }
        reporter.report(ErrorReport("a call failed"))
        var crash = ErrorReport("the program ended without a goodbye", level: .fatal, fields: ["mode": "sandbox"])
        crash.release = "quittance@1.2.2"
        reporter.report(crash)
        await reporter.flush(within: .seconds(10))
        let seen = sentry.envelopes.map { [$0.event["release"]?.string, $0.event["environment"]?.string, $0.tag("mode")] }
        #expect(seen == [["quittance@1.2.3", "live", "live"], ["quittance@1.2.2", "sandbox", "sandbox"]])
        await sentry.stop()
    }

    @Test("the release is made of the one version that there is")
    func release() {
        #expect(Release.text == "quittance@" + Release.version)
        #expect(Release.version.split(separator: ".").compactMap { Int($0) }.count == 3)
    }
}
