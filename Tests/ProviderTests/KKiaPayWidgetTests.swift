import Formats
import KKiaPay
import Money
import ProviderPort
import Testing

private let attempt = "INV-2026-000481"

private func kkiapay(_ url: String = "https://api-sandbox.kkiapay.me", live: Bool = false) throws -> KKiaPayProvider {
    try KKiaPayProvider(publicKey: "pk", privateKey: "sk", secret: "s", webhookSecrets: [], apiURL: url, live: live)
}

@Suite("KKiaPay: opening the widget")
struct KKiaPayWidgetTests {
    private func order(
        amount: Money = Money(5000, .xof), attempt: String = attempt, method: String? = nil, phone: String? = "+2290197000000",
        email: String? = "awa@example.com", page: String = "https://shop.example.com/pay", callback: String = "https://shop.example.com/return?x=1"
    ) -> PaymentOrder {
        PaymentOrder(
            payment: "pay_01", attempt: attempt, amount: amount, description: "Commande 481",
            customer: Customer(name: "Awa Kone", email: email, phone: phone, language: "fr"), notifyURL: "https://shop.example.com/hook",
            returnURL: callback, pageURL: page, method: method, metadata: [:])
    }

    private func fields(_ order: PaymentOrder, _ provider: KKiaPayProvider? = nil) async throws -> [String: String] {
        let transport = RecordingTransport([])
        let provider = try provider ?? kkiapay()
        let initiation = try await provider.initiate(order, over: transport)
        #expect(transport.calls.isEmpty)
        #expect(initiation.paymentURL == order.pageURL)
        #expect(initiation.references == [.ours(order.attempt)])
        #expect(initiation.step.kind == .widget)
        return initiation.step.fields
    }

    @Test("no call is made: our page opens the widget with what it needs")
    func widget() async throws {
        let fields = try await fields(order())
        #expect(
            fields == [
                "script": "https://cdn.kkiapay.me/k.js", "key": "pk", "amount": "5000", "sandbox": "true",
                "data": #"{"attempt":"INV-2026-000481","payment":"pay_01"}"#, "partnerId": "INV-2026-000481",
                "callback": "https://shop.example.com/return?x=1", "phone": "2290197000000", "name": "Awa Kone", "email": "awa@example.com",
                "reason": "Commande 481", "countries": "BJ,CI,TG,SN,NE", "paymentmethods": "momo,card",
            ])
        let secrets = ["sk", "s"]
        #expect(!fields.values.contains { secrets.contains($0) })
        let bare = try await self.fields(order(phone: nil, email: nil))
        #expect(bare["phone"] == nil && bare["email"] == nil)
    }

    @Test("the method narrows what the widget shows", arguments: [("mobile_money", "momo"), ("credit_card", "card")])
    func methods(_ method: String, _ word: String) async throws {
        #expect(try await fields(order(method: method))["paymentmethods"] == word)
    }

    @Test("what comes back of the data names the attempt")
    func roundTrip() async throws {
        let data = try #require(try await fields(order())["data"])
        for state in [JSON.string(data), try JSON(parsing: data), .string(JSON.string(data).text)] {
            let answer: JSON = ["status": "SUCCESS", "type": "DEBIT", "amount": 5000, "state": state, "transactionId": "T1"]
            let question = StatusQuestion.about(.ours(attempt), ProviderReference("transaction", "T1"))
            #expect(try await kkiapay().status(of: question, over: RecordingTransport(answer.text)).claim == .captured)
        }
    }

    @Test("a broken rule is told, by its field")
    func rules() async throws {
        let broken: [(PaymentOrder, ProviderError.Kind, String)] = [
            (order(amount: Money(500, .eur)), .rejected, "currency"), (order(amount: Money(0, .xof)), .rejected, "positive"),
            (order(amount: Money(-5, .xof)), .rejected, "positive"), (order(attempt: ""), .rejected, "attempt"),
            (order(attempt: String(repeating: "a", count: 65)), .rejected, "attempt"), (order(method: "bank_transfer"), .notOffered, "bank_transfer"),
            (order(page: "javascript:alert(1)"), .rejected, "pageURL"), (order(callback: "ftp://x"), .rejected, "callback"),
        ]
        for (order, kind, word) in broken {
            let error = await providerError { try await kkiapay().initiate(order, over: RecordingTransport([])) }
            #expect(error?.kind == kind)
            #expect(error?.message.contains(word) == true, "\(error?.message ?? "no error")")
        }
        let live = try kkiapay("https://api.kkiapay.me", live: true)
        let plain = order(page: "http://shop.example.com/pay")
        #expect(await providerError { try await live.initiate(plain, over: RecordingTransport([])) }?.message.contains("https") == true)
    }

    @Test("host, script and mode go together")
    func hosts() async throws {
        let live = try kkiapay("https://api.kkiapay.me", live: true)
        #expect(try await fields(order(), live)["sandbox"] == "false")
        #expect(try await fields(order(), live)["script"] == "https://cdn.kkiapay.me/k.js")
        let played = try kkiapay("http://127.0.0.1:8082/kkiapay/")
        #expect(try await fields(order(), played)["script"] == "http://127.0.0.1:8082/kkiapay/k.js")
        #expect(throws: ProviderError.self) { try kkiapay("https://api-sandbox.kkiapay.me", live: true) }
        #expect(throws: ProviderError.self) { try kkiapay("https://api.kkiapay.me/") }
    }

    @Test("what it can do is what it says")
    func capabilities() throws {
        let capabilities = try kkiapay().capabilities
        #expect(capabilities.hasProof && !capabilities.proofCoversMoney && capabilities.hasInitiate && capabilities.hasStatus)
        #expect(capabilities.statusReferenceKinds == ["transaction"])
        #expect(capabilities.refunds == .full)
        #expect(!capabilities.hasCancel && !capabilities.hasHistory)
        #expect(try kkiapay().addressSigner == nil)
        let offer = try kkiapay().offer
        #expect(offer.choices(for: Money(1, .xof), country: "BJ").map(\.method) == ["mobile_money", "credit_card"])
        #expect(offer.choices(for: Money(1, .xof), country: "CM").map(\.method) == ["credit_card"])
        #expect(offer.choices(for: Money(1, .xaf), country: "CM").isEmpty)
        #expect(offer.choices.allSatisfy { $0.flow == .widget })
    }
}
