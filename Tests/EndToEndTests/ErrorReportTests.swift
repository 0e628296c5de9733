import Database
import Formats
import HTTPServer
import RedisClient
import Synchronization
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// Takes envelopes as Sentry does, and parses each.
private final class SentryInbox: Sendable {
    struct Envelope: Sendable {
        let head: JSON
        let event: JSON
        let text: String
        var message: String { event["message"]?["formatted"]?.string ?? "" }
        var program: String { event["logger"]?.string ?? "" }
        func tag(_ name: String) -> String? { event["tags"]?[name]?.string }
    }

    private let state = Mutex((envelopes: [Envelope](), refused: 0))
    var envelopes: [Envelope] { state.withLock { $0.envelopes } }
    var refused: Int { state.withLock { $0.refused } }

    func take(_ request: HTTPRequest) -> HTTPResponse {
        let lines = request.body.split(separator: 0x0A).map { Array($0) }
        guard request.path == "/api/42/envelope/", lines.count == 3, let head = try? JSON(parsing: lines[0]),
            let item = try? JSON(parsing: lines[1]), let event = try? JSON(parsing: lines[2]), item["type"] == "event",
            item["length"]?.int == Int64(lines[2].count), head["event_id"] == event["event_id"]
        else {
            state.withLock { $0.refused += 1 }
            return .text(400, "no envelope")
        }
        state.withLock { $0.envelopes.append(Envelope(head: head, event: event, text: String(decoding: request.body, as: UTF8.self))) }
        return .json(200, [:])
    }

    /// Waits for an envelope, and answers it.
    func envelope(_ message: String, of program: String) async throws -> Envelope {
        try await eventually(within: .seconds(40), "\(message) of \(program) is told") { self.first(message, program) != nil }
        return try #require(first(message, program))
    }

    private func first(_ message: String, _ program: String) -> Envelope? {
        envelopes.last { $0.message.hasPrefix(message) && $0.program == program }
    }
}

@Suite("Errors of the running product", .timeLimit(.minutes(4)))
struct ErrorReportTests {
    private static func release() throws -> String {
        let folder = "\(repositoryRoot)/Sources/Services/ProgramStart/VERSION"
        let file = try #require(fopen(folder, "r"))
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = fread(&bytes, 1, bytes.count, file)
        return "quittance@" + String(decoding: bytes[..<count].prefix { $0 != 0x0A }, as: UTF8.self)
    }

    private static func withInbox(_ programs: [String], _ body: @escaping @Sendable (SentryInbox, Stage) async throws -> Void) async throws {
        let inbox = SentryInbox()
        let server = try await PlayedServer("played sentry") { inbox.take($0) }
        let settings = ["SENTRY_DSN": "http://publickey@\(server.address)/42"]
        try await Stage.run(programs, Instance.Configuration(settings: settings)) { try await body(inbox, $0) }
        #expect(inbox.refused == 0)
        await server.stop()
    }

