import Database
import JobQueue
import MessagePort
import Money
import NotificationDelivery
import Notifications
import Outbox
import Payments
import TestSupport
import Testing

@Suite("What carriers tell of messages, in any order")
struct ReceiptBookTests {
    private typealias Stage = MessageStage

    /// Sends by WhatsApp, whose carrier tells nothing by itself.
    private static func sent(_ stage: MessageStage, cause: String = "pay_1", email: String? = "awa@example.org") async throws -> (
        message: SendNotification, id: String
    ) {
        let message = Stage.message(email: email, cause: cause)
        guard try await stage.send(message, job: "job_\(cause)") == .done else { throw FixtureError("the message was not sent") }
        let record = try await stage.record(message)
        let tries = try await stage.domain.database.read { try NotificationTry.of(message: record.messageID, in: $0) }
        guard let id = tries.last?.carrierID else { throw FixtureError("the carrier gave no id") }
        return (message, id)
    }

    @discardableResult
    private static func tell(
        _ stage: MessageStage, _ state: DeliveryReceipt.State, _ id: String, message: String? = nil, code: String? = nil, isOptOut: Bool = false,
        carrier: String = "whatsapp"
    ) async throws -> ReceiptBook.Effect {
        let book = ReceiptBook(outbox: Outbox(slot: "test.0"), carriers: stage.carriers)
        let receipt = DeliveryReceipt(id: id, message: message, state: state, code: code, detail: code.map { "code \($0)" }, isOptOut: isOptOut)
        let now = stage.nowMs
        return try await stage.domain.database.write { try book.enter(receipt, of: carrier, nowMs: now, in: $0) }
    }

    @Test(
        "whatever their order and however often they come, the furthest counts",
        arguments: [
            ([DeliveryReceipt.State.sent, .delivered, .read], "read"), ([.read, .delivered, .sent], "read"), ([.delivered, .delivered], "delivered"),
            ([.sent, .sent], "sent"), ([.delivered, .failed], "delivered"), ([.failed, .delivered, .failed], "delivered"),
        ])
    func order(states: [DeliveryReceipt.State], final: String) async throws {
        try await Stage.run(channels: "whatsapp") { stage in
            let (message, id) = try await Self.sent(stage)
            for state in states { try await Self.tell(stage, state, id) }
            #expect(try await stage.record(message).state == final)
            #expect(try await stage.jobs().count == 1, "nobody is written to once more")
        }
    }

    @Test("a receipt that moved its message once moves it no second time")
    func duplicates() async throws {
        try await Stage.run(channels: "whatsapp") { stage in
            let (_, id) = try await Self.sent(stage)
            #expect(try await Self.tell(stage, .delivered, id) == .applied)
            #expect(try await Self.tell(stage, .delivered, id) == .known)
            #expect(try await Self.tell(stage, .delivered, "wamid.of-nobody") == .unmatched)
            #expect(try await Self.tell(stage, .delivered, id, carrier: "orange-sms") == .unmatched, "ids are each carrier's own")
        }
    }

    @Test("a message that WhatsApp could not deliver goes by SMS, once, and a late word of the first changes nothing there")
    func failedThere() async throws {
        try await Stage.run { stage in
            let (message, id) = try await Self.sent(stage)
            #expect(try await Self.tell(stage, .failed, id, code: "131026") == .applied)
            #expect(try await Self.tell(stage, .failed, id, code: "131026") == .known)
            let jobs = try await stage.jobs()
            #expect(jobs.count == 2 && jobs.last?.outcome == nil)
            #expect(try await stage.record(message).state == "pending")
            #expect(try await stage.send(message, job: jobs.last?.id ?? "") == .done)
            #expect(try await stage.history(message) == ["whatsapp failed 131026", "africas-talking accepted"])
            let record = try await stage.record(message)
            #expect(record.state == "sent" && record.channel == "sms")
            // It was delivered there after all.
            try await Self.tell(stage, .read, id)
            #expect(try await stage.record(message).state == "read")
            #expect(try await stage.jobs().count == 2)
        }
    }

    @Test("with no channel left it has failed; of a download that is a task for staff")
    func failedEverywhere() async throws {
        try await Stage.run(channels: "whatsapp") { stage in
            let (message, id) = try await Self.sent(stage)
            try await Self.tell(stage, .failed, id, code: "131026")
            let record = try await stage.record(message)
            #expect(record.state == "failed" && record.error?.contains("131026") == true)
            #expect(try await stage.jobs().count == 1)
        }
    }

