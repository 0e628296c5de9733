import FeexPay
import Formats
import Money
import ProviderPort
import Testing

private let reference = ProviderReference("reference", "3f2b9c1e-6a84-4d0e-9f57-1c2d3e4f5a6b")
private let ours = ProviderReference.ours("INV-2026-000481")

private func question(
    _ references: [ProviderReference] = [reference, ours], unverified: [ProviderReference] = [], amount: Money = Money(5000, .xof),
    createdAtMs: Int64 = feexPayNowMs - 3_600_000
) -> StatusQuestion {
    StatusQuestion(
        payment: "pay_01", attempt: "INV-2026-000481", amount: amount, references: references, unverified: unverified, createdAtMs: createdAtMs)
}

private func ok(_ body: String) -> Result<ProviderAnswer, ProviderError> {
    .success(ProviderAnswer(status: 200, headers: [:], body: Array(body.utf8)))
}
private func answer(_ status: Int, _ body: String = "{}") -> Result<ProviderAnswer, ProviderError> {
    .success(ProviderAnswer(status: status, headers: [:], body: Array(body.utf8)))
}

private func record(
    _ status: String = "SUCCESSFUL", amount: String? = "5000", callback: String? = "\"INV-2026-000481\"", reference name: String? = nil,
    more: String = ""
) -> String {
    var fields = ["\"status\":\"\(status)\"", "\"reference\":\"\(name ?? reference.value)\""]
    if let amount { fields.append("\"amount\":\(amount)") }
    if let callback { fields.append("\"callback_info\":\(callback)") }
    return "{" + fields.joined(separator: ",") + more + "}"
}

private func ask(_ body: String, _ about: StatusQuestion = question()) async throws -> ProviderNotice {
    try await feexPay().status(of: about, over: RecordingTransport(body))
}

private func history(_ rows: [String]) -> String { "{\"success\":true,\"data\":[\(rows.joined(separator: ","))]}" }

@Suite("FeexPay: status")
struct FeexPayStatusTests {
    @Test("the request is the documented one")
    func request() async throws {
        let transport = RecordingTransport(try Fixture.bytes("feexpay/api/status_successful.json"))
        _ = try await feexPay().status(of: question(), over: transport)
        let call = try #require(transport.calls.first)
        #expect(call.method == "GET")
        #expect(call.url == "https://api-v2.feexpay.me/api/transactions/public/single/status/3f2b9c1e-6a84-4d0e-9f57-1c2d3e4f5a6b")
        #expect(call.headers["authorization"] == "Bearer fp_demo")
        #expect(transport.calls.count == 1)
    }

