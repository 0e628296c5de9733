import Database
import Downloads
import Drafts
import Formats
import Money
import OperatorCommands
import Outbox
import Payments
import TestSupport
import Testing

@Suite("Kits, products, prompts and templates by the command line")
struct CommandKitTests {
    private static let secret = "0123456789abcdef0123456789abcdef"

    private func stage(secret: String? = secret) async throws -> CommandStage {
        var more = ["DOCX_PYTHON": "\(repositoryRoot)/.venv/bin/python"]
        more["SECRET_KEY"] = secret
        return try await CommandStage.make(more)
    }

    /// A paid kit whose draft is there.
    private func drafted(_ stage: CommandStage) async throws -> OrderedKit {
        let kit = try await stage.orderKit()
        try await stage.notify(kit)
        let now = stage.nowMs
        try await stage.write { connection in
            try GeneratedDraft(
                inquiry: kit.inquiry, payment: kit.payment, path: "drafts/d.docx", sha256: "aa", size: 1, createdAtMs: now
            ).save(in: connection)
            try InquiryStore.move(kit.inquiry, to: .draftDone, nowMs: now, in: connection)
        }
        return kit
    }

    private func document(_ text: String, _ stage: CommandStage) async throws -> String {
        let path = stage.folder.file("made.docx")
        let made = try await ProcessFixture.start("\(repositoryRoot)/.venv/bin/python", [fixture("python/make_docx.py"), path, text])
        #expect(try await made.waitForExit(within: .seconds(60)) == .exited(0), "\(made.transcript)")
        return path
    }

    @Test("a final is attached, published, sent again and taken back, each with its reason in the trail and its message in the outbox")
    func wholeWay() async throws {
        let stage = try await stage()
        let kit = try await drafted(stage)
        #expect(await stage.run("kit", "publish", kit.inquiry, "--reason", "r").code == .failed)
        let path = try await document("The final", stage)
        let attached = await stage.run("kit", "attach", kit.inquiry, path, "--reason", "checked")
        #expect(attached.code == .ok && attached.out.contains("made.docx is version 1"), "\(attached)")
        #expect(await stage.run("kit", "publish", kit.inquiry).code == .usage, "without a reason")
        let published = await stage.run("kit", "publish", kit.inquiry, "--reason", "ready")
        #expect(published.code == .ok && published.out.contains("download dl_"), "\(published)")
        #expect(await stage.run("kit", "publish", kit.inquiry, "--reason", "again").code == .failed)
        #expect(await stage.run("kit", "reissue", kit.inquiry, "--reason", "lost").code == .ok)
        #expect(await stage.run("kit", "attach", kit.inquiry, path, "--reason", "late").code == .failed)
        #expect(await stage.run("kit", "revoke", kit.inquiry, "--reason", "wrong page").code == .ok)
        let life = try await stage.json("kit", "show", kit.inquiry)
        #expect(life["state"]?.string == "FINAL_UPLOADED")
        #expect((life["audit"]?.array ?? []).compactMap { $0["action"]?.string } == ["final_attached", "published", "link_reissued", "revoked"])
        #expect(life["downloads"]?.array?.count == 2 && life["finals"]?.array?.count == 1)
        let jobs = try await stage.write { try $0.query("SELECT args FROM outbox_jobs WHERE args LIKE '%published%'").map { try $0.text("args") } }
        #expect(jobs.count == 2 && jobs.allSatisfy { $0.contains("dl_") && !$0.contains("/downloads/") })
        #expect(await stage.run("kit", "show", "inq_nobody").code == .notFound)
        #expect(await stage.run("kit", "attach", kit.inquiry, stage.folder.file("nowhere"), "--reason", "r").code == .notFound)
    }

    @Test("a refund between upload and publication stops it, and so does an installation without a key")
    func refused() async throws {
        let stage = try await stage()
        let kit = try await drafted(stage)
        #expect(await stage.run("kit", "attach", kit.inquiry, try await document("x", stage), "--reason", "r").code == .ok)
        try await stage.write { try $0.execute("UPDATE payments_payments SET state = 'refunded' WHERE id = $1", [.text(kit.payment)]) }
        let refunded = await stage.run("kit", "publish", kit.inquiry, "--reason", "r")
        #expect(refunded.code == .failed && refunded.err.contains("the payment is refunded, not paid"), "\(refunded)")
        let keyless = try await self.stage(secret: nil)
        let other = try await drafted(keyless)
        #expect(await keyless.run("kit", "attach", other.inquiry, try await document("x", keyless), "--reason", "r").code == .ok)
        let unsigned = await keyless.run("kit", "publish", other.inquiry, "--reason", "r")
        #expect(unsigned.code == .failed && unsigned.err.contains("SECRET_KEY"), "\(unsigned)")
        #expect(await keyless.run("kit", "attach", other.inquiry, try fixtureText("no document", keyless), "--reason", "r").code == .failed)
    }

