import Formats
import KKiaPay
import Money
import ProviderPort
import Testing

private let attempt = "INV-2026-000481"

private func kkiapay(_ url: String = "https://api-sandbox.kkiapay.me", live: Bool = false) throws -> KKiaPayProvider {
    try KKiaPayProvider(publicKey: "pk", privateKey: "sk", secret: "s", webhookSecrets: [], apiURL: url, live: live)
}

/// An answer to status that is a payment of this attempt, with what a test wants different.
private func answer(_ changes: [(String, JSON?)] = [], transaction: String = "T1") -> String {
    var json: JSONObject = [
        "status": "SUCCESS", "type": "DEBIT", "amount": 5000, "state": ["attempt": .string(attempt)], "partnerId": nil,
        "transactionId": .string(transaction), "performed_at": "2026-03-14T08:26:53.883Z",
    ]
    for (key, value) in changes { json[key] = value }
    return JSON.object(json).text
}

private func ok(_ body: String, status: Int = 200) -> Result<ProviderAnswer, ProviderError> {
    .success(ProviderAnswer(status: status, headers: [:], body: Array(body.utf8)))
}

private func ask(
    _ answers: [Result<ProviderAnswer, ProviderError>], _ numbers: [String] = ["T1"], unverified: [String] = []
) async throws -> ProviderNotice {
    let question = StatusQuestion(
        payment: "pay_01", attempt: attempt, amount: Money(5000, .xof),
        references: [.ours(attempt)] + numbers.map { ProviderReference("transaction", $0) },
        unverified: unverified.map { ProviderReference("transaction", $0) })
    return try await kkiapay().status(of: question, over: RecordingTransport(answers))
}