    @Test("a link that nobody got is a task for staff while somebody waits for it", arguments: [true, false])
    func lostLink(isWaitedFor: Bool) async throws {
        try await Stage.run(channels: "whatsapp") { stage in
            let payment = try await stage.domain.payment("kit", subject: "inq_1", amount: Money(12_500, .xof))
            let expires = stage.nowMs + 2_700_000
            let linking = MessageLinking(downloads: { download, _, _ in
                .good(url: "https://pay.example.com/downloads/\(download)-token", expiresAtMs: expires)
            })
            let message = Stage.message(.published, cause: "dl_1", link: .init(.download, "dl_1"))
            #expect(try await stage.send(message, payment: payment.id, linking: linking) == .done)
            let record = try await stage.record(message)
            let tries = try await stage.domain.database.read { try NotificationTry.of(message: record.messageID, in: $0) }
            let id = try #require(tries.last?.carrierID)
            let book = ReceiptBook(outbox: Outbox(slot: "test.0"), carriers: stage.carriers) { link, _, _ in
                link.id == "dl_1" && isWaitedFor
            }
            let now = stage.nowMs
            let receipt = DeliveryReceipt(id: id, state: .failed, code: "131026")
            _ = try await stage.domain.database.write { try book.enter(receipt, of: "whatsapp", nowMs: now, in: $0) }
            #expect(try await stage.record(message).state == "failed")
            #expect(try await stage.tasks().map(\.kind) == (isWaitedFor ? [SendNotification.reissueTask] : []))
        }
    }

    @Test("an opt-out that comes with a receipt is kept")
    func optOut() async throws {
        try await Stage.run { stage in
            let (message, id) = try await Self.sent(stage)
            try await Self.tell(stage, .failed, id, code: "131050", isOptOut: true)
            #expect(try await stage.domain.database.read { try OptOut.isRecorded(Stage.number, on: .whatsapp, in: $0) })
            let job = try #require(try await stage.jobs().last?.id)
            #expect(try await stage.send(message, job: job) == .done)
            #expect(try await stage.history(message).last == "africas-talking accepted")
        }
    }

    /// Tells of a message before it says that it has taken it.
    private struct HastyCarrier: MessageCarrier {
        let stage: MessageStage
        let state: DeliveryReceipt.State
        let name = "africas-talking"
        let channel = MessageChannel.sms
        let mode: String? = "sandbox"
        let againAfterUnknown: Int? = 1

        func send(_ message: OutgoingMessage) async -> CarrierOutcome {
            _ = try? await ReceiptBookTests.tell(stage, state, "early-1", carrier: name)
            return .accepted(id: "early-1")
        }
    }

    @Test("a receipt that comes before the answer is not lost")
    func early() async throws {
        try await Stage.run(channels: "sms,email") { stage in
            let message = Stage.message()
            #expect(try await stage.send(message, carriers: [HastyCarrier(stage: stage, state: .delivered)]) == .done)
            #expect(try await stage.record(message).state == "delivered")
            let second = Stage.message(cause: "pay_2")
            let mail = try #require(stage.carriers.last)
            let hasty: [any MessageCarrier] = [HastyCarrier(stage: stage, state: .failed), mail]
            _ = try await stage.domain.database.write { try $0.execute("DELETE FROM notifications_receipts") }
            #expect(try await stage.send(second, job: "job_2", carriers: hasty) == .done)
            #expect(try await stage.history(second) == ["africas-talking failed", "smtp accepted"])
        }
    }

    @Test(
        "our own id finds the message whose answer was lost: it is on its way or delivered, and not sent once more",
        arguments: [DeliveryReceipt.State.sent, .delivered])
    func lostAnswer(_ state: DeliveryReceipt.State) async throws {
        try await Stage.run { stage in
            try await stage.play(["lost"], at: "whatsapp")
            let message = Stage.message()
            await #expect(throws: JobFailure.self) { try await stage.send(message) }
            let record = try await stage.record(message)
            try await Self.tell(stage, state, "wamid.late", message: record.messageID)
            #expect(try await stage.record(message).state == state.rawValue)
            #expect(try await stage.send(message) == .done)
            #expect(try await stage.taken().count == 1)
        }
    }

    @Test("receipts that nobody asked for go after a month")
    func purged() async throws {
        try await Stage.run(channels: "whatsapp") { stage in
            try await Self.tell(stage, .delivered, "wamid.of-nobody")
            let later = stage.nowMs + 31 * 86_400_000
            try await stage.domain.database.write { try ReceiptBook.purge(nowMs: later, in: $0) }
            #expect(try await stage.domain.database.read { try $0.query("SELECT 1 AS x FROM notifications_receipts").count } == 0)
        }
    }
}
