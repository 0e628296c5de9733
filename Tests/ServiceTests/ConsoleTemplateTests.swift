import Database
import Drafts
import Formats
import HTTPServer
import MessagePort
import Notifications
import Staff
import TestSupport
import Testing

@testable import WebService

@Suite("Templates and prompts in the console")
struct ConsoleTemplateTests {
    private static let path = "/console/templates/"
    private static let good = "Ours: {{ organization_name }} {{ generated_content }}"

    /// A Word document of one paragraph.
    private func document(_ text: String) async throws -> [UInt8] {
        let folder = try TemporaryFolder("docx")
        let maker = try await ProcessFixture.start(
            "\(repositoryRoot)/.venv/bin/python", [fixture("python/make_docx.py"), folder.file("made.docx"), text])
        guard try await maker.waitForExit(within: .seconds(60)) == .exited(0), let bytes = folder.read("made.docx") else {
            throw FixtureError("no document: \(maker.transcript)")
        }
        return bytes
    }

    private func upload(
        _ client: ConsoleClient, _ bytes: [UInt8], deed: String = "install", uses: Bool = true, reason: String = "new logo", token: String? = nil
    ) async throws -> WebStage.Answer {
        try await client.upload(
            Self.path, "template", bytes, name: "Kit.docx", [("reason", reason), ("deed", deed)] + (uses ? [("use", "yes")] : []), token: token)
    }

    private func versions(_ stage: WebStage) async throws -> [DocumentTemplateVersion] {
        try await stage.database.read { try DocumentTemplateVersion.all(in: $0) }
    }

