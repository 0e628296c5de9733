import Access
import Database
import EventLoop
import HTTPClient
import JobQueue
import MessageCatalog
import MessagePort
import NotificationDelivery
import Notifications
import Outbox
import Payments
import Plans
import PrivateFiles
import Settings
import Teams
import Telemetry
import WorkerService

/// The services of worker-notifications: messages out, and what their carriers tell of them later.
public enum NotificationsWorker {
    /// The rooms' migrations it stands on.
    public static let migrations: [MigrationSet] = [
        Outbox.migrations, APIKeys.migrations, TeamStore.migrations, PaymentStore.migrations, NotificationRecord.migrations,
        PlanPurpose.migrations,
    ]

    /// - Parameter downloads: signs the links of downloads from their rows.
    public static func services(_ program: WorkerProgram, downloads: DownloadLinking? = nil) throws -> [any Service] {
        let settings = program.settings
        guard let from = MailAddress(parsing: settings.mailFrom) else { throw NotificationsError(description: "MAIL_FROM is no mail address") }
        let mail = MailCarrier(smtp: try SMTPClient(url: settings.smtpURL), from: from)
        let transport = MessageTransport(HTTPClient(loop: program.loop))
        let carriers = try MessageCatalog.carriers(settings.notifications, mail: mail, transport: transport)
        let linking = linking(settings, downloads)
        let sending = NotificationSending(
            database: program.database, carriers: carriers,
            files: PrivateFiles(root: settings.privateMediaRoot, pool: BlockingPool(name: "attachments", threads: 2)), host: mail.host,
            gate: gate(of: carriers, program), linking: linking)

        let jobs = program.worker(queue: SendNotification.queue)
        // Four carriers, one after the other, each as slow as it may be.
        jobs.register(
            SendNotification.self, retry: SendNotification.retry, guard: NotificationGuard(database: program.database), timeout: .seconds(180)
        ) { parameters, context in
            try await sending.run(parameters, context: context, nowMs: program.nowMs)
        }
        let reading = ReceiptReading(
            database: program.database,
            book: ReceiptBook(outbox: program.outbox, carriers: carriers) { try linking.isWaitedFor($0, nowMs: $1, in: $2) },
            log: program.log, nowMs: program.nowMs)
        let receipts = BatchWorker(
            driver: program.queues.driver(of: ReceiptPost.queue),
            configuration: BatchWorker.Configuration(
                name: "\(program.name)-\(settings.slot)", batchMax: ReceiptReading.batchMax, log: program.log)
        ) { try await reading.read($0) }
        return [jobs, receipts]
    }

    private static func gate(of carriers: [any MessageCarrier], _ program: WorkerProgram) -> CarrierGate {
        var breakers: [String: CircuitBreaker] = [:]
        var rates: [String: CallRate] = [:]
        for carrier in carriers {
            breakers[carrier.name] = program.breaker(CarrierGate.dependency(carrier.name), isIllness: CarrierGate.isIllness)
            let rate = program.settings.notifications.carriers[carrier.name]?.messagesPerSecond
            if let rate { rates[carrier.name] = CallRate(perSecond: rate) }
        }
        return CarrierGate(breakers: breakers, turns: QueueStart.outbound(program.queues).turns, rates: rates, log: program.log)
    }

    static func linking(_ settings: Settings, _ downloads: DownloadLinking?) -> MessageLinking {
        guard let secret = settings.secretKey else { return MessageLinking() }
        let (link, baseURL) = (PaymentLink(secret: secret.value), settings.baseURL)
        let payments: PaymentLinking = { payment, nowMs, connection in
            let generation = try PaymentLinks.generation(of: payment, in: connection)
            guard let token = link.token(for: payment, .pay, generation: generation, nowMs: nowMs) else {
                return .over(reason: "there is no payment \(payment)")
            }
            return .good(url: "\(baseURL)/pay/\(token.text)", expiresAtMs: token.expiresAtMs)
        }
        let page = TeamLink(secret: secret.value)
        let teams: TeamLinking = { team, periodEndMs, nowMs, connection in
            let expiresAtMs = try Subscription.linkExpiry(of: team, periodEndMs: periodEndMs, nowMs: nowMs, in: connection)
            guard let expiresAtMs else { return .settled(reason: "the plan of \(team) is paid on") }
            // A link that is made to last longer would be refused.
            let token = page.mailToken(for: team, until: min(expiresAtMs, nowMs + TeamLink.mailLifeMs))
            return .good(url: "\(baseURL)/teams/\(team)/settings?t=\(token.text)&tab=plan", expiresAtMs: token.expiresAtMs)
        }
        return MessageLinking(payments: payments, downloads: downloads, teams: teams)
    }
}

/// Why the program cannot send messages.
struct NotificationsError: Error, CustomStringConvertible {
    let description: String
}
