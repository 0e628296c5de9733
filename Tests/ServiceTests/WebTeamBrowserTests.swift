import Database
import Formats
import HTTPServer
import Money
import Payments
import Plans
import ProviderPort
import TestSupport
import Testing
import Usage

@testable import WebService

/// One at a time: each test starts a browser, which is much for a small machine.
@Suite("The page of a team in a real browser", .serialized)
struct WebTeamBrowserTests {
    private func staged(_ kind: Browser.Kind = Browser.Kind(), _ body: (WebStage, Browser) async throws -> Void) async throws {
        try await WebStage.with(address: SocketAddress("127.0.0.1", try freePort())) { stage in
            try await Browser.with(kind, client: stage.client) { browser in try await body(stage, browser) }
        }
    }

    private func isSame(_ browser: Browser) async throws -> Bool { try await browser.run("return window.sameDocument === true").bool == true }

    /// Drivers tell blanks that do not break as plain ones, or do not.
    private func text(_ browser: Browser, _ selector: String) async throws -> String {
        try await browser.text(selector).replacing("\u{A0}", with: " ")
    }

    /// Goes to the window that a form has opened.
    private func useNew(_ browser: Browser, besides known: [String]) async throws {
        try await eventually("a window opens") { try await browser.windows.count > known.count }
        try await browser.use(try #require(try await browser.windows.first { !known.contains($0) }))
    }

    @Test("a team upgrades through the sandbox: bars, alerts and history follow without the page being loaded again")
    func upgrade() async throws {
        try await staged { stage, browser in
            try await stage.team("acme", projects: ["shop"])
            try await stage.traffic("shop", 5 * ByteFigure.gb / 100 * 97)
            let page = stage.webURL + (try await stage.teamLink())
            // One window shows what is used.
            let usage = try await browser.window
            try await browser.open("\(page)&tab=usage")
            #expect(try await text(browser, ".alert.critical").contains("96% of the limit of 5 GB"))
            #expect(try await browser.has(".bar progress.critical"))
            #expect(try await browser.text(".chip") == "Free")
            try await browser.run("window.sameDocument = true")
            // Another one pays.
            try await browser.openTab()
            let payments = try await browser.window
            try await browser.open("\(page)&tab=payments")
            #expect(try await browser.text("[data-part=history]").contains("No payments."))
            try await browser.run("window.sameDocument = true")
            try await browser.click("form.pay button")
            try await useNew(browser, besides: [usage, payments])
            try await eventually("the provider's page is there") { try await browser.has("button[value=pay]") }
            let provider = try await browser.window

            // The page that stayed says that a payment is under way.
            try await browser.use(payments)
            try await eventually("the payment is under way") { try await browser.has(".underway .code img") }
            #expect(try await browser.text("[data-part=history] .badge") == "pending")
            #expect(try await isSame(browser))

            try await browser.use(provider)
            try await browser.click("button[value=pay]")
            try await eventually("the provider leads back") { ["Paiement reçu", "Payment received"].contains(try await browser.title) }

            try await browser.use(payments)
            try await eventually("the history follows") { try await browser.text("[data-part=history] .badge") == "completed" }
            #expect(try await !browser.has(".underway"))
            try await stage.activate()
            try await eventually("the page says until when it is paid") {
                try await browser.text("[data-part=underway]").contains("Pro is paid until")
            }
            #expect(try await isSame(browser))

            try await browser.use(usage)
            try await eventually("the bar, the alert and the plan follow") {
                let (isLow, isAlerted) = (try await browser.has(".bar progress.ok"), try await browser.has(".alert"))
                let plan = try await browser.text(".chip")
                return isLow && !isAlerted && plan == "Pro"
            }
            #expect(try await text(browser, "[data-part=meters]").contains("of 10 GB · 48 %"))
            #expect(try await isSame(browser))
            try await stage.traffic("shop", 4 * ByteFigure.gb)
            try await eventually("the next warning comes") { try await browser.has(".alert.warning") }
            #expect(try await browser.has(".bar progress.warning"))
            #expect(try await browser.run("return performance.getEntriesByType('navigation').length").int == 1)
            #expect(try await isSame(browser))
        }
    }

    /// Pays in the window that something has opened, and comes back.
    private func pay(_ browser: Browser, openedBy page: String) async throws {
        try await useNew(browser, besides: [page])
        try await eventually("the provider's page is there") { try await browser.has("button[value=pay]") }
        try await browser.click("button[value=pay]")
        try await eventually("the provider leads back") { ["Paiement reçu", "Payment received"].contains(try await browser.title) }
        try await browser.use(page)
    }

    @Test("who goes on with a payment and comes back sees that it is paid, although the link that was pressed had the focus")
    func pressedLink() async throws {
        try await staged { stage, browser in
            try await stage.team("acme", projects: ["shop"])
            _ = try await stage.beginUpgrade()
            let page = try await browser.window
            try await browser.open("\(stage.webURL)\(try await stage.teamLink())&tab=payments")
            try await browser.run("window.sameDocument = true")
            try await browser.click(".underway a.button")
            try await pay(browser, openedBy: page)
            try await eventually("the payment is no longer under way") { try await !browser.has(".underway") }
            #expect(try await browser.text("[data-part=history] .badge") == "completed")
            #expect(try await isSame(browser))
        }
    }

    @Test("who upgrades on the tab of the plan comes back to a plan that has changed, with the focus and the choice where they were")
    func pressedButton() async throws {
        try await staged { stage, browser in
            try await stage.team("acme", projects: ["shop"])
            let page = try await browser.window
            try await browser.open("\(stage.webURL)\(try await stage.teamLink())&tab=plan")
            try await browser.run("window.sameDocument = true")
            try await browser.click("[data-part=offer] label.choice:last-of-type")
            try await browser.click("[data-part=offer] form.pay button")
            try await pay(browser, openedBy: page)
            try await eventually("the plan is there") {
                try await stage.activate()
                return try await stage.plan().id == Plan.pro
            }
            try await eventually("the offer follows") { try await browser.text("[data-part=offer] h2") == "Extend Pro" }
            #expect(try await browser.run("return document.activeElement.matches('[data-part=offer] form.pay button')").bool == true)
            let chosen = "return document.querySelector('[data-part=offer] input:checked').value"
            #expect(try await browser.run(chosen).string == "credit_card")
            #expect(try await isSame(browser))
        }
    }

    @Test("a page that could not be had when something changed is asked for again, and one that nobody sees is not asked for")
    func askedAgain() async throws {
        try await staged { stage, browser in
            try await stage.team("acme", projects: ["shop"])
            let page = try await browser.window
            try await browser.open("\(stage.webURL)\(try await stage.teamLink())&tab=usage")
            // The stream lives on while two answers are errors, as from a proxy before a server that begins.
            try await browser.run(
                """
                window.asked = 0;
                window.askedUnseen = false;
                var real = window.fetch;
                window.fetch = function (url, options) {
                  if (document.hidden) window.askedUnseen = true;
                  return ++window.asked > 2 ? real(url, options) : Promise.resolve(new Response("", { status: 502 }));
                };
                """)
            try await stage.traffic("shop", 5 * ByteFigure.gb)
            try await eventually(within: .seconds(30), "the alert comes") { try await browser.has(".alert.exceeded") }
            #expect((try await browser.run("return window.asked").int ?? 0) >= 3)

            try await browser.openTab()
            try await browser.open("\(stage.webURL)\(try await stage.teamLink())&tab=payments")
            _ = try await stage.beginUpgrade()
            try await eventually("the page that is seen follows") { try await browser.has(".underway a.button") }
            try await browser.use(page)
            try await eventually("the page that was hidden follows") { (try await browser.run("return window.asked").int ?? 0) >= 4 }
            #expect(try await browser.run("return window.askedUnseen").bool == false)
        }
    }

    @Test("a payment is cancelled on the page, and what somebody is about to press is not taken from under their finger")
    func cancel() async throws {
        try await staged { stage, browser in
            try await stage.team("acme", projects: ["shop"])
            let page = stage.webURL + (try await stage.teamLink())
            try await browser.open("\(page)&tab=payments")
            let payment = try await stage.beginUpgrade()
            try await eventually("the payment is under way") { try await browser.has(".underway form.quiet button") }
            try await browser.run(
                """
                window.pressed = document.querySelector('.underway form.quiet button');
                window.pressed.dispatchEvent(new PointerEvent('pointerdown', { bubbles: true }));
                """)
            let again = try await stage.post(
                "/api/v1/payments/payment-backend/retry/\(payment)/", ["method": "credit_card"], headers: ["idempotency-key": "again"])
            #expect(again.status == 201, "\(again.text)")
            try await stage.traffic("shop", 5 * ByteFigure.gb)
            try await eventually("everything else has followed") { try await browser.has(".alert.exceeded") }
            try await eventually("the history has followed") { try await browser.text("[data-part=history]").contains("Bank card") }
            #expect(try await browser.text(".underway .figure").contains("Mobile money"))
            #expect(try await browser.run("return window.pressed.isConnected").bool == true)
            // Once it is let go, it is what there is.
            try await browser.run("window.pressed.dispatchEvent(new PointerEvent('pointerup', { bubbles: true }))")
            try await eventually("the payment is shown as it is") { try await browser.text(".underway .figure").contains("Bank card") }
            try await browser.click(".underway form.quiet button")
            try await eventually("it is told") { try await browser.has("p.note") }
            #expect(try await browser.text("p.note") == "The provider has cancelled the payment.")
            #expect(try await browser.text("[data-part=history] .badge") == "cancelled")
        }
    }

    @Test("without JavaScript the same upgrade works: the page loads itself again")
    func withoutJavaScript() async throws {
        var kind = Browser.Kind.phone
        kind.javaScript = false
        try await staged(kind) { stage, browser in
            try await stage.team("acme", language: "fr", projects: ["shop"])
            let first = try await browser.window
            let page = stage.webURL + (try await stage.teamLink())
            try await browser.open("\(page)&tab=payments")
            try await eventually("the page is there") { try await browser.has("form.pay button") }
            try await browser.press("\u{E007}", on: "form.pay button")
            try await useNew(browser, besides: [first])
            try await eventually("the provider's page is there") { try await browser.has("button[value=pay]") }
            try await browser.press("\u{E007}", on: "button[value=pay]")
            try await eventually("it is paid") {
                guard let payment = try await stage.newestPayment() else { return false }
                return try await stage.get("/api/payments/\(payment)/status").string("status") == "completed"
            }
            try await stage.activate()
            try await browser.use(first)
            try await browser.open("\(page)&tab=payments")
            try await eventually("the history is there") { try await browser.text("[data-part=history] .badge") == "terminé" }
            // A second payment, so that the page has something to wait for; its end is seen when the page loads itself again.
            let second = try await stage.beginUpgrade()
            try await browser.open("\(page)&tab=payments")
            try await eventually("it is under way") { try await browser.has(".underway") }
            try await stage.pay(second)
            try await eventually(within: .seconds(60), "the page has loaded itself again") { try await !browser.has(".underway") }
        }
    }

    /// A month of traffic, payments of every outcome, and one under way.
    private func fill(_ stage: WebStage, _ language: String) async throws {
        try await stage.team("acme", language: language, plan: Plan.pro, projects: ["boutique", "blog", "api"])
        let now = stage.nowMs
        for day in 0..<31 as Range<Int64> {
            let bytes = (day * day * 37 % 11 + 1) * 45 * ByteFigure.mb
            try await stage.traffic(["boutique", "blog", "api"][Int(day % 3)], bytes, atMs: now - day * UsagePeriod.dayMs)
        }
        try await stage.traffic("boutique", 5 * ByteFigure.gb)
        try await stage.storage("boutique", 9900 * ByteFigure.mb)
        try await stage.database.write { connection in
            for (number, state) in [PaymentState.paid, .failed, .cancelled, .refunded, .conflicted, .expired].enumerated() {
                let at = now - Int64(number + 2) * 3 * UsagePeriod.dayMs
                let new = NewPayment(
                    purpose: PlanPurpose.name, subject: "acme", description: "Pro", amount: Money(300, .eur),
                    customer: Customer(name: "Awa", email: nil, phone: nil, language: "fr"), metadata: ["new_plan": Plan.pro])
                let payment = try PaymentStore.create(new, actor: "test", nowMs: at, in: connection)
                try connection.execute(
                    "UPDATE payments_payments SET state = $2 WHERE id = $1", [.text(payment.id), .text(state.rawValue)])
            }
        }
    }

    @Test(
        "every tab stands out from its ground in both themes, on phones and desks, labelled, headings in order", arguments: ["fr", "en"],
        [false, true])
    func sound(language: String, dark: Bool) async throws {
        var kind = Browser.Kind()
        kind.dark = dark
        try await staged(kind) { stage, browser in
            try await fill(stage, language)
            let page = stage.webURL + (try await stage.teamLink())
            _ = try await stage.beginUpgrade()
            for situation in ["pro", "ending", "grace", "free"] {
                switch situation {
                case "ending": #expect(try await stage.post("/api/teams/acme/downgrade", [:]).status == 200)
                case "grace":
                    let end = stage.nowMs - UsagePeriod.dayMs
                    try await stage.database.write {
                        try $0.execute("UPDATE plans_subscriptions SET status = 'grace', renews_at = $1", [.integer(end)])
                    }
                case "free": try await stage.database.write { try $0.execute("UPDATE plans_subscriptions SET status = 'ended'") }
                default: break
                }
                for tab in TeamPageTab.allCases {
                    for width in [360, 1000] {
                        try await browser.resize(width: width)
                        try await browser.open("\(page)&tab=\(tab.rawValue)")
                        try await eventually("the page is there") { try await browser.has("main h1") }
                        #expect(try await browser.run(Browser.soundness).string == "", "\(situation) \(tab) \(width)")
                        let theme = dark ? "dark" : "light"
                        try await browser.keepPicture("team-\(tab.rawValue)-\(situation)-\(language)-\(theme)-\(width)", width: width)
                    }
                }
            }
        }
    }
}
