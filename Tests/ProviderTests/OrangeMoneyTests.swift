import Formats
import Money
import OrangeMoney
import ProviderPort
import Testing

private let secret = "made-up-ipn-capability-key-0001"
private let order = "01JD6ZK8T3R5W7Y9A1C3E5G7J9"
private let payToken = "9d2f4b7c1e6a83054c9f1d7b2e5a8064f3b91c7d0e2a5f68417b9c3d0e6f2a15"
private let base = "https://api.orange.com/orange-money-webpay/ci/v1"

private func orange(
    apiURL: String = base, live: Bool = false, merchantName: String? = nil, notifyURL: String? = nil, returnURL: String? = nil,
    secrets: [String] = [secret], merchantKey: String = "a86b2087", nowMs: @escaping @Sendable () -> Int64 = { 1_763_712_000_000 }
) throws(ProviderError) -> OrangeMoneyProvider {
    try OrangeMoneyProvider(
        clientID: "id", clientSecret: "secret", merchantKey: merchantKey, merchantName: merchantName, secrets: secrets, apiURL: apiURL,
        notifyURL: notifyURL, returnURL: returnURL, live: live, nowMs: nowMs)
}

private func answer(_ status: Int = 201, _ body: String) -> Result<ProviderAnswer, ProviderError> {
    .success(ProviderAnswer(status: status, headers: [:], body: Array(body.utf8)))
}

private func fixture(_ name: String) throws -> String { try Fixture.text("orange_money/\(name).json") }

/// The token first, then these answers.
private func transport(_ answers: Result<ProviderAnswer, ProviderError>...) throws -> RecordingTransport {
    RecordingTransport([answer(200, try fixture("oauth_token_response"))] + answers)
}

private func example(
    attempt: String = order, amount: Money = Money(15_000, .xof), description: String = "Kit complet", language: String = "fr",
    notifyURL: String = "https://pay.example.org/webhooks/orange-money/pay_01/1.3Ep6yrBg1sED2thYOMAnAA",
    returnURL: String = "https://pay.example.org/payments/orange-money/return/?transaction_id=\(order)", method: String? = nil
) -> PaymentOrder {
    .example(
        attempt: attempt, amount: amount, description: description, customer: Customer(name: "Awa", email: nil, phone: nil, language: language),
        notifyURL: notifyURL, returnURL: returnURL, method: method)
}

private func question(
    _ references: [ProviderReference] = [.ours(order), ProviderReference("pay_token", payToken)], unverified: [ProviderReference] = [],
    amount: Money = Money(15_000, .xof), createdAtMs: Int64 = 1_763_712_000_000
) -> StatusQuestion {
    StatusQuestion(payment: "pay_01", attempt: order, amount: amount, references: references, unverified: unverified, createdAtMs: createdAtMs)
}

