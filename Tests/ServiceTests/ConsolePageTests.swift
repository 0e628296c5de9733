import Database
import Formats
import HTTPServer
import Payments
import Plans
import Staff
import Teams
import TestSupport
import Testing
import Usage

@testable import WebService

@Suite("The console's pages")
struct ConsolePageTests {
    /// What would run if anything of it were not escaped.
    static let hostile = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&"

    /// An installation where hostile words stand wherever words can stand. - Returns: the paths of every page.
    private func fill(_ stage: WebStage, _ admin: ConsoleClient) async throws -> [String] {
        let words = String(Self.hostile.prefix(60))
        var form: [(String, JSON)] = [
            ("organization_name", .string(words)), ("contact_name", .string(words)), ("email", "x@example.org"),
            ("mission_text", .string(Self.hostile)),
        ]
        form.append(("notes_text", .string(Self.hostile)))
        let kit = try await stage.inquire(.object(JSONObject(form)))
        let order = try await stage.post(
            "/api/v1/payments/",
            [
                "order_id": .string(words), "description": .string(Self.hostile), "amount": "12500", "currency": "XOF",
                "customer": ["name": .string(words), "email": "a@example.org", "language": "en"], "metadata": ["note": .string(Self.hostile)],
            ])
        let payment = try #require(order.string("id"))
        _ = try await stage.post(
            "/api/v1/payments/\(payment)/received/", ["amount": "12000", "reference": .string(words), "method": "cash"],
            headers: ["idempotency-key": "r"])
        #expect(try await stage.get("/api/v1/payments/\(payment)/").string("status") == "conflicted")
        #expect(try await stage.report(words, order: words, amount: "1", currency: "XOF") == 200)
        #expect(try await stage.report("payment.succeeded", order: "unknown-order", amount: "12500", currency: "XOF") == 200)
        let now = stage.nowMs
        try await stage.database.write { connection in
            try StaffAudit.record(words, of: words, detail: Self.hostile, actor: words, address: words, nowMs: now, in: connection)
            try connection.execute("UPDATE payments_events SET detail = $1, type = $1, content_type = $1", [.text(Self.hostile)])
            try connection.execute(
                "INSERT INTO payments_tasks (payment, kind, detail, created_at) VALUES ($1, $2, $3, $4)",
                [.text(payment), .text(words), .text(Self.hostile), .integer(now)])
            try connection.execute("UPDATE staff_sessions SET agent = $1, address = $1", [.text(Self.hostile)])
            try connection.execute("UPDATE payments_attempts SET error_text = $1, error_code = $1", [.text(Self.hostile)])
            try connection.execute(
                "INSERT INTO payments_networks_off (provider, method, network, actor, reason, at) VALUES ('feexpay', 'mobile_money', 'mtn', $1, $2, $3)",
                [.text(words), .text(Self.hostile), .integer(now)])
            try connection.execute("UPDATE drafts_prompts SET instructions = $1, actor = $2", [.text(Self.hostile), .text(words)])
            try connection.execute(
                """
                INSERT INTO drafts_templates (version, path, sha256, size, found, missing, is_active, actor, created_at)
                VALUES (1, 'templates/kit/x', $1, 1, $2, $2, 1, $1, $3)
                """, [.text(words), .text(JSON.array([.string(Self.hostile)]).text), .integer(now)])
            try connection.execute(
                """
                INSERT INTO drafts_charges (inquiry, version, day, model, prompt_tokens, completion_tokens, is_estimate, micros, currency, outcome,
                  created_at) VALUES ($1, 1, '2026-01-01', $2, 1, 1, 1, 1, 'USD', 'kept', $3)
                """, [.text(kit.inquiry), .text(Self.hostile), .integer(now)])
            try connection.execute(
                """
                INSERT INTO outbox_effects (name, key, state, rule, fence, detail, began_at, changed_at)
                VALUES ($1, $1, 'doubtful', 'ask', 0, $1, $2, $2)
                """, [.text(words), .integer(now)])
            try connection.execute(
                "INSERT INTO notifications_optouts (channel, address_hash, address, source, since) VALUES ('email', $1, $1, $2, $3)",
                [.text(words), .text(Self.hostile), .integer(now)])
        }
        try await fillTeam(stage, words)
        let event = try #require(try await stage.database.read { try EventArchive.page(limit: 1, in: $0).first?.id })
        let parts = ConsoleFrame.Part.allCases.map(\.path)
        return parts + ConsolePath.samples("fr") + [ConsolePath.template(1)] + [
            ConsolePath.kit(kit.inquiry), "/console/notifications/templates/published", ConsolePath.payment(payment), ConsolePath.event(event),
            OptOutPage.path, "/console/figures/?days=90&currency=XOF", "/console/payments/?q=nothing", "/console/payments/?state=conflicted",
            "/console/events/?outcome=unmatched", ConsolePath.team("acme"), ConsumersPage.path, "\(ConsumersPage.path)?by=storage&level=exceeded",
            "\(ConsumersPage.path)?team=%22%3E%3Cimg%20src%3Dx", "/console/teams/?q=%22%3E%3Cimg%20src%3Dx", "/console/teams/?status=grace",
        ]
    }

