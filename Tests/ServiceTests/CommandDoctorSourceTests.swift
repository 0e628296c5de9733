import Formats
import OperatorCommands
import Payments
import TestSupport
import Testing

@Suite("quittance doctor: what to enter at each provider, and what was heard of it")
struct CommandDoctorSourceTests {
    private func findings(_ stage: CommandStage) async throws -> [String: (level: String, text: String)] {
        let json = try JSON(parsing: Array(await stage.run("doctor", "--json").out.utf8))
        var found: [String: (level: String, text: String)] = [:]
        for finding in json["findings"]?.array ?? [] {
            guard let what = finding["what"]?.string else { continue }
            found[what] = (finding["level"]?.string ?? "", finding["text"]?.string ?? "")
        }
        return found
    }

    private static let orange = [
        "PROVIDER_MODE_ORANGE_MONEY": "sandbox", "OM_CLIENT_ID": "i", "OM_CLIENT_SECRET": "s", "OM_MERCHANT_KEY": "m", "OM_WEBHOOK_SECRET": "o",
        "BASE_URL": "https://pay.example.com", "PROVIDER_MODE_FEEXPAY": "sandbox", "FEEXPAY_API_KEY": "fp_1", "FEEXPAY_SHOP_ID": "shop",
        "ALLOWED_ADDRESSES_FEEXPAY": "192.0.2.0/24", "ADDRESS_CHECK_FEEXPAY": "log",
    ]

    @Test("mode, policy, the exact address, where the secret goes")
    func entered() async throws {
        let stage = try await CommandStage.make(Self.orange)
        let found = try await findings(stage)
        #expect(found["standard-webhooks"]?.text == "sandbox, policy trust, believed")
        #expect(found["standard-webhooks address"]?.text == "https://pay.example.com/webhooks/standard-webhooks: the sender's endpoint")
        #expect(found["standard-webhooks secret"]?.text == "1: the sender, which signs by it")
        #expect(found["standard-webhooks heard"]?.text == "nothing accepted yet, nothing refused")
        #expect(found["orange-money"]?.text == "sandbox, policy fetch, asked before it is believed")
        #expect(
            found["orange-money address"]?.text
                == "https://pay.example.com/webhooks/orange-money/<payment>/<code>, made for each payment: sent with each payment")
        #expect(found["feexpay"]?.text == "sandbox, policy fetch, asked before it is believed, addresses: log (1)")
        #expect(found["feexpay address"]?.text == "https://pay.example.com/webhooks/feexpay: FeexPay's dashboard, Webhook")
        #expect(found["feexpay secret"]?.level == "warn" && found["feexpay secret"]?.text.contains("source rotate feexpay --generate") == true)
        #expect(found.values.allSatisfy { !$0.text.contains(CommandStage.webhookSecret) })

        let elsewhere = try await findings(
            try await CommandStage.make(Self.orange.merging(["OM_NOTIFY_URL": "https://hooks.example.com/payments/om/notify/"]) { $1 }))
        #expect(
            elsewhere["orange-money address"]?.text
                == "https://hooks.example.com/webhooks/orange-money/<payment>/<code>, made for each payment: sent with each payment")
    }

    @Test("the last event accepted and refused; attempts that nothing is heard of are a warning")
    func heard() async throws {
        let stage = try await CommandStage.make(redis: true)
        try await stage.notify(try await stage.orderKit())
        let record: JSON = ["source": "standard-webhooks", "time": "2026-11-21T07:59:00Z", "reason": "the signature does not match"]
        try await stage.redis("LPUSH", "quittance:{refused}:standard-webhooks", record.bytes)
        let text = "last accepted 2026-11-21 08:00:02 (applied), last refused 2026-11-21 07:59:00: the signature does not match"
        #expect(try await findings(stage)["standard-webhooks heard"] ?? ("", "") == ("ok", text))
        stage.turn(byMs: 60_000)
        for _ in 0..<5 { _ = try await stage.orderKit() }
        #expect(try await findings(stage)["standard-webhooks heard"]?.level == "ok")
        stage.turn(byMs: 20 * 60_000)
        let later = try await findings(stage)["standard-webhooks heard"]
        #expect(later?.level == "warn")
        #expect(later?.text == "\(text); 5 attempts since, and nothing heard of them: is the address entered?")
    }

    @Test("the newest backup's age, and whether any is made")
    func backup() async throws {
        let shelf = try TemporaryFolder("backups")
        let without = try await CommandStage.make()
        #expect(try await findings(without)["backup"]?.text.contains("set BACKUP_DIRECTORY") == true)
        let stage = try await CommandStage.make(["BACKUP_DIRECTORY": shelf.path])
        #expect(try await findings(stage)["backup"]?.text == "there is none in \(shelf.path) yet: `quittance cron run backup --now` makes one")
        #expect(await stage.run("backup", shelf.path).code == .ok)
        #expect(try await findings(stage)["backup"] ?? ("", "") == ("ok", "\(shelf.path)/20261121T080000Z, 0 s old"))
        stage.turn(byMs: 27 * 3_600_000)
        #expect(try await findings(stage)["backup"]?.level == "warn")
    }
}
