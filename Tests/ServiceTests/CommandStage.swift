import Database
import Drafts
import EventLoop
import Formats
import Invoicing
import JobQueue
import JobQueueRedis
import Notifications
import OperatorCommands
import Outbox
import Payments
import PaymentsService
import ProviderPort
import RedisClient
import Settings
import StandardWebhooks
import Synchronization
import TestSupport
import Testing

/// What a command line came to.
struct CommandResult: Equatable, Sendable {
    let code: ExitCode
    let out: String
    let err: String
}

/// An installation of its own: a folder, settings, a turned clock, a real SQLite file and, if wanted, a real Redis.
final class CommandStage: Sendable {
    /// 2026-11-21 08:00:00 UTC, a Saturday.
    static let startMs: Int64 = 1_795_248_000_000
    static let webhookSecret = "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
    /// Nobody listens there.
    static let nowhere = "redis://127.0.0.1:1/0"

    let folder: TemporaryFolder
    let settings: Settings
    let redis: RedisServer?
    private let clock = Mutex(startMs)
    private let asksRedisForTheTime: Bool

    /// - Parameter asksRedisForTheTime: what is due is decided by Redis' true clock instead of the stage's turned one.
    static func make(
        redis wantsRedis: Bool = false, _ more: [String: String] = [:], migrated: Bool = true, asksRedisForTheTime: Bool = false
    ) async throws -> CommandStage {
        let stage = try CommandStage(
            redis: wantsRedis ? try await RedisServer.start() : nil, more, asksRedisForTheTime: asksRedisForTheTime)
        if migrated { #expect(await stage.run("migrate").code == .ok) }
        return stage
    }

    private init(redis: RedisServer?, _ more: [String: String], asksRedisForTheTime: Bool) throws {
        self.asksRedisForTheTime = asksRedisForTheTime
        folder = try TemporaryFolder("command")
        self.redis = redis
        var environment = [
            "VAR_DIRECTORY": folder.file("var"), "REDIS_URL": redis?.url ?? Self.nowhere, "PROVIDER_MODE_STANDARD_WEBHOOKS": "sandbox",
            "STANDARD_WEBHOOKS_SECRET": Self.webhookSecret, "SMTP_URL": "smtp://127.0.0.1:1", "DOCX_PYTHON": folder.file("no-python"),
        ]
        environment.merge(more) { $1 }
        settings = try Settings(environment: environment)
    }

    var databasePath: String { folder.file("var/quittance.db") }
    var nowMs: Int64 { clock.withLock { $0 } }
    func turn(byMs ms: Int64) { clock.withLock { $0 += ms } }

    func run(_ arguments: String...) async -> CommandResult { await run(arguments) }

    func run(_ arguments: [String]) async -> CommandResult {
        let recorded = RecordedOutput()
        let context = CommandContext(
            settings: settings, output: recorded.output, nowMs: { self.nowMs }, serverTime: asksRedisForTheTime ? nil : StageTime(stage: self))
        let code = await OperatorProgram.run(arguments, in: context)
        return CommandResult(code: code, out: recorded.standardOutput, err: recorded.standardError)
    }

    /// Runs a command line that prints JSON.
    func json(_ arguments: String...) async throws -> JSON {
        let result = await run(arguments)
        #expect(result.err == "")
        return try JSON(parsing: Array(result.out.utf8))
    }

    @discardableResult
    func write<Value: Sendable>(_ body: @escaping @Sendable (Connection) throws -> Value) async throws -> Value {
        let database = try Database.open(settings.database, readers: 1)
        do {
            let value = try await database.write(body)
            await database.close()
            return value
        } catch {
            await database.close()
            throw error
        }
    }

    // MARK: Life of a payment

    /// A kit of 12,500 XOF whose payment waits at the provider.
    func orderKit() async throws -> OrderedKit {
        let nowMs = nowMs
        return try await write { connection in
            let form = try InquiryForm(fields: [
                "organization_name": "Sève", "contact_name": "Aïcha Koné", "email": "aicha@example.org", "phone": "+2250707123456", "language": "fr",
            ])
            let (inquiry, _, payment) = try InquiryStore.create(form, actor: "test", nowMs: nowMs, in: connection)
            let attempt = try PaymentStore.startAttempt(
                of: payment, provider: "standard-webhooks", mode: "sandbox", method: nil, nowMs: nowMs + 1000, in: connection)
            return OrderedKit(payment: payment.id, inquiry: inquiry.id, attempt: attempt.id)
        }
    }

    /// Lets the provider say that it was paid.
    @discardableResult
    func notify(_ kit: OrderedKit, event: String = "msg_1", amount: String = "12500") async throws -> PaymentEvents.Outcome {
        let providers = try Product.providers(settings)
        let events = PaymentEvents(facts: PaymentFacts(purposes: Product.purposes, outbox: Outbox(slot: "worker-payments.0")), providers: providers)
        let body: JSON = ["type": "payment.succeeded", "data": ["order_id": .string(kit.attempt), "amount": .string(amount), "currency": "XOF"]]
        let nowMs = nowMs
        let event = ProviderEvent(
            id: event, provider: "standard-webhooks", mode: "sandbox", trust: .signed, type: "payment.notification", timeMs: nowMs + 2000,
            contentType: "application/json", body: body.bytes, headers: "", matchedKey: 0, payment: nil, target: "/webhooks/standard-webhooks",
            traceparent: nil)
        let read = ReadEvent(event, providers: providers)
        return try await write { try events.apply(read, nowMs: nowMs + 3000, in: $0) }
    }

    func jobs(of payment: String) async throws -> [JobRecord] { try await write { try JobRecord.of(payment: payment, in: $0) } }

    func job(_ kind: String, of payment: String) async throws -> JobRecord {
        guard let job = try await jobs(of: payment).first(where: { $0.kind == kind }) else { throw FixtureError("there is no job \(kind)") }
        return job
    }

    func finish(_ job: JobRecord, as outcome: JobRecord.Outcome, detail: String?, atMs: Int64) async throws {
        let envelope = JobEnvelope(id: job.id, kind: job.kind, queue: job.queue, args: [:], payment: job.payment, enqueuedAtMs: 0)
        try await write { _ = try Outbox.finish(envelope, as: outcome, detail: detail, nowMs: atMs, in: $0) }
    }
}

/// The stage's clock as that of a server.
private struct StageTime: ServerTime {
    let stage: CommandStage
    func serverNowMs() async -> Int64 { stage.nowMs }
}

struct OrderedKit: Sendable {
    let payment: String
    let inquiry: String
    let attempt: String
}

extension CommandStage {
    /// Lends the driver of one queue on the stage's Redis.
    func withQueue<Value: Sendable>(_ name: String, _ body: (any QueueDriver) async throws -> Value) async throws -> Value {
        let loop = try EventLoop.started(name: "test-queue")
        let queues = RedisQueues(loop: loop, address: settings.redis, prefix: settings.queuePrefix, name: "test")
        let result: Result<Value, any Error>
        do { result = .success(try await body(queues.driver(of: name))) } catch { result = .failure(error) }
        queues.close()
        let ending = BlockingPool(name: "test-end", threads: 1)
        try? await ending.run { loop.stop() }
        ending.close()
        return try result.get()
    }

    /// Puts a job of a kind on a queue.
    func put(_ kind: String, on queue: String, dueMs: Int64? = nil) async throws {
        let job = JobEnvelope(id: JobRequest.makeID(nowMs: nowMs), kind: kind, queue: queue, args: [:], enqueuedAtMs: nowMs)
        try await withQueue(queue) { try await $0.enqueue([EnqueueItem(job, dueMs: dueMs)]) }
    }

    /// Sends one command to the stage's Redis.
    @discardableResult
    func redis(_ name: String, _ arguments: any RedisArgument...) async throws -> RedisValue {
        let loop = try EventLoop.started(name: "test-redis")
        let connection = RedisConnection(loop: loop, address: settings.redis, name: "test", waitsForConnection: true)
        connection.start()
        let result: Result<RedisValue, any Error>
        do { result = .success(try await connection.perform(RedisCommand(name, arguments: arguments))) } catch { result = .failure(error) }
        connection.close()
        let ending = BlockingPool(name: "test-end", threads: 1)
        try? await ending.run { loop.stop() }
        ending.close()
        return try result.get()
    }
}
