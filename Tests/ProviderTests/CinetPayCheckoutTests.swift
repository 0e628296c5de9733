import CinetPay
import Formats
import Money
import ProviderPort
import Testing

private func cinetPay(live: Bool = false, apiURL: String = "https://api-checkout.cinetpay.com/v2") -> CinetPayProvider {
    CinetPayProvider(apiKey: "1234567890abcdef12345678.90123456", siteID: "900417", secrets: [], apiURL: apiURL, live: live)
}

private func created() throws -> RecordingTransport { RecordingTransport(try Fixture.bytes("cinetpay/api/payment_response_created.json")) }

private func answer(code: String, status: String? = "REFUSED", amount: String? = "5000", currency: String = "XOF") -> String {
    var data: [(String, JSON)] = [("currency", .string(currency)), ("operator_id", .null), ("payment_date", " ")]
    if let amount { data.append(("amount", .string(amount))) }
    if let status { data.append(("status", .string(status))) }
    return JSON.object(["code": .string(code), "message": .string("NAME_OF_\(code)"), "data": .object(JSONObject(data))]).text
}

@Suite("CinetPay: starting a payment")
struct CinetPayInitiateTests {
    @Test("the request is the documented one")
    func request() async throws {
        let transport = try created()
        let initiation = try await cinetPay().initiate(.example(), over: transport)
        let token = "d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7081"
        #expect(initiation.paymentURL == "https://checkout.cinetpay.com/payment/\(token)")
        #expect(initiation.references == [.ours("INV-2026-000481"), ProviderReference("token", token)])
        let call = try #require(transport.calls.first)
        #expect(call.method == "POST")
        #expect(call.url == "https://api-checkout.cinetpay.com/v2/payment")
        #expect(call.headers["content-type"] == "application/json")
        let sent = try #require(transport.lastJSON)
        let sample = try JSON(parsing: try Fixture.bytes("cinetpay/api/payment_request.json"))
        let ours = ["metadata": "pay_01"]
        let notSent: Set = [
            "customer_id", "customer_address", "customer_city", "customer_country", "customer_state", "customer_zip_code", "invoice_data",
        ]
        for member in try #require(sample.object) where !notSent.contains(member.key) {
            #expect(sent[member.key] == ours[member.key].map { .string($0) } ?? member.value, "\(member.key)")
        }
    }

    @Test(
        "the address is taken with and without its version",
        arguments: ["http://127.0.0.1:8082/cinetpay", "http://127.0.0.1:8082/cinetpay/", "http://127.0.0.1:8082/cinetpay/v2"])
    func address(_ url: String) async throws {
        let transport = try created()
        _ = try await cinetPay(apiURL: url).initiate(.example(), over: transport)
        #expect(transport.calls.first?.url == "http://127.0.0.1:8082/cinetpay/v2/payment")
    }

    static let broken: [(order: PaymentOrder, word: String)] = [
        (.example(amount: Money(5001, .xof)), "multiple of 5"), (.example(amount: Money(95, .xof)), "at least 100"),
        (.example(amount: Money(0, .xof)), "positive"), (.example(amount: Money(-500, .xof)), "positive"),
        (.example(amount: Money(1050, .usd)), "whole number"), (.example(amount: Money(500, .eur)), "currency"),
        (.example(attempt: "INV-2026-000481-0000000001"), "1 to 25"), (.example(attempt: ""), "1 to 25"),
        (.example(attempt: "INV_1"), "# / , $ _ &"), (.example(attempt: "INV/1"), "# / , $ _ &"), (.example(attempt: "INV 1"), "blanks"),
        (.example(attempt: "INV-é"), "ASCII"), (.example(customer: Customer(name: " ", email: nil, phone: nil, language: "fr")), "customer_name"),
        (.example(method: "cheque"), "method"), (.example(method: "credit_card"), "customer_address"),
        (.example(notifyURL: "ftp://x"), "notify_url"), (.example(returnURL: ""), "return_url"),
    ]

    @Test("a broken rule is told before any call", arguments: broken)
    func rules(_ broken: (order: PaymentOrder, word: String)) async throws {
        let transport = try created()
        let error = await providerError { try await cinetPay().initiate(broken.order, over: transport) }
        #expect(error?.kind == .rejected)
        #expect(error?.message.contains(broken.word) == true, "\(error?.message ?? "no error")")
        #expect(transport.calls.isEmpty)
    }

    @Test("live takes only https addresses")
    func live() async throws {
        let order = PaymentOrder.example(notifyURL: "http://pay.example.com/hook")
        #expect(await providerError { try await cinetPay(live: true).initiate(order, over: try created()) }?.message.contains("https") == true)
        #expect(await providerError { try await cinetPay().initiate(order, over: try created()) } == nil)
    }

    @Test("dollars need no multiple of five, and are sent whole")
    func dollars() async throws {
        let transport = try created()
        _ = try await cinetPay().initiate(.example(amount: Money(1200, .usd)), over: transport)
        #expect(transport.lastJSON?["amount"]?.int == 12)
    }

    @Test(
        "the description loses what CinetPay forbids",
        arguments: [("Kit #1 / A_B & C$", "Kit 1 A B C"), ("", "Paiement"), ("#$&", "Paiement"), ("Été\nà livrer", "Été à livrer")])
    func description(_ text: String, _ expected: String) async throws {
        let transport = try created()
        _ = try await cinetPay().initiate(.example(description: text), over: transport)
        #expect(transport.lastJSON?["description"]?.string == expected)
    }

    @Test("a name of one word stands for both names; card data comes from the metadata")
    func names() async throws {
        let transport = try created()
        let card = ["customer_address": "Cocody", "customer_city": "Abidjan", "customer_country": "CI", "customer_zip_code": "00225"]
        let customer = Customer(name: "Awa", email: nil, phone: nil, language: "de")
        _ = try await cinetPay().initiate(.example(customer: customer, method: "credit_card", metadata: card), over: transport)
        let sent = try #require(transport.lastJSON)
        #expect(sent["customer_name"]?.string == "Awa")
        #expect(sent["customer_surname"]?.string == "Awa")
        #expect(sent["channels"]?.string == "CREDIT_CARD")
        #expect(sent["customer_city"]?.string == "Abidjan")
        #expect(sent["customer_email"] == nil)
        #expect(sent["lang"]?.string == "fr")
    }

    @Test(
        "errors tell whether a retry helps",
        arguments: [
            ("608", 200, .rejected), ("609", 200, .misconfigured), ("613", 401, .misconfigured), ("624", 200, .rejected), ("635", 200, .rejected),
            ("641", 400, .rejected), ("603", 200, .unavailable), ("999", 200, .rejected), ("999", 502, .unavailable),
        ] as [(String, Int, ProviderError.Kind)])
    func errors(_ code: String, _ status: Int, _ kind: ProviderError.Kind) async {
        let transport = RecordingTransport(status: status, answer(code: code))
        let error = await providerError { try await cinetPay().initiate(.example(), over: transport) }
        #expect(error?.kind == kind)
        #expect(error?.code == code)
    }

    @Test("an answer that is none is a sign of illness")
    func illness() async throws {
        for (status, body) in [(502, "<html>Bad gateway</html>"), (200, "{}"), (200, #"{"code":"201"}"#), (200, #"{"code":"201","data":{}}"#)] {
            let error = await providerError { try await cinetPay().initiate(.example(), over: RecordingTransport(status: status, body)) }
            #expect(error?.kind == .unavailable)
        }
        let tooFast = RecordingTransport(status: 429, headers: ["retry-after": "7"], [])
        let error = await providerError { try await cinetPay().initiate(.example(), over: tooFast) }
        #expect(error?.kind == .throttled)
        #expect(error?.retryAfterSeconds == 7)
        let missing = RecordingTransport(try Fixture.bytes("cinetpay/api/payment_response_missing_fields.json"))
        #expect(await providerError { try await cinetPay().initiate(.example(), over: missing) }?.code == "608")
    }
}

