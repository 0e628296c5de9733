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

/// One at a time: each test starts a browser, which is much for a small machine.
@Suite("The console in a real browser", .serialized)
struct ConsoleBrowserTests {
    private func staged(_ kind: Browser.Kind = Browser.Kind(), _ body: (WebStage, Browser) async throws -> Void) async throws {
        try await WebStage.with(address: SocketAddress("127.0.0.1", try freePort())) { stage in
            try await Browser.with(kind, client: stage.client) { browser in try await body(stage, browser) }
        }
    }

    /// Signs a new user in, as a person does the first time.
    private func signIn(_ stage: WebStage, _ browser: Browser, _ role: StaffRole, language: String = "en") async throws {
        try await ConsoleClient.add(stage, "awa", role, language: language)
        try await browser.signIn(at: stage.webURL, name: "awa", password: ConsoleClient.password) {
            OneTimeCode.code($0, step: OneTimeCode.step(atMs: stage.nowMs))
        }
    }

    @Test("somebody signs in with a one-time code, follows a task to its conflict, decides it, and it is gone; numbers follow meanwhile")
    func task() async throws {
        try await staged { stage, browser in
            try await signIn(stage, browser, .operator)
            #expect(try await browser.title == "Overview – Quittance")
            let payment = try await stage.order()
            _ = try await stage.post(
                "/api/v1/payments/\(payment)/received/", ["amount": "12000", "reference": "R-1", "method": "cash"],
                headers: ["idempotency-key": "r"])
            try await eventually(within: .seconds(20), "the number has followed") { try await browser.text("[data-figure=conflicted]") == "1" }
            try await browser.click("nav a[href='/console/tasks/']")
            try await eventually("the task is there") { try await browser.has("ul.tasks a.button") }
            try await browser.click("ul.tasks a.button")
            try await eventually("the decision is there") { try await browser.has("#accept-reason") }
            try await browser.type("500 were waived", into: "#accept-reason")
            try await browser.click("#decide button")
            try await eventually("it is told") { try await browser.has("p.done") }
            #expect(try await browser.text("p.done") == "What came in counts as payment.")
            #expect(try await stage.database.read { try PaymentStore.require(payment, in: $0).state } == .paid)
            try await browser.click("nav a[href='/console/tasks/']")
            try await eventually("nothing is left") { try await browser.text("main").contains("Nothing to do.") }
        }
    }

    private static let checker = Browser.soundness

    /// Payments of the last 24 hours, so that lists and charts have something to show.
    private func fillDay(_ stage: WebStage) async throws {
        let (now, minute) = (stage.nowMs, Int64(60_000))
        let states: [PaymentState] = [.failed, .expired, .pending, .paid, .paid, .paid, .paid, .paid, .paid, .failed]
        let providers = ["cinetpay", "orange-money", "feexpay", "cinetpay", "kkiapay"]
        try await stage.database.write { connection in
            for number in 0..<300 {
                let at = now - Int64(number * number % 1437) * minute - minute
                let (id, state) = ("pay_" + ULID.make(nowMs: at), states[number * 7 % states.count])
                let isPaid = state == .paid
                try connection.execute(
                    """
                    INSERT INTO payments_payments (id, purpose, subject, description, amount, currency, state, captured, customer_name,
                      customer_email, language, metadata, created_at, updated_at, paid_at)
                    VALUES ($1, 'order', 'shop-' || $2, 'Chaise', 15000, 'XOF', $3, $4, 'Awa Diop', 'awa@example.org', 'fr', '{}', $5, $5, $6)
                    """,
                    [.text(id), .int(Int64(number)), .text(state.rawValue), .int(isPaid ? 15_000 : 0), .int(at), isPaid ? .int(at + 30_000) : .null])
                try connection.execute(
                    """
                    INSERT INTO payments_attempts (id, payment, number, provider, mode, open, created_at)
                    VALUES ($1, $2, 1, $3, 'sandbox', 0, $4)
                    """, [.text("att_" + ULID.make(nowMs: at)), .text(id), .text(providers[number % providers.count]), .int(at)])
            }
        }
    }