    /// A team in its grace, over its limits, of which everything has a hostile name that can have one.
    private func fillTeam(_ stage: WebStage, _ words: String) async throws {
        try await stage.team("acme", owner: words, plan: Plan.pro, projects: ["shop"])
        try await stage.traffic("shop", 11 * ByteFigure.gb)
        try await stage.storage("shop", 9 * ByteFigure.gb, atMs: stage.nowMs - 40 * 3_600_000)
        let now = stage.nowMs
        try await stage.database.write { connection in
            try TeamStore.put(
                TeamMember(
                    team: "acme", email: "awa@example.org", name: words, language: "fr", role: .owner, getsAlerts: true, createdAtMs: now),
                in: connection)
            try connection.execute("UPDATE teams_teams SET name = $1", [.text(words)])
            try connection.execute("UPDATE teams_projects SET name = $1", [.text(words)])
            try StorageGauges.recordFailure(origin: "docker", error: Self.hostile, nowMs: now, in: connection)
            try PlanChanges.plan(Plan.free, of: "acme", actor: words, nowMs: now, in: connection)
            try connection.execute("UPDATE plans_subscriptions SET status = 'grace', renews_at = $1", [.integer(now - 1000)])
            try connection.execute(
                "INSERT INTO usage_alerts VALUES ('acme', 'traffic', '2026-11', 100, 1, 2, $1, 'sent', $2)", [.text(words), .integer(now)])
        }
    }

    @Test("hostile words are shown as words on every page, in both languages; pages are sound, small, and run nothing of their own")
    func everyPage() async throws {
        try await WebStage.with { stage in
            let admin = try await ConsoleClient.signedIn(stage, .admin)
            let paths = try await fill(stage, admin)
            for language in ["en", "fr"] {
                _ = try await admin.post("/console/account/language", [("language", language)])
                for path in paths {
                    let page = try await admin.get(path)
                    #expect([200, 404].contains(page.status), "\(path): \(page.status)")
                    try Self.check(page, path)
                    #expect(page.text.contains("<html lang=\"\(language)\">"))
                }
            }
            admin.sessionID = nil
            try Self.check(try await admin.get("/console/sign-in"), "sign-in")
            #expect(try await admin.get("/console/sign-in?lang=fr").text.contains("<html lang=\"fr\">"))
            _ = try await admin.enter(ConsoleClient.password)
            try Self.check(try await admin.get("/console/code"), "code")
        }
    }

    private static func check(_ page: WebStage.Answer, _ path: String) throws {
        let text = page.text
        do { try HTMLCheck.wellFormed(text) } catch { Issue.record("\(path): \(error)") }
        #expect(page.body.count < 60 * 1024, "\(path) has \(page.body.count) bytes")
        for part in ["<script>alert", "<img src=x", "style=\"", " onerror=a", "javascript:"] {
            let isIn = text.replacing("src=x onerror=a", with: "").contains(part) && part != " onerror=a"
            #expect(!isIn, "\(path) holds \(part)")
        }
        #expect(text.split(separator: "<script").count == 2 && text.contains("<script src=\"/assets/console.js\""), "\(path) runs scripts")
        #expect(page.headers["content-security-policy"] == ConsoleFrame.policy && !ConsoleFrame.policy.contains("unsafe"))
        #expect(page.headers["cache-control"] == "no-store" && page.headers["x-frame-options"] == "DENY", "\(path)")
        for problem in PageCheck(text).problems { Issue.record("\(path): \(problem)") }
    }

