import Formats
import ICount
import Money
import ProviderPort
import Testing

private let attempt = "01JD703H6M8P0R2T4V6X8Z0B2D"
private let now: Int64 = 1_763_712_000_000
private let iCountSecret = "0A1B2C3D4E5F6071"

private func iCount(
    token: String? = "API3E8-11111111-22222222-3333333333333333", company: String? = nil, user: String? = nil, password: String? = nil,
    paypageID: String = "30512", secrets: [String] = ["ours", iCountSecret], live: Bool = false, nowMs: @escaping @Sendable () -> Int64 = { now }
) throws(ProviderError) -> ICountProvider {
    try ICountProvider(
        apiToken: token, company: company, user: user, password: password, paypageID: paypageID, secrets: secrets, live: live, nowMs: nowMs)
}

private func answer(_ body: String, _ status: Int = 200, headers: HTTPHeaders = [:]) -> Result<ProviderAnswer, ProviderError> {
    .success(ProviderAnswer(status: status, headers: headers, body: Array(body.utf8)))
}

private func fixture(_ name: String) throws -> String { try Fixture.text("icount/\(name)") }

private func example(
    attempt: String = attempt, amount: Money = Money(24_990, .ils), description: String = "מנוי חודשי", name: String = "ישראל ישראלי",
    language: String = "fr", notifyURL: String = "https://pay.example.org/webhooks/icount/pay_01/1.code",
    returnURL: String = "https://pay.example.org/return", method: String? = nil
) -> PaymentOrder {
    .example(
        attempt: attempt, amount: amount, description: description,
        customer: Customer(name: name, email: "payer@example.com", phone: "+972500001111", language: language), notifyURL: notifyURL,
        returnURL: returnURL, method: method)
}

private let confirmed = ProviderReference("confirmation", "0431877")

private func question(
    _ references: [ProviderReference] = [.ours(attempt), confirmed], unverified: [ProviderReference] = [], amount: Money = Money(24_990, .ils),
    createdAtMs: Int64 = now
) -> StatusQuestion {
    StatusQuestion(
        payment: "pay_01", attempt: attempt, amount: amount, references: references, unverified: unverified, createdAtMs: createdAtMs)
}

/// An entry of `cc/transactions`; members can be other ones, or left out.
private func charge(_ changes: [String: JSON?] = [:]) -> JSON {
    var entry: JSONObject = [
        "cc_bill_log_id": "77001", "confirmation_code": "0431877", "cctotal": "249.90", "ccfirstpayment": "249.90", "currency_code": "ILS",
        "cc_charge_date": "2025-11-21", "cc_cardtype": "VISA", "cc_cardnumber": "4555", "docnumber": "3006", "doctype": "invrec",
        "client_id": "9001", "refunded": "0", "is_chargeback": "0",
    ]
    for (key, value) in changes { entry[key] = value }
    return .object(entry)
}

private func listed(_ entries: JSON...) -> String {
    JSON.object(["status": true, "reason": "OK", "results_count": .int(Int64(entries.count)), "results_list": .array(entries)]).text
}

