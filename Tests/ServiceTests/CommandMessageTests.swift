import Database
import Formats
import Notifications
import OperatorCommands
import TestSupport
import Testing

@Suite("quittance doctor on messages")
struct CommandMessageTests {
    private static let secret = "receipts-0123456789abcdef"

    private static func findings(_ stage: CommandStage) async throws -> [String: (level: String, text: String)] {
        let json = try JSON(parsing: Array(await stage.run("doctor", "--json").out.utf8))
        var findings: [String: (level: String, text: String)] = [:]
        for finding in json["findings"]?.array ?? [] {
            guard let what = finding["what"]?.string else { continue }
            findings[what] = (finding["level"]?.string ?? "", finding["text"]?.string ?? "")
        }
        return findings
    }

    @Test("the channels in their order, the address for receipts, and what is missing for them; no secret is shown")
    func channels() async throws {
        let stage = try await CommandStage.make([
            "NOTIFICATION_CHANNELS": "whatsapp,email", "PROVIDER_MODE_WHATSAPP": "sandbox", "WHATSAPP_APP_SECRET": Self.secret,
            "WHATSAPP_VERIFY_TOKEN": "verify-me", "PROVIDER_MODE_ORANGE_SMS": "sandbox", "ORANGE_SMS_RECEIPT_SECRET": Self.secret,
        ])
        let findings = try await Self.findings(stage)
        #expect(findings["messages"]?.level == "ok" && findings["messages"]?.text == "whatsapp by whatsapp, then email by smtp")
        #expect(findings["whatsapp"]?.level == "ok" && findings["whatsapp"]?.text.contains("/webhooks/whatsapp and WHATSAPP_VERIFY_TOKEN") == true)
        #expect(findings["orange-sms"]?.level == "warn" && findings["orange-sms"]?.text.contains("not among NOTIFICATION_CHANNELS") == true)
        for finding in findings.values { #expect(!finding.text.contains(Self.secret) && !finding.text.contains("verify-me")) }

        let bare = try await CommandStage.make(["NOTIFICATION_CHANNELS": "sms", "PROVIDER_MODE_AFRICAS_TALKING": "sandbox"])
        let few = try await Self.findings(bare)
        #expect(few["africas-talking"]?.level == "warn" && few["africas-talking"]?.text.contains("receipt secret") == true)
        let none = try await Self.findings(try await CommandStage.make(["NOTIFICATION_CHANNELS": "sms"]))
        #expect(none["messages"]?.level == "fail")
    }

    @Test("a carrier that is stopped fails, with why and until when")
    func stopped() async throws {
        let stage = try await CommandStage.make(["PROVIDER_MODE_WHATSAPP": "sandbox", "WHATSAPP_APP_SECRET": Self.secret])
        let now = stage.nowMs
        try await stage.write { connection in
            try connection.execute(
                """
                INSERT INTO notifications_stops (carrier, template, code, detail, since, until)
                VALUES ('africas-talking', '', '405', 'there is no money on the account', $1, $2), ('orange-sms', '', '41', 'old', $1, $1)
                """, [.integer(now - 1000), .integer(now + 60_000)])
        }
        let findings = try await Self.findings(stage)
        #expect(findings["africas-talking"]?.level == "fail" && findings["orange-sms"] == nil)
        #expect(findings["africas-talking"]?.text.contains("there is no money on the account (405)") == true)
    }

    @Test("receipts in ingest's journal go back onto their list when the queues are rebuilt")
    func rebuilt() async throws {
        let stage = try await CommandStage.make(redis: true)
        let trial = try await stage.json("rebuild-queues", "--dry-run", "--json")
        #expect(trial["receipts"] == 0)
    }
}
