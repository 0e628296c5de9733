import Database
import Formats
import HTTPClient
import JobQueue
import Money
import NotificationDelivery
import Notifications
import Outbox
import Payments
import PrivateFiles
import ProviderPort
import Telemetry
import TestSupport
import Testing

@Suite("Messages on their way, by a real mail server")
struct NotificationSendingTests {
    private static let values = ["name": "Awa", "amount": "12 500 XOF", "description": "Kit Complet – œuvre", "payment": "pay_1", "invoice": "EX-1"]

    private static func message(
        to recipient: String = "awa@example.org", language: String = "fr", values: [String: String] = values,
        attachments: [SendNotification.Attachment] = []
    ) -> SendNotification {
        SendNotification(
            template: .invoice, recipient: recipient, language: language, values: values, attachments: attachments, cause: "EX-1")
    }

    private struct Room {
        let domain: DomainFixture
        let files: PrivateFiles
        let sending: NotificationSending
        var effects: EffectTable { EffectTable(database: domain.database) }

        init(_ server: SMTPServer) throws { try self.init(url: server.url) }

        init(url: String) throws {
            domain = try DomainFixture()
            files = PrivateFiles(root: domain.folder.file("private"), pool: DomainFixture.pool)
            let mail = MailCarrier(
                smtp: try SMTPClient(url: url, timeout: .seconds(20)),
                from: try #require(MailAddress(parsing: "Quittance – caisse <caisse@example.com>")))
            sending = NotificationSending(database: domain.database, carriers: [mail], files: files, host: mail.host)
        }

        func send(_ message: SendNotification, job id: String = "job_1", payment: String? = nil) async throws -> JobOutcome {
            let job = try message.request(payment: payment).envelope(id: id, nowMs: DomainFixture.nowMs)
            let context = JobContext(
                job: job, attempt: 1, worker: WorkerIdentity(name: "test"), log: Log(), effects: Effects(store: effects, owners: Living()))
            return try await sending.run(message, context: context) { DomainFixture.nowMs }
        }

        /// The one message of the room.
        func record() async throws -> (state: String, messageID: String, attempts: Int64, error: String?) {
            let row = try await domain.database.read { connection in
                try connection.query("SELECT state, message_id, attempts, error FROM notifications_messages").map {
                    (try $0.text("state"), try $0.text("message_id"), try $0.int("attempts"), try $0.textOrNil("error"))
                }
            }
            guard row.count == 1 else { throw FixtureError("\(row.count) messages are recorded") }
            return row[0]
        }

        func outcome(_ job: String = "job_1") async throws -> JobRecord.Outcome? {
            try await domain.database.read { try JobRecord.find(job, in: $0)?.outcome }
        }
    }

