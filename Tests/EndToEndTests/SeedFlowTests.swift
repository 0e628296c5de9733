import Database
import EventLoop
import Formats
import HTTPClient
import Staff
import TestSupport
import Testing

/// The Kit's whole way with the real programs and a real browser: what people click, what providers post, what stands in the files.
@Suite("From the form to the single-use download", .timeLimit(.minutes(8)))
struct SeedFlowTests {
    private static let programs = [
        "ingest", "sandbox", "web", "worker-payments", "worker-drafts", "worker-invoices", "worker-notifications",
    ]
    private static let staff = "equipe@example.org"
    private static let customer = "aicha.kone@example.org"

    /// What the customer types: signs that mean something elsewhere, accents, lines, and text from right to left.
    private static let answers = [
        ("organization_name", "Été & Fils <SARL>"), ("contact_name", "Aïcha N’Guessan"), ("email", customer),
        ("statut_juridique", "Association \"loi 1960\" & <autre>"), ("location", "أبيدجان، كوت ديفوار"),
        ("sector", "Agriculture {{ email }} vivrière"),
        ("mission_text", "Accompagner les productrices.\nFormer aux <comptes> & budgets."), ("context_text", "Première ligne\nשורה שנייה\nthird"),
        ("budget_range", "25 < 50 millions XOF"), ("funding_sources", "Dons; subventions, « propres »"), ("audits_types", "Financier & social"),
        ("audits_frequency", "Annuelle {% if x %}"), ("staff_size", "12 – 15"), ("org_chart_text", "Présidente\n└ Trésorier"),
        ("notes_text", "Merci d’avance… œuvre à 100 %"), ("documents_count", "4"),
    ]

    @Test("a form is sent, paid with Orange Money, drafted, finished by staff, published, looked at by a scanner and used once")
    func whole() async throws {
        let settings = [
            "PROVIDER_MODE_ORANGE_MONEY": "sandbox", "OM_CLIENT_ID": "client-of-the-tests", "OM_CLIENT_SECRET": "client-secret-of-the-tests",
            "OM_MERCHANT_KEY": "0a1b2c3d", "OM_MERCHANT_ID": "Boutique", "OM_WEBHOOK_SECRET": "orange-secret-of-the-tests",
            "STAFF_EMAIL": Self.staff,
        ]
        let configuration = Instance.Configuration(settings: settings, hasMail: true, hasTemplate: true)
        try await Stage.run(Self.programs, configuration) { stage in
            try stage.instance.folder.makeFolder("downloads")
            let loop = try EventLoop.started(name: "browser")
            let client = HTTPClient(loop: loop)
            var kind = Browser.Kind()
            kind.downloads = stage.instance.folder.file("downloads")
            let outcome: Result<Void, any Error>
            do {
                try await Browser.with(kind, client: client) { browser in try await Self.play(stage, browser) }
                outcome = .success(())
            } catch {
                outcome = .failure(error)
            }
            await client.close()
            loop.stop()
            try outcome.get()
        }
    }

    private static func play(_ stage: Stage, _ browser: Browser) async throws {
        let root = "http://127.0.0.1:\(stage.instance.webPort)"
        let inquiry = try await order(stage, browser, root)
        try await pay(stage, browser, inquiry)
        let mail = try #require(stage.instance.mail)
        try await eventually(within: .seconds(60), "the draft is made") { try await processing(inquiry, stage) == "DRAFT_DONE" }
        try await eventually(within: .seconds(60), "staff are told") {
            try mail.received().contains { $0.to == [staff] && ($0.text ?? "").contains(inquiry) }
        }
        let final = try await finish(stage, browser, root, inquiry)
        try await eventually(within: .seconds(60), "the link arrives") { try link(in: mail) != nil }
        let path = try #require(try link(in: mail))
        try await scan(stage, path)
        try await download(stage, browser, root + path, final)
        try await trail(stage, browser, root, inquiry)
    }

    // MARK: The customer