    @Test("a template is tried without a trace, installed, looked at, downloaded as it came, and the one before comes back")
    func life() async throws {
        try await WebStage.with { stage in
            let clerk = try await ConsoleClient.signedIn(stage, .operator, name: "oumar")
            let viewer = try await ConsoleClient.signedIn(stage, .viewer)
            let bytes = try await document(Self.good)
            let trial = try await upload(clerk, bytes, deed: "try")
            #expect(trial.status == 200 && trial.body.starts(with: Array("PK".utf8)), "\(trial.text.prefix(300))")
            #expect(trial.headers["content-disposition"]?.contains("trial.docx") == true)
            #expect(try await versions(stage).isEmpty && stage.privateFiles("templates/kit").isEmpty)

            let installed = try await upload(clerk, bytes)
            #expect(installed.headers["location"] == "\(Self.path)?done=installed", "\(installed.text)")
            let first = try #require(try await versions(stage).first)
            #expect(first.isActive && first.found == ["generated_content", "organization_name"] && first.actor == "staff:oumar")
            #expect(try await upload(clerk, try await document("Another: \(Self.good)"), uses: false).status == 303)
            #expect(try await versions(stage).map(\.isActive) == [false, true])

            let page = try await viewer.get(ConsolePath.template(1))
            #expect(page.status == 200 && page.text.contains("generated_content, organization_name") && page.text.contains("audits_frequency"))
            #expect(try await clerk.get("\(ConsolePath.template(1))file").body == bytes)
            #expect(try await viewer.get("\(ConsolePath.template(1))file").status == 403)
            #expect(try await clerk.get("\(ConsolePath.template(9))file").status == 404)

            for (version, active) in [(2, [true, false]), (0, [false, false])] {
                let path = ConsolePath.template(Int64(version))
                #expect(try await clerk.post("\(path)activate", [("reason", " ")]).status == 422)
                #expect(try await clerk.post("\(path)activate", [("reason", "better")]).headers["location"] == "\(path)?done=activated")
                #expect(try await versions(stage).map(\.isActive) == active)
            }
            #expect(try await clerk.post("\(ConsolePath.template(9))activate", [("reason", "x")]).status == 404)
            let actions = try await stage.database.read { connection in
                (try StaffAudit.list(limit: 20, in: connection).map(\.action), try InquiryAudit.newest(limit: 20, in: connection).map(\.action))
            }
            for action in ["template.install", "template.activate", "template.look"] { #expect(actions.0.contains(action), "\(action)") }
            #expect(actions.1 == ["template_activated", "template_activated", "template_installed", "template_activated", "template_installed"])
        }
    }

    @Test("what is no template of a kit is refused with the reason, and nothing is left of it")
    func refused() async throws {
        try await WebStage.with { stage in
            let clerk = try await ConsoleClient.signedIn(stage, .operator)
            let staff = try await ConsoleClient.signedIn(stage, .staff)
            let good = try await document(Self.good)
            for (text, word) in [("{{ organisation_name }}", "organisation_name"), ("{{ email", "cannot be filled")] {
                for deed in ["try", "install"] {
                    let answer = try await upload(clerk, try await document(text), deed: deed)
                    #expect(answer.status == 422 && answer.text.contains(word) && !answer.text.contains("/private/"), "\(text): \(answer.text)")
                }
            }
            for bytes in [Array("%PDF-1.7\n%%EOF".utf8), Array("PK".utf8), []] { #expect(try await upload(clerk, bytes).status == 422) }
            #expect(try await upload(clerk, good, reason: " ").status == 422)
            for token in ["", "x", StaffSession.formToken(of: staff.sessionID ?? "")] {
                #expect(try await upload(clerk, good, token: token).status == 403)
            }
            #expect(try await upload(staff, good).status == 403)
            #expect(!(try await staff.get(Self.path).text.contains("type=\"file\"")))
            #expect(try await versions(stage).isEmpty && stage.privateFiles("templates/kit").isEmpty)
        }
    }

    // MARK: Prompts

    @Test("a prompt is written as a new version, used from now on or not, and an older one comes back; each with its reason")
    func prompts() async throws {
        try await WebStage.with { stage in
            let clerk = try await ConsoleClient.signedIn(stage, .operator, name: "oumar")
            let text = "Write plainly.\r\nNo <b>markup</b>."
            let fields = [("language", "en"), ("instructions", text), ("reason", "tone"), ("use", "yes")]
            #expect(try await clerk.post("/console/prompts/", fields).headers["location"] == "/console/prompts/en/2/?done=added")
            func active(_ language: String) async throws -> DraftPrompt {
                try await stage.database.read { try DraftPrompt.active(language, in: $0) }
            }
            #expect(try await active("en").instructions == "Write plainly.\nNo <b>markup</b>.")
            let page = try await clerk.get("/console/prompts/en/2/")
            #expect(page.text.contains("No &lt;b&gt;markup") && page.text.contains("staff:oumar"))
            let kept = [("language", "fr"), ("instructions", "Écris simplement."), ("reason", "later")]
            #expect(try await clerk.post("/console/prompts/", kept).status == 303)
            #expect(try await active("fr").version == 1)
            #expect(try await clerk.get("/console/prompts/").text.contains("Écris simplement."))
            #expect(try await clerk.post("/console/prompts/fr/2/activate", [("reason", "now")]).status == 303)
            #expect(try await active("fr").version == 2)
            #expect(try await clerk.post("/console/prompts/en/1/activate", [("reason", "back")]).status == 303)
            #expect(try await active("en").version == 1)
            let actions = try await stage.database.read { try StaffAudit.list(limit: 20, in: $0).map { "\($0.action) \($0.subject)" } }
            for action in ["prompt.add prompt en 2", "prompt.activate prompt fr 2"] { #expect(actions.contains(action), "\(action)") }
        }
    }

    @Test("a prompt of the greatest length is taken, a longer one, one in no language of ours and one without a reason are not")
    func promptLimits() async throws {
        try await WebStage.with { stage in
            let clerk = try await ConsoleClient.signedIn(stage, .operator)
            func add(_ text: String, language: String = "fr", reason: String = "r") async throws -> Int {
                try await clerk.post("/console/prompts/", [("language", language), ("instructions", text), ("reason", reason)]).status
            }
            #expect(try await add(String(repeating: "𝔘", count: DraftPrompt.limit)) == 303)
            #expect(try await add(String(repeating: "a", count: DraftPrompt.limit + 1)) == 422)
            #expect(try await add("Write.", language: "de") == 422)
            #expect(try await add("Write.", reason: " ") == 422)
            #expect(try await add(" ") == 422)
            for path in ["de/1", "fr/9", "fr/x"] {
                #expect(try await clerk.get("/console/prompts/\(path)/").status == 404)
                #expect(try await clerk.post("/console/prompts/\(path)/activate", [("reason", "x")]).status == 404)
            }
            let viewer = try await ConsoleClient.signedIn(stage, .viewer)
            let page = try await viewer.get("/console/prompts/fr/1/").text
            #expect(page.contains("<pre lang=\"fr\">") && !page.contains("<textarea"))
        }
    }

    // MARK: Messages

    @Test("every message is shown with its variables and how it looks in both languages on every channel")
    func messages() async throws {
        try await WebStage.with { stage in
            let viewer = try await ConsoleClient.signedIn(stage, .viewer)
            let list = try await viewer.get("/console/notifications/templates/").text
            for template in MessageTemplate.allCases {
                let path = "/console/notifications/templates/\(template.rawValue)"
                #expect(list.contains("href=\"\(path)\""))
                let page = try await viewer.get(path).text
                for variable in template.variables { #expect(page.contains("<code>\(variable.rawValue)</code>"), "\(template): \(variable)") }
                for language in MessagePreview.languages {
                    for channel in MessageChannel.allCases {
                        let preview = try MessagePreview(template, language: language, channel: channel)
                        #expect(page.contains(HTML.escape(preview.text)), "\(template) \(language) \(channel)")
                        if let registered = preview.registered { #expect(page.contains(HTML.escape(registered)) && registered.contains("{{1}}")) }
                    }
                }
                #expect(PageCheck(page).problems == [], "\(template)")
            }
            #expect(try await viewer.get("/console/notifications/templates/none").status == 404)
        }
    }

    // MARK: Cost

    @Test("a kit tells what the AI's texts cost by version, and what is left of the day's budget")
    func cost() async throws {
        try await WebStage.with { stage in
            let viewer = try await ConsoleClient.signedIn(stage, .viewer)
            let (inquiry, _) = try await stage.inquire()
            #expect(try await viewer.get(ConsolePath.kit(inquiry)).text.contains("The AI has written nothing yet."))
            let now = stage.nowMs
            try await stage.database.write { connection in
                let charges: [(version: Int64, micros: Int64, outcome: String)] = [
                    (1, 12_300, "refused"), (1, 1_000_000, "kept"), (2, 500_000, "kept"),
                ]
                for charge in charges {
                    try connection.execute(
                        """
                        INSERT INTO drafts_charges (inquiry, version, day, model, prompt_tokens, completion_tokens, is_estimate, micros, currency,
                          outcome, created_at) VALUES ($1, $2, $3, 'gpt-x', 1000, 200, 0, $4, 'USD', $5, $6)
                        """,
                        [
                            .text(inquiry), .integer(charge.version), .text(DraftCharge.day(of: now)), .integer(charge.micros),
                            .text(charge.outcome), .integer(now),
                        ])
                }
            }
            let page = try await viewer.get(ConsolePath.kit(inquiry)).text
            for text in [
                "1.0123 USD", "0.50 USD", "1 kept, 1 of no use", "2000", "gpt-x", "Spent today: 1.5123 USD; 3.4877 USD of 5.00 USD is left.",
            ] {
                #expect(page.contains(text), "\(text)")
            }
            #expect(KitCharges.amount(1, "USD", Words("fr")) == "0,000001 USD")
        }
    }
}
