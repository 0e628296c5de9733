import Database
import HTTPClient
import JobQueue
import Notifications
import Outbox
import Payments
import PrivateFiles
import Telemetry

/// Carries out ``SendNotification`` by e-mail.
///
/// The crash window's policy is *again, the duplicate visible*: a mail whose result was lost is sent once more under the
/// same Message-ID, which mail programs show once. While the mail server is ill, messages wait without an attempt being spent.
public struct NotificationSending: Sendable {
    private let database: Database
    private let smtp: SMTPClient
    private let files: PrivateFiles
    private let from: MailAddress
    private let breaker: CircuitBreaker?

    /// Largest attachment that is mailed, in bytes.
    static let attachmentLimit = 10 << 20

    public init(database: Database, smtp: SMTPClient, files: PrivateFiles, from: MailAddress, breaker: CircuitBreaker? = nil) {
        self.database = database
        self.smtp = smtp
        self.files = files
        self.from = from
        self.breaker = breaker
    }

    /// The name of the effect; its key is the Message-ID.
    public static let effect = "mail"
    /// The name of the breaker.
    public static let dependency = "smtp"

    public func run(_ message: SendNotification, context: JobContext, nowMs: @Sendable () -> Int64) async throws -> JobOutcome {
        let (job, log) = (context.job, context.log)
        let rendered: RenderedMessage
        do { rendered = try RenderedMessage(message.template, language: message.language, values: message.values) } catch {
            throw JobFailure.bury("\(error)")
        }
        let started = nowMs()
        let host = String(from.address.split(separator: "@").last ?? "localhost")
        let beginning = try await database.write { connection in
            try Self.begin(message, rendered, job: job, host: host, nowMs: started, in: connection)
        }
        guard case .send(let messageID) = beginning else {
            if case .skip(let reason) = beginning { return .skipped(reason: reason) }
            return .done
        }
        do {
            let mail = try await compose(message, rendered, messageID: messageID, nowMs: started)
            try await context.effect(Self.effect, key: messageID, policy: .againVisibly) { [self] _ in
                try await passingBreaker { try await smtp.send(from: from.address, to: [message.recipient], message: mail) }
            }
        } catch let error as SMTPError {
            try await database.write { try NotificationRecord.markError(message.key, "\(error)", refused: error.isPermanent, in: $0) }
            throw error.isPermanent ? JobFailure.bury("\(error)") : JobFailure.retry("\(error)")
        }
        let finished = nowMs()
        try await database.write { connection in
            try NotificationRecord.markSent(message.key, nowMs: finished, in: connection)
            _ = try Outbox.finish(job, as: .done, detail: messageID, nowMs: finished, in: connection)
        }
        log.info("mail sent", ["template": .string(message.template.rawValue), "message_id": .string(messageID)])
        return .done
    }

    private func passingBreaker(_ send: @Sendable () async throws -> Void) async throws {
        if let breaker { try await breaker.run(send) } else { try await send() }
    }

    /// Whether an error says that the mail server itself is ill, not that it does not want this message.
    public static func isIllness(_ error: any Error) -> Bool {
        guard let error = error as? SMTPError else { return false }
        return [.connection, .tls, .timeout, .authentication].contains(error.kind) || error.code == 421
    }

    private enum Beginning: Sendable {
        case send(messageID: String)
        case skip(String)
        case sentBefore
    }

    /// Re-reads the payment, if the message names one, and writes the intent, in one transaction.
    private static func begin(
        _ message: SendNotification, _ rendered: RenderedMessage, job: JobEnvelope, host: String, nowMs: Int64, in connection: Connection
    ) throws -> Beginning {
        if try Outbox.isFinished(job.id, in: connection) { return .sentBefore }
        if let id = job.payment {
            let state = try PaymentStore.find(id, in: connection)?.state
            guard let state, state.allowsPaidWork else {
                let reason = state?.skipReason ?? "payment is unknown"
                _ = try Outbox.finish(job, as: .skipped, detail: reason, nowMs: nowMs, in: connection)
                return .skip(reason)
            }
        }
        let record = try NotificationRecord.intend(
            message, subject: rendered.subject, host: host, payment: job.payment, job: job.id, nowMs: nowMs, in: connection)
        guard record.state != "sent" else {
            _ = try Outbox.finish(job, as: .done, detail: record.messageID, nowMs: nowMs, in: connection)
            return .sentBefore
        }
        return .send(messageID: record.messageID)
    }

    private func compose(
        _ message: SendNotification, _ rendered: RenderedMessage, messageID: String, nowMs: Int64
    ) async throws -> [UInt8] {
        var attachments: [MailMessage.Attachment] = []
        for file in message.attachments {
            let bytes = try await files.read(file.path, limit: Self.attachmentLimit)
            attachments.append(MailMessage.Attachment(name: file.name, contentType: file.contentType, bytes: bytes))
        }
        let mail = MailMessage(
            from: from, to: [MailAddress(message.recipient)],
            subject: rendered.subject, textBody: rendered.text, htmlBody: rendered.html, attachments: attachments, messageID: messageID, dateMs: nowMs
        )
        do { return try mail.encoded() } catch { throw JobFailure.bury("the mail cannot be written: \(error)") }
    }
}

extension SMTPError: EffectErrorClassifying {
    public var effectCannotHaveHappened: Bool { !mayHaveBeenAccepted }
}
