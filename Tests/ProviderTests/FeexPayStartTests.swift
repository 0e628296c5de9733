import FeexPay
import Formats
import Money
import ProviderPort
import Testing

let feexPayNowMs: Int64 = 1_773_480_000_000  // 2026-03-14T09:20:00Z

func feexPay(
    secrets: [String] = [], apiURL: String = "https://api-v2.feexpay.me", off: [String] = [], live: Bool = false, nowMs: Int64 = feexPayNowMs
) throws -> FeexPayProvider {
    try FeexPayProvider(
        apiKey: "fp_demo", shopID: "65f0c0ffee5e1f7a4b0c9d3e", secrets: secrets, apiURL: apiURL, networksOff: off, live: live, nowMs: { nowMs })
}

/// Every network, told apart from the adapter's own table.
struct FeexPayCase: Sendable, CustomStringConvertible {
    let slug: String
    let country: String
    let currency: Currency
    let flow: String
    /// In E.164, and as FeexPay takes it.
    let phone: String
    let sent: String
    var description: String { slug }

    private init(_ slug: String, _ country: String, _ flow: String, _ phone: String, _ sent: String? = nil, currency: Currency = .xof) {
        self.slug = slug
        self.country = country
        self.currency = currency
        self.flow = flow
        self.phone = phone
        self.sent = sent ?? String(phone.dropFirst())
    }

    static let all: [FeexPayCase] = [
        FeexPayCase("mtn", "BJ", "push", "+22966123456", "2290166123456"), FeexPayCase("moov", "BJ", "push", "+2290195123456"),
        FeexPayCase("celtiis_bj", "BJ", "push", "+229 01 40 12 34 56", "2290140123456"),
        FeexPayCase("coris", "BJ", "otp", "+22997123456", "2290197123456"),
        FeexPayCase("togocom_tg", "TG", "push", "+22890123456"), FeexPayCase("moov_tg", "TG", "push", "+22896123456"),
        FeexPayCase("mtn_ci", "CI", "push", "+2250504123456"), FeexPayCase("moov_ci", "CI", "hosted", "+2250104123456"),
        FeexPayCase("orange_ci", "CI", "hosted", "+2250707123456"), FeexPayCase("wave_ci", "CI", "hosted", "+2250707123457"),
        FeexPayCase("orange_sn", "SN", "otp", "+221771234567"), FeexPayCase("free_sn", "SN", "hosted", "+221761234567"),
        FeexPayCase("wave_sn", "SN", "hosted", "+221771234568"), FeexPayCase("mtn_cg", "CG", "push", "+242061234567", currency: .xaf),
        FeexPayCase("orange_bf", "BF", "push", "+22670123456"), FeexPayCase("moov_bf", "BF", "push", "+22660123456"),
    ]

    /// The test number of the network whose owner does what the last digits say.
    func testNumber(_ ending: String) -> String { String(phone.filter { $0 != " " }.dropLast(6)) + ending }
}

func feexOrder(
    _ network: String? = "mtn", phone: String? = "+22966000000", attempt: String = "INV-2026-000481", amount: Money = Money(5000, .xof),
    description: String = "Commande 481", name: String = "Adjoa Mensah", email: String? = nil, otp: String? = nil, method: String? = "mobile_money",
    returnURL: String = "https://shop.example.com/return", metadata: [String: String] = [:]
) -> PaymentOrder {
    PaymentOrder(
        payment: "pay_01", attempt: attempt, amount: amount, description: description,
        customer: Customer(name: name, email: email, phone: phone, language: "fr"), notifyURL: "https://pay.example.com/webhooks/feexpay",
        returnURL: returnURL, cancelURL: "https://shop.example.com/cancel", pageURL: "https://pay.example.com/page", method: method, network: network,
        otp: otp, metadata: metadata)
}

private func sample(_ name: String) throws -> RecordingTransport { RecordingTransport(try Fixture.bytes("feexpay/api/\(name).json")) }
private func pending() throws -> RecordingTransport { try sample("requesttopay_response_pending") }

