import Database
import Formats
import TestSupport
import Testing

@Suite("Messages by SMS and WhatsApp, through the real programs", .timeLimit(.minutes(4)))
struct MessageTests {
    private static let programs = ["sandbox", "ingest", "worker-payments", "worker-notifications"]
    private static let number = "+2250708091011"
    private static let configuration = Instance.Configuration(settings: [
        "NOTIFICATION_CHANNELS": "whatsapp,sms", "PROVIDER_MODE_WHATSAPP": "sandbox", "WHATSAPP_APP_SECRET": "app-secret-of-the-tests",
        "PROVIDER_MODE_AFRICAS_TALKING": "sandbox", "AFRICAS_TALKING_RECEIPT_SECRET": "talking-secret-of-the-tests",
    ])

    /// A payment of somebody who has a telephone and no mail address.
    private static func seed(_ stage: Stage) async throws -> SeededPayment {
        let payment = try await stage.seedOne(.order)
        try await stage.database.write {
            try $0.execute("UPDATE payments_payments SET customer_phone = $2 WHERE id = $1", [.text(payment.id), .text(number)])
        }
        return payment
    }

    @Test("what WhatsApp tells it could not deliver goes by SMS, whose receipt says that it arrived; no log has the number")
    func failover() async throws {
        try await Stage.run(Self.programs, Self.configuration) { stage in
            try await stage.sandbox("POST", "/sandbox/messages", ["carrier": "whatsapp", "steps": ["failed:131026", "read"]])
            let first = try await Self.seed(stage)
            #expect(try await stage.post(Message.paid(first)).status == 200)
            let states = "SELECT state || ' ' || channel FROM notifications_messages WHERE payment = $1"
            try await eventually(within: .seconds(40), "the SMS arrives") { try await stage.texts(states, [.text(first.id)]) == ["delivered sms"] }
            let tries = "SELECT carrier || ' ' || state || ' ' || mode FROM notifications_tries ORDER BY id"
            #expect(try await stage.texts(tries) == ["whatsapp failed sandbox", "africas-talking delivered sandbox"])

            let second = try await Self.seed(stage)
            #expect(try await stage.post(Message.paid(second)).status == 200)
            try await eventually(within: .seconds(40), "WhatsApp's is read") {
                try await stage.texts(states, [.text(second.id)]) == ["read whatsapp"]
            }
            let said = stage.instance.transcript(linesMax: .max)
            for text in ["2250708091011", "app-secret", "talking-secret"] { #expect(!said.contains(text), "\(text) is in a log") }
        }
    }

    @Test("a worker killed in a call sends once more at most, and the message is delivered")
    func killed() async throws {
        try await Stage.run(Self.programs, Self.configuration) { stage in
            try await stage.sandbox("POST", "/sandbox/messages", ["carrier": "whatsapp", "steps": ["slow:1500"]])
            let payment = try await Self.seed(stage)
            #expect(try await stage.post(Message.paid(payment)).status == 200)
            try await eventually("the call is under way") { try await stage.texts("SELECT state FROM notifications_tries") == ["sending"] }
            try await stage.instance.kill9("worker-notifications")
            try await stage.instance.start("worker-notifications")
            try await eventually(within: .seconds(40), "the message is delivered") {
                try await stage.texts("SELECT state FROM notifications_messages") == ["delivered"]
            }
            let taken = try await stage.sandbox("GET", "/sandbox/messages")["messages"]?.array ?? []
            #expect((1...2).contains(taken.count))
            #expect(try await stage.count("SELECT COUNT(*) FROM notifications_messages") == 1)
        }
    }
}