    @Test("a page of fifty payments stays under 60 KB, goes on where the last one ended, and says what it sums")
    func paging() async throws {
        try await WebStage.with { stage in
            let viewer = try await ConsoleClient.signedIn(stage, .viewer)
            for number in 0..<120 { _ = try await stage.order("order-\(number)", amount: "\(1000 + number)") }
            var seen: [String] = []
            var path: String? = "/console/payments/"
            var pages = 0
            while let next = path {
                let page = try await viewer.get(next)
                #expect(page.status == 200 && page.body.count < 60 * 1024)
                seen += page.text.split(separator: "href=\"/console/payments/pay_").dropFirst().map { "pay_\($0.prefix(26))" }
                path = page.text.between("<a href=\"/console/payments/?before=", "\"").map { "/console/payments/?before=\($0)" }
                pages += 1
            }
            #expect(pages == 3 && seen.count == 120 && Set(seen).count == 120 && seen == seen.sorted(by: >))
            // They are counted in the background when somebody asks for the first time.
            try await eventually("the sum of all is there") {
                try await viewer.get("/console/payments/?state=created&from=2026-01-01&to=2100-01-01").text.contains("127\u{A0}140\u{A0}XOF")
            }
            #expect(try await viewer.get("/console/payments/?state=paid").text.contains("No payments."))
            #expect(try await viewer.get("/console/payments/?state=nonsense").status == 422)
            #expect(try await viewer.get("/console/payments/?from=yesterday").status == 422)
        }
    }

    @Test("all payments that a filter means come as one file, for staff and not for viewers, formulas made harmless")
    func file() async throws {
        try await WebStage.with { stage in
            let (staff, viewer) = (try await ConsoleClient.signedIn(stage, .staff), try await ConsoleClient.signedIn(stage, .viewer))
            for number in 0..<250 { _ = try await stage.order("order-\(number)") }
            let paid = try await stage.order("=cmd|calc")
            try await stage.receive(paid)
            let all = try await staff.get("/console/payments.csv")
            let lines = all.text.split(separator: "\r\n")
            #expect(all.headers["content-type"] == "text/csv; charset=utf-8" && lines.count == 252)
            #expect(Set(lines.map { $0.split(separator: ",")[0] }).count == 252)
            #expect(lines.dropFirst().allSatisfy { $0.hasPrefix("pay_") } && all.text.contains(",'=cmd|calc,"))
            let some = try await staff.get("/console/payments.csv?state=paid")
            #expect(some.text.split(separator: "\r\n").count == 2 && some.text.contains(paid))
            #expect(try await viewer.get("/console/payments.csv").status == 403)
            #expect(!(try await viewer.get(ConsolePath.payment(paid)).text.contains("aicha@example.org")), "viewers see no whole addresses")
            #expect(try await staff.get(ConsolePath.payment(paid)).text.contains("aicha@example.org"))
        }
    }

    @Test("a payment is found by any of its names")
    func search() async throws {
        try await WebStage.with { stage in
            let viewer = try await ConsoleClient.signedIn(stage, .viewer)
            let payment = try await stage.order("shop-77")
            for word in [payment, "shop-77"] {
                #expect(try await viewer.get("/console/payments/?q=\(word)").headers["location"] == ConsolePath.payment(payment))
            }
            #expect(try await viewer.get("/console/payments/?q=nothing").status == 404)
            #expect(try await viewer.get("/console/payments/pay_none/").status == 404)
        }
    }
}

/// A look at what makes a page usable for those who do not see it: every field has a label, headings come in order, one `h1`, no id twice.
struct PageCheck {
    let problems: [String]

    init(_ page: String) {
        var problems: [String] = []
        var levels: [Int] = []
        var labels: Set<String> = []
        var fields: [(tag: String, id: String?)] = []
        var ids: [String] = []
        for piece in page.split(separator: "<").dropFirst() {
            let tag = String(piece.prefix { $0 != ">" })
            let name = tag.prefix { $0.isLetter || $0.isNumber }
            let id = tag.between(" id=\"", "\"")
            if let id { ids.append(id) }
            if name.count == 2, name.hasPrefix("h"), let level = Int(name.dropFirst()) { levels.append(level) }
            if name == "label", let target = tag.between("for=\"", "\"") { labels.insert(target) }
            let isField = ["input", "select", "textarea"].contains(String(name)) && !tag.contains("type=\"hidden\"")
            if isField, !tag.contains("aria-label=\"") { fields.append((tag, id)) }
            if name == "img", !tag.contains(" alt=\"") { problems.append("an image without words: <\(tag)>") }
        }
        for field in fields where field.id.map({ !labels.contains($0) }) ?? true { problems.append("a field without a label: <\(field.tag)>") }
        if levels.count(where: { $0 == 1 }) != 1 { problems.append("not one h1: \(levels)") }
        if levels.first != 1 { problems.append("the first heading is no h1: \(levels)") }
        for (before, after) in zip(levels, levels.dropFirst()) where after > before + 1 { problems.append("h\(before) is followed by h\(after)") }
        for id in Set(ids) where ids.count(where: { $0 == id }) > 1 { problems.append("the id \(id) stands there twice") }
        if !page.contains("<html lang=\"") { problems.append("no language") }
        self.problems = problems
    }
}
