import Database
import Formats
import RedisClient
import TestSupport
import Testing

@Suite("A mail server with a will of its own", .timeLimit(.minutes(4)))
struct MailOutageTests {
    private static let programs = ["ingest", "worker-payments", "worker-notifications"]

    @Test("what it refuses for good is buried, what it refuses for now is sent later under the same Message-ID")
    func refusals() async throws {
        let refusals = [SMTPServer.Refusal("never@example.org", code: 550), SMTPServer.Refusal("later@example.org", code: 451, times: 1)]
        try await Stage.run(Self.programs, Instance.Configuration(hasMail: true, mailRefusals: refusals)) { stage in
            let never = try await stage.seedOne(.order, email: "never@example.org")
            let later = try await stage.seedOne(.order, email: "later@example.org")
            for payment in [never, later] { #expect(try await stage.post(Message.paid(payment)).status == 200) }
            let mail = try #require(stage.instance.mail)

            try await eventually("the refusal is recorded") {
                try await stage.texts("SELECT state FROM notifications_messages WHERE recipient = 'never@example.org'") == ["refused"]
            }
            try await eventually("its job is buried") { try await stage.dead(on: "notifications").count == 1 }
            #expect(try await stage.dead(on: "notifications")[0]["payment"]?.string == never.id)
            #expect(
                try await stage.texts("SELECT outcome FROM outbox_jobs WHERE payment = $1 AND queue = 'notifications'", [.text(never.id)]) == [
                    "buried"
                ])

            let received = try await mail.waitForMessages(1, within: .seconds(40))
            #expect(received.map(\.to) == [["later@example.org"]])
            let ids = try await stage.texts("SELECT message_id FROM notifications_messages WHERE recipient = 'later@example.org' AND attempts = 2")
            #expect(ids == [received[0].header("message-id")])
            try await eventually("it is recorded as sent") {
                try await stage.texts("SELECT state FROM notifications_messages WHERE recipient = 'later@example.org'") == ["sent"]
            }
        }
    }

    @Test("a worker killed between sending and recording sends once more, under the same Message-ID")
    func killedWhileSending() async throws {
        try await Stage.run(Self.programs, Instance.Configuration(hasMail: true, mailStall: .seconds(1))) { stage in
            let payment = try await stage.seedOne(.order, email: "awa@example.org")
            #expect(try await stage.post(Message.paid(payment)).status == 200)
            try await eventually("the intent is written") {
                try await stage.texts("SELECT state FROM notifications_messages") == ["pending"]
            }
            try await stage.instance.kill9("worker-notifications")
            try await stage.instance.start("worker-notifications")
            try await eventually(within: .seconds(40), "the message is sent") {
                try await stage.texts("SELECT state FROM notifications_messages") == ["sent"]
            }
            let mail = try #require(stage.instance.mail)
            let ids = try await stage.texts("SELECT message_id FROM notifications_messages")
            let received = Set(try mail.received().compactMap { $0.header("message-id") })
            #expect(ids.count == 1 && received == Set(ids))
        }
    }
}