@Suite("iCount: starting a payment")
struct ICountInitiateTests {
    @Test("the sale is the documented one, VAT included, with our attempt to come back")
    func request() async throws {
        let transport = RecordingTransport(try fixture("generate_sale_response_pending.json"))
        let initiation = try await iCount().initiate(example(), over: transport)
        #expect(initiation.paymentURL == "https://app.icount.co.il/m/31ff3/a1b2c3d4e5f60718")
        #expect(initiation.references == [.ours(attempt), ProviderReference("sale", "a1b2c3d4e5f60718")])
        #expect(initiation.expiresAtMs == now + 7_200_000)
        let call = try #require(transport.calls.first)
        #expect(call.url == "https://api.icount.co.il/api/v3.php/paypage/generate_sale")
        #expect(call.headers["authorization"] == "Bearer API3E8-11111111-22222222-3333333333333333")
        let sent = try #require(transport.lastJSON)
        let sample = try JSON(parsing: try Fixture.bytes("icount/generate_sale_request.json"))
        for key in ["paypage_id", "currency_code", "client_name", "first_name", "last_name", "email", "max_payments", "utm_content"] {
            #expect(sent[key] == sample[key], "\(key)")
        }
        #expect(sent["items"]?[0]?["description"] == sample["items"]?[0]?["description"])
        #expect(sent["items"]?[0]?["unitprice_incl"]?.numberText == "249.90")
        #expect(sent["items"]?[0]?["unitprice"] == nil)
        #expect(sent["ipn_url"]?.string == "https://pay.example.org/webhooks/icount/pay_01/1.code")
        for key in ["success_url", "failure_url", "cancel_url"] { #expect(sent[key]?.string == "https://pay.example.org/return", "\(key)") }
        #expect(sent["custom_client_id"] == nil)
        #expect(sent["page_lang"] == "auto")
        #expect(sent["pass"] == nil && sent["sid"] == nil)
    }

    static let broken: [(order: PaymentOrder, word: String)] = [
        (example(amount: Money(0, .ils)), "positive"), (example(amount: Money(-1, .ils)), "positive"),
        (example(amount: Money(5000, .xof)), "currency must be one of ILS, USD, EUR"), (example(method: "mobile_money"), "does not offer"),
        (example(notifyURL: "ftp://x"), "ipn_url"), (example(returnURL: ""), "success_url"), (example(attempt: ""), "utm_content"),
        (example(attempt: "א"), "utm_content"), (example(attempt: String(repeating: "A", count: 65)), "utm_content"),
    ]

    @Test("a broken rule is told before any call", arguments: broken)
    func rules(_ broken: (order: PaymentOrder, word: String)) async throws {
        let transport = RecordingTransport("{}")
        let error = await providerError { try await iCount().initiate(broken.order, over: transport) }
        #expect(error?.message.contains(broken.word) == true, "\(error?.message ?? "no error")")
        #expect(error?.retryHelps == false)
        #expect(transport.calls.isEmpty)
    }

    @Test("the page is an integer, no slug", arguments: ["31ff3", "", "0", "-5", "030512", "3.5", " 30512", "99999999999999999999"])
    func pages(_ id: String) async {
        let error = await providerError { try iCount(paypageID: id) }
        #expect(error?.kind == .misconfigured)
        #expect(error?.message.contains("integer id") == true)
    }

    @Test("access is a token, or company, user and password together")
    func access() async throws {
        for (token, company, user, password) in [
            (nil, nil, nil, nil), (nil, "c", "u", nil), (nil, "c", "", "p"), ("", nil, "u", "p"),
        ] as [(String?, String?, String?, String?)] {
            let error = await providerError { try iCount(token: token, company: company, user: user, password: password) }
            #expect(error?.kind == .misconfigured)
            #expect(error?.message.contains("ICOUNT_API_TOKEN") == true)
        }
        #expect(await providerError { try iCount(token: "a b") }?.kind == .misconfigured)
        _ = try iCount(token: nil, company: "c", user: "u", password: "p")
    }

    @Test("a page without an address, or live without https, is an illness")
    func noPage() async throws {
        for body in [#"{"status":true}"#, #"{"status":true,"sale_url":"javascript:x"}"#, "[]", "<html>"] {
            #expect(await providerError { try await iCount().initiate(example(), over: RecordingTransport(body)) }?.kind == .unavailable)
        }
        let plain = RecordingTransport(#"{"status":true,"sale_url":"http://x/p"}"#)
        #expect(await providerError { try await iCount(live: true).initiate(example(), over: plain) }?.kind == .unavailable)
        let order = example(notifyURL: "http://pay.example.org/n")
        #expect(await providerError { try await iCount(live: true).initiate(order, over: plain) }?.kind == .rejected)
    }
}

@Suite("iCount: sessions and refusals")
struct ICountAccessTests {
    private func session() throws -> ICountProvider { try iCount(token: nil, company: "c", user: "u", password: "secret-pass") }
    private let login = #"{"status":true,"sid":"S1"}"#
    private let again = #"{"status":true,"sid":"S2"}"#

    @Test("one login serves many calls, and is begun anew after twenty minutes")
    func sessionLife() async throws {
        let clock = TurnedClock(now)
        let provider = try iCount(token: nil, company: "c", user: "u", password: "p", nowMs: { clock.nowMs })
        let transport = RecordingTransport([
            answer(login), answer(listed(charge())), answer(listed(charge())), answer(again), answer(listed(charge())),
        ])
        for _ in 0..<2 { _ = try await provider.status(of: question(), over: transport) }
        clock.turn(by: 20 * 60_000)
        _ = try await provider.status(of: question(), over: transport)
        #expect(
            transport.calls.map { $0.url.split(separator: "/").suffix(2).joined(separator: "/") } == [
                "auth/login", "cc/transactions", "cc/transactions", "auth/login", "cc/transactions",
            ])
        let sent = try JSON(parsing: try #require(transport.calls.first).body)
        #expect(sent == ["cid": "c", "user": "u", "pass": "p"])
        #expect(transport.lastJSON?["sid"] == "S2")
        #expect(transport.lastJSON?["pass"] == nil)
        #expect(transport.calls.allSatisfy { $0.headers["authorization"] == nil })
    }

    @Test(
        "a session that ended is begun anew once, and the call made again once",
        arguments: [
            (#"{"status":false,"reason":"bad_sid"}"#, 200), (#"{"status":0,"reason":"session_expired"}"#, 200),
            (#"{"status":false,"reason":"auth_required"}"#, 200), ("", 401), ("", 403),
        ])
    func ended(_ refusal: String, _ status: Int) async throws {
        let transport = RecordingTransport([answer(login), answer(refusal, status), answer(again), answer(listed(charge()))])
        #expect(try await session().status(of: question(), over: transport).claim == .captured)
        #expect(transport.lastJSON?["sid"] == "S2")
        let forEver = RecordingTransport([answer(login), answer(refusal, status), answer(again), answer(refusal, status), answer(login)])
        #expect(await providerError { try await session().status(of: question(), over: forEver) }?.kind == .misconfigured)
        #expect(forEver.calls.count == 4)
    }

    @Test("a token is never asked for anew")
    func refusedToken() async throws {
        let transport = RecordingTransport([answer("", 401), answer(listed(charge()))])
        #expect(await providerError { try await iCount().status(of: question(), over: transport) }?.kind == .misconfigured)
        #expect(transport.calls.count == 1)
    }

    @Test("a login that is refused is a wrong setting, whatever the word; nothing secret is told")
    func wrongLogin() async throws {
        for body in [#"{"status":false,"reason":"bad_login"}"#, #"{"status":false,"reason":"whatever"}"#, #"{"status":false}"#] {
            let error = await providerError { try await session().status(of: question(), over: RecordingTransport(body)) }
            #expect(error?.kind == .misconfigured)
            #expect(error?.message.contains("secret-pass") == false)
        }
        #expect(await providerError { try await session().status(of: question(), over: RecordingTransport("{}")) }?.kind == .unavailable)
        #expect(await providerError { try await session().status(of: question(), over: RecordingTransport(status: 503, "")) }?.kind == .unavailable)
    }

    static let refusalTable: [(body: String, status: Int, kind: ProviderError.Kind)] = [
        (#"{"status":false,"reason":"no_results_found"}"#, 200, .notFound), (#"{"status":0,"reason":"client_not_found"}"#, 200, .rejected),
        (#"{"status":"0","reason":"bad_doctype"}"#, 200, .rejected), (#"{"status":false,"reason":"too_many_results"}"#, 200, .rejected),
        (#"{"status":false,"reason":"missing_paypage_id"}"#, 200, .misconfigured), (#"{"status":false}"#, 200, .rejected),
        (#"{"status":false,"reason":"something_new"}"#, 200, .rejected), (#"{"status":false,"reason":"rate_limit"}"#, 200, .throttled),
        (#"{"status":false,"reason":"token_revoked"}"#, 200, .misconfigured), ("", 401, .misconfigured), ("", 403, .misconfigured),
        ("", 404, .misconfigured), ("", 408, .unavailable), ("", 422, .rejected), ("", 429, .throttled), ("", 500, .unavailable),
        ("<html>", 502, .unavailable),
    ]

    @Test("refusals tell whether a retry helps", arguments: refusalTable)
    func refusals(_ row: (body: String, status: Int, kind: ProviderError.Kind)) async throws {
        let error = await providerError { try await iCount().status(of: question(), over: RecordingTransport(status: row.status, row.body)) }
        #expect(error?.kind == row.kind)
    }

    @Test("the recorded refusal is read, with the rule behind it; words lose numbers; too fast is told with its pause")
    func words() async throws {
        let missing = RecordingTransport(try fixture("error_missing_paypage_id.json"))
        let error = await providerError { try await iCount().initiate(example(), over: missing) }
        #expect(error?.code == "missing_paypage_id")
        #expect(error?.message.contains("ICOUNT_PAYPAGE_ID") == true)
        let told = RecordingTransport(
            #"{"status":false,"reason":"x","error_description":"phone 0500001111","error_details":["card 4580111122223333"]}"#)
        let message = await providerError { try await iCount().initiate(example(), over: told) }?.message ?? ""
        #expect(message.contains("phone") && !message.contains("0500001111") && !message.contains("45801111"))
        let fast = RecordingTransport([answer("", 429, headers: ["retry-after": "3"])])
        #expect(await providerError { try await iCount().initiate(example(), over: fast) }?.retryAfterSeconds == 3)
    }

    @Test("a live installation keeps its calls half a second apart")
    func pace() async throws {
        let provider = try iCount(live: true)
        let started = ContinuousClock.now
        let transport = RecordingTransport((0..<3).map { _ in answer(listed(charge())) })
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<3 { group.addTask { _ = try await provider.status(of: question(), over: transport) } }
            try await group.waitForAll()
        }
        #expect(ContinuousClock.now - started >= .milliseconds(990))
        let many = RecordingTransport((0..<40).map { _ in answer(listed(charge())) })
        let throttled = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<40 { group.addTask { await providerError { try await provider.status(of: question(), over: many) }?.kind == .throttled } }
            var count = 0
            for await isThrottled in group {
                if isThrottled { count += 1 }
                if count == 20 { group.cancelAll() }
            }
            return count
        }
        #expect(throttled >= 20)
    }
}

@Suite("iCount: cc/transactions")
struct ICountStatusTests {
    private func ask(_ body: String, _ asked: StatusQuestion = question()) async throws -> ProviderNotice {
        try await iCount().status(of: asked, over: RecordingTransport(body))
    }

    @Test("asked by the confirmation code, the charge is the attempt's, with its amount and document")
    func captured() async throws {
        let transport = RecordingTransport(listed(charge()))
        let notice = try await iCount().status(of: question(), over: transport)
        #expect(transport.calls.first?.url.hasSuffix("/cc/transactions") == true)
        #expect(transport.lastJSON == ["confirmation_code": "0431877"])
        #expect(
            notice
                == ProviderNotice(
                    references: [confirmed, ProviderReference("document", "invrec:3006")], claim: .captured, amount: Money(24_990, .ils),
                    transaction: "77001"))
    }

    static let states: [(changes: [String: JSON?], claim: ProviderClaim)] = [
        (["refunded": "1"], .refunded), (["refunded": true], .refunded), (["refunded": "249.90"], .refunded), (["refunded": "2025-11-22"], .refunded),
        (["refunded": ""], .captured), (["refunded": "0.00"], .captured), (["refunded": .some(.null)], .captured),
        (["refunded": JSON?.none], .captured),
        (["refunded": "false"], .captured), (["refunded": 0], .captured), (["refunded": "0000-00-00 00:00:00"], .captured),
        (["is_chargeback": "1"], .chargedBack), (["is_chargeback": 1, "refunded": "1"], .chargedBack), (["is_chargeback": false], .captured),
    ]

    @Test("a refund and a charge-back are read from flags of any shape", arguments: states)
    func flags(_ row: (changes: [String: JSON?], claim: ProviderClaim)) async throws {
        let notice = try await ask(listed(charge(row.changes)))
        #expect(notice.claim == row.claim)
        #expect(notice.amount == Money(24_990, .ils))
    }

    static let sums: [(sum: JSON, currency: JSON?, amount: Money?, problem: String?)] = [
        ("249.90", "ILS", Money(24_990, .ils), nil), ("249.9", "USD", Money(24_990, .usd), nil), (250, "EUR", Money(25_000, .eur), nil),
        (.number("249.90"), "ILS", Money(24_990, .ils), nil), ("90071992547409.93", "ILS", Money(9_007_199_254_740_993, .ils), nil),
        ("249.901", "ILS", nil, "decimals"), ("-249.90", "ILS", nil, "not positive"), ("0", "ILS", nil, "not positive"),
        ("1e3", "ILS", nil, "plain decimal"), ("NaN", "ILS", nil, "plain decimal"), ("249.90", "5", nil, "currency"),
        ("249.90", nil, nil, "currency"),
        ("249.90", "GBP", nil, "currency"), ("99999999999999999999", "ILS", nil, "range"),
    ]

    @Test("amounts are read exactly, and never without a currency's code", arguments: sums)
    func amounts(_ row: (sum: JSON, currency: JSON?, amount: Money?, problem: String?)) async throws {
        let notice = try await ask(listed(charge(["cctotal": row.sum, "currency_code": row.currency, "currency_id": 5])))
        #expect(notice.claim == .captured)
        #expect(notice.amount == row.amount)
        #expect(row.problem.map { notice.amountProblem?.contains($0) == true } ?? (notice.amountProblem == nil), "\(notice.amountProblem ?? "none")")
    }

    @Test("another sum is told as it is: the comparison is not the adapter's")
    func otherSum() async throws {
        #expect(try await ask(listed(charge(["cctotal": "1.00"]))).amount == Money(100, .ils))
    }

    @Test("a code that is handed in without proof pays nothing, and asks nothing")
    func unproven() async throws {
        let transport = RecordingTransport(listed(charge()))
        let notice = try await iCount().status(of: question([.ours(attempt)], unverified: [confirmed]), over: transport)
        #expect(notice.claim == .unknown)
        #expect(notice.errorCode == "unproven_confirmation")
        #expect(notice.references.isEmpty)
        #expect(transport.calls.isEmpty)
        #expect(await providerError { try await iCount().status(of: question([.ours(attempt)]), over: transport) }?.kind == .notFound)
        let both = question([.ours(attempt), ProviderReference("confirmation", "999")], unverified: [confirmed])
        let other = RecordingTransport(listed(charge()))
        #expect(await providerError { try await iCount().status(of: both, over: other) }?.kind == .notFound)
    }

    @Test(
        "what is not listed is not found",
        arguments: [
            #"{"status":true,"results_count":0,"results_list":[]}"#, #"{"status":true}"#, #"{"status":true,"results_list":null}"#,
            #"{"status":true,"results_list":"x"}"#, #"{"status":true,"results_list":[1,null,"x",{}]}"#,
            #"{"status":false,"reason":"no_results_found"}"#, listed(charge(["confirmation_code": "431877"])),
            listed(charge(["confirmation_code": ["0431877"]])),
        ])
    func notFound(_ body: String) async {
        #expect(await providerError { try await ask(body) }?.kind == .notFound)
    }

    @Test("lists written as objects are read, and codes written as numbers")
    func shapes() async throws {
        let object = JSON.object(["status": true, "results_list": ["77001": charge()]]).text
        #expect(try await ask(object).claim == .captured)
        let number = ProviderReference("confirmation", "431877")
        let asked = question([number])
        #expect(try await ask(listed(charge(["confirmation_code": 431_877])), asked).claim == .captured)
    }

    @Test("an acquirer uses its codes again: old charges are left aside, and of several that fit none is taken")
    func ambiguity() async throws {
        let old = charge(["cc_charge_date": "2024-11-21", "cc_bill_log_id": "1"])
        #expect(await providerError { try await ask(listed(old)) }?.kind == .notFound)
        #expect(try await ask(listed(old, charge())).transaction == "77001")
        #expect(try await ask(listed(charge(["cctotal": "10.00", "cc_bill_log_id": "2"]), charge())).transaction == "77001")
        let several = try await ask(listed(charge(), charge(["cc_bill_log_id": "77002"])))
        #expect(several.claim == .unknown)
        #expect(several.errorCode == "ambiguous_confirmation")
        let none = try await ask(listed(charge(["cctotal": "10.00"]), charge(["cctotal": "11.00"])))
        #expect(none.errorCode == "ambiguous_confirmation")
        #expect(try await ask(listed(charge(["cc_charge_date": "21/11/2025"]))).claim == .captured)
        #expect(try await ask(listed(charge(["cc_charge_date": "2025-11-20"]))).claim == .captured)
        #expect(try await ask(listed(old), question(createdAtMs: 0)).claim == .captured)
    }
}

@Suite("iCount: refunds")
struct ICountRefundTests {
    private func order(
        _ references: [ProviderReference] = [.ours(attempt), confirmed], amount: Int64 = 24_990, captured: Int64 = 24_990, before: Int64 = 0,
        reason: String = "שינוי תוכנית"
    ) -> RefundOrder {
        RefundOrder(
            question: question(references), amount: Money(amount, .ils), captured: captured, refundedBefore: before, key: "k", reason: reason)
    }
    private let cancelled = #"{"status":true,"reason":"OK"}"#

    @Test("the document is cancelled together with the charge, whole")
    func full() async throws {
        let transport = RecordingTransport([answer(listed(charge())), answer(cancelled)])
        let notice = try await iCount().refund(order(), over: transport)
        #expect(transport.calls.last?.url.hasSuffix("/doc/cancel") == true)
        #expect(transport.lastJSON == ["doctype": "invrec", "docnum": 3006, "refund_cc": 1, "reason": "שינוי תוכנית"])
        #expect(notice.claim == .refunded)
        #expect(notice.amount == Money(24_990, .ils))
        #expect(notice.references == [confirmed, ProviderReference("document", "invrec:3006")])
    }

    @Test("by the document that the notification named, where iCount lists no charge")
    func byDocument() async throws {
        let named = order([.ours(attempt), ProviderReference("document", "receipt:A-17")], reason: "")
        let transport = RecordingTransport(cancelled)
        #expect(try await iCount().refund(named, over: transport).claim == .refunded)
        #expect(transport.lastJSON == ["doctype": "receipt", "docnum": "A-17", "refund_cc": 1, "reason": "Refund"])
    }

    @Test("what was given back already is not given back again")
    func twice() async throws {
        let transport = RecordingTransport(listed(charge(["refunded": "1"])))
        #expect(try await iCount().refund(order(), over: transport).claim == .refunded)
        #expect(transport.calls.count == 1)
    }

    @Test("a part is refused with the rule, before any call")
    func part() async throws {
        for part in [order(amount: 100), order(amount: 24_890, before: 100)] {
            let transport = RecordingTransport(cancelled)
            let error = await providerError { try await iCount().refund(part, over: transport) }
            #expect(error?.kind == .rejected)
            #expect(error?.code == "full_only")
            #expect(transport.calls.isEmpty)
        }
        #expect(try iCount().capabilities.refunds == .full)
    }

    @Test("a charge without a document cannot be given back by a call; an illness is told as one")
    func faults() async throws {
        let none = RecordingTransport(listed(charge(["doctype": "", "docnumber": ""])))
        #expect(await providerError { try await iCount().refund(order(), over: none) }?.code == "no_document")
        let refused = RecordingTransport([answer(listed(charge())), answer(#"{"status":false,"reason":"no_cc_transaction"}"#)])
        #expect(await providerError { try await iCount().refund(order(), over: refused) }?.kind == .rejected)
        let ill = RecordingTransport([answer(listed(charge())), answer("", 502)])
        #expect(await providerError { try await iCount().refund(order(), over: ill) }?.kind == .unavailable)
        let illFirst = RecordingTransport(status: 502, "")
        #expect(await providerError { try await iCount().refund(order(), over: illFirst) }?.kind == .unavailable)
        #expect(illFirst.calls.count == 1)
    }
}