@Suite("KKiaPay: status")
struct KKiaPayStatusTests {
    @Test("the request is the documented one, with all three keys")
    func request() async throws {
        let transport = RecordingTransport(try Fixture.bytes("kkiapay/api/status_success.json"))
        let question = StatusQuestion.about(.ours(attempt), ProviderReference("transaction", "3iH6wjHJ3"))
        let notice = try await kkiapay("https://api-sandbox.kkiapay.me/").status(of: question, over: transport)
        #expect(
            notice
                == ProviderNotice(
                    references: [ProviderReference("transaction", "3iH6wjHJ3")], claim: .captured, amount: Money(1000, .xof),
                    transaction: "3iH6wjHJ3", occurredAtMs: Timestamp.parse("2026-03-14T08:26:53.883Z")))
        let call = try #require(transport.calls.first)
        #expect(call.url == "https://api-sandbox.kkiapay.me/api/v1/transactions/status")
        #expect(call.method == "POST")
        #expect(transport.lastJSON == (try JSON(parsing: try Fixture.bytes("kkiapay/api/status_request.json"))))
        #expect(call.headers["x-api-key"] == "pk" && call.headers["x-private-key"] == "sk" && call.headers["x-secret-key"] == "s")
    }

    static let samples: [(file: String, attempt: String, transaction: String, claim: ProviderClaim, amount: Int64, code: String?)] = [
        ("status_failed", "INV-2026-000484", "erjEU5P9o", .failed, 1000, "processing_error"),
        ("status_pending", "INV-2026-000486", "Hn3yWd7Qe", .processing, 3000, nil),
        ("status_reverted", "INV-2026-000481", "3iH6wjHJ3", .refunded, 1000, nil),
    ]

    @Test("the recorded answers are read", arguments: samples)
    func readSample(_ row: (file: String, attempt: String, transaction: String, claim: ProviderClaim, amount: Int64, code: String?)) async throws {
        let transport = RecordingTransport(try Fixture.bytes("kkiapay/api/\(row.file).json"))
        let question = StatusQuestion.about(.ours(row.attempt), ProviderReference("transaction", row.transaction))
        let notice = try await kkiapay().status(of: question, over: transport)
        #expect(notice.claim == row.claim)
        #expect(notice.amount == Money(row.amount, .xof))
        #expect(notice.errorCode == row.code)
    }

    static let table: [(status: JSON, claim: ProviderClaim)] = [
        ("SUCCESS", .captured), ("PENDING", .processing), ("INIT", .pending), ("FAILED", .failed), ("INSUFFICIENT_FUND", .failed),
        ("REVERTED", .refunded), ("INVALID_TRANSACTION", .unknown), ("INVALID_TRANSACTION_TYPE", .unknown), ("TRANSACTION_NOT_ELIGIBLE", .unknown),
        ("INVALID_PHONE_NUMBER", .unknown), ("UNKNOWN", .unknown), ("success", .unknown), ("COMPLETE", .unknown), ("", .unknown), (0, .unknown),
    ]

    @Test("the table of statuses", arguments: table)
    func statuses(_ row: (status: JSON, claim: ProviderClaim)) async throws {
        let notice = try await ask([ok(answer([("status", row.status)]))])
        #expect(notice.claim == row.claim)
        #expect((notice.errorCode != nil) == [.unknown, .failed].contains(row.claim))
    }

    @Test("a success that is no payment of the customer is none", arguments: ["CREDIT", "debit", nil, 1, ["DEBIT"]] as [JSON])
    func type(_ type: JSON) async throws {
        for status in ["SUCCESS", "REVERTED"] {
            let notice = try await ask([ok(answer([("type", type), ("status", .string(status))]))])
            #expect(notice.claim == .unknown)
            #expect(notice.errorCode == "not_a_debit")
        }
        #expect(try await ask([ok(answer([("type", nil)]))]).claim == .unknown)
    }

    static let ours: [(state: JSON, partner: JSON)] = [
        (["attempt": .string(attempt)], nil), (["order_id": .string(attempt)], "x"), (.string(#"{"attempt":"\#(attempt)"}"#), nil),
        (.string(JSON.string(#"{"attempt":"\#(attempt)"}"#).text), nil), (.string(attempt), nil), ("", .string(attempt)), (nil, .string(attempt)),
    ]

    @Test("our attempt is recognised in every shape of its state", arguments: ours)
    func named(_ row: (state: JSON, partner: JSON)) async throws {
        #expect(try await ask([ok(answer([("state", row.state), ("partnerId", row.partner)]))]).claim == .captured)
    }

    static let foreign: [(state: JSON, partner: JSON, code: String)] = [
        (["attempt": "INV-2026-000482"], nil, "foreign_reference"), (["attempt": "inv-2026-000481"], nil, "foreign_reference"),
        ("INV-2026-000482", .string(attempt), "foreign_reference"), (["attempt": "INV-2026-000482"], .string(attempt), "foreign_reference"),
        (nil, "INV-2026-000482", "foreign_reference"), ([:], "", "no_reference"), (nil, nil, "no_reference"), ("", "", "no_reference"),
        (["payment": "pay_01"], nil, "no_reference"), (.string(attempt + " "), nil, "foreign_reference"),
    ]

    @Test("a transaction that names another attempt, or none, says nothing of ours, and is not kept as ours", arguments: foreign)
    func foreignTransaction(_ row: (state: JSON, partner: JSON, code: String)) async throws {
        for status in ["SUCCESS", "FAILED", "REVERTED", "PENDING"] {
            let body = answer([("state", row.state), ("partnerId", row.partner), ("status", .string(status))])
            for notice in [try await ask([ok(body)]), try await ask([ok(body)], [], unverified: ["T1"])] {
                #expect(notice.claim == .unknown)
                #expect(notice.references.isEmpty)
                #expect(notice.amount == nil && notice.transaction == nil)
                #expect(notice.errorCode == row.code)
            }
        }
    }

    @Test("an answer about another transaction than asked for is not ours")
    func anotherTransaction() async throws {
        for number in ["T2", "t1"] {
            let notice = try await ask([ok(answer(transaction: number))])
            #expect(notice.claim == .unknown)
            #expect(notice.errorCode == "foreign_reference")
        }
    }

    static let amounts: [(amount: JSON?, claim: ProviderClaim, units: Int64?, hasProblem: Bool)] = [
        (5000, .captured, 5000, false), ("5000", .captured, 5000, false), (.number("5000.00"), .captured, 5000, false), (100, .captured, 100, false),
        (.int(.max), .captured, .max, false), (5_000_000_000, .captured, 5_000_000_000, false),
        (.number("99999999999999999999"), .captured, nil, true),
        (.number("5000.5"), .captured, nil, true), (.number("5e3"), .captured, nil, true), (0, .captured, nil, true), (-5000, .captured, nil, true),
        ("5 000", .captured, nil, true), ("NaN", .captured, nil, true), ("", .unknown, nil, false), (nil, .unknown, nil, false),
        ([5000], .unknown, nil, false), (true, .unknown, nil, false), (.null, .unknown, nil, false),
    ]

    @Test("amounts are whole XOF, exactly; a success without one pays nothing", arguments: amounts)
    func readAmount(_ row: (amount: JSON?, claim: ProviderClaim, units: Int64?, hasProblem: Bool)) async throws {
        let notice = try await ask([ok(answer([("amount", row.amount)]))])
        #expect(notice.claim == row.claim)
        #expect(notice.amount?.minorUnits == row.units)
        #expect((notice.amountProblem != nil) == row.hasProblem)
    }

    @Test("verified numbers are asked about first, then those handed in, each once; without any there is nothing to ask")
    func order() async throws {
        let transport = RecordingTransport([ok(answer([("status", "FAILED")])), ok(answer([("status", "PENDING")], transaction: "T2"))])
        let question = StatusQuestion.about(
            .ours(attempt), ProviderReference("transaction", "T1"),
            unverified: [
                ProviderReference("transaction", "T2"), ProviderReference("transaction", "T1"), ProviderReference("session", "x"),
                ProviderReference("transaction", "../x"),
            ])
        #expect(try await kkiapay().status(of: question, over: transport).claim == .processing)
        let asked = transport.calls.map { (try? JSON(parsing: $0.body))?["transactionId"]?.string }
        #expect(asked == ["T1", "T2"])
        let nothing = RecordingTransport([])
        #expect(await providerError { try await kkiapay().status(of: .about(.ours(attempt)), over: nothing) }?.kind == .notFound)
        #expect(nothing.calls.isEmpty)
    }

    @Test("a failure's words are kept without phone numbers")
    func words() async throws {
        let notice = try await ask([ok(answer([("status", "FAILED"), ("failureCode", "declined"), ("failureMessage", "22997000000 said no")]))])
        #expect(notice.errorCode == "declined")
        #expect(notice.errorText == "…00 said no")
    }

    @Test("of several tries in one widget the one that brought money decides, whatever came before or after it")
    func tries() async throws {
        let failed = ok(answer([("status", "FAILED")]))
        let paid = ok(answer(transaction: "T2"))
        let notice = try await ask([failed, paid], ["T1", "T2"])
        #expect(notice.claim == .captured)
        #expect(notice.transaction == "T2")
        #expect(notice.errorCode == nil)
        #expect(notice.references.map(\.value) == ["T2", "T1"])
        #expect(try await ask([ok(answer()), ok(answer([("status", "FAILED")], transaction: "T2"))], ["T1", "T2"]).claim == .captured)
        let foreign = ok(answer([("state", "other")]))
        #expect(try await ask([foreign, paid], [], unverified: ["T1", "T2"]).references == [ProviderReference("transaction", "T2")])
        #expect(try await ask([ok("{}", status: 404), paid], ["T1"], unverified: ["T2"]).claim == .captured)
        #expect(try await ask([ok("{}", status: 400), paid], ["T1"], unverified: ["T2"]).claim == .captured)
    }

    @Test("an attempt that was paid twice is captured once, and a person is told")
    func paidTwice() async throws {
        let notice = try await ask([ok(answer()), ok(answer(transaction: "T2"))], ["T1"], unverified: ["T2"])
        #expect(notice.claim == .captured)
        #expect(notice.amount == Money(5000, .xof))
        #expect(notice.errorCode == "paid_twice")
        #expect(notice.errorText?.contains("T1, T2") == true)
    }

    static let faults: [(status: Int, body: String, kind: ProviderError.Kind)] = [
        (404, "<html></html>", .notFound), (404, #"{"status":4003}"#, .notFound), (200, #"{"status":4003}"#, .notFound),
        (200, #"{"status":"TRANSACTION_NOT_FOUND"}"#, .notFound), (400, #"{"status":"TRANSACTION_NOT_FOUND"}"#, .notFound),
        (400, "{}", .notFound), (422, "no", .notFound), (401, "{}", .misconfigured), (403, "", .misconfigured),
        (200, #"{"status":"INVALID_API_KEY"}"#, .misconfigured), (429, "", .throttled), (408, "", .unavailable), (500, "{}", .unavailable),
        (502, "<html>Bad gateway</html>", .unavailable), (302, "", .unavailable), (200, "<html></html>", .unavailable), (200, "[]", .unavailable),
        (200, "{}", .unavailable), (200, #"{"status":null}"#, .unavailable),
    ]

    @Test("what is no answer is unknown, never failed", arguments: faults)
    func fault(_ row: (status: Int, body: String, kind: ProviderError.Kind)) async throws {
        let error = await providerError { try await ask([ok(row.body, status: row.status)]) }
        #expect(error?.kind == row.kind)
        #expect(error?.retryHelps == (row.kind != .misconfigured))
    }

    @Test("a provider that is ill in the middle takes no success back, and hides none")
    func illness() async throws {
        let down = Result<ProviderAnswer, ProviderError>.failure(ProviderError(.unavailable, "time-out"))
        #expect(try await ask([ok(answer()), down], ["T1", "T2"]).claim == .captured)
        let failed = ok(answer([("status", "FAILED")]))
        #expect(await providerError { try await ask([failed, down], ["T1", "T2"]) }?.kind == .unavailable)
        let tooFast = RecordingTransport(status: 429, headers: ["retry-after": "7"], [])
        let question = StatusQuestion.about(.ours(attempt), ProviderReference("transaction", "T1"))
        #expect(await providerError { try await kkiapay().status(of: question, over: tooFast) }?.retryAfterSeconds == 7)
    }

    @Test("no more numbers are asked about than a customer could have tried")
    func bounded() async throws {
        let transport = RecordingTransport((0..<100).map { _ in ok("{}", status: 404) })
        let forged = (0..<100).map { ProviderReference("transaction", "F\($0)") }
        let question = StatusQuestion.about(.ours(attempt), unverified: forged)
        #expect(await providerError { try await kkiapay().status(of: question, over: transport) }?.kind == .notFound)
        #expect(transport.calls.count == 25)
    }
}

@Suite("KKiaPay: giving back")
struct KKiaPayRefundTests {
    private func refund(
        _ answers: [Result<ProviderAnswer, ProviderError>], amount: Int64 = 5000, captured: Int64 = 5000, before: Int64 = 0,
        numbers: [String] = ["T1"]
    ) async throws -> (ProviderNotice, [ProviderCall]) {
        let transport = RecordingTransport(answers)
        let question = StatusQuestion(
            payment: "pay_01", attempt: attempt, amount: Money(5000, .xof), references: numbers.map { ProviderReference("transaction", $0) },
            unverified: [ProviderReference("transaction", "F1")])
        let order = RefundOrder(
            question: question, amount: Money(amount, .xof), captured: captured, refundedBefore: before, key: "ref_1", reason: "withdrawn")
        return (try await kkiapay().refund(order, over: transport), transport.calls)
    }

    private let reverted = answer([("status", "REVERTED")])

    @Test("the whole transaction is reverted by the documented call")
    func whole() async throws {
        let done = ok(try Fixture.text("kkiapay/api/revert_success.json"))
        let (notice, calls) = try await refund([ok(answer()), done])
        #expect(
            notice
                == ProviderNotice(
                    references: [ProviderReference("transaction", "T1")], claim: .refunded, amount: Money(5000, .xof), transaction: "T1"))
        #expect(calls.map(\.url.description).last?.hasSuffix("/api/v1/transactions/revert") == true)
        #expect(try JSON(parsing: try #require(calls.last).body) == ["transactionId": "T1"])
        #expect(calls.count == 2)
    }

    @Test("parts, other amounts, and what was never paid are refused before the call")
    func rules() async throws {
        for (amount, captured, before) in [(2000, 5000, 0), (5000, 5000, 1), (3000, 5000, 2000)] as [(Int64, Int64, Int64)] {
            let error = await providerError { try await refund([ok(answer())], amount: amount, captured: captured, before: before) }
            #expect(error?.kind == .rejected)
            #expect(error?.message.contains("whole payments only") == true)
        }
        let other = await providerError { try await refund([ok(answer([("amount", 4000)]))]) }
        #expect(other?.message.contains("not of this amount") == true)
        for status in ["FAILED", "PENDING"] {
            #expect(await providerError { try await refund([ok(answer([("status", .string(status))]))]) }?.code == "nothing_to_revert")
        }
        #expect(await providerError { try await refund([], numbers: []) }?.code == "nothing_to_revert")
        let twice = await providerError { try await refund([ok(answer()), ok(answer(transaction: "T2"))], numbers: ["T1", "T2"]) }
        #expect(twice?.code == "paid_twice")
    }

    @Test(
        "refusals are told with KKiaPay's code",
        arguments: ["INSUFFICIENT_FUND", "INVALID_TRANSACTION_TYPE", "INVALID_PAYOUT_DESTINATION_ACCOUNT", "SOMETHING_NEW"])
    func refusals(_ code: String) async throws {
        for (member, status) in [("code", 200), ("code", 400), ("status", 200)] {
            let error = await providerError { try await refund([ok(answer()), ok("{\"\(member)\":\"\(code)\"}", status: status)]) }
            #expect(error?.kind == .rejected)
            #expect(error?.code == code)
        }
    }

    @Test("what was given back already is not given back again")
    func already() async throws {
        let (notice, calls) = try await refund([ok(reverted)])
        #expect(notice.claim == .refunded)
        #expect(calls.count == 1)
    }

    static let lost: [Result<ProviderAnswer, ProviderError>] = [
        .failure(ProviderError(.unavailable, "time-out")), ok("<html>Bad gateway</html>", status: 502), ok("", status: 200), ok("{}", status: 500),
        ok(#"{"code":"SUCCESS"}"#, status: 500), ok(#"{"code":"TRANSACTION_NOT_ELIGIBLE"}"#, status: 400),
    ]

    @Test("after a lost answer the transaction tells whether it was carried out", arguments: lost)
    func lostAnswer(_ answer: Result<ProviderAnswer, ProviderError>) async throws {
        let paid = ok(KKiaPayTests.paid)
        let (notice, calls) = try await refund([paid, answer, ok(reverted)])
        #expect(notice.claim == .refunded)
        #expect(notice.amount == Money(5000, .xof))
        #expect(calls.count == 3)
        let error = await providerError { try await refund([paid, answer, paid]) }
        #expect(error?.claimsNothing == true)
    }

    @Test("one that is not eligible and not reverted is refused for good")
    func notEligible() async throws {
        let error = await providerError { try await refund([ok(answer()), ok(#"{"code":"TRANSACTION_NOT_ELIGIBLE"}"#), ok(answer())]) }
        #expect(error?.kind == .rejected)
        #expect(error?.code == "TRANSACTION_NOT_ELIGIBLE")
    }

    @Test("keys that are not taken and too many calls are what they are")
    func keys() async throws {
        #expect(await providerError { try await refund([ok(answer()), ok("{}", status: 401)]) }?.kind == .misconfigured)
        #expect(await providerError { try await refund([ok(answer()), ok("{}", status: 429)]) }?.kind == .throttled)
        #expect(await providerError { try await refund([ok("{}", status: 401)]) }?.kind == .misconfigured)
    }
}

private enum KKiaPayTests {
    static let paid = answer()
}

extension ProviderError {
    /// Neither a success nor a failure of the payment.
    fileprivate var claimsNothing: Bool { kind == .unavailable || code == "TRANSACTION_NOT_ELIGIBLE" }
}