@Suite("CinetPay: check")
struct CinetPayCheckTests {
    private func check(_ body: String, _ reference: ProviderReference = .ours("INV-2026-000481")) async throws -> ProviderNotice {
        try await cinetPay().status(of: .about(reference), over: RecordingTransport(body))
    }

    @Test("the request is the documented one, by our id or by token")
    func request() async throws {
        let transport = RecordingTransport(try Fixture.bytes("cinetpay/api/check_accepted.json"))
        _ = try await cinetPay().status(of: .about(.ours("INV-2026-000481")), over: transport)
        #expect(transport.calls.first?.url == "https://api-checkout.cinetpay.com/v2/payment/check")
        #expect(transport.lastJSON == (try JSON(parsing: try Fixture.bytes("cinetpay/api/check_request.json"))))
        let byToken = RecordingTransport(try Fixture.bytes("cinetpay/api/check_accepted.json"))
        _ = try await cinetPay().status(of: .about(ProviderReference("token", "abc")), over: byToken)
        #expect(byToken.lastJSON?["token"]?.string == "abc")
        #expect(await providerError { try await check("{}", ProviderReference("external", "x")) }?.kind == .notFound)
    }

    @Test("the recorded answers are read")
    func samples() async throws {
        let accepted = try await check(try Fixture.text("cinetpay/api/check_accepted.json"))
        #expect(
            accepted
                == ProviderNotice(
                    references: [.ours("INV-2026-000481")], claim: .captured, amount: Money(5000, .xof), transaction: "MP260314.0926.A76307"))
        let failed = try await check(try Fixture.text("cinetpay/api/check_failed_600.json"))
        #expect(failed.claim == .failed)
        #expect(failed.errorCode == "600")
        #expect(failed.errorText == "PAYMENT_FAILED")
        #expect(failed.amount == Money(1000, .xof))
        #expect(try await check(try Fixture.text("cinetpay/api/check_refused_cancel.json")).claim == .cancelled)
        let waiting = try await check(try Fixture.text("cinetpay/api/check_waiting_623.json"))
        #expect(waiting.claim == .processing)
        #expect(waiting.amount == Money(3000, .xaf))
        #expect(waiting.errorCode == nil)
    }

    static let table: [(code: String, status: String?, claim: ProviderClaim)] = [
        ("00", "ACCEPTED", .captured), ("00", "REFUSED", .unknown), ("00", "PENDING", .unknown), ("00", nil, .unknown), ("0", "ACCEPTED", .unknown),
        ("201", "PENDING", .pending), ("600", "REFUSED", .failed), ("602", "REFUSED", .failed), ("606", "REFUSED", .failed),
        ("600", "ACCEPTED", .unknown), ("600", nil, .unknown), ("604", "REFUSED", .failed), ("604", "PENDING", .processing),
        ("605", "REFUSED", .failed), ("605", "PENDING", .unknown), ("607", "PENDING", .processing), ("623", "WAITING_FOR_CUSTOMER", .processing),
        ("624", "REFUSED", .unknown), ("625", "REFUSED", .expired), ("627", "REFUSED", .cancelled), ("627", "CANCELLED", .cancelled),
        ("635", "REFUSED", .failed), ("636", "PENDING", .unknown), ("637", "REFUSED", .failed), ("641", "REFUSED", .failed),
        ("642", "PENDING", .unknown), ("807", "REFUSED", .failed), ("812", "REFUSED", .failed), ("812", "PENDING", .unknown),
        ("660", "ACCEPTED", .refunded), ("661", "PENDING", .processing), ("662", "PENDING", .processing), ("663", "PENDING", .processing),
        ("664", "REFUSED", .failed), ("664", "WAITING_FOR_CUSTOMER", .processing), ("664", "ACCEPTED", .unknown), ("999", "ACCEPTED", .unknown),
        ("999", "REFUSED", .unknown),
    ]

    @Test("the code table, together with the status", arguments: table)
    func codes(_ row: (code: String, status: String?, claim: ProviderClaim)) async throws {
        #expect(try await check(answer(code: row.code, status: row.status)).claim == row.claim)
    }

    @Test(
        "codes that change nothing are errors that tell whether asking again helps",
        arguments: [
            (["603", "621", "622", "626", "804"], .unavailable), (["609", "613"], .misconfigured),
            (["608", "610", "611", "612", "614", "615", "616", "617", "618", "619", "620"], .rejected),
        ] as [([String], ProviderError.Kind)])
    func faults(_ codes: [String], _ kind: ProviderError.Kind) async {
        for code in codes {
            let error = await providerError { try await check(answer(code: code)) }
            #expect(error?.kind == kind)
            #expect(error?.code == code)
        }
    }

    @Test("its documentation advises against polling, so it is asked little")
    func polling() {
        #expect(cinetPay().capabilities.discouragesPolling && cinetPay().capabilities.hasStatus)
    }

    @Test("an accepted payment without its amount completes nothing; an odd amount is told")
    func amounts() async throws {
        #expect(try await check(answer(code: "00", status: "ACCEPTED", amount: nil)).claim == .unknown)
        #expect(try await check(answer(code: "00", status: "ACCEPTED", amount: " ")).claim == .unknown)
        let odd = try await check(answer(code: "00", status: "ACCEPTED", currency: "CFA"))
        #expect(odd.claim == .captured)
        #expect(odd.amount == nil)
        #expect(odd.amountProblem?.contains("CFA") == true)
        let number = try await check(#"{"code":"00","message":"SUCCES","data":{"amount":5000,"currency":"XOF","status":"ACCEPTED"}}"#)
        #expect(number.amount == Money(5000, .xof))
    }
}