@Suite("Orange Money: starting a payment")
struct OrangeMoneyInitiateTests {
    @Test("token and request are the documented ones, and the tokens of the answer are kept")
    func request() async throws {
        let transport = try transport(answer(201, try fixture("webpayment_response")))
        let provider = try orange(merchantName: "Boutique Exemple")
        let initiation = try await provider.initiate(example(), over: transport)
        #expect(initiation.paymentURL == "https://webpayment-ow-sb.orange-money.com/payment/pay_token/\(payToken)")
        #expect(
            initiation.references == [
                .ours(order), ProviderReference("pay_token", payToken), ProviderReference("notif_token", "4f1c0b7e9a2d43688d5e6f70a1b2c3d4"),
            ])
        #expect(initiation.expiresAtMs == 1_763_712_600_000)
        let token = try #require(transport.calls.first)
        #expect(token.url == "https://api.orange.com/oauth/v3/token")
        #expect(token.headers["authorization"] == "Basic aWQ6c2VjcmV0")
        #expect(token.headers["accept"] == "application/json")
        #expect(token.headers["content-type"] == "application/x-www-form-urlencoded")
        #expect(String(decoding: token.body, as: UTF8.self) == "grant_type=client_credentials")
        let call = try #require(transport.calls.last)
        #expect(call.url == "\(base)/webpayment")
        #expect(call.headers["authorization"] == "Bearer IW3madeUpToKeN7mGNsOZgwdhDNvE")
        #expect(call.headers["accept"] == "application/json")
        let sent = try #require(transport.lastJSON)
        let sample = try JSON(parsing: try Fixture.bytes("orange_money/webpayment_request.json"))
        for member in try #require(sample.object) where !member.key.hasSuffix("_url") { #expect(sent[member.key] == member.value, "\(member.key)") }
        #expect(sent["notif_url"]?.string == "https://pay.example.org/webhooks/orange-money/pay_01/1.3Ep6yrBg1sED2thYOMAnAA")
        #expect(sent["return_url"]?.string == "https://pay.example.org/payments/orange-money/return/?transaction_id=\(order)")
        #expect(sent["cancel_url"] == sent["return_url"])
        #expect(sent.object?.keys.count == sample.object?.keys.count)
    }

    @Test("the trial offer is paid in OUV, a country's in its currency")
    func currency() async throws {
        let trial = try transport(answer(201, try fixture("webpayment_response")))
        _ = try await orange(apiURL: "https://api.orange.com/orange-money-webpay/dev/v1/").initiate(example(), over: trial)
        #expect(trial.lastJSON?["currency"]?.string == "OUV")
        #expect(trial.calls.last?.url == "https://api.orange.com/orange-money-webpay/dev/v1/webpayment")
        let guinea = try orange(apiURL: "https://api.orange.com/orange-money-webpay/gn/v1")
        #expect(guinea.offer.choices.map(\.currencies) == [[.gnf]])
        #expect(guinea.offer.choices.map(\.countries) == [["GN"]])
        #expect(await providerError { try await guinea.initiate(example(), over: trial) }?.message.contains("currency must be one of GNF") == true)
        let other = try orange(apiURL: "https://api.orange.com/orange-money-webpay/tg/v1")
        #expect(other.offer.choices.map(\.currencies) == [[.xof, .xaf, .gnf]])
    }

    @Test("an address without the product's path is where the trial offer is played")
    func playedAddress() async throws {
        let transport = try transport(answer(201, try fixture("webpayment_response")))
        _ = try await orange(apiURL: "http://127.0.0.1:8082/orange-money").initiate(example(), over: transport)
        #expect(
            transport.calls.map(\.url) == [
                "http://127.0.0.1:8082/orange-money/oauth/v3/token", "http://127.0.0.1:8082/orange-money/orange-money-webpay/dev/v1/webpayment",
            ])
    }

    static let broken: [(order: PaymentOrder, word: String)] = [
        (example(attempt: String(repeating: "A", count: 31)), "order_id must have 1 to 30"), (example(attempt: ""), "order_id"),
        (example(attempt: "A B"), "order_id"), (example(amount: Money(0, .xof)), "positive"), (example(amount: Money(-5, .xof)), "positive"),
        (example(amount: Money(500, .eur)), "currency"), (example(method: "credit_card"), "does not offer"),
        (example(notifyURL: "https://pay.example.org/" + String(repeating: "n", count: 97)), "notif_url must have at most 120"),
        (example(returnURL: "https://pay.example.org/" + String(repeating: "r", count: 97)), "return_url must have at most 120"),
        (example(notifyURL: "ftp://x"), "notif_url"), (example(returnURL: ""), "return_url"),
    ]

    @Test("a broken rule is told before any call", arguments: broken)
    func rules(_ broken: (order: PaymentOrder, word: String)) async throws {
        let transport = try transport()
        let error = await providerError { try await orange().initiate(broken.order, over: transport) }
        #expect(error.map { $0.kind == .rejected || $0.kind == .notOffered } == true)
        #expect(error?.message.contains(broken.word) == true, "\(error?.message ?? "no error")")
        #expect(transport.calls.isEmpty)
    }

    @Test("an address of exactly 120 characters and an order of 30 are taken")
    func limits() async throws {
        let url = "https://pay.example.org/" + String(repeating: "n", count: 96)
        let transport = try transport(answer(201, try fixture("webpayment_response")))
        _ = try await orange().initiate(example(attempt: String(repeating: "A", count: 30), notifyURL: url, returnURL: url), over: transport)
        #expect(transport.lastJSON?["notif_url"]?.string?.utf8.count == 120)
    }

    @Test("the address with its capability leaves room for a host of 42 characters")
    func capabilityLength() throws {
        let signer = try #require(try orange().addressSigner)
        let payment = "pay_01JD6ZK8T3R5W7Y9A1C3E5G7J9"
        let capability = try #require(signer.capability(provider: "orange-money", payment: payment, attemptNumber: 1))
        #expect("/webhooks/orange-money/\(payment)/\(capability)".utf8.count == 120 - 42)
        #expect(signer.verify(capability, provider: "orange-money", payment: payment)?.attemptNumber == 1)
        #expect(signer.verify(capability, provider: "orange-money", payment: "pay_other") == nil)
        #expect(try orange(secrets: []).addressSigner == nil)
    }

    @Test(
        "without a merchant's name the customer reads the description, cut at 30 bytes",
        arguments: [
            ("Kit", "Kit"), ("Été à livrer le plus tôt possible", "Été à livrer le plus tôt p"), ("  a \n b ", "a b"), ("", "Paiement"),
            (String(repeating: "é", count: 40), String(repeating: "é", count: 15)),
        ])
    func reference(_ description: String, _ expected: String) async throws {
        let transport = try transport(answer(201, try fixture("webpayment_response")))
        _ = try await orange().initiate(example(description: description, language: "en"), over: transport)
        #expect(transport.lastJSON?["reference"]?.string == expected)
        #expect(transport.lastJSON?["lang"]?.string == "en")
    }

    @Test("OM_NOTIFY_URL gives the host of an address with a capability, and the whole of one without; OM_RETURN_URL replaces our own page only")
    func kitAddresses() async throws {
        func sent(_ order: PaymentOrder) async throws -> JSON {
            let transport = try transport(answer(201, try fixture("webpayment_response")))
            let provider = try orange(
                notifyURL: "https://kit.example.com/payments/om/notify/", returnURL: "https://kit.example.com/payments/om/return/")
            _ = try await provider.initiate(order, over: transport)
            return try #require(transport.lastJSON)
        }
        let proven = try await sent(example())
        #expect(proven["notif_url"]?.string == "https://kit.example.com/webhooks/orange-money/pay_01/1.3Ep6yrBg1sED2thYOMAnAA")
        #expect(proven["return_url"]?.string == "https://kit.example.com/payments/om/return/?transaction_id=\(order)")
        let bare = try await sent(example(notifyURL: "https://pay.example.org/webhooks/orange-money", returnURL: "https://shop.example.com/done"))
        #expect(bare["notif_url"]?.string == "https://kit.example.com/payments/om/notify/")
        #expect(bare["return_url"]?.string == "https://shop.example.com/done")
    }

    @Test(
        "a live installation refuses what belongs to trials, and keys that everybody knows",
        arguments: [
            ("https://api.orange.com/orange-money-webpay/dev/v1", "a86b2087", "trial offer"), ("https://api.orange.com", "a86b2087", "trial offer"),
            ("https://api.orange.com/orange-money-webpay/cd/v1", "a86b2087", "orange-money-b2b"),
            ("https://api.orange.com/orange-money-webpay/mg/v1", "a86b2087", "MGA"),
            ("https://api.orange.com/orange-money-webpay/civ/v1", "a86b2087", "two small letters"),
            ("https://api.orange.com/orange-money-webpay/CI/v1", "a86b2087", "<country>/v1"),
            ("https://api.orange.com/orange-money-webpay/ci", "a86b2087", "<country>/v1"),
            (base, "dd497bda3b250e536186fc0663f32f40", "public samples"),
            (base, "f5720dd9" + String(repeating: "0", count: 52) + "ab9a", "public samples"),
        ])
    func configuration(_ url: String, _ key: String, _ word: String) async throws {
        let error = await providerError { try orange(apiURL: url, live: true, merchantKey: key) }
        #expect(error?.kind == .misconfigured)
        #expect(error?.message.contains(word) == true, "\(error?.message ?? "no error")")
        #expect(await providerError { try orange(merchantName: String(repeating: "x", count: 31)) }?.message.contains("30") == true)
    }

    @Test(
        "live takes only public https addresses",
        arguments: [
            "http://pay.example.com/n", "https://localhost/n", "https://127.0.0.1/n", "https://[::1]/n", "https://intranet/n",
            "https://a.localhost:8/n",
        ])
    func liveAddresses(_ url: String) async throws {
        let transport = try transport()
        let error = await providerError { try await orange(live: true).initiate(example(notifyURL: url), over: transport) }
        #expect(error?.kind == .rejected)
        #expect(error?.message.contains("notif_url") == true)
        #expect(transport.calls.isEmpty)
    }

    @Test("live takes no public sample for an answer, and no page but an https one")
    func liveAnswers() async throws {
        func error(_ body: String) async throws -> ProviderError? {
            await providerError { try await orange(live: true).initiate(example(), over: try transport(answer(201, body))) }
        }
        let sample = #"{"status":201,"pay_token":"p","payment_url":"https://x/p","notif_token":"dd497bda3b250e536186fc0663f32f40"}"#
        #expect(try await error(sample)?.kind == .misconfigured)
        #expect(try await error(#"{"status":201,"pay_token":"p","payment_url":"http://x/p","notif_token":"n"}"#)?.kind == .unavailable)
        #expect(try await error(try fixture("webpayment_response")) == nil)
    }

    @Test(
        "errors tell whether a retry helps",
        arguments: [
            (500, 1, .unavailable), (503, 5, .unavailable), (503, 6, .unavailable), (400, 20, .rejected), (400, 23, .rejected), (400, 28, .rejected),
            (401, 40, .misconfigured), (401, 41, .misconfigured), (403, 50, .misconfigured), (403, 51, .misconfigured), (403, 52, .misconfigured),
            (403, 53, .throttled), (429, 53, .throttled), (404, 60, .misconfigured), (405, 61, .rejected), (406, 62, .rejected),
            (408, 63, .unavailable), (418, 999, .rejected), (502, 999, .unavailable),
        ] as [(Int, Int64, ProviderError.Kind)])
    func errors(_ status: Int, _ code: Int64, _ kind: ProviderError.Kind) async throws {
        let body = #"{"code":\#(code),"message":"No","description":"phone 2250707123456 is wrong"}"#
        let error = await providerError { try await orange().initiate(example(), over: try transport(answer(status, body))) }
        #expect(error?.kind == kind)
        #expect(error?.code == String(code))
        #expect(error?.message.contains("0707123456") == false)
    }

    @Test("an answer that is none is a sign of illness; too fast is told with its pause")
    func illness() async throws {
        for (status, body) in [
            (502, "<html>Bad gateway</html>"), (201, "<html>"), (201, "{}"), (201, #"{"pay_token":"p"}"#), (201, #"{"payment_url":"https://x"}"#),
            (201, #"{"pay_token":"p","payment_url":"javascript:x"}"#),
        ] {
            let error = await providerError { try await orange().initiate(example(), over: try transport(answer(status, body))) }
            #expect(error?.kind == .unavailable)
        }
        let slow = Result<ProviderAnswer, ProviderError>.success(ProviderAnswer(status: 429, headers: ["retry-after": "7"], body: []))
        let error = await providerError { try await orange().initiate(example(), over: try transport(slow)) }
        #expect(error?.kind == .throttled)
        #expect(error?.retryAfterSeconds == 7)
        let noNotifyToken = try await orange().initiate(
            example(), over: try transport(answer(200, #"{"pay_token":"p","payment_url":"https://x/p"}"#)))
        #expect(noNotifyToken.references == [.ours(order), ProviderReference("pay_token", "p")])
    }
}

@Suite("Orange Money: the access token")
struct OrangeMoneyTokenTests {
    private func pending() throws -> Result<ProviderAnswer, ProviderError> { answer(201, try fixture("transactionstatus_pending")) }

    @Test("one token serves many calls for as long as Orange says, told as text or as number", arguments: [#""3600""#, "3600", #""7776000""#])
    func cached(_ life: String) async throws {
        let clock = TurnedClock(1_763_712_000_000)
        let token = #"{"token_type":"Bearer","access_token":"T","expires_in":\#(life)}"#
        let transport = RecordingTransport([answer(200, token), try pending(), try pending(), answer(200, token), try pending()])
        let provider = try orange(nowMs: { clock.nowMs })
        for _ in 0..<2 { _ = try await provider.status(of: question(), over: transport) }
        #expect(transport.calls.map { $0.url.split(separator: "/").last } == ["token", "transactionstatus", "transactionstatus"])
        clock.turn(by: 7_776_000_000)
        _ = try await provider.status(of: question(), over: transport)
        #expect(transport.calls.count == 5)
    }

    @Test("an expired token is got anew once, and the call made again once", arguments: [401, 410])
    func expired(_ status: Int) async throws {
        let again = try transport(
            answer(status, try fixture("error_expired_credentials")), answer(200, #"{"access_token":"second","expires_in":60}"#), try pending())
        let notice = try await orange().status(of: question(), over: again)
        #expect(notice.claim == .processing)
        #expect(
            again.calls.map { $0.headers["authorization"]?.split(separator: " ").last } == [
                "aWQ6c2VjcmV0", "IW3madeUpToKeN7mGNsOZgwdhDNvE", "aWQ6c2VjcmV0", "second",
            ])
        let forEver = try transport(
            answer(status, try fixture("error_expired_credentials")), answer(200, #"{"access_token":"second","expires_in":60}"#),
            answer(status, try fixture("error_expired_credentials")), try pending())
        let error = await providerError { try await orange().status(of: question(), over: forEver) }
        #expect(error?.kind == .unavailable)
        #expect(error?.code == "42")
        #expect(forEver.calls.count == 4)
    }

    @Test("keys that are refused are a wrong setting, and ask no second time")
    func refused() async throws {
        let call = try transport(answer(401, #"{"code":41,"message":"Invalid credentials"}"#))
        #expect(await providerError { try await orange().status(of: question(), over: call) }?.kind == .misconfigured)
        #expect(call.calls.count == 2)
        for (status, body, kind) in [
            (401, #"{"code":41}"#, .misconfigured), (400, #"{"error":"invalid_client"}"#, .misconfigured), (429, "{}", .throttled),
            (503, "", .unavailable), (200, "{}", .unavailable), (200, #"{"access_token":"a b"}"#, .unavailable), (406, "", .rejected),
        ] as [(Int, String, ProviderError.Kind)] {
            let transport = RecordingTransport([answer(status, body)])
            #expect(await providerError { try await orange().status(of: question(), over: transport) }?.kind == kind, "\(status) \(body)")
            #expect(transport.calls.count == 1)
        }
    }

    @Test("a life that cannot be read serves one call", arguments: ["null", #""soon""#, "-5", "1e99", "99999999999999999999"])
    func oddLife(_ life: String) async throws {
        let token = #"{"access_token":"T","expires_in":\#(life)}"#
        let transport = RecordingTransport([answer(200, token), try pending(), answer(200, token), try pending()])
        let provider = try orange()
        for _ in 0..<2 { _ = try await provider.status(of: question(), over: transport) }
        #expect(transport.calls.count == 4)
    }
}

@Suite("Orange Money: transactionstatus")
struct OrangeMoneyStatusTests {
    private func ask(_ body: String, _ asked: StatusQuestion = question(), nowMs: Int64 = 1_763_712_000_000) async throws -> ProviderNotice {
        try await orange(nowMs: { nowMs }).status(of: asked, over: try transport(answer(201, body)))
    }

    @Test("the request is the documented one, with order, amount and token together")
    func request() async throws {
        let transport = try transport(answer(201, try fixture("transactionstatus_success")))
        _ = try await orange().status(of: question(), over: transport)
        #expect(transport.calls.last?.url == "\(base)/transactionstatus")
        #expect(transport.lastJSON == (try JSON(parsing: try Fixture.bytes("orange_money/transactionstatus_request.json"))))
        let big = RecordingTransport([answer(200, try fixture("oauth_token_response")), answer(201, try fixture("transactionstatus_success"))])
        let amount = Money(9_007_199_254_740_993, .xof)
        #expect(try await orange().status(of: question(amount: amount), over: big).amount == amount)
        #expect(big.lastJSON?["amount"]?.numberText == "9007199254740993")
    }

    @Test(
        "the recorded answers are read",
        arguments: [
            ("initiated", .pending, nil), ("pending", .processing, nil), ("success", .captured, nil), ("failed", .failed, "FAILED"),
            ("expired", .expired, "EXPIRED"),
        ] as [(String, ProviderClaim, String?)])
    func samples(_ name: String, _ claim: ProviderClaim, _ code: String?) async throws {
        let notice = try await ask(try fixture("transactionstatus_\(name)"))
        #expect(notice.claim == claim)
        #expect(notice.errorCode == code)
        #expect(notice.references.first == .ours(order))
        #expect(notice.amount == (claim == .captured ? Money(15_000, .xof) : nil))
        #expect(notice.transaction == (claim == .captured ? "MP251121.0802.A45213" : nil))
        #expect(notice.references.contains(ProviderReference("txnid", "MP251121.0802.A45213")) == (claim == .captured))
    }

    @Test("a word that nobody knows changes nothing", arguments: ["success", "SUCCESSFUL", "CANCELLED", "", "🦆"])
    func unknown(_ word: String) async throws {
        #expect(try await ask(#"{"status":"\#(word)","order_id":"\#(order)"}"#).claim == .unknown)
    }

    @Test("a success of another order pays nothing", arguments: ["01JD6ZK8T3R5W7Y9A1C3E5G7JX", "01jd6zk8t3r5w7y9a1c3e5g7j9", ""])
    func foreign(_ other: String) async throws {
        let notice = try await ask(#"{"status":"SUCCESS","order_id":"\#(other)","txnid":"MP1"}"#)
        #expect(notice == ProviderNotice(references: [], claim: .unknown, errorCode: "foreign_reference", errorText: notice.errorText))
    }

    @Test("a success that names no order is the one asked for: the token is this attempt's alone")
    func unnamed() async throws {
        #expect(try await ask(#"{"status":"SUCCESS"}"#).claim == .captured)
    }

    @Test(
        "what is not confirmed in time is over by the first question after a quarter of an hour",
        arguments: [
            ("INITIATED", 899_999, ProviderClaim.pending), ("INITIATED", 900_000, .expired), ("INITIATED", 86_400_000, .expired),
            ("PENDING", 86_400_000, .processing), ("SUCCESS", 86_400_000, .captured), ("FAILED", 86_400_000, .failed),
        ])
    func timeOut(_ word: String, _ age: Int64, _ claim: ProviderClaim) async throws {
        let notice = try await ask(#"{"status":"\#(word)","order_id":"\#(order)"}"#, nowMs: 1_763_712_000_000 + age)
        #expect(notice.claim == claim)
        if claim == .expired { #expect(notice.errorCode == "not_confirmed") }
        #expect(try await ask(#"{"status":"INITIATED"}"#, question(createdAtMs: 0)).claim == .pending)
    }

    @Test("without a token of Orange's own there is nothing to ask by, and none that a browser hands in is taken")
    func nothingToAskBy() async throws {
        let transport = try transport()
        let bare = question([.ours(order)], unverified: [ProviderReference("pay_token", payToken)])
        #expect(await providerError { try await orange().status(of: bare, over: transport) }?.kind == .notFound)
        #expect(transport.calls.isEmpty)
        #expect(try orange().capabilities.statusReferenceKinds == ["pay_token"])
    }

    @Test("a missing field is Orange's 400, an unknown transaction its 404, a body that is none an illness")
    func faults() async throws {
        for (status, body, kind) in [
            (400, try fixture("error_missing_body_field"), .rejected), (404, #"{"code":60,"message":"Resource not found"}"#, .notFound),
            (201, "[]", .unavailable), (201, #"{"status":201}"#, .unavailable), (200, "<html>", .unavailable), (503, "", .unavailable),
        ] as [(Int, String, ProviderError.Kind)] {
            let error = await providerError { try await orange().status(of: question(), over: try transport(answer(status, body))) }
            #expect(error?.kind == kind, "\(status) \(body)")
        }
        let decimals = question(amount: Money(15_000, .eur))
        #expect(await providerError { try await orange().status(of: decimals, over: try transport()) }?.kind == .rejected)
    }

    @Test("money is given back by hand")
    func refunds() async throws {
        let provider = try orange()
        #expect(provider.capabilities.refunds == .none)
        let refund = RefundOrder(question: question(), amount: Money(1, .xof), captured: 1, refundedBefore: 0, key: "k", reason: "")
        #expect(await providerError { try await provider.refund(refund, over: try transport()) }?.kind == .notOffered)
    }
}

@Suite("Orange Money: notifications")
struct OrangeMoneyNotificationTests {
    private func webhook(_ body: String, byCapability: Bool = false, method: String = "POST") -> IncomingWebhook {
        IncomingWebhook(method: method, headers: ["content-type": "application/json"], body: Array(body.utf8), cameByCapability: byCapability)
    }

    @Test(
        "the recorded notifications are taken, shared secret by the address made for the payment, unproven otherwise",
        arguments: [("success", .captured, true), ("failed", .failed, true), ("failed_without_txnid", .failed, false)]
            as [(String, ProviderClaim, Bool)])
    func samples(_ name: String, _ claim: ProviderClaim, _ hasTransaction: Bool) throws {
        let body = try fixture("notification_\(name)")
        let provider = try orange()
        let proven = try #require(provider.verifyWebhook(webhook(body, byCapability: true), nowMs: 0).accepted)
        #expect(proven.trust == .sharedSecret)
        let bare = try #require(provider.verifyWebhook(webhook(body), nowMs: 0).accepted)
        #expect(bare.trust == .unproven)
        let notice = try provider.parse(body: Array(body.utf8), contentType: "application/json")
        #expect(notice.claim == claim)
        #expect(notice.references.map(\.kind) == (hasTransaction ? ["notif_token", "txnid"] : ["notif_token"]))
        #expect(notice.amount == nil)
        #expect(!provider.capabilities.proofCoversMoney)
    }

    @Test("the same delivery has one id; a bare one is another in the next minute, because it may be the one that matters")
    func identity() throws {
        let body = try fixture("notification_success")
        let provider = try orange()
        func id(_ byCapability: Bool, _ nowMs: Int64) -> String? {
            provider.verifyWebhook(webhook(body, byCapability: byCapability), nowMs: nowMs).accepted?.deliveryID
        }
        #expect(id(true, 0) == id(true, 3_600_000))
        #expect(id(false, 0) == id(false, 59_999))
        #expect(id(false, 0) != id(false, 60_000))
        #expect(id(false, 0) != id(true, 0))
    }

    @Test(
        "a body of another product of the same name is refused by its name, even at the right address",
        arguments: [
            (#"{"amount":{"value":15000,"unit":"XOF"},"reference":"r","transactionId":"t","status":"SUCCESS"}"#, "Sonatel"),
            (#"{"partnerTransactionId":"p","status":"SUCCESS"}"#, "orange-money-b2b"), (#"{"payToken":"MP1","status":"SUCCESS"}"#, "Cameroon"),
        ])
    func otherProducts(_ body: String, _ word: String) throws {
        for byCapability in [false, true] {
            #expect(try orange().verifyWebhook(webhook(body, byCapability: byCapability), nowMs: 0).refusal?.contains(word) == true)
        }
    }

    static let noNotifications = [
        "", "null", "[]", "{", "{}", #"{"status":"SUCCESS"}"#, #"{"status":"SUCCESS","notif_token":""}"#, #"{"status":"SUCCESS","notif_token":5}"#,
        #"{"status":"SUCCESS","notif_token":["4f1c"]}"#, #"{"status":"SUCCESS","notif_token":{"a":1}}"#, #"{"notif_token":"4f1c"}"#,
        #"{"status":201,"notif_token":"4f1c"}"#, #"{"status":NaN,"notif_token":"4f1c"}"#, "status=SUCCESS&notif_token=4f1c",
        #"{"status":"SUCCESS","notif_token":"a","notif_token":"b"}"#,
        #"{"status":"SUCCESS","notif_token":"\#(String(repeating: "a", count: 129))"}"#,
        #"{"status":"\#(String(repeating: "S", count: 61))","notif_token":"4f1c"}"#,
        String(repeating: "[", count: 100_000), "\u{FEFF}{}",
    ]

    @Test("what is no notification is refused bare, and put before a person when it came to the right address", arguments: noNotifications)
    func malformed(_ body: String) throws {
        let provider = try orange()
        #expect(provider.verifyWebhook(webhook(body), nowMs: 0).refusal != nil)
        #expect(provider.verifyWebhook(webhook(body, byCapability: true), nowMs: 0).accepted?.trust == .sharedSecret)
        #expect(throws: ProviderError.self) { try provider.parse(body: Array(body.utf8), contentType: "application/json") }
    }

    @Test("only posts are notifications, and live refuses the public sample's token")
    func refused() throws {
        let body = try fixture("notification_success")
        #expect(try orange().verifyWebhook(webhook(body, method: "GET"), nowMs: 0).refusal != nil)
        let sample = #"{"status":"SUCCESS","notif_token":"dd497bda3b250e536186fc0663f32f40","txnid":"MP150709.1341.A00073"}"#
        #expect(try orange(live: true).verifyWebhook(webhook(sample, byCapability: true), nowMs: 0).refusal?.contains("public samples") == true)
        #expect(try orange().verifyWebhook(webhook(sample), nowMs: 0).accepted != nil)
    }

    @Test(
        "a transaction number of a wrong shape is left out",
        arguments: ["5", "null", #""""#, #"{"a":1}"#, #""\#(String(repeating: "x", count: 65))""#])
    func oddTransactions(_ value: String) throws {
        let body = #"{"status":"SUCCESS","notif_token":"4f1c","txnid":\#(value)}"#
        #expect(try orange().parse(body: Array(body.utf8), contentType: "").references == [ProviderReference("notif_token", "4f1c")])
    }

    @Test("bytes turned at random never crash, and never become more than a hint")
    func mutations() throws {
        var random = HostileInputTests.Seeded(state: 0x0A17)
        let seed = Array(try fixture("notification_success").utf8)
        let provider = try orange()
        for _ in 0..<3000 {
            var body = seed
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                body[Int.random(in: 0..<body.count, using: &random)] = .random(in: 0...255, using: &random)
            }
            let verdict = provider.verifyWebhook(IncomingWebhook(method: "POST", headers: [:], body: body), nowMs: 0)
            if let accepted = verdict.accepted { #expect(accepted.trust == .unproven) }
            if let notice = try? provider.parse(body: body, contentType: "") { #expect(notice.amount == nil) }
        }
    }
}
