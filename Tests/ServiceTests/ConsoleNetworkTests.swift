import CinetPay
import Database
import FeexPay
import Formats
import HTTPServer
import Money
import Payments
import PaymentsService
import ProviderPort
import Staff
import TestSupport
import Testing

@testable import WebService

@Suite("Ways to pay that staff switch off")
struct ConsoleNetworkTests {
    private static let path = "/console/providers/feexpay/"
    private static let phone = "+2290166000003"

    private func pay(_ stage: WebStage, _ inquiry: String, network: String) async throws -> WebStage.Answer {
        try await stage.form("/kit/checkout/\(inquiry)/pay/feexpay", [("network", network), ("phone", Self.phone)])
    }

    private func switchOff(_ client: ConsoleClient, _ way: String, at provider: String = "feexpay") async throws {
        let answer = try await client.post("/console/providers/\(provider)/off", [("way", way), ("reason", "down since 9")])
        guard answer.status == 303 else { throw FixtureError("\(answer.status) \(answer.text)") }
    }

    @Test("a network that an operator switches off is not offered on any page, is refused by any spelling, and comes back")
    func network() async throws {
        try await WebStage.with { stage in
            let clerk = try await ConsoleClient.signedIn(stage, .operator, name: "oumar")
            let (inquiry, payment) = try await stage.inquire()
            let checkout = "/kit/checkout/\(inquiry)/?country=BJ"
            let option = "<option value=\"mtn\""
            #expect(try await stage.send("GET", checkout).text.contains(option))
            let before = try await clerk.get(Self.path)
            #expect(before.status == 200 && before.text.contains("mobile_money/mtn") && before.text.contains("/webhooks/feexpay"))
            #expect(before.text.contains("100\u{A0}XOF") || before.text.contains("100 XOF"), "the least that the network takes")

            try await switchOff(clerk, "mobile_money/mtn")
            let page = try await stage.send("GET", checkout).text
            #expect(!page.contains(option) && page.contains("<option value=\"moov\""))
            let link = try await stage.link(to: payment)
            let choices = try await stage.send("GET", "\(link)/choices?country=BJ").text
            #expect(!choices.contains("\"mtn\"") && choices.contains("\"moov\""))
            #expect(!(try await stage.send("GET", "\(link)?country=BJ").text.contains(option)))
            let offers = try await stage.get("/api/v1/payments/feexpay/providers/").json["providers"]?[0]?["choices"]?.array ?? []
            let told = try #require(offers.first { $0["network"]?.string == "mtn" })
            #expect(told["available"]?.bool == false && told["reason"]?.string == "switched off for now")

            for word in ["mtn", "MTN"] { #expect(try await pay(stage, inquiry, network: word).status == 422, "\(word)") }
            for method in ["mobile_money", "wallet"] {
                let body: JSON = [
                    "payment": .string(payment), "method": .string(method), "network": "mtn", "phone": .string(Self.phone),
                ]
                let started = try await stage.post("/api/v1/payments/feexpay/initiate/", body, headers: ["idempotency-key": "k-\(method)"])
                #expect(started.status == 422 && started.text.contains("switched off"), "\(started.text)")
            }
            #expect(try await stage.attempts(of: payment).isEmpty, "nothing was entered")
            #expect(try await stage.callCount(under: "/feexpay") == 0, "and nobody was called")

            let shown = try await clerk.get(Self.path).text
            #expect(shown.contains("down since 9") && shown.contains("staff:oumar"))
            let opened = try await clerk.post("/console/providers/feexpay/on", [("way", "mobile_money/mtn"), ("reason", "up again")])
            #expect(opened.headers["location"] == "\(Self.path)?done=switched-on")
            #expect(try await pay(stage, inquiry, network: "mtn").status == 303)
            let actions = try await stage.database.read { try StaffAudit.list(limit: 10, in: $0).map { "\($0.actor) \($0.action) \($0.subject)" } }
            for action in ["network.off", "network.on"] { #expect(actions.contains("staff:oumar \(action) feexpay mobile_money/mtn")) }
        }
    }

    @Test("where the customer would choose at the provider, an attempt is bound to a way that is left; with none left there is no button")
    func method() async throws {
        try await WebStage.with { stage in
            let clerk = try await ConsoleClient.signedIn(stage, .operator)
            let payment = try await stage.order()
            try await switchOff(clerk, "credit_card", at: "cinetpay")
            #expect(try await stage.initiate(payment, key: "one").status == 201)
            #expect(try await stage.attempts(of: payment).map(\.method) == ["mobile_money"])
            for way in ["mobile_money", "wallet"] { try await switchOff(clerk, way, at: "cinetpay") }
            let other = try await stage.order("order-2")
            #expect(try await stage.initiate(other, key: "two").status == 422)
            #expect(try await stage.attempts(of: other).isEmpty)
            let link = try await stage.link(to: other)
            #expect(!(try await stage.send("GET", link).text.contains("pay/cinetpay\"")))
        }
    }

    @Test("while a way of a provider's page is off, each of the others has a button of its own that binds the page to it")
    func remaining() async throws {
        try await WebStage.with { stage in
            let clerk = try await ConsoleClient.signedIn(stage, .operator)
            try await switchOff(clerk, "mobile_money", at: "cinetpay")
            let provider = try await clerk.get("/console/providers/cinetpay/").text
            #expect(provider.contains("un bouton pour chacun des autres") || provider.contains("a button for each of the others"))
            let payment = try await stage.order()
            let link = try await stage.link(to: payment)
            let page = try await stage.send("GET", "\(link)?country=CI").text
            #expect(page.contains("name=\"method\" value=\"wallet\"") && page.contains("name=\"method\" value=\"credit_card\""))
            #expect(!page.contains("value=\"mobile_money\"") && page.contains("Payer par carte (CinetPay)"))
            // A card needs its holder's address there, and the form asks for it.
            for field in ["customer_address", "customer_city", "customer_country", "customer_zip_code"] {
                #expect(page.contains("name=\"\(field)\""), "\(field)")
            }
            // A customer from where neither its networks nor its wallet are still has cards.
            let choices = try await stage.send("GET", "\(link)/choices?country=all").json["choices"]?.array ?? []
            let ways = choices.filter { $0["provider"]?.string == "cinetpay" }
            #expect(ways.map { $0["method"]?.string } == ["credit_card", "wallet"])
            #expect(ways.allSatisfy { ($0["ways"]?.array ?? []).map { $0["method"]?.string } == [$0["method"]?.string] })

            let card = [
                ("method", "credit_card"), ("customer_address", "12 rue des Lilas"), ("customer_city", "Lyon"), ("customer_country", "fr"),
                ("customer_zip_code", "69000"),
            ]
            #expect(try await stage.form("\(link)/pay/cinetpay", card).status == 303)
            #expect(try await stage.attempts(of: payment).map(\.method) == ["credit_card"])
            #expect(!(try await stage.content()).contains("rue des Lilas"), "the address is told, and not kept")
            #expect(try await stage.form("\(link)/pay/cinetpay", [("method", "wallet")]).status == 303)
            #expect(try await stage.form("\(link)/pay/cinetpay", [("method", "mobile_money")]).status == 422)
            #expect(try await stage.attempts(of: payment).map(\.method) == ["credit_card", "wallet"])

            // With cards alone left the button is theirs, and every press of it that tells what it asks leads on.
            try await switchOff(clerk, "wallet", at: "cinetpay")
            let (inquiry, kit) = try await stage.inquire()
            let checkout = try await stage.send("GET", "/kit/checkout/\(inquiry)/").text
            #expect(checkout.contains("name=\"method\" value=\"credit_card\"") && !checkout.contains("value=\"wallet\""))
            #expect(try await stage.form("/kit/checkout/\(inquiry)/pay/cinetpay", card).status == 303)
            #expect(try await stage.attempts(of: kit).map(\.method) == ["credit_card"])
        }
    }

    @Test("a page that is bound to one way keeps the provider's other way without anything more to fill in")
    func widget() async throws {
        try await WebStage.with { stage in
            let clerk = try await ConsoleClient.signedIn(stage, .operator)
            try await switchOff(clerk, "mobile_money", at: "kkiapay")
            let payment = try await stage.order()
            let page = try await stage.send("GET", "\(try await stage.link(to: payment))?country=BJ").text
            #expect(page.contains("Payer par carte (KKiaPay)") && !page.contains("Payer par KKiaPay"))
            #expect(!page.contains("customer_address"))
            #expect(page.contains("Payer par CinetPay (Mobile Money ou carte)"), "where nothing is off the provider's page has all")
        }
    }

    @Test("only operators switch, with a reason, what the provider has, and once")
    func refused() async throws {
        try await WebStage.with { stage in
            let clerk = try await ConsoleClient.signedIn(stage, .operator)
            let staff = try await ConsoleClient.signedIn(stage, .staff)
            let deed = "\(Self.path)off"
            #expect(try await staff.post(deed, [("way", "mobile_money/mtn"), ("reason", "x")]).status == 403)
            #expect(!(try await staff.get(Self.path).text.contains("action=\"\(deed)\"")))
            #expect(try await clerk.post(deed, [("way", "mobile_money/mtn"), ("reason", " ")]).status == 422)
            #expect(try await clerk.post(deed, [("way", "mobile_money/nobody"), ("reason", "x")]).status == 422)
            #expect(try await clerk.post(deed, [("way", "mobile_money/mtn"), ("reason", "x")], token: "another").status == 403)
            #expect(try await clerk.post("/console/providers/none/off", [("way", "x"), ("reason", "x")]).status == 404)
            #expect(try await clerk.post("\(Self.path)on", [("way", "mobile_money/mtn"), ("reason", "x")]).status == 409)
            try await switchOff(clerk, "mobile_money/mtn")
            #expect(try await clerk.post(deed, [("way", "mobile_money/mtn"), ("reason", "again")]).status == 409)
        }
    }

    struct Naming: Sendable {
        let off: [String]
        let method: String?
        let network: String?
        /// Nil where it is refused.
        let expected: String??

        init(_ off: [String], _ method: String?, _ network: String?, _ expected: String??) {
            self.off = off
            self.method = method
            self.network = network
            self.expected = expected
        }
    }

    @Test(
        "an order is bound to what is left of the words that it names, and refused where nothing is",
        arguments: [
            Naming([], nil, nil, .some(nil)), Naming(["wallet"], "mobile_money", nil, "mobile_money"),
            Naming(["credit_card"], nil, nil, "mobile_money"), Naming(["mobile_money"], nil, nil, "wallet"),
            // Cards need more to be told beforehand: they are taken where nothing else is left.
            Naming(["mobile_money", "wallet"], nil, nil, "credit_card"), Naming(["credit_card"], "credit_card", nil, nil),
            Naming(["credit_card", "mobile_money", "wallet"], nil, nil, nil), Naming(["wallet"], "cheque", nil, nil),
        ])
    func bound(naming: Naming) async throws {
        let adapter = CinetPayProvider(apiKey: "key", siteID: "1", secrets: ["s"], apiURL: "http://127.0.0.1:9")
        let found = try await switches(naming.off, at: adapter)
        if let expected = naming.expected {
            #expect(try found.method(naming.method, network: naming.network, at: adapter) == expected)
        } else {
            let error = #expect(throws: ProviderError.self) {
                _ = try found.method(naming.method, network: naming.network, at: adapter)
            }
            #expect(error?.kind == .notOffered && error?.code == "not_offered")
        }
    }

    @Test("a network is the same by every name that its provider takes", arguments: [("wallet", "mtn"), (nil, "MTN"), ("mobile_money", "mtn")])
    func names(method: String?, network: String) async throws {
        let adapter = try FeexPayProvider(apiKey: "k", shopID: "s", secrets: [], apiURL: "http://127.0.0.1:9")
        let found = try await switches(["mobile_money/mtn"], at: adapter)
        #expect(throws: ProviderError.self) { _ = try found.method(method, network: network, at: adapter) }
        #expect(try found.method(method, network: "moov", at: adapter) == method)
        let offered = found.offer(of: adapter).choices(for: Money(5000, .xof), country: "BJ").compactMap(\.network)
        #expect(!offered.contains("mtn") && offered.contains("moov"))
    }

    /// The switches of a database where these ways are off.
    private func switches(_ off: [String], at adapter: any PaymentProvider) async throws -> NetworkSwitches {
        let folder = try TemporaryFolder("switches")
        defer { withExtendedLifetime(folder) {} }
        let database = try Database.open(.sqlite(path: folder.file("q.db")))
        _ = try database.migrate(Product.migrations)
        let found = try await database.write { connection in
            for word in off {
                let way = try #require(adapter.offer.choice(word: word))
                #expect(
                    try NetworkSwitches.switchOff(way, at: adapter.name, actor: "test", reason: "r", nowMs: 1, in: connection))
            }
            return try NetworkSwitches.read(in: connection)
        }
        await database.close()
        return found
    }
}
