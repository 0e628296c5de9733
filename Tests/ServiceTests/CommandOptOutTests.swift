import Database
import Formats
import Notifications
import OperatorCommands
import Outbox
import Payments
import Staff
import Testing

@Suite("quittance opt-outs, and messages in quittance trace")
struct CommandOptOutTests {
    @Test("somebody is written to no more, listed masked, and written to again; both are in the staff's audit")
    func life() async throws {
        let stage = try await CommandStage.make()
        #expect(await stage.run("opt-outs").out == "Nobody has refused.\n")
        #expect(await stage.run("opt-outs", "add", "sms", "+229 01 66 00 00 01", "--reason", "by telephone").code == .ok)
        #expect(await stage.run("opt-outs", "add", "sms", "+2290166000001").code == .nothingDue)
        #expect(await stage.run("opt-outs", "add", "email", "awa@example.org").code == .ok)
        let listed = try await stage.json("opt-outs", "list", "--json").array ?? []
        #expect(Set(listed.compactMap { $0["channel"]?.string }) == ["sms", "email"])
        #expect(Set(listed.compactMap { $0["source"]?.string }) == ["operator: by telephone", "operator: as they asked"])
        #expect(!(await stage.run("opt-outs", "list").out.contains("66000001")))
        #expect(try await stage.json("opt-outs", "list", "--limit", "1", "--json").array?.count == 1)
        #expect(await stage.run("opt-outs", "add", "email", "AWA@example.org").code == .nothingDue)
        #expect(await stage.run("opt-outs", "remove", "sms", "+2290166000001").code == .ok)
        #expect(await stage.run("opt-outs", "remove", "sms", "+2290166000001").code == .nothingDue)
        for wrong in [["fax", "+2290166000001"], ["sms", "0166000001"], ["email", "nobody"], ["sms"]] {
            #expect(await stage.run(["opt-outs", "add"] + wrong).code == .usage, "\(wrong)")
        }
        let audit = try await stage.write { try StaffAudit.list(limit: 10, in: $0) }
        #expect(audit.map(\.action) == ["optout.remove", "optout.add", "optout.add"])
        #expect(audit.allSatisfy { $0.actor == "operator" && !$0.subject.contains("66000001") })
    }

    @Test(
        "trace calls a message by its channel, sent and waiting", arguments: [("email", "mail"), ("sms", "sms"), ("whatsapp", "whatsapp")])
    func word(channel: String, word: String) async throws {
        let stage = try await CommandStage.make()
        let kit = try await stage.orderKit()
        #expect(try await stage.notify(kit) == .applied)
        let job = try await stage.job("notification.send", of: kit.payment)
        let (now, payment) = (stage.nowMs, kit.payment)
        try await stage.write { connection in
            for (number, isSent) in [true, false].enumerated() {
                let message = SendNotification(
                    template: .paymentConfirmed, recipient: "+2290166000001", language: "fr", values: [:], cause: "\(payment)-\(number)")
                let record = try NotificationRecord.intend(
                    message, subject: "Paiement reçu", host: "example.com", payment: payment, job: job.id, nowMs: now,
                    in: connection)
                if isSent { try NotificationRecord.markSent(record.key, nowMs: now, in: connection) }
            }
            try connection.execute("UPDATE notifications_messages SET channel = $1", [.text(channel)])
        }
        let text = await stage.run("trace", kit.payment).out
        #expect(text.contains("  \(word)") && text.contains("payment_confirmed to ") && text.contains("\(word) payment_confirmed to "), "\(text)")
        #expect(channel == "email" || !text.contains("mail"), "\(text)")
        let mails = try await stage.json("trace", kit.payment, "--json")["mails"]?.array ?? []
        #expect(mails.compactMap { $0["channel"]?.string } == [channel, channel])
    }
}
