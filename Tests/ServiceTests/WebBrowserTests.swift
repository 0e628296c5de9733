import Database
import Formats
import HTTPServer
import Payments
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// One at a time: each test starts a browser, which is much for a small machine.
@Suite("The customer's pages in a real browser", .serialized)
struct WebBrowserTests {
    private func staged(_ kind: Browser.Kind = .phone, _ body: (WebStage, Browser) async throws -> Void) async throws {
        try await WebStage.with(address: SocketAddress("127.0.0.1", try freePort())) { stage in
            try await Browser.with(kind, client: stage.client) { browser in try await body(stage, browser) }
        }
    }

    /// Has a push sent to a phone that never answers.
    private func choosePush(_ browser: Browser, phone: String = "+2290166000003") async throws {
        try await browser.type(phone, into: "#feexpay-phone")
        try await browser.click("form[action$='/pay/feexpay'] button")
    }

    @Test("a link is opened, a push chosen, and the page turns from waiting to paid without being loaded again")
    func live() async throws {
        try await staged { stage, browser in
            let payment = try await stage.order(language: "en")
            try await browser.open(stage.webURL + stage.link(to: payment))
            #expect(try await browser.title == "Your payment")
            try await choosePush(browser)
            try await eventually("the page waits") { try await browser.title == "Confirm on your phone" }
            try await browser.run("window.sameDocument = true")
            try await stage.receive(payment)
            try await eventually("the page says paid") { try await browser.title == "Payment received" }
            #expect(try await browser.text("h1") == "Payment received")
            #expect(try await browser.run("return window.sameDocument === true").bool == true)
            #expect(try await browser.run("return performance.getEntriesByType('navigation').length").int == 1)
        }
    }

    @Test("without JavaScript the same link is paid in the same way: the page loads itself again")
    func withoutJavaScript() async throws {
        var kind = Browser.Kind.phone
        kind.javaScript = false
        try await staged(kind) { stage, browser in
            let payment = try await stage.order(language: "fr")
            try await browser.open(stage.webURL + stage.link(to: payment))
            try await eventually("the page is there") { try await browser.title == "Votre paiement" }
            // By the Enter key: without scripts the driver's clicks are never answered.
            try await browser.type("+2290166000003\u{E007}", into: "#feexpay-phone")
            try await eventually("the page waits") { try await browser.title == "Confirmez sur votre téléphone" }
            try await stage.receive(payment)
            try await eventually(within: .seconds(30), "the page says paid") { try await browser.title == "Paiement reçu" }
        }
    }

    @Test("when the web is started anew, the page that waits finds it again and hears what it has missed")
    func restart() async throws {
        try await staged { stage, browser in
            let payment = try await stage.order(language: "en")
            let link = try await stage.link(to: payment)
            try await browser.open(stage.webURL + link)
            try await choosePush(browser)
            try await eventually("the page waits") { try await browser.title == "Confirm on your phone" }
            try await browser.run("window.sameDocument = true")
            // Paid in another way, while nobody can tell the page.
            _ = try await stage.form("\(link)/pay/cinetpay", [])
            await stage.stopWeb()
            _ = try await stage.play("pay", ["reference": .string(payment)])
            try await eventually("it is paid") { try await stage.database.read { try PaymentStore.require(payment, in: $0).state == .paid } }
            try await stage.startWeb()
            try await eventually(within: .seconds(40), "the page says paid") { try await browser.title == "Payment received" }
            #expect(try await browser.run("return window.sameDocument === true").bool == true)
        }
    }

    @Test("the widget is one script tag on a page of another site: a button to the link that says when it is paid")
    func widget() async throws {
        try await staged { stage, browser in
            let payment = try await stage.order(language: "en")
            let link = try await stage.webURL + stage.link(to: payment)
            let page = """
                <!DOCTYPE html><html lang="en"><title>Shop</title><p id="shop">A shop</p>
                <script src="\(stage.webURL)/js/v1/quittance.js" data-payment-link="\(link)" data-label="Pay for the chair"></script></html>
                """
            let shop = HTTPServer(
                configuration: HTTPServerConfiguration(address: SocketAddress("127.0.0.1", 0)), name: "shop",
                handler: { $1.respond(.html($0.path == "/" ? 200 : 404, page)) })
            try await shop.start()
            try await browser.open("http://\(shop.boundAddress)/")
            #expect(try await browser.text(".quittance-button") == "Pay for the chair")
            try await browser.run("window.told = []; addEventListener('quittance:status', e => window.told.push(e.detail.status))")
            _ = try await stage.form(String(link.dropFirst(stage.webURL.count)) + "/pay/cinetpay", [])
            try await eventually("it says that the payment is under way") { try await browser.text(".quittance-button") == "Payment under way…" }
            _ = try await stage.play("pay", ["reference": .string(payment)])
            try await eventually("it says paid") { try await browser.text(".quittance-button") == "Paid" }
            #expect(try await browser.run("return window.told.join()").string == "pending,paid")
            #expect(try await browser.run("return document.querySelector('.quittance-button').disabled").bool == true)

            let other = try await stage.webURL + stage.link(to: try await stage.order("order-2", language: "en"))
            try await browser.run(
                "document.querySelector('script').dataset.paymentLink = '\(other)'; Quittance.widget(document.querySelector('script'))")
            try await browser.click(".quittance-button:not([disabled])")
            try await eventually("it leads to the link") { try await browser.title == "Your payment" }
            #expect(try await browser.url == other)
            await shop.stop(by: .now)
        }
    }

