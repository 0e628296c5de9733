import Database
import Formats
import TestSupport
import Testing

@Suite("A worker that stood still in an effect", .timeLimit(.minutes(4)))
struct FrozenOwnerTests {
    @Test("SIGSTOP while it sends: its job is taken over, the first result stays, and what it says when it wakes is refused")
    func frozenSender() async throws {
        // The mail server stops reading when a message begins, long enough to stop the sender with its call on the wire.
        try await Stage.run(
            ["ingest", "worker-payments", "worker-notifications"], Instance.Configuration(hasMail: true, mailStall: .seconds(2))
        ) { stage in
            let mail = try #require(stage.instance.mail)
            let payment = try await stage.seedOne(.order, email: "awa@example.org")
            #expect(try await stage.post(Message.paid(payment)).status == 200)
            try await mail.process.waitForLine(containing: "\"stalled\"", within: .seconds(40))
            let frozen = try stage.instance.process("worker-notifications")
            frozen.pause()
            let owner = "SELECT owner_worker FROM outbox_effects WHERE name = 'mail'"
            let first = try #require(try await stage.texts(owner).first)

            try await stage.instance.start("worker-notifications", slot: 1)
            try await eventually(within: .seconds(60), "the other one has sent it") {
                try await stage.texts("SELECT state FROM notifications_messages") == ["sent"]
            }
            try await eventually(within: .seconds(20), "its job is finished") {
                try await stage.count("SELECT COUNT(*) FROM outbox_jobs WHERE queue = 'notifications' AND finished_at IS NULL") == 0
            }
            let second = try #require(try await stage.texts(owner).first)
            #expect(second != first && second.hasPrefix("worker-notifications-1:"))
            let before = try await Self.records(stage)
            #expect(before.contains("fence 2"), "\(before)")

            let awake = frozen.lines.count
            frozen.resume()
            try await eventually(within: .seconds(30), "it has found itself fenced and comes back under a new name") {
                frozen.lines.dropFirst(awake).contains { $0.text.contains("lease") || $0.text.contains("fenced") }
            }
            try await eventually(within: .seconds(30), "it has nothing in hand") { try await stage.held(by: "notifications").isEmpty }
            // Whatever it said was refused: not one byte of the records is another.
            try await stage.instance.stop("worker-notifications")
            #expect(try await Self.records(stage) == before)
            #expect(try await stage.dead(on: "notifications").isEmpty)
            // A double, where there is one, shows itself as such.
            let ids = try mail.received().compactMap { $0.header("message-id") }
            #expect((1...2).contains(ids.count) && Set(ids).count == 1)
        }
    }

    private static func records(_ stage: Stage) async throws -> String {
        try await stage.database.read { connection in
            var text = ""
            for table in ["outbox_effects", "outbox_jobs", "notifications_messages"] {
                try connection.forEach("SELECT * FROM \(table)") { row in
                    text += table
                    for (name, value) in zip(row.names, row.values) where name != "published_at" { text += " \(name) \(Self.plain(value))" }
                    text += "\n"
                }
            }
            return text
        }
    }

    private static func plain(_ value: SQLValue) -> String {
        switch value {
        case .integer(let number): "\(number)"
        case .text(let text): text
        default: "\(value)"
        }
    }
}