@Suite("FeexPay: starting a payment")
struct FeexPayStartTests {
    @Test("the request is the documented one, and the customer is asked to approve on the phone")
    func request() async throws {
        let transport = try pending()
        let initiation = try await feexPay().initiate(feexOrder(), over: transport)
        let call = try #require(transport.calls.first)
        #expect(call.method == "POST")
        #expect(call.url == "https://api-v2.feexpay.me/api/transactions/public/requesttopay/mtn")
        #expect(call.headers["authorization"] == "Bearer fp_demo")
        #expect(transport.lastJSON == (try JSON(parsing: try Fixture.bytes("feexpay/api/requesttopay_request_mtn.json"))))
        #expect(initiation.references == [ProviderReference("reference", "3f2b9c1e-6a84-4d0e-9f57-1c2d3e4f5a6b"), .ours("INV-2026-000481")])
        #expect(initiation.paymentURL == "https://pay.example.com/page")
        #expect(initiation.step.kind == .approve)
        #expect(initiation.step.fields["phone"] == "+229********00")
        #expect(initiation.step.fields["network"] == "MTN Bénin")
        #expect(initiation.step.fields["expires_at"] == Timestamp.rfc3339(feexPayNowMs + 600_000))
        #expect(initiation.step.fields["instruction_fr"]?.contains("téléphone") == true)
        #expect(initiation.step.fields["instruction_en"]?.contains("phone") == true)
        #expect(initiation.notice == nil)
    }

    @Test("every network has its path, its phone number, its currency, its way and its deadline", arguments: FeexPayCase.all)
    func networks(_ network: FeexPayCase) async throws {
        let hosted = network.flow == "hosted"
        let transport = try hosted ? sample("requesttopay_response_hosted_wave_ci") : pending()
        let order = feexOrder(
            network.slug, phone: network.phone, amount: Money(5000, network.currency), otp: network.flow == "otp" ? "123456" : nil)
        let initiation = try await feexPay().initiate(order, over: transport)
        #expect(transport.calls.first?.url.hasSuffix("/requesttopay/\(network.slug)") == true)
        let sent = try #require(transport.lastJSON)
        #expect(sent["phoneNumber"]?.string == network.sent)
        #expect(sent["otp"]?.string == (network.flow == "otp" ? "123456" : nil))
        #expect(sent["return_url"]?.string == (hosted ? "https://shop.example.com/return" : nil))
        #expect(sent["cancel_url"]?.string == (hosted ? "https://shop.example.com/cancel" : nil))
        #expect(sent["callback_info"]?.string == "INV-2026-000481")
        #expect(initiation.step.kind == (hosted ? .redirect : .approve))
        #expect(initiation.paymentURL == (hosted ? "https://pay.wave.com/c/cos-example?a=5000&c=XOF" : order.pageURL))
        #expect(initiation.expiresAtMs == feexPayNowMs + (hosted ? 1_800_000 : 600_000))
        let choice = try #require(try feexPay().offer.choices.first { $0.network == network.slug })
        #expect(choice.countries == [network.country])
        #expect(choice.currencies == [network.currency])
        #expect(choice.flow == (hosted ? .redirect : .approve))
        #expect(choice.needs == (network.flow == "otp" ? ["phone", "otp"] : ["phone"]))
        #expect(choice.minimum == 100 && choice.maximum == 2_000_000)
        let other: Currency = network.currency == .xof ? .xaf : .xof
        let wrong = await providerError {
            try await feexPay().initiate(
                feexOrder(network.slug, phone: network.phone, amount: Money(5000, other), otp: "123456"), over: try pending())
        }
        #expect(wrong?.kind == .rejected && wrong?.message.contains("currency") == true)
    }

    @Test("the offer is sixteen networks and two cards, and the words that switch them off are theirs")
    func offer() throws {
        let open = try feexPay().offer.choices.filter { $0.offReason == nil }
        #expect(open.compactMap(\.network) == FeexPayCase.all.map(\.slug) + ["visa", "mastercard"])
        #expect(FeexPayProvider.networkWords == open.compactMap(\.network))
    }

    @Test("a network or card that is switched off is not offered, with the reason", arguments: FeexPayProvider.networkWords)
    func switchedOff(_ word: String) async throws {
        let provider = try feexPay(off: [word])
        let isCard = ["visa", "mastercard"].contains(word)
        let transport = try pending()
        let error = await providerError {
            try await provider.initiate(feexOrder(word, method: isCard ? "credit_card" : "mobile_money"), over: transport)
        }
        #expect(error?.kind == .notOffered)
        #expect(error?.code == "not_offered")
        #expect(error?.message.contains("FEEXPAY_NETWORKS_OFF") == true)
        #expect(transport.calls.isEmpty)
    }