    @Test("the example shop takes an order to paid on its own page, and a payment that failed is tried again")
    func exampleShop() async throws {
        try await staged { stage, browser in
            let port = try freePort()
            let shop = try await ProcessFixture.start(
                "\(repositoryRoot)/.venv/bin/python", ["\(repositoryRoot)/Examples/checkout-form/shop.py", "\(port)"],
                environment: ["QUITTANCE_URL": stage.webURL, "QUITTANCE_KEY": stage.key])
            try await shop.waitForLine(containing: "the shop is at")
            try await browser.open("http://127.0.0.1:\(port)/")
            try await browser.type("Aïcha", into: "#name")
            try await browser.type("+229 01 66 00 00 03", into: "#phone")
            try await browser.click("#order button")
            try await eventually("the ways to pay are there") {
                try await browser.run("return document.querySelector('#way').length > 0").bool == true
            }
            func choose(_ network: String, _ phone: String) async throws {
                try await browser.run("document.querySelector('#phone').value = '\(phone)'")
                try await browser.run("var w = document.querySelector('#way'); w.value = [...w.options].findIndex(o => /\(network)/.test(o.text))")
                try await browser.click("#pay button")
            }
            // This network says while it answers that there is not enough money.
            try await choose("Moov", "+229 01 66 00 00 01")
            try await eventually("it says that it failed") { try await browser.text("#status").contains("You can try again") }
            let payment = try #require(try await stage.newestPayment())
            try await choose("MTN", "+229 01 66 00 00 03")
            try await eventually("the customer is told to confirm") {
                try await browser.run("return document.querySelector('#pay').hidden").bool == true
            }
            #expect(try await stage.attempts(of: payment).count == 2)
            try await stage.receive(payment)
            try await eventually("it says paid") { try await browser.text("#status") == "Paid. Thank you!" }
            shop.end()
        }
    }

    @Test("where events do not get through, quittance.js asks instead, and stops when the link is no good")
    func polling() async throws {
        try await staged { stage, browser in
            let payment = try await stage.order()
            let link = try await stage.webURL + stage.link(to: payment)
            try await browser.open(link)
            try await browser.run("window.EventSource = undefined")
            try await browser.run("window.told = []; window.seen = Quittance.watch('\(link)', n => told.push(n.status))")
            try await eventually("the present state is told") { try await browser.run("return told.join()").string == "created" }
            _ = try await stage.form(String(link.dropFirst(stage.webURL.count)) + "/pay/cinetpay", [])
            _ = try await stage.play("pay", ["reference": .string(payment)])
            try await eventually("paid is told") { try await browser.run("return told[told.length - 1]").string == "paid" }
            try await browser.run("Quittance.watch('\(stage.webURL)/pay/none', () => {}, { onError: e => window.fault = e.status })")
            try await eventually("it gives up") { try await browser.run("return window.fault").int == 404 }
        }
    }

    // MARK: Looks

    /// A page with its widest element; a phone's page has nothing to scroll sideways.
    private static let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"

    @Test("every page fits a phone 360 pixels wide, by day and by night, in both languages", arguments: ["fr", "en"], [false, true])
    func phone(language: String, dark: Bool) async throws {
        var kind = Browser.Kind.phone
        kind.dark = dark
        try await staged(kind) { stage, browser in
            let payment = try await stage.order(language: language)
            let link = try await stage.link(to: payment)
            func look(_ name: String) async throws {
                #expect(try await browser.run(Self.overflow).int == 0, "\(name) is wider than the phone")
                guard let folder = getenv("QUITTANCE_PICTURES").map({ String(cString: $0) }) else { return }
                let picture = try await browser.picture()
                let file = fopen("\(folder)/\(name)-\(language)-\(dark ? "dark" : "light").png", "w")
                fwrite(picture, 1, picture.count, file)
                fclose(file)
            }
            try await browser.open(stage.webURL + link)
            try await look("link")
            try await choosePush(browser)
            try await eventually("the page waits") { try await browser.url.contains("/payments/feexpay/pay/") }
            try await look("push")
            try await browser.open(stage.webURL + link)
            try await look("link-pending")
            let attempt = try #require(try await stage.attempts(of: payment).first?.id)
            try await browser.open(stage.webURL + "/payments/feexpay/return/?attempt=\(attempt)")
            try await look("return")
            try await stage.receive(payment)
            try await browser.open(stage.webURL + link)
            try await look("paid")
            try await browser.open(stage.webURL + "/pay/none")
            try await look("nowhere")
            let transfer = try await stage.link(to: try await stage.order("order-2", language: language))
            try await browser.open(stage.webURL + transfer)
            try await browser.click("form[action$='/pay/manual'] button")
            try await look("transfer")
            let inquiry = try await stage.inquire().inquiry
            try await browser.open(stage.webURL + "/kit/checkout/\(inquiry)/")
            try await look("checkout")
            let failing = try await stage.link(to: try await stage.order("order-3", language: language))
            try await browser.open(stage.webURL + failing)
            try await choosePush(browser, phone: "66")
            try await look("problem")
        }
    }
}