    @Test("a message is sent once: in both forms, with its file as it is, under the identity that was recorded before")
    func once() async throws {
        let server = try await SMTPServer.start()
        let room = try Room(server)
        let file = (0..<20_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        try await room.files.write(file, to: "invoices/EX-1.pdf")
        let attached = SendNotification.Attachment(path: "invoices/EX-1.pdf", name: "Facture n° 1.pdf", contentType: "application/pdf")
        let message = Self.message(attachments: [attached])
        #expect(try await room.send(message) == .done)
        // The same job again, and another job for the same message.
        #expect(try await room.send(message) == .done)
        #expect(try await room.send(message, job: "job_2") == .done)

        let received = try await server.waitForMessages()
        #expect(received.count == 1)
        let mail = try #require(received.first)
        #expect(mail.defects.isEmpty && mail.from == "caisse@example.com" && mail.to == ["awa@example.org"])
        #expect(mail.sender == [["Quittance – caisse", "caisse@example.com"]])
        #expect(mail.subject == "Facture EX-1")
        #expect(mail.text?.contains("Bonjour Awa,") == true && mail.text?.contains("Kit Complet – œuvre") == true)
        #expect(mail.html?.contains("<p>Bonjour Awa,</p>") == true)
        #expect(mail.attachments.map(\.name) == ["Facture n° 1.pdf"] && mail.attachments.map(\.type) == ["application/pdf"])
        #expect(mail.attachments.first?.bytes == file)
        let record = try await room.record()
        #expect(record.state == "sent" && record.attempts == 1 && record.error == nil)
        #expect(mail.header("Message-ID") == record.messageID && record.messageID.hasSuffix("@example.com>"))
        #expect(try await room.outcome("job_1") == .done)
        #expect(try await room.outcome("job_2") == .done)
    }

    @Test("a temporary refusal is told as such, and the retry sends the same message")
    func temporary() async throws {
        let server = try await SMTPServer.start(refusing: [.message(code: 451, times: 1), .init("late@example.org", code: 450, times: 1)])
        let room = try Room(server)
        let message = Self.message()
        let failure = await #expect(throws: JobFailure.self) { try await room.send(message) }
        #expect(failure?.disposition == .retry(after: nil) && failure?.reason.contains("451") == true)
        let intended = try await room.record()
        #expect(intended.state == "pending" && intended.attempts == 1 && intended.error?.contains("451") == true)
        #expect(try await room.outcome() == nil)
        #expect(try server.received().isEmpty)
        #expect(try await room.send(message) == .done)
        let mail = try #require(try await server.waitForMessages().first)
        let sent = try await room.record()
        #expect(sent.state == "sent" && sent.attempts == 2 && sent.error == nil)
        #expect(sent.messageID == intended.messageID && mail.header("Message-ID") == intended.messageID)

        let other = try Room(server)
        let late = await #expect(throws: JobFailure.self) { try await other.send(Self.message(to: "late@example.org")) }
        #expect(late?.disposition == .retry(after: nil))
        #expect(try await other.send(Self.message(to: "late@example.org")) == .done)
    }

    @Test("a refusal for good is buried and recorded as refused; replayed it may be sent after all")
    func permanent() async throws {
        let server = try await SMTPServer.start(refusing: [.init("gone@example.org", code: 550, times: 1)])
        let room = try Room(server)
        let message = Self.message(to: "gone@example.org")
        let failure = await #expect(throws: JobFailure.self) { try await room.send(message) }
        #expect(failure?.disposition == .bury && failure?.reason.contains("550") == true)
        let refused = try await room.record()
        #expect(refused.state == "refused" && refused.error?.contains("550") == true)
        // The server has changed its mind.
        #expect(try await room.send(message, job: "job_replayed") == .done)
        let sent = try await room.record()
        #expect(sent.state == "sent" && sent.messageID == refused.messageID && sent.error == nil)
    }

    @Test("what customers wrote reaches neither header nor envelope", arguments: ["fr", "en"])
    func injection(language: String) async throws {
        let server = try await SMTPServer.start()
        let room = try Room(server)
        var values = Self.values
        values["invoice"] = "EX-1\r\nBcc: thief@example.org\r\n\r\n<script>"
        values["name"] = "Awa\r\n.\r\nMAIL FROM:<thief@example.org>"
        values["description"] = "{payment} & <b>"
        #expect(try await room.send(Self.message(language: language, values: values)) == .done)
        let mail = try #require(try await server.waitForMessages().first)
        #expect(mail.to == ["awa@example.org"] && mail.header("Bcc") == nil && mail.defects.isEmpty)
        #expect(mail.subject.contains("Bcc: thief@example.org") && !mail.subject.contains { $0.isNewline })
        #expect(mail.html?.contains("<script>") == false && mail.html?.contains("{payment} &amp; &lt;b&gt;") == true)
        #expect(try server.received().count == 1)
    }

    @Test(
        "an address that is none is refused for good, and the server is not spoken to",
        arguments: ["awa@example.org\r\nRCPT TO:<thief@example.org>", "awa", "", "é@example.org", "Awa <awa@example.org>"])
    func badRecipient(recipient: String) async throws {
        let room = try Room(url: "smtp://127.0.0.1:9")
        let failure = await #expect(throws: JobFailure.self) { try await room.send(Self.message(to: recipient)) }
        #expect(failure?.disposition == .bury)
    }

    @Test("a message without a variable that it needs is buried before anything is recorded")
    func badValues() async throws {
        let room = try Room(url: "smtp://127.0.0.1:9")
        let failure = await #expect(throws: JobFailure.self) { try await room.send(Self.message(values: ["name": "Awa"])) }
        #expect(failure?.disposition == .bury && failure?.reason.contains("amount") == true)
        #expect(try await room.domain.database.read { try $0.query("SELECT key FROM notifications_messages").count } == 0)
    }

    @Test("a server that is away, and a file that is not there yet, leave the message pending")
    func later() async throws {
        let room = try Room(url: "smtp://127.0.0.1:\(try freePort())")
        let failure = await #expect(throws: JobFailure.self) { try await room.send(Self.message()) }
        #expect(failure?.disposition == .retry(after: nil))
        let attached = SendNotification.Attachment(path: "invoices/none.pdf", name: "none.pdf", contentType: "application/pdf")
        await #expect(throws: PrivateFilesError.self) { try await room.send(Self.message(attachments: [attached])) }
        let record = try await room.record()
        #expect(record.state == "pending" && record.attempts == 2)
    }

    @Test("a message about a payment that was refunded is skipped and recorded; one about no payment needs no guard")
    func refunded() async throws {
        let room = try Room(url: "smtp://127.0.0.1:9")
        let payment = try await room.domain.payment("order", subject: "o", amount: Money(5000, .xof), state: .created)
        try await room.domain.tell(.captured, of: payment.id)
        let job = try Self.message().request(payment: payment.id).envelope(id: "job_1", nowMs: 0)
        let permission = NotificationGuard(database: room.domain.database)
        #expect(try await permission.admit(job) == .run)
        try await room.domain.tell(.refunded, of: payment.id)
        #expect(try await permission.admit(job) == .skip(reason: "payment is refunded"))
        #expect(try await room.send(Self.message(), payment: payment.id) == .skipped(reason: "payment is refunded"))
        #expect(try await room.send(Self.message(), job: "job_2", payment: "pay_none") == .skipped(reason: "payment is unknown"))
        #expect(try await room.outcome() == .skipped)
        #expect(try await room.outcome("job_2") == .skipped)
        #expect(try await permission.admit(try Self.message().request(payment: nil).envelope(id: "job_3", nowMs: 0)) == .run)
    }

    @Test("the customer of a payment is written to in its language, once per cause, and not at all without an address")
    func requests() async throws {
        let domain = try DomainFixture()
        let payment = try await domain.payment("order", subject: "o", amount: Money(12_500, .xof))
        let requests = try SendNotification.requests(.paymentConfirmed, for: payment)
        #expect(requests.count == 1 && requests.first?.payment == payment.id)
        let confirmation = try #require(requests.first)
        let keys = try await domain.database.write { connection in
            try (0..<2).map { _ in try Outbox(slot: "t.0").add(confirmation, nowMs: 1, in: connection) }
        }
        #expect(keys[0] != nil && keys[1] == nil)
        let values = try confirmation.envelope(id: "j", nowMs: 0).parameters(as: SendNotification.self).values
        #expect(values == ["name": "Awa", "amount": payment.amount.description, "description": "A thing", "payment": payment.id])
        try await domain.database.write { try $0.execute("UPDATE payments_payments SET customer_email = NULL") }
        let silent = try await domain.database.read { try PaymentStore.require(payment.id, in: $0) }
        #expect(try SendNotification.requests(.paymentConfirmed, for: silent).isEmpty)
        #expect(try SendNotification.invoice("EX-1", Money(5000, .xof), path: "x.pdf", for: silent).isEmpty)
    }
}