    @Test(
        "what FeexPay lacks is not offered, with the reason",
        arguments: [
            ("mobile_money", "mtn_cm", "Cameroon"), ("mobile_money", "mtn_sn", "Senegal"), ("mobile_money", "moov_ne", "Niger"),
            ("mobile_money", "orange_ml", "Mali"), ("mobile_money", "mobicash_ml", "Mali"), ("mobile_money", "wave_bf", "Burkina"),
            ("credit_card", "amex", "Visa"), ("credit_card", "unionpay", "Visa"), ("bank_transfer", nil, "manual"),
            ("mobile_money", "vodafone", "does not offer"),
            ("cheque", nil, "does not offer"),
        ] as [(String, String?, String)])
    func lacking(_ method: String, _ network: String?, _ word: String) async throws {
        let error = await providerError { try await feexPay().initiate(feexOrder(network, method: method), over: try pending()) }
        #expect(error?.kind == .notOffered)
        #expect(error?.message.contains(word) == true, "\(error?.message ?? "no error")")
    }

    @Test(
        "networks have other names",
        arguments: [
            ("CELTIIS BJ", "celtiis_bj"), ("celtiis", "celtiis_bj"), ("coris_bj", "coris"), ("MTN", "mtn"), ("mtn-benin", "mtn"),
            ("Togocom TG", "togocom_tg"),
        ])
    func aliases(_ name: String, _ slug: String) async throws {
        let transport = try pending()
        let country = slug.hasSuffix("tg") ? "+22890000009" : "+22966000009"
        _ = try await feexPay().initiate(feexOrder(name, phone: country, otp: "1234", method: "wallet"), over: transport)
        #expect(transport.calls.first?.url.hasSuffix("/requesttopay/\(slug)") == true)
    }

    static let broken: [(order: PaymentOrder, word: String)] = [
        (feexOrder(nil), "network is required: one of mtn, moov"), (feexOrder(amount: Money(99, .xof)), "at least 100 XOF"),
        (feexOrder(amount: Money(2_000_001, .xof)), "at most 2000000 XOF"), (feexOrder(amount: Money(0, .xof)), "positive"),
        (feexOrder(amount: Money(-5000, .xof)), "positive"), (feexOrder(amount: Money(5000, .eur)), "currency"),
        (feexOrder(amount: Money(5000, .usd)), "currency"), (feexOrder(attempt: ""), "callback_info"), (feexOrder(attempt: "a b"), "callback_info"),
        (feexOrder("orange_sn", phone: "+221771234567"), "#144#391#"), (feexOrder("coris"), "Coris Money"),
        (feexOrder("orange_sn", phone: "+221771234567", otp: "12a4"), "4 to 10 digits"), (feexOrder("coris", otp: "123"), "4 to 10 digits"),
        (feexOrder("visa", email: nil, method: "credit_card"), "email"),
        (feexOrder("visa", phone: nil, email: "a@b.c", method: "credit_card"), "phone"),
        (feexOrder("visa", amount: Money(5000, .eur), email: "a@b.c", method: "credit_card"), "currency must be one of XOF"),
        (feexOrder("wave_ci", phone: "+2250707123456", returnURL: "ftp://x"), "return_url"),
    ]

    @Test("a broken rule is told before any call", arguments: broken)
    func rules(_ broken: (order: PaymentOrder, word: String)) async throws {
        let transport = try pending()
        let error = await providerError { try await feexPay().initiate(broken.order, over: transport) }
        #expect(error?.kind == .rejected)
        #expect(error?.message.contains(broken.word) == true, "\(error?.message ?? "no error")")
        #expect(transport.calls.isEmpty)
    }