    /// Two teams, one of them near its limits, with people, a stale origin and an alert.
    private func fillTeam(_ stage: WebStage) async throws {
        try await stage.team("acme", owner: "awa@example.org", plan: Plan.pro, projects: ["blog", "shop"])
        try await stage.team("baobab", projects: ["forge"])
        for day in 0..<20 { try await stage.traffic("shop", Int64(day % 7 + 1) * 110 * ByteFigure.mb, atMs: stage.nowMs - Int64(day) * 86_400_000) }
        try await stage.traffic("shop", 8 * ByteFigure.gb)
        try await stage.traffic("forge", ByteFigure.gb)
        try await stage.storage("shop", 3 * ByteFigure.gb)
        try await stage.storage("forge", 90 * ByteFigure.mb, atMs: stage.nowMs - 40 * 3_600_000)
        let now = stage.nowMs
        try await stage.database.write { connection in
            try TeamStore.put(
                TeamMember(
                    team: "acme", email: "awa@example.org", name: "Awa Diop", language: "fr", role: .owner, getsAlerts: true, createdAtMs: now),
                in: connection)
            try StorageGauges.recordFailure(origin: "docker", error: "connection refused", nowMs: now, in: connection)
            try PlanChanges.plan(Plan.free, of: "acme", actor: "staff:awa", nowMs: now, in: connection)
            try connection.execute(
                "INSERT INTO usage_alerts VALUES ('acme', 'traffic', '2026-11', 80, $1, $2, 'Pro', 'sent', $3)",
                [.integer(10 * ByteFigure.gb), .integer(8 * ByteFigure.gb), .integer(now)])
        }
    }

    @Test("every page stands out from its ground in both themes, has its labels, and its headings in order", arguments: ["fr", "en"], [false, true])
    func sound(language: String, dark: Bool) async throws {
        var kind = Browser.Kind()
        kind.dark = dark
        try await staged(kind) { stage, browser in
            try await fillDay(stage)
            try await browser.open(stage.webURL + "/console/sign-in")
            #expect(try await browser.run(Self.checker).string == "", "sign-in")
            try await signIn(stage, browser, .admin, language: language)
            let payment = try await stage.order()
            _ = try await stage.post(
                "/api/v1/payments/\(payment)/received/", ["amount": "12000", "reference": "R-1", "method": "cash"],
                headers: ["idempotency-key": "r"])
            #expect(try await stage.report("payment.succeeded", order: "unknown", amount: "12500", currency: "XOF") == 200)
            let event = try #require(try await stage.database.read { try EventArchive.page(limit: 1, in: $0).first?.id })
            let kit = try await stage.inquire()
            try await stage.receive(kit.payment)
            try await fillTeam(stage)
            for path in ConsoleFrame.Part.allCases.map(\.path) + ConsolePath.samples(language) + [
                ConsolePath.kit(kit.inquiry), "/console/notifications/templates/published", ConsolePath.payment(payment), ConsolePath.event(event),
                "/console/payments/?q=x", OptOutPage.path, ConsolePath.team("acme"), ConsumersPage.path,
            ] {
                try await browser.open(stage.webURL + path)
                try await eventually("the page is there") { try await browser.has("main h1") }
                #expect(try await browser.run("return matchMedia('(prefers-color-scheme: dark)').matches").bool == dark)
                #expect(try await browser.run(Self.checker).string == "", "\(path)")
                let words = path.split(separator: "/")
                let name =
                    words.prefix(2).joined(separator: "-")
                    + (path.contains("?") ? "-search" : path == OptOutPage.path ? "-opt-outs" : words.count > 2 ? "-one" : "")
                try await browser.keepPicture("\(name)-\(language)-\(dark ? "dark" : "light")", width: 1000)
            }
        }
    }

    @Test("without JavaScript the same sign-in works")
    func withoutJavaScript() async throws {
        var kind = Browser.Kind()
        kind.javaScript = false
        try await staged(kind) { stage, browser in
            try await ConsoleClient.add(stage, "awa", .viewer)
            try await browser.open(stage.webURL + "/console/sign-in")
            try await eventually("the page is there") { try await browser.title == "Sign in – Quittance" }
            try await browser.type("awa", into: "#name")
            // By the Enter key: without scripts the driver's clicks are never answered.
            try await browser.type("\(ConsoleClient.password)\u{E007}", into: "#password")
            try await eventually("the enrolment is there") { try await browser.title == "Turn codes on – Quittance" }
        }
    }
}
