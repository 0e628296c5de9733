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

    /// Of every text that is shown: how far its colour stands out from what lies behind it; of every field: whether it has a label.
    private static let checker = """
        function channel(v) { v /= 255; return v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4); }
        function light(c) { return 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]); }
        function colour(text) { var n = text.match(/[0-9.]+/g).map(Number); return n.length < 4 ? n.concat([1]) : n; }
        function ground(element) {
          for (var at = element; at; at = at.parentElement) { var c = colour(getComputedStyle(at).backgroundColor); if (c[3] > 0) return c; }
          return matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18, 1] : [255, 255, 255, 1];
        }
        var problems = [];
        var walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
          var element = walker.currentNode.parentElement;
          if (!walker.currentNode.textContent.trim() || ['SCRIPT', 'STYLE', 'NOSCRIPT', 'OPTION'].indexOf(element.tagName) >= 0) continue;
          var style = getComputedStyle(element);
          var own = colour(element.closest('svg') ? style.fill : style.color), behind = ground(element);
          var a = light(own), b = light(behind), ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
          if (ratio < 4.5) problems.push(ratio.toFixed(2) + ' ' + element.tagName + '.' + element.className + ' ' + element.textContent.slice(0, 30));
        }
        document.querySelectorAll('input:not([type=hidden]), select, textarea').forEach(function (field) {
          if (!field.labels.length && !field.getAttribute('aria-label')) problems.push('no label: ' + field.outerHTML.slice(0, 60));
        });
        var last = 0;
        document.querySelectorAll('h1, h2, h3, h4').forEach(function (heading) {
          var level = Number(heading.tagName[1]);
          if (level > last + 1) problems.push('h' + last + ' then h' + level);
          last = level;
        });
        document.querySelectorAll('button, a').forEach(function (one) {
          if (!(one.textContent.trim() || one.getAttribute('aria-label'))) problems.push('nameless: ' + one.outerHTML.slice(0, 60));
        });
        if (document.documentElement.scrollWidth > innerWidth + 1) problems.push('wider than the window: ' + document.documentElement.scrollWidth);
        return problems.join('; ');
        """

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