    @Test(
        "a 5xx, a buried job, a quarantined event and a crash each arrive as an envelope that says what it is about, and nothing secret",
        .enabled(if: Sanitizer.running == nil, "Swift's backtracer joins in"))
    func everyKind() async throws {
        try await Self.withInbox(["ingest", "web", "worker-payments", "worker-plans"]) { inbox, stage in
            let release = try Self.release()
            // No sandbox runs: the provider cannot be reached.
            let shop = try await Shop(stage)
            let payment = try await shop.inquiry(email: "awa@example.org")
            let inquiry = try #require(try await stage.texts("SELECT subject FROM payments_payments WHERE id = $1", [.text(payment)]).first)
            let path = "/api/v1/payments/cinetpay/initiate/"
            await #expect(throws: FixtureError.self) { try await shop.call("POST", path, ["payment": .string(payment)]) }
            let attempt = try #require(try await stage.texts("SELECT id FROM payments_attempts").first)
            let failed = try await inbox.envelope("a call was answered 503", of: "web")
            try Self.expect(failed, ["payment": payment, "inquiry_id": inquiry, "provider": "cinetpay", "provider_ref": attempt, "mode": "sandbox"])
            #expect(failed.tag("order_id") != nil && failed.tag("route") == "POST /api/v1/payments/{provider}/initiate/")

            let plan = try await stage.seedOne(.plan, email: "team@example.org")
            let job: JSON = [
                "v": 1, "id": "job_1", "kind": "plan.activate", "queue": "plans", "args": ["phone": "+2250707123456"],
                "payment": .string(plan.id), "attempt": 0, "enqueued_at": 1,
            ]
            _ = try await stage.redis.call("LPUSH", stage.key("plans", "ready"), job.bytes)
            let buried = try await inbox.envelope("job buried", of: "worker-plans")
            try Self.expect(
                buried,
                [
                    "payment": plan.id, "job": "job_1", "kind": "plan.activate", "queue": "plans", "provider": "standard-webhooks",
                    "order_id": plan.attempt, "provider_ref": plan.attempt, "mode": "sandbox",
                ])

            // Known and believed, but of another mode than the attempt.
            let order = try await stage.seedOne(.order, email: "awa@example.org")
            try await stage.database.write { _ = try $0.execute("UPDATE payments_attempts SET mode = 'live' WHERE id = $1", [.text(order.attempt)]) }
            #expect(try await stage.post(Message.paid(order)).status == 200)
            let quarantined = try await inbox.envelope("event quarantined", of: "worker-payments")
            try Self.expect(
                quarantined, ["payment": order.id, "provider": "standard-webhooks", "order_id": order.attempt, "mode": "sandbox"])
            #expect(quarantined.tag("provider_ref") != nil && quarantined.tag("event") != nil)

            let process = try stage.instance.process("worker-plans")
            process.signal(SIGSEGV)
            #expect(try await process.waitForExit() == .signalled(SIGSEGV))
            try await stage.instance.start("worker-plans")
            let crash = try await inbox.envelope("the program ended without a goodbye", of: "worker-plans")
            try Self.expect(crash, ["signal": "SIGSEGV", "program": "worker-plans", "mode": "sandbox"])
            #expect(crash.event["level"] == "fatal")

            // kill -9 leaves no time for a word; an orderly end is no crash.
            try await stage.instance.kill9("worker-plans")
            try await stage.instance.start("worker-plans")
            try await eventually(within: .seconds(30), "the kill is told") { inbox.envelopes.count { $0.event["level"] == "fatal" } == 2 }
            #expect(inbox.envelopes.last { $0.event["level"] == "fatal" }?.tag("signal") == nil)
            try await stage.instance.stop("worker-plans")
            try await stage.instance.start("worker-plans")
            try await stage.instance.stop("worker-plans")
            #expect(inbox.envelopes.count { $0.event["level"] == "fatal" } == 2)

            for envelope in inbox.envelopes {
                #expect(envelope.event["release"]?.string == release && envelope.event["environment"]?.string == "sandbox")
                for secret in ["0707123456", "sandbox-key-of-the-tests", "awa@example.org", "publickey"] {
                    #expect(!envelope.text.contains(secret), "\(secret) in \(envelope.text)")
                }
            }
        }
    }

    private static func expect(_ envelope: SentryInbox.Envelope, _ tags: [String: String]) throws {
        for (name, value) in tags { #expect(envelope.tag(name) == value, "\(name) of \(envelope.message)") }
    }

    /// Swift's backtracer reads the memory of the process as it lies, which the address sanitizer takes for a fault of its own.
    private static let backtraces =
        Sanitizer.running == nil ? ["enable=yes,interactive=no,color=no", "enable=no"] : ["enable=no"]

    @Test(
        "a signal that ends a program is written down, and ends it as it would have been ended",
        .enabled(if: Sanitizer.leavesSignals),
        arguments: [("SIGSEGV", SIGSEGV), ("SIGBUS", SIGBUS), ("SIGILL", SIGILL), ("SIGTRAP", SIGTRAP), ("SIGABRT", SIGABRT), ("SIGFPE", SIGFPE)],
        backtraces)
    func signals(_ signal: (name: String, number: Int32), backtrace: String) async throws {
        try await Self.withInbox([]) { inbox, stage in
            let process = try await stage.instance.start("sandbox", with: ["SWIFT_BACKTRACE": backtrace])
            process.signal(signal.number)
            #expect(try await process.waitForExit(within: .seconds(60)) == .signalled(signal.number))
            // Whoever had the signal before has had its turn.
            #expect(process.transcript.contains("crashed") == (backtrace != "enable=no"))
            try await stage.instance.start("sandbox")
            let crash = try await inbox.envelope("the program ended without a goodbye", of: "sandbox")
            #expect(crash.tag("signal") == signal.name)
        }
    }
}