    @Test(
        "a phone number that is none of the network's country is refused with the rule, and not repeated",
        arguments: [
            ("mtn", "+22890123456", "+229"), ("mtn", "22966000000", "+229"), ("mtn", "+229660000", "+229"), ("mtn", "+2290266000000", "+229"),
            ("mtn", "+229016600000", "+229"), ("mtn", "+22901660000000", "+229"), ("mtn", "+229６６000000", "+229"), ("mtn", "+229-66-00-00", "+229"),
            ("mtn", "", "+229"), ("mtn", "+", "+229"), ("mtn", nil, "+229"), ("moov_tg", "+22966000000", "+228 and 8"),
            ("moov_tg", "+2289012345", "+228 and 8"),
            ("mtn_ci", "+22507123456", "+225 and 10"), ("wave_sn", "+22177123456", "+221 and 9"), ("mtn_cg", "+24206123456", "+242 and 9"),
            ("moov_bf", "+226601234567", "+226 and 8"), ("moov_bf", "+33612345678", "+226 and 8"),
        ] as [(String, String?, String)])
    func phones(_ network: String, _ phone: String?, _ rule: String) async throws {
        let amount = Money(5000, network == "mtn_cg" ? .xaf : .xof)
        let error = await providerError { try await feexPay().initiate(feexOrder(network, phone: phone, amount: amount), over: try pending()) }
        #expect(error?.kind == .rejected)
        #expect(error?.message.contains(rule) == true, "\(error?.message ?? "no error")")
        if let phone, phone.count > 4 { #expect(error?.description.contains(phone.dropFirst(4)) == false) }
    }

    @Test(
        "the description keeps letters, digits and blanks",
        arguments: [
            ("INV-2026-481", "INV2026481"), ("Été à Cotonou : l'abonnement n° 3", "Ete a Cotonou labonnement n 3"), ("", "Paiement"),
            ("—…€", "Paiement"),
            ("Œuvre ÇA Ñandú", "OEuvre CA Nandu"), ("e\u{301}te\u{301}", "ete"), ("Ɖɛkpɔ Gbɛ", "Dekpo Gbe"), ("日本 12", "12"),
            (String(repeating: "a", count: 300), String(repeating: "a", count: 120)),
        ])
    func description(_ text: String, _ expected: String) async throws {
        let transport = try pending()
        _ = try await feexPay().initiate(feexOrder(description: text), over: transport)
        #expect(transport.lastJSON?["description"]?.string == expected)
    }

    @Test("names are cleaned too, and one word stands for both")
    func names() async throws {
        for (name, first, last) in [("Jean-Paul N'Guessan", "Jean Paul", "NGuessan"), ("Awa", "Awa", "Awa"), ("  ", nil, nil)]
            as [(String, String?, String?)]
        {
            let transport = try pending()
            _ = try await feexPay().initiate(feexOrder(name: name), over: transport)
            #expect(transport.lastJSON?["first_name"]?.string == first)
            #expect(transport.lastJSON?["last_name"]?.string == last)
        }
    }

    @Test("a code is sent only where one may be taken")
    func codes() async throws {
        for (network, phone, sent) in [("mtn", "+22966000009", nil), ("orange_bf", "+22670000009", "1234")] as [(String, String, String?)] {
            let transport = try pending()
            _ = try await feexPay().initiate(feexOrder(network, phone: phone, otp: "12 34"), over: transport)
            #expect(transport.lastJSON?["otp"]?.string == sent)
        }
    }

    @Test("a card goes to initcard and to its page")
    func cards() async throws {
        for (network, type) in [("visa", "VISA"), ("mastercard", "MASTERCARD"), (nil, "VISA")] as [(String?, String)] {
            let transport = RecordingTransport(#"{"reference":"c-1","status":"PENDING","url":"https://card.example.com/p/1"}"#)
            let order = feexOrder(
                network, phone: "+33612345678", email: "adjoa@example.com", method: "credit_card", metadata: ["customer_city": "Saint-Étienne"])
            let initiation = try await feexPay().initiate(order, over: transport)
            #expect(transport.calls.first?.url == "https://api-v2.feexpay.me/api/transactions/public/initcard")
            let sent = try #require(transport.lastJSON)
            #expect(sent["type_card"]?.string == type)
            #expect(sent["phone"]?.string == "33612345678")
            #expect(sent["currency"]?.string == "XOF")
            #expect(sent["locality"]?.string == "SaintEtienne")
            #expect(sent["callback_info"]?.string == "INV-2026-000481")
            #expect(initiation.paymentURL == "https://card.example.com/p/1")
            #expect(initiation.step == .redirect)
            #expect(initiation.expiresAtMs == feexPayNowMs + 1_800_000)
        }
        let byNetwork = RecordingTransport(#"{"reference":"c-1","payment_url":"https://card.example.com/p/1"}"#)
        let unnamed = feexOrder("mastercard", phone: "+22966000000", email: "a@example.com", method: nil)
        #expect(try await feexPay().initiate(unnamed, over: byNetwork).paymentURL == "https://card.example.com/p/1")
        #expect(byNetwork.lastJSON?["phone"]?.string == "2290166000000")
        let pageless = RecordingTransport(#"{"reference":"c-1","status":"PENDING"}"#)
        #expect(await providerError { try await feexPay().initiate(unnamed, over: pageless) }?.kind == .unavailable)
    }

    @Test("Moov's refusal in the answer is told at once, whatever the status it comes with", arguments: [200, 201, 400])
    func failedAtOnce(_ status: Int) async throws {
        let transport = RecordingTransport(status: status, try Fixture.bytes("feexpay/api/requesttopay_response_moov_failed_at_once.json"))
        let initiation = try await feexPay().initiate(feexOrder("moov"), over: transport)
        let notice = try #require(initiation.notice)
        #expect(notice.claim == .failed)
        #expect(notice.errorCode == "10")
        #expect(notice.errorText == "Insufficient funds")
        #expect(initiation.references.first == ProviderReference("reference", "0a1b2c3d-4e5f-4061-8273-8495a6b7c8d9"))
        #expect(notice.references == initiation.references)
    }

    @Test("operators' words are shown without tags and without phone numbers")
    func operatorWords() async throws {
        let soap = #"{"reference":"r","status":"FAILED","response_operator":"<soap:Body><m>Payer 2290166000000\n not found</m></soap:Body>"}"#
        #expect(try await feexPay().initiate(feexOrder(), over: RecordingTransport(soap)).notice?.errorText == "Payer ***********00 not found")
        let known = #"{"reference":"r","status":"FAILED","statusCode":37}"#
        #expect(try await feexPay().initiate(feexOrder(), over: RecordingTransport(known)).notice?.errorText == "below the operator's minimum")
        let cancelled = #"{"reference":"r","status":"CANCELLED"}"#
        #expect(try await feexPay().initiate(feexOrder(), over: RecordingTransport(cancelled)).notice?.claim == .cancelled)
    }

    @Test("a success in the answer to the start is not taken for one: the status call names the amount")
    func successAtOnce() async throws {
        let transport = RecordingTransport(#"{"reference":"r","status":"SUCCESSFUL","amount":5000}"#)
        #expect(try await feexPay().initiate(feexOrder(), over: transport).notice == nil)
    }

    @Test("a page in the answer is followed, and a hosted network without one waits on ours")
    func pages() async throws {
        let page = RecordingTransport(#"{"data":{"reference":"r","status":"PENDING","payment_url":"https://x.example.com/p"}}"#)
        let followed = try await feexPay().initiate(feexOrder("orange_bf", phone: "+22670000009"), over: page)
        #expect(followed.paymentURL == "https://x.example.com/p" && followed.step == .redirect)
        let none = RecordingTransport(#"{"reference":"r","status":"PENDING","payment_url":"javascript:alert(1)"}"#)
        let waiting = try await feexPay().initiate(feexOrder("wave_ci", phone: "+2250707000009"), over: none)
        #expect(waiting.paymentURL == "https://pay.example.com/page" && waiting.step.kind == .approve)
        #expect(waiting.expiresAtMs == feexPayNowMs + 1_800_000)
    }

    @Test("live takes only https addresses")
    func live() async throws {
        let order = feexOrder("wave_ci", phone: "+2250707000009", returnURL: "http://shop.example.com/r")
        #expect(await providerError { try await feexPay(live: true).initiate(order, over: try pending()) }?.message.contains("https") == true)
        #expect(await providerError { try await feexPay().initiate(order, over: try pending()) } == nil)
    }

    @Test(
        "refusals tell whether a retry helps, and never a phone number",
        arguments: [
            (400, #"{"statusCode":400,"message":["amount must not be less than 100","phoneNumber 2290166000000 is wrong"]}"#, .rejected),
            (400, #"{"statusCode":400,"message":"Réseau non supporté","code":"NETWORK_UNAVAILABLE"}"#, .notOffered),
            (401, #"{"statusCode":401,"message":"Token invalide","code":"UNAUTHORIZED"}"#, .misconfigured),
            (403, #"{"statusCode":403,"message":"IP non autorisée","code":"IP_NOT_ALLOWED"}"#, .misconfigured),
            (403, #"{"statusCode":403,"message":"Pays/réseau bloqué","code":"ACCESS_DENIED"}"#, .notOffered), (403, "", .misconfigured),
            (404, #"{"statusCode":404,"message":"Merchant or Shop not found"}"#, .misconfigured),
            (404, #"{"statusCode":404,"message":"MTN channel not configured"}"#, .notOffered),
            (404, #"{"statusCode":404,"message":"Cannot POST /api/transactions/public/requesttopay/x"}"#, .notOffered),
            (409, #"{"success":false,"error":{"code":"ERR_DUPLICATE_TRANSACTION","message":"exists"}}"#, .unavailable), (408, "{}", .unavailable),
            (429, "{}", .throttled), (400, #"{"code":"RATE_LIMIT_EXCEEDED"}"#, .throttled),
            (503, #"{"statusCode":503,"message":"Network under maintenance","code":"NETWORK_UNAVAILABLE"}"#, .notOffered),
            (502, "<html>Bad gateway</html>", .unavailable), (502, #"{"status":"FAILED","reference":"r"}"#, .unavailable), (500, "{}", .unavailable),
            (504, "", .unavailable), (302, "", .unavailable),
            (200, "<html>", .unavailable), (200, "{}", .unavailable), (200, "[]", .unavailable), (200, #"{"status":"PENDING"}"#, .unavailable),
            (200, #"{"success":false,"error":{"code":"ERR_INVALID_PHONE_NUMBER","message":"no"}}"#, .rejected),
            (200, #"{"success":false,"error":{"code":"ERR_SHOP_NOT_FOUND","message":"no"}}"#, .misconfigured), (422, "nothing", .rejected),
        ] as [(Int, String, ProviderError.Kind)])
    func refusals(_ status: Int, _ body: String, _ kind: ProviderError.Kind) async throws {
        let transport = RecordingTransport(status: status, headers: ["retry-after": "7"], Array(body.utf8))
        let error = await providerError { try await feexPay().initiate(feexOrder(), over: transport) }
        #expect(error?.kind == kind, "\(error?.description ?? "no error")")
        #expect(error?.description.contains("2290166000000") == false)
        if kind == .throttled { #expect(error?.retryAfterSeconds == 7) }
    }

    @Test("V1 and unknown words are refused at the start")
    func configuration() {
        for url in ["https://api.feexpay.me", "https://API.feexpay.me/api", "https://api.feexpay.me:443/"] {
            #expect(throws: ProviderError.self) { try feexPay(apiURL: url) }
        }
        do {
            _ = try feexPay(apiURL: "https://api.feexpay.me/api")
        } catch {
            let told = error as? ProviderError
            #expect(told?.kind == .misconfigured)
            #expect(told?.message == "FEEXPAY_API_URL is FeexPay's withdrawn V1 (api.feexpay.me): use https://api-v2.feexpay.me")
        }
        #expect(throws: ProviderError.self) { try feexPay(off: ["mtn", "mtm"]) }
    }

    @Test(
        "the address is taken with and without its path",
        arguments: ["https://x.example.com", "https://x.example.com/", "https://x.example.com/api/"])
    func address(_ url: String) async throws {
        let transport = try pending()
        _ = try await feexPay(apiURL: url).initiate(feexOrder(), over: transport)
        #expect(transport.calls.first?.url == "https://x.example.com/api/transactions/public/requesttopay/mtn")
    }

    @Test("it can be asked and listed, and gives nothing back by itself")
    func capabilities() async throws {
        let provider = try feexPay()
        #expect(provider.capabilities.statusReferenceKinds == ["reference", "ours"])
        #expect(provider.capabilities.hasHistory && provider.capabilities.refunds == .none && !provider.capabilities.proofCoversMoney)
        #expect(try !provider.capabilities.hasProof && feexPay(secrets: ["x"]).capabilities.hasProof)
        #expect(provider.addressSigner == nil)
    }
}
