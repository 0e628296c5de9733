import Formats
import OperatorCommands
import Payments
import Staff
import TestSupport
import Testing

@Suite("quittance network")
struct CommandNetworkTests {
    private func stage() async throws -> CommandStage {
        try await CommandStage.make([
            "PROVIDER_MODE_FEEXPAY": "sandbox", "FEEXPAY_API_KEY": "k", "FEEXPAY_SHOP_ID": "s", "FEEXPAY_API_URL": "http://127.0.0.1:9",
            "FEEXPAY_NETWORKS_OFF": "coris",
        ])
    }

    private func listed(_ stage: CommandStage, _ way: String) async throws -> JSON? {
        try await stage.json("network", "list", "--json").array?.first { $0["provider"]?.string == "feexpay" && $0["way"]?.string == way }
    }

    @Test("a network is listed with its limits, switched off with a reason, and on again; each is a row of the audit")
    func life() async throws {
        let stage = try await stage()
        let mtn = try #require(try await listed(stage, "mobile_money/mtn"))
        #expect(mtn["on"]?.bool == true && mtn["minimum"]?.int == 100 && mtn["maximum"]?.int == 2_000_000)
        #expect(try await listed(stage, "mobile_money/coris")?["on"]?.bool == false)
        let off = await stage.run("network", "off", "feexpay", "mobile_money/mtn", "--reason", "down since 9")
        #expect(off.code == .ok && off.out.contains("feexpay mobile_money/mtn) is off"), "\(off)")
        #expect(await stage.run("network", "off", "feexpay", "mobile_money/mtn", "--reason", "again").code == .nothingDue)
        let shown = try #require(try await listed(stage, "mobile_money/mtn"))
        #expect(shown["on"]?.bool == false && shown["reason"]?.string == "down since 9" && shown["actor"]?.string == "operator")
        #expect(await stage.run("network", "on", "feexpay", "mobile_money/mtn", "--reason", "up").code == .ok)
        #expect(await stage.run("network", "on", "feexpay", "mobile_money/mtn", "--reason", "up").code == .nothingDue)
        let trail = try await stage.write { try StaffAudit.list(limit: 9, in: $0).map { "\($0.action) \($0.subject)" } }
        #expect(trail == ["network.on feexpay mobile_money/mtn", "network.off feexpay mobile_money/mtn"])
    }

    @Test("what no provider has is not found, and a reason is needed")
    func refused() async throws {
        let stage = try await stage()
        #expect(await stage.run("network", "off", "feexpay", "mobile_money/none", "--reason", "r").code == .notFound)
        #expect(await stage.run("network", "off", "wave", "wallet/wave", "--reason", "r").code == .notFound)
        #expect(await stage.run("network", "off", "feexpay", "mobile_money/mtn").code == .usage)
        #expect(await stage.run("network", "off", "feexpay", "mobile_money/mtn", "--reason", " ").code == .usage)
    }
}