    /// - Returns: the inquiry.
    private static func order(_ stage: Stage, _ browser: Browser, _ root: String) async throws -> String {
        try await browser.open(root + "/kit/inquiry/?lang=fr")
        for (name, value) in answers { try await browser.type(value, into: "#\(name)") }
        let attachment = try stage.instance.folder.write(Array("%PDF-1.7\n1 0 obj<<>>endobj\n%%EOF\n".utf8), to: "statuts.pdf")
        try await browser.choose(file: attachment, in: "#documents")
        try await browser.keepPicture("flow-form-fr-light", width: 1000)
        try await browser.click("main form button")
        try await eventually("the order is there") { try await browser.has("form[action$='/pay/orange-money'] button") }
        let shown = try await browser.text("main").replacing("\u{A0}", with: " ")
        #expect(shown.contains("12 500 XOF"), "the price is the product's")
        let inquiry = try #require(try await stage.texts("SELECT id FROM drafts_inquiries").first)
        #expect(try await processing(inquiry, stage) == "INQUIRY_RECEIVED")
        #expect(try await stage.count("SELECT COUNT(*) FROM outbox_jobs") == 0, "nothing is done before it is paid")
        return inquiry
    }

    private static func pay(_ stage: Stage, _ browser: Browser, _ inquiry: String) async throws {
        try await browser.click("form[action$='/pay/orange-money'] button")
        try await eventually("Orange's page is there") { try await browser.title.hasSuffix("sandbox") }
        #expect(try await stage.count("SELECT COUNT(*) FROM drafts_answers") == 0, "nothing is written before it is paid")
        try await browser.click("button[value=pay]")
        try await eventually(within: .seconds(40), "the page says paid") { try await browser.title == "Paiement reçu" }
        try await browser.keepPicture("flow-paid-fr-light", width: 360)
    }

    // MARK: Staff

    /// Staff read the draft, hand in the final and publish it. - Returns: the final's bytes.
    private static func finish(_ stage: Stage, _ browser: Browser, _ root: String, _ inquiry: String) async throws -> [UInt8] {
        let password = "a long enough passphrase"
        let from = try stage.instance.folder.write(password + "\n", to: "password")
        let added = try await stage.instance.quittance("user", "add", "awa", "--role", "staff", "--language", "en", "--from", from)
        try #require(added.code == 0, "\(added.errors)")
        try await browser.signIn(at: root, name: "awa", password: password) {
            OneTimeCode.code($0, step: OneTimeCode.step(atMs: WallClock.nowMs))
        }
        let page = "\(root)/console/kits/\(inquiry)/"
        try await browser.click("nav a[href='/console/kits/']")
        try await eventually("the kit is listed") { try await browser.text("main").contains("Été & Fils <SARL>") }
        try await browser.open(page)
        let draft = try await fetched("a[href*='/files/draft/']", browser)
        try await read(draft, stage)
        let path = try stage.instance.folder.write(draft, to: "Rapport final – Été.docx")
        try await browser.keepPicture("flow-draft-en-light", width: 1000)
        try await browser.choose(file: path, in: "#final")
        try await browser.click("form[action$='/final'] button")
        try await eventually("the final is there") { try await browser.has("form[action$='/publish'] button") }
        try await browser.type("read twice", into: "#publish-reason")
        try await browser.click("form[action$='/publish'] button")
        try await eventually("it is published") { try await browser.has("form[action$='/revoke'] button") }
        #expect(try await processing(inquiry, stage) == "PUBLISHED")
        return draft
    }

    /// A file behind a link of the page, with the session of the browser.
    private static func fetched(_ selector: String, _ browser: Browser) async throws -> [UInt8] {
        let script = """
            return fetch(document.querySelector("\(selector)").href).then(r => r.ok ? r.arrayBuffer() : Promise.reject(r.status))
              .then(b => btoa(Array.from(new Uint8Array(b), c => String.fromCharCode(c)).join("")))
            """
        let text = try await browser.run(script).string ?? ""
        return try #require(Base64.decode(text))
    }

