import Database
import EventLoop
import Formats
import HTTPClient
import JobQueue
import MessageCatalog
import MessagePort
import NotificationDelivery
import Notifications
import NotificationsService
import Outbox
import Payments
import PrivateFiles
import SandboxService
import Settings
import Synchronization
import Telemetry
import TestSupport

/// The played carriers, a real mail server, and a database of its own: messages go out as in worker-notifications.
final class MessageStage: Sendable {
    static let secrets = ["africas-talking": "at-0123456789abcdef", "orange-sms": "orange-0123456789ab", "whatsapp": "app-0123456789abcdef"]
    static let number = "+2250708091011"

    let domain: DomainFixture
    let mail: SMTPServer
    let sandbox: Sandbox
    let settings: Settings
    let carriers: [any MessageCarrier]
    let files: PrivateFiles
    private let smtp: MailCarrier
    private let clock = Mutex(DomainFixture.nowMs)

    /// - Parameters:
    ///   - ingestURL: where receipts are posted; nowhere unless given.
    static func run(
        channels: String = "whatsapp,sms,email", smsCarriers: String = "africas-talking,orange-sms", ingestURL: String? = nil,
        refusing: [SMTPServer.Refusal] = [], _ body: (MessageStage) async throws -> Void
    ) async throws {
        let loop = try EventLoop.started(name: "messages-test")
        var configuration = SandboxConfiguration(address: SocketAddress("127.0.0.1", 0), ingestURL: ingestURL ?? "http://127.0.0.1:9")
        if ingestURL != nil { configuration.carriers = secrets.mapValues { HouseKeys(secrets: [$0]) } }
        let sandbox = Sandbox(configuration: configuration, loop: loop)
        try await sandbox.start()
        let client = HTTPClient(loop: loop)
        let result: Result<Void, any Error>
        do {
            let mail = try await SMTPServer.start(refusing: refusing)
            let stage = try MessageStage(sandbox, client, mail, channels: channels, smsCarriers: smsCarriers)
            result = .success(try await body(stage))
        } catch { result = .failure(error) }
        await client.close()
        await sandbox.stop(by: .now + .seconds(5))
        let ending = BlockingPool(name: "messages-end", threads: 1)
        try await ending.run { loop.stop() }
        ending.close()
        try result.get()
    }

    private init(_ sandbox: Sandbox, _ client: HTTPClient, _ mail: SMTPServer, channels: String, smsCarriers: String) throws {
        domain = try DomainFixture()
        self.sandbox = sandbox
        self.mail = mail
        settings = try Settings(environment: [
            "SANDBOX_ADDRESS": "\(sandbox.boundAddress)", "NOTIFICATION_CHANNELS": channels, "SMS_CARRIERS": smsCarriers,
            "PROVIDER_MODE_AFRICAS_TALKING": "sandbox", "PROVIDER_MODE_ORANGE_SMS": "sandbox", "PROVIDER_MODE_WHATSAPP": "sandbox",
        ])
        smtp = MailCarrier(
            smtp: try SMTPClient(url: mail.url, timeout: .seconds(20)), from: MailAddress("caisse@example.com", name: "Quittance"))
        carriers = try MessageCatalog.carriers(settings.notifications, mail: smtp, transport: MessageTransport(client))
        files = PrivateFiles(root: domain.folder.file("private"), pool: DomainFixture.pool)
    }

    var nowMs: Int64 { clock.withLock { $0 } }
    func turn(_ duration: Duration) { clock.withLock { $0 += duration.components.seconds * 1000 } }

    // MARK: Sending

    static func message(
        _ template: MessageTemplate = .paymentConfirmed, email: String? = "awa@example.org", phone: String? = number, cause: String = "pay_1",
        link: SendNotification.Link? = nil, attachments: [SendNotification.Attachment] = []
    ) -> SendNotification {
        var values: [String: String] = [:]
        for variable in template.variables where !variable.isMadeAtSending { values[variable.rawValue] = variable.sample(in: "fr") }
        return SendNotification(
            template: template, recipient: email ?? phone ?? "", phone: phone, language: "fr", values: values, attachments: attachments, cause: cause,
            link: link)
    }

    func send(
        _ message: SendNotification, job id: String = "job_1", payment: String? = nil, gate: CarrierGate = CarrierGate(),
        linking: MessageLinking = MessageLinking(), isLastAttempt: Bool = false, carriers: [any MessageCarrier]? = nil
    ) async throws -> JobOutcome {
        let sending = NotificationSending(
            database: domain.database, carriers: carriers ?? self.carriers, files: files, host: smtp.host, gate: gate, linking: linking)
        let job = try message.request(payment: payment).envelope(id: id, nowMs: DomainFixture.nowMs)
        let effects = Effects(store: EffectTable(database: domain.database), owners: Living())
        let context = JobContext(
            job: job, attempt: 1, isLastAttempt: isLastAttempt, worker: WorkerIdentity(name: "test"), log: Log(), effects: effects)
        return try await sending.run(message, context: context) { self.nowMs }
    }

    /// What the next calls to a carrier come to.
    func play(_ steps: [String], at carrier: String) async throws {
        let body: JSON = ["carrier": .string(carrier), "steps": .array(steps.map { .string($0) })]
        let answer = try await HTTPLine.once(
            port: sandbox.boundAddress.port, "POST", "/sandbox/messages", headers: [("content-type", "application/json")], body: body.bytes)
        guard answer.status == 200 else { throw FixtureError("the sandbox refuses the steps: \(answer.text)") }
    }

    /// What the played carriers took.
    func taken(by carrier: String? = nil) async throws -> [JSON] {
        let answer = try await HTTPLine.once(port: sandbox.boundAddress.port, "GET", "/sandbox/messages")
        let all = try JSON(parsing: answer.body)["messages"]?.array ?? []
        return all.filter { carrier == nil || $0["carrier"]?.string == carrier }
    }

    // MARK: What is recorded

    func record(_ message: SendNotification) async throws -> NotificationRecord {
        guard let record = try await domain.database.read({ try NotificationRecord.find(message.key, in: $0) }) else {
            throw FixtureError("the message is not recorded")
        }
        return record
    }

    /// The history as `carrier state code`.
    func history(_ message: SendNotification) async throws -> [String] {
        let record = try await record(message)
        return try await domain.database.read { try NotificationTry.of(message: record.messageID, in: $0) }.map {
            "\($0.carrier) \($0.state.rawValue)" + ($0.code.map { " \($0)" } ?? "")
        }
    }

    func tasks() async throws -> [PaymentTask] { try await domain.database.read { try PaymentTask.open(in: $0) } }
    func jobs() async throws -> [JobRecord] {
        try await domain.database.read { connection in
            try connection.query("SELECT id FROM outbox_jobs ORDER BY sequence").compactMap { try JobRecord.find(try $0.text("id"), in: connection) }
        }
    }
}