    private func fixtureText(_ text: String, _ stage: CommandStage) throws -> String { try stage.folder.write(text, to: "text.docx") }

    @Test("texts are corrected by the form's rules, and a draft is made anew")
    func draft() async throws {
        let stage = try await stage()
        let kit = try await drafted(stage)
        #expect(await stage.run("kit", "edit", kit.inquiry, "--set", "location=Cotonou", "--set", "sector=Santé", "--reason", "she rang").code == .ok)
        #expect(await stage.run("kit", "edit", kit.inquiry, "--set", "email=nobody", "--reason", "r").code == .usage)
        #expect(await stage.run("kit", "edit", kit.inquiry, "--set", "state=PAID", "--reason", "r").code == .usage)
        #expect(await stage.run("kit", "regenerate", kit.inquiry, "--reason", "new place").out.contains("version 2"))
        #expect(await stage.run("kit", "regenerate", kit.inquiry, "--reason", "twice").code == .failed)
        let listed = try await stage.json("kit", "list", "--state", "PAID", "--find", "sève", "--json")
        #expect(listed.array?.count == 1 && listed[0]?["draft_version"]?.int == 2)
        #expect(try await stage.json("kit", "list", "--find", "nobody at all", "--json") == .array([]))
    }

    @Test("the price of what is sold is set, and orders from then on have it; those of before keep theirs")
    func product() async throws {
        let stage = try await stage()
        let before = try await stage.orderKit()
        let changed = await stage.run("product", "set", "audit-sans-peur", "--price", "15000", "--reason", "new year")
        #expect(changed.code == .ok && changed.out.contains("is what the form sells"), "\(changed)")
        let after = try await stage.orderKit()
        let amounts = try await stage.write { connection in
            try [before, after].map { try PaymentStore.require($0.payment, in: connection).amount }
        }
        #expect(amounts == [Money(12_500, .xof), Money(15_000, .xof)])
        let sold = await stage.run(
            "product", "set", "audit-en-paix", "--price", "19.90", "--currency", "EUR", "--name-fr", "Audit en paix", "--name-en", "Peaceful audit",
            "--sell", "--reason", "a second one")
        #expect(sold.code == .ok, "\(sold)")
        let other = try await stage.orderKit()
        #expect(try await stage.write { try PaymentStore.require(other.payment, in: $0).amount } == Money(1990, .eur))
        let listed = try await stage.json("product", "list", "--json")
        #expect(listed.array?.compactMap { $0["sold"]?.bool } == [true, false])
        for wrong in [
            ["--price", "0"], ["--price", "1.5"], ["--price", "x"], ["--currency", "EUR"], ["--price", "1", "--currency", "XXX"],
        ] {
            #expect(await stage.run(["product", "set", "audit-sans-peur"] + wrong + ["--reason", "r"]).code == .usage, "\(wrong)")
        }
        #expect(await stage.run("product", "set", "new", "--price", "1", "--reason", "r").code == .usage)
    }

    @Test("prompts and templates are added, listed and brought back; a template that cannot be used is refused")
    func promptsAndTemplates() async throws {
        let stage = try await stage()
        let file = try stage.folder.write("Write plainly.\n", to: "prompt.txt")
        #expect(await stage.run("prompt", "add", "en", file, "--reason", "tone").out.contains("version 2"))
        #expect(await stage.run("prompt", "use", "en", "1", "--reason", "back").code == .ok)
        #expect(await stage.run("prompt", "use", "en", "9", "--reason", "r").code == .notFound)
        #expect(await stage.run("prompt", "add", "de", file, "--reason", "r").code == .usage)
        #expect(try await stage.json("prompt", "list", "--json").array?.count == 3)

        let good = try await document("{{ organization_name }} {{ generated_content }}", stage)
        #expect(await stage.run("template", "check", good).code == .ok)
        #expect(try await stage.json("template", "list", "--json") == .array([]))
        let added = await stage.run("template", "add", good, "--reason", "logo")
        #expect(added.code == .ok && added.out.contains("version 1 is active") && added.out.contains("It leaves out: audits_frequency"), "\(added)")
        let bad = await stage.run("template", "add", try await document("{{ nobody }}", stage), "--reason", "r")
        #expect(bad.code == .failed && bad.err.contains("nobody"), "\(bad)")
        #expect(await stage.run("template", "use", "0", "--reason", "r").code == .ok)
        #expect(await stage.run("template", "use", "7", "--reason", "r").code == .notFound)
        let listed = try await stage.json("template", "list", "--json")
        #expect(listed.array?.count == 1 && listed[0]?["active"]?.bool == false)
    }
}