    /// Reads the draft with python-docx: each of its 17 values is there as it was given.
    private static func read(_ draft: [UInt8], _ stage: Stage) async throws {
        let path = try stage.instance.folder.write(draft, to: "draft.docx")
        let reader = try await ProcessFixture.start(
            "\(repositoryRoot)/.venv/bin/python", ["\(repositoryRoot)/Tests/Fixtures/python/docx_text.py", path])
        try #require(try await reader.waitForExit(within: .seconds(60)) == .exited(0), "\(reader.transcript)")
        try await eventually("all is read") { !reader.output.isEmpty }
        let document = try JSON(parsing: Array(reader.output.joined(separator: "\n").utf8), sizeLimit: 8 << 20)
        let texts = [document["header"], document["footer"]] + (document["paragraphs"]?.array ?? []) + (document["cells"]?.array ?? [])
        let everything = texts.compactMap { $0?.string }.joined(separator: "\n")
        for (name, value) in answers { #expect(everything.contains(value), "\(name) is not in the draft") }
        let written = try #require(try await stage.texts("SELECT content FROM drafts_answers").first)
        // In the prompt what customers write cannot end the part that is theirs.
        #expect(written.contains("Été & Fils ‹SARL>"))
        for line in written.split(separator: "\n") { #expect(everything.contains(line), "'\(line)' is not in the draft") }
        #expect(answers.count + 1 == 17)
    }

    // MARK: The link

    /// The path of the link in the customer's mail.
    private static func link(in mail: SMTPServer) throws -> String? {
        let texts = try mail.received().filter { $0.to == [customer] }.compactMap(\.text)
        for text in texts {
            guard let start = text.firstRange(of: "/downloads/") else { continue }
            return "/downloads/" + text[start.upperBound...].prefix { !$0.isWhitespace && $0 != ">" }
        }
        return nil
    }

    /// A program that looks into mails follows the link, again and again: it gets a page, and uses nothing.
    private static func scan(_ stage: Stage, _ path: String) async throws {
        for round in 1...20 {
            let seen = try await HTTPLine.once(port: stage.instance.webPort, "GET", path)
            #expect(seen.status == 200 && seen.headers["content-type"]?.hasPrefix("text/html") == true, "round \(round)")
            #expect(try await HTTPLine.once(port: stage.instance.webPort, "HEAD", path).status == 200, "round \(round)")
        }
        #expect(try await stage.texts("SELECT used_count || ' of ' || max_uses FROM downloads_grants") == ["0 of 1"])
    }

    private static func download(_ stage: Stage, _ browser: Browser, _ url: String, _ final: [UInt8]) async throws {
        try await browser.open(url)
        #expect(try await browser.text("main").contains("Rapport final – Été.docx"))
        try await browser.keepPicture("flow-download-fr-light", width: 360)
        try await browser.click("main form button")
        let folder = stage.instance.folder
        try await eventually(within: .seconds(40), "the file is there") {
            let names = folder.list("downloads")
            return names.count == 1 && names.allSatisfy { $0.hasSuffix(".docx") }
        }
        let name = try #require(folder.list("downloads").first)
        #expect(folder.read("downloads/\(name)") == final)
        #expect(name == "Rapport final – Été.docx")
        #expect(try await stage.texts("SELECT used_count || ' of ' || max_uses FROM downloads_grants") == ["1 of 1"])
        try await browser.click("main form button")
        try await eventually("the second use is refused") { try await browser.title == "Page introuvable" }
        #expect(folder.list("downloads").count == 1)
        #expect(try await stage.texts("SELECT used_count || ' of ' || max_uses FROM downloads_grants") == ["1 of 1"])
    }

    // MARK: What is kept

    private static func processing(_ inquiry: String, _ stage: Stage) async throws -> String? {
        try await stage.texts("SELECT processing_state FROM drafts_inquiries WHERE id = $1", [.text(inquiry)]).first
    }

    /// The time line tells it all, and no log has the number, the link's secret or the keys.
    private static func trail(_ stage: Stage, _ browser: Browser, _ root: String, _ inquiry: String) async throws {
        try await browser.open("\(root)/console/kits/\(inquiry)/")
        let page = try await browser.text("main")
        for word in ["PUBLISHED", "staff:awa", "read twice", "Rapport final – Été.docx", "statuts.pdf", "1 / 1"] {
            #expect(page.contains(word), "\(word) is not on the kit's page")
        }
        try await browser.keepPicture("flow-published-en-light", width: 1000)
        #expect(try await stage.texts("SELECT state FROM payments_payments") == ["paid"])
        #expect(try await stage.count("SELECT COUNT(*) FROM drafts_generated") == 1)
        #expect(try await stage.count("SELECT COUNT(*) FROM invoicing_invoices") == 1)
        let said = stage.instance.transcript(linesMax: .max)
        for secret in ["client-secret-of-the-tests", "orange-secret-of-the-tests", "a long enough passphrase", "/downloads/", "Rapport final"] {
            #expect(!said.contains(secret), "\(secret) is in a log")
        }
    }
}