    @Test("the recorded answers are read")
    func samples() async throws {
        func read(_ name: String, _ id: String, _ attempt: String, _ amount: Int64 = 5000) async throws -> ProviderNotice {
            let about = StatusQuestion(
                payment: "p", attempt: attempt, amount: Money(amount, .xof), references: [ProviderReference("reference", id), .ours(attempt)])
            return try await ask(try Fixture.text("feexpay/api/\(name).json"), about)
        }
        let paid = try await read("status_successful", reference.value, "INV-2026-000481")
        #expect(
            paid
                == ProviderNotice(
                    references: [reference, ours], claim: .captured, amount: Money(5000, .xof), transaction: "10598412345",
                    occurredAtMs: Timestamp.parse("2026-03-14T08:27:41.000Z")))
        let failed = try await read("status_failed", "c0a8f1d2-77b3-4e19-a5c6-d7e8f9012345", "INV-2026-000485", 7500)
        #expect(failed.claim == .failed)
        #expect(failed.errorCode == "LOW_BALANCE_OR_PAYEE_LIMIT_REACHED_OR_NOT_ALLOWED")
        for name in ["status_pending", "status_in_pending_state"] {
            let waiting = try await read(name, "e1f20304-5a6b-4c7d-8e9f-a0b1c2d3e4f5", "INV-2026-000486", 3000)
            #expect(waiting.claim == .processing)
            #expect(waiting.errorCode == nil)
        }
        // V1's shape: the amount is a text, and only the reference we asked by ties it to us.
        let old = try await read("status_v1_shape", reference.value, "INV-2026-000481")
        #expect(old.claim == .captured)
        #expect(old.amount == Money(5000, .xof))
        #expect(old.transaction == "10598412345")
    }

    static let words: [(status: String, claim: ProviderClaim)] = [
        ("PENDING", .processing), ("IN PENDING STATE", .processing), ("in  pending state", .processing), ("TIMEOUT", .processing),
        ("INITIATED", .pending),
        ("SUCCESSFUL", .captured), ("SUCCESS", .captured), ("Successful", .captured), ("FAILED", .failed), ("INSUFFICIENT_FUNDS", .failed),
        ("CANCELED", .cancelled), ("CANCELLED", .cancelled), ("REFUNDED", .unknown), ("SUCCESSFULL", .unknown), ("COMPLETED", .unknown),
        ("0", .unknown),
    ]

    @Test("the table of statuses; an unknown word changes nothing", arguments: words)
    func table(_ row: (status: String, claim: ProviderClaim)) async throws {
        #expect(try await ask(record(row.status)).claim == row.claim)
    }

    @Test("a reason decides nothing")
    func reason() async throws {
        #expect(try await ask(record(more: ",\"reason\":\"PAYER_NOT_FOUND\"")).claim == .captured)
        #expect(try await ask(record("PENDING", more: ",\"reason\":\"SUCCESSFUL\"")).claim == .processing)
        #expect(try await ask(record("FAILED", more: ",\"reason\":\"\",\"responsecode\":\"FAILED\"")).errorCode == "FAILED")
    }

    @Test(
        "amounts are whole numbers whatever their type, and a success without one is not credited",
        arguments: [
            ("5000", 5000, nil), ("\"5000\"", 5000, nil), ("5000.00", 5000, nil), ("9007199254740993", 9_007_199_254_740_993, nil), (nil, nil, nil),
            ("null", nil, nil), ("\"\"", nil, nil), ("{}", nil, nil), ("true", nil, nil), ("5000.5", nil, "decimals"), ("\"NaN\"", nil, "number"),
            ("5e3", nil, "number"), ("-5000", nil, "positive"), ("0", nil, "positive"), ("\"5 000\"", nil, "number"),
            ("99999999999999999999", nil, "range"),
        ] as [(String?, Int64?, String?)])
    func amounts(_ stated: String?, _ amount: Int64?, _ problem: String?) async throws {
        let notice = try await ask(record(amount: stated))
        #expect(notice.amount == amount.map { Money($0, .xof) })
        if let problem {
            #expect(notice.claim == .captured)
            #expect(notice.amountProblem?.contains(problem) == true, "\(notice.amountProblem ?? "none")")
        } else if amount == nil {
            #expect(notice.claim == .unknown)
            #expect(notice.errorCode == "no_amount")
        }
    }

    @Test("the currency is the one stated, else the named network's, else the attempt's")
    func currencies() async throws {
        #expect(try await ask(record(), question(amount: Money(5000, .xaf))).amount == Money(5000, .xaf))
        #expect(try await ask(record(more: ",\"currency\":\"XAF\"")).amount == Money(5000, .xaf))
        #expect(try await ask(record(more: ",\"currency\":\"FCFA\"")).amount == Money(5000, .xof))
        #expect(try await ask(record(more: ",\"reseau\":\"MTN CG\"")).amount == Money(5000, .xaf))
        #expect(try await ask(record(more: ",\"currency\":\"NGN\"")).amountProblem?.contains("NGN") == true)
    }

    static let ties: [(callback: String?, proven: ProviderClaim, unproven: ProviderClaim)] = [
        ("\"INV-2026-000481\"", .captured, .captured), ("{\"order_id\":\"INV-2026-000481\"}", .captured, .captured),
        ("\"{\\\"order_id\\\":\\\"INV-2026-000481\\\"}\"", .captured, .captured), ("[\"x\",\"INV-2026-000481\"]", .captured, .captured),
        (nil, .captured, .unknown), ("null", .captured, .unknown), ("\"\"", .captured, .unknown), ("{}", .captured, .unknown),
        ("\"INV-2026-000482\"", .unknown, .unknown), ("{\"order_id\":\"INV-2026-000482\"}", .unknown, .unknown),
        ("\"INV-2026-00048\"", .unknown, .unknown),
        ("\"inv-2026-000481\"", .unknown, .unknown), ("481", .unknown, .unknown),
    ]

    @Test("a success counts only where FeexPay ties it to this attempt", arguments: ties)
    func tie(_ row: (callback: String?, proven: ProviderClaim, unproven: ProviderClaim)) async throws {
        let proven = try await ask(record(callback: row.callback))
        #expect(proven.claim == row.proven)
        if row.proven == .unknown { #expect(proven.errorCode == "foreign_reference" && proven.references.isEmpty) }
        let about = question([ours], unverified: [reference])
        let transport = RecordingTransport([ok(record(callback: row.callback)), ok(history([]))])
        let unproven = try await feexPay().status(of: about, over: transport)
        #expect(unproven.claim == row.unproven)
        guard row.unproven == .unknown else { return }
        #expect(["foreign_reference", "unnamed_reference"].contains(unproven.errorCode) && unproven.references.isEmpty)
    }

    @Test("what a stranger handed in neither hides nor ends the attempt")
    func strangers() async throws {
        let wrong = (1...9).map { ProviderReference("reference", "x\($0)") } + [ProviderReference("token", "t")]
        let foreign = record(callback: "\"INV-1\"", reference: "x1")
        let failed = record("FAILED", callback: nil, reference: "x2")
        let answers = [ok(foreign), ok(failed), answer(404), answer(400), ok(record(reference: "other"))]
        let row = record(reference: "real-1")
        let transport = RecordingTransport(answers + [ok(history([row])), ok(record(reference: "real-1"))])
        let notice = try await feexPay().status(of: question([ours], unverified: wrong), over: transport)
        #expect(notice.claim == .captured)
        #expect(notice.references.first == ProviderReference("reference", "real-1"))
        // Five of them are asked about, then the history.
        #expect(transport.calls.count == 7)
    }

    @Test(
        "errors tell whether asking again helps",
        arguments: [
            (404, "{}", .notFound), (404, #"{"code":"NOT_FOUND","message":"Transaction not found"}"#, .notFound), (401, "{}", .misconfigured),
            (403, "{}", .misconfigured), (429, "{}", .throttled), (400, #"{"code":"MISSING_REFERENCE"}"#, .rejected), (500, "", .unavailable),
            (503, #"{"code":"NETWORK_UNAVAILABLE"}"#, .unavailable), (200, "<html>", .unavailable), (200, "{}", .unavailable),
            (200, "[]", .unavailable),
            (200, #"{"status":"SUCCESSFUL","reference":"another"}"#, .unreadable), (200, #"{"success":false,"code":"NOT_FOUND"}"#, .notFound),
            (200, #"{"success":false}"#, .rejected),
        ] as [(Int, String, ProviderError.Kind)])
    func errors(_ status: Int, _ body: String, _ kind: ProviderError.Kind) async {
        let error = await providerError { try await feexPay().status(of: question(), over: RecordingTransport(status: status, body)) }
        #expect(error?.kind == kind, "\(error?.description ?? "no error")")
    }

    @Test("a reference names no other path", arguments: [".", "..", "", String(repeating: "a", count: 300)])
    func paths(_ value: String) async throws {
        let transport = RecordingTransport([ok(history([]))])
        let about = question([ours], unverified: [ProviderReference("reference", value)])
        #expect(await providerError { try await feexPay().status(of: about, over: transport) }?.kind == .notFound)
        #expect(transport.calls.allSatisfy { $0.url.hasSuffix("/history") })
        let slashes = RecordingTransport(record(reference: "a/../b?c"))
        _ = try await feexPay().status(of: question([ProviderReference("reference", "a/../b?c")]), over: slashes)
        #expect(slashes.calls.first?.url.hasSuffix("/status/a%2F..%2Fb%3Fc") == true)
    }
}

@Suite("FeexPay: history")
struct FeexPayHistoryTests {
    private let lost = question([ours])

    @Test("an attempt whose start was never answered is found by what it carries, and asked about by the reference found")
    func found() async throws {
        let transport = RecordingTransport([ok(try Fixture.text("feexpay/api/history.json")), ok(record())])
        let notice = try await feexPay().status(of: lost, over: transport)
        #expect(notice.claim == .captured)
        #expect(notice.amount == Money(5000, .xof))
        #expect(notice.references == [ProviderReference("reference", reference.value.uppercased()), ours])
        let sent = try #require(try? JSON(parsing: transport.calls[0].body))
        #expect(transport.calls[0].url == "https://api-v2.feexpay.me/api/transactions/history")
        #expect(
            sent
                == [
                    "start_date": "2026-03-14", "end_date": "2026-03-14", "shop": "65f0c0ffee5e1f7a4b0c9d3e", "type": "PAYIN", "status": "ALL",
                    "reseau": "ALL",
                ])
        #expect(transport.calls[1].url.hasSuffix("/single/status/3F2B9C1E-6A84-4D0E-9F57-1C2D3E4F5A6B"))
    }

    @Test("of several that carry it the paid one counts, and a payout never")
    func several() async throws {
        let failed = record("FAILED", reference: "r-1")
        let payout = record(reference: "r-0", more: ",\"type\":\"PAYOUT_API\"")
        let transport = RecordingTransport([ok(history([payout, failed, record(reference: "r-2")])), ok(record(reference: "r-2"))])
        #expect(try await feexPay().status(of: lost, over: transport).references.first?.value == "r-2")
        let gone = RecordingTransport([ok(history([failed])), answer(404)])
        #expect(try await feexPay().status(of: lost, over: gone).claim == .failed)
    }

    @Test("what the history does not list is unknown only once it is old enough to be listed")
    func unlisted() async throws {
        for (age, kind) in [(3_600_000, .notFound), (300_000, .notFound), (299_999, .unavailable)] as [(Int64, ProviderError.Kind)] {
            let about = question([ours], createdAtMs: feexPayNowMs - age)
            let error = await providerError { try await feexPay().status(of: about, over: RecordingTransport(history([]))) }
            #expect(error?.kind == kind)
            if kind == .unavailable { #expect(error?.code == "too_early") }
        }
        let unknownAge = question([ours], createdAtMs: 0)
        let transport = RecordingTransport(history([]))
        #expect(await providerError { try await feexPay().status(of: unknownAge, over: transport) }?.code == "too_early")
        // Thirty-one days, the most that FeexPay lists.
        #expect(transport.lastJSON?["start_date"]?.string == "2026-02-12")
        #expect(transport.lastJSON?["end_date"]?.string == "2026-03-14")
    }

    @Test("a list that is cut off is asked for by halves, the newer first; what cannot be listed whole proves no absence")
    func cutOff() async throws {
        let full = history((0..<500).map { "{\"reference\":\"r\($0)\",\"callback_info\":\"A\($0)\"}" })
        let row = history([record(reference: "real")])
        let halves = RecordingTransport([ok(full), ok(history([])), ok(row), ok(record(reference: "real"))])
        let created = feexPayNowMs - 6 * 3_600_000
        #expect(try await feexPay().status(of: question([ours], createdAtMs: created - 6 * 3_600_000), over: halves).claim == .captured)
        let days = halves.calls.prefix(3).compactMap { (try? JSON(parsing: $0.body))?["start_date"]?.string }
        #expect(days == ["2026-03-13", "2026-03-14", "2026-03-13"])
        let busy = RecordingTransport(full)
        let error = await providerError { try await feexPay().status(of: lost, over: busy) }
        #expect(error?.kind == .unavailable)
        #expect(error?.code == "history_cut_off")
        let always = RecordingTransport((0..<40).map { _ in ok(full) })
        #expect(await providerError { try await feexPay().status(of: question([ours], createdAtMs: 0), over: always) }?.code == "history_cut_off")
        #expect(always.calls.count == 12)
    }

    @Test("a history out of reach says nothing of the attempt")
    func illness() async throws {
        for (status, body, kind) in [
            (500, "", .unavailable), (429, "{}", .throttled), (401, "{}", .misconfigured), (200, "{}", .unavailable),
            (200, #"{"data":{}}"#, .unavailable),
        ] as [(Int, String, ProviderError.Kind)] {
            let error = await providerError { try await feexPay().status(of: lost, over: RecordingTransport(status: status, body)) }
            #expect(error?.kind == kind)
        }
    }

    @Test("a stretch of time is listed in pages of at most 31 days, payouts left out")
    func pages() async throws {
        let from = try #require(Timestamp.parse("2026-01-10T12:00:00Z"))
        let to = try #require(Timestamp.parse("2026-03-14T12:00:00Z"))
        let transport = RecordingTransport([ok(history([])), ok(history([])), ok(try Fixture.text("feexpay/api/history.json"))])
        var cursor: String?
        var notices: [ProviderNotice] = []
        repeat {
            let page = try await feexPay().history(HistoryQuery(fromMs: from, toMs: to, cursor: cursor), over: transport)
            notices += page.notices
            cursor = page.next
        } while cursor != nil
        let ranges = transport.calls.compactMap { try? JSON(parsing: $0.body) }.map {
            "\($0["start_date"]?.string ?? "") \($0["end_date"]?.string ?? "")"
        }
        #expect(ranges == ["2026-01-10 2026-02-09", "2026-02-10 2026-03-12", "2026-03-13 2026-03-14"])
        #expect(notices.count == 2)
        #expect(notices[0].claim == .captured)
        #expect(notices[0].amount == Money(5000, .xof))
        #expect(notices[0].references == [ProviderReference("reference", reference.value.uppercased()), ours])
        #expect(notices[1].claim == .failed)
        #expect(notices[1].amount == Money(12_000, .xaf))
        #expect(notices[1].errorCode == "PAYER_NOT_FOUND")
    }

    @Test("a page that is cut off is halved; a stretch that is none is refused")
    func halvedPages() async throws {
        let full = history((0..<500).map { "{\"reference\":\"r\($0)\",\"status\":\"PENDING\"}" })
        let transport = RecordingTransport([ok(full), ok(history([record()]))])
        let day: Int64 = 86_400_000
        let page = try await feexPay().history(HistoryQuery(fromMs: 100 * day, toMs: 103 * day), over: transport)
        #expect(page.notices.count == 1)
        #expect(page.next == "1970-04-13")
        #expect(await providerError { try await feexPay().history(HistoryQuery(fromMs: 2, toMs: 1), over: transport) }?.kind == .rejected)
        let foreign = HistoryQuery(fromMs: 1, toMs: 2, cursor: "x")
        #expect(await providerError { try await feexPay().history(foreign, over: transport) }?.kind == .rejected)
    }
}
