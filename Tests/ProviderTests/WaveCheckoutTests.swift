import Formats
import Money
import ProviderPort
import Testing
import Wave

private let attempt = "ORD-2025-000187"
private let id = "cos-1mrr7d4k8g0ce"

private func wave(live: Bool = false) -> WaveProvider {
    WaveProvider(apiKey: "wave_sn_prod_x", secrets: [], apiURL: "https://api.wave.com/", live: live)
}

private func answer(_ body: String, status: Int = 200) -> Result<ProviderAnswer, ProviderError> {
    .success(ProviderAnswer(status: status, headers: [:], body: Array(body.utf8)))
}

private let down = Result<ProviderAnswer, ProviderError>.failure(ProviderError(.unavailable, "time-out"))

/// The recorded open session, with what a test wants different.
private func session(_ changes: [(String, JSON?)] = []) -> String {
    var json = (try? JSON(parsing: try Fixture.bytes("wave/checkout_session_open_pending.json")))?.object ?? [:]
    for (key, value) in changes { json[key] = value }
    return JSON.object(json).text
}

private let paid = session([("checkout_status", "complete"), ("payment_status", "succeeded"), ("transaction_id", "TCN4")])
private let expired = session([("checkout_status", "expired")])

private func found(_ sessions: String...) -> Result<ProviderAnswer, ProviderError> {
    answer(#"{"result":["# + sessions.joined(separator: ",") + "]}")
}

private func question(session: Bool = true, unverified: [String] = []) -> StatusQuestion {
    StatusQuestion(
        payment: "pay_01", attempt: attempt, amount: Money(2500, .xof),
        references: (session ? [ProviderReference("session", id)] : []) + [.ours(attempt)],
        unverified: unverified.map { ProviderReference("session", $0) })
}

@Suite("Wave: starting a payment")
struct WaveInitiateTests {
    private func order(
        amount: Money = Money(2500, .xof), attempt: String = attempt, method: String? = nil, success: String = "https://shop.example.com/return",
        cancel: String? = nil, metadata: [String: String] = [:]
    ) -> PaymentOrder {
        PaymentOrder(
            payment: "pay_01", attempt: attempt, amount: amount, description: "Commande",
            customer: Customer(name: "Awa", email: nil, phone: "+221761110001", language: "fr"), notifyURL: "https://shop.example.com/hook",
            returnURL: success, cancelURL: cancel, method: method, metadata: metadata)
    }

    @Test("a session is asked for with what Wave knows, the amount as a text")
    func request() async throws {
        let transport = RecordingTransport([answer(session())])
        let initiation = try await wave().initiate(order(cancel: "https://shop.example.com/cancel", metadata: ["note": "x"]), over: transport)
        #expect(initiation.paymentURL.hasPrefix("https://pay.wave.com/c/\(id)"))
        #expect(initiation.references == [ProviderReference("session", id), .ours(attempt)])
        #expect(initiation.expiresAtMs == Timestamp.parse("2025-11-21T08:45:00Z"))
        #expect(initiation.step == .redirect)
        let call = try #require(transport.calls.first)
        #expect(call.method == "POST" && call.url == "https://api.wave.com/v1/checkout/sessions")
        #expect(call.headers["authorization"] == "Bearer wave_sn_prod_x")
        #expect(
            transport.lastJSON == [
                "amount": "2500", "currency": "XOF", "success_url": "https://shop.example.com/return",
                "error_url": "https://shop.example.com/cancel", "client_reference": .string(attempt),
            ])
    }

    @Test("a session is bound to a phone only when the order says so")
    func restricted() async throws {
        let transport = RecordingTransport([answer(session())])
        _ = try await wave().initiate(order(metadata: ["restrict_payer_mobile": "+221761110001"]), over: transport)
        #expect(transport.lastJSON?["restrict_payer_mobile"]?.string == "+221761110001")
    }

    @Test("a broken rule is told before any call")
    func rules() async {
        let broken: [(PaymentOrder, String)] = [
            (order(amount: Money(100, .xaf)), "currency"), (order(amount: Money(0, .xof)), "positive"), (order(amount: Money(-1, .xof)), "positive"),
            (order(attempt: ""), "client_reference"), (order(attempt: String(repeating: "a", count: 256)), "client_reference"),
            (order(method: "credit_card"), "credit_card"), (order(success: "ftp://x"), "success_url"), (order(cancel: "x"), "error_url"),
            (order(metadata: ["restrict_payer_mobile": "761110001"]), "E.164"), (order(metadata: ["restrict_payer_mobile": "+22176111x"]), "E.164"),
        ]
        for (order, word) in broken {
            let transport = RecordingTransport([answer(session())])
            let error = await providerError { try await wave().initiate(order, over: transport) }
            #expect(error?.message.contains(word) == true, "\(error?.message ?? "no error")")
            #expect(transport.calls.isEmpty)
        }
        let plain = order(success: "http://shop.example.com")
        #expect(await providerError { try await wave(live: true).initiate(plain, over: RecordingTransport([])) }?.message.contains("https") == true)
    }

    static let lost: [Result<ProviderAnswer, ProviderError>] = [
        .failure(ProviderError(.unavailable, "time-out")), answer("<html>", status: 502), answer("{}", status: 503), answer("{}"),
        answer("<html>"),
    ]

    @Test("after a lost answer the session is searched for by our reference, and a second one is not made", arguments: lost)
    func lostAnswer(_ lost: Result<ProviderAnswer, ProviderError>) async throws {
        let transport = RecordingTransport([lost, found(expired, session())])
        let initiation = try await wave().initiate(order(), over: transport)
        #expect(initiation.references.first == ProviderReference("session", id))
        #expect(transport.calls.map(\.method) == ["POST", "GET"])
        #expect(transport.calls.last?.url == "https://api.wave.com/v1/checkout/sessions/search?client_reference=\(attempt)")
        for none in [found(), answer("{}", status: 404), down, found(session([("client_reference", "other")]))] {
            let error = await providerError { try await wave().initiate(order(), over: RecordingTransport([lost, none])) }
            #expect(error?.kind == .unavailable)
        }
    }

    @Test(
        "errors tell whether a retry helps",
        arguments: [
            (400, .rejected), (401, .misconfigured), (403, .misconfigured), (404, .notFound), (409, .rejected), (422, .rejected), (429, .throttled),
        ] as [(Int, ProviderError.Kind)])
    func errors(_ status: Int, _ kind: ProviderError.Kind) async {
        for body in [#"{"code":"some-code","message":"+221761110001"}"#, #"{"error":{"code":"some-code"}}"#, #"{"error_code":"some-code"}"#] {
            let transport = RecordingTransport([answer(body, status: status)])
            let error = await providerError { try await wave().initiate(order(), over: transport) }
            #expect(error?.kind == kind)
            #expect(error?.code == "some-code")
            #expect(error?.description.contains("221761") == false)
            #expect(transport.calls.count == 1)
        }
    }

    @Test("nothing is searched for where nothing was sent")
    func notSent() async {
        let transport = RecordingTransport([.failure(ProviderError(.unavailable, "no route", code: "connect"))])
        #expect(await providerError { try await wave().initiate(order(), over: transport) }?.code == "connect")
        #expect(transport.calls.count == 1)
    }
}

@Suite("Wave: status")
struct WaveStatusTests {
    static let table: [(checkout: JSON?, payment: JSON?, claim: ProviderClaim)] = [
        ("open", "processing", .pending), ("complete", "succeeded", .captured), ("open", "succeeded", .unknown), ("expired", "succeeded", .unknown),
        ("expired", "processing", .expired), ("open", "cancelled", .cancelled), ("expired", "cancelled", .cancelled),
        ("complete", "processing", .unknown),
        ("open", "failed", .pending), ("expired", "failed", .expired), ("open", nil, .pending), ("expired", nil, .expired),
        (nil, "processing", .unknown),
        (nil, nil, .unknown), ("open", "paid", .unknown), ("OPEN", "processing", .unknown), ("open", 1, .pending),
    ]

    @Test("the table of the two words", arguments: table)
    func statuses(_ row: (checkout: JSON?, payment: JSON?, claim: ProviderClaim)) async throws {
        let body = session([("checkout_status", row.checkout), ("payment_status", row.payment)])
        let notice = try await wave().status(of: question(), over: RecordingTransport([answer(body)]))
        #expect(notice.claim == row.claim)
        #expect(notice.amount == Money(2500, .xof))
        #expect((notice.errorCode != nil) == (row.claim == .unknown))
    }

    @Test("a session is looked up by its id, and else by our reference")
    func lookUp() async throws {
        let transport = RecordingTransport([answer(paid)])
        let notice = try await wave().status(of: question(), over: transport)
        #expect(notice.transaction == "TCN4")
        #expect(transport.calls.map(\.url) == ["https://api.wave.com/v1/checkout/sessions/\(id)"])
        let searched = try await wave().status(of: question(session: false), over: RecordingTransport([found(expired, paid, session())]))
        #expect(searched.claim == .captured)
        #expect(try await wave().status(of: question(session: false), over: RecordingTransport([answer("[\(paid)]")])).claim == .captured)
        #expect(try await wave().status(of: question(), over: RecordingTransport([answer("{}", status: 404), found(paid)])).claim == .captured)
        let foreign = found(session([("client_reference", "other")]))
        for none in [found(), foreign, answer("{}", status: 404)] {
            #expect(
                await providerError { try await wave().status(of: question(session: false), over: RecordingTransport([none])) }?.kind == .notFound)
        }
    }

    @Test("a session that somebody hands in counts only when it carries our reference")
    func handedIn() async throws {
        let notFound = found()
        let asked = question(session: false, unverified: [id])
        #expect(try await wave().status(of: asked, over: RecordingTransport([notFound, answer(paid)])).claim == .captured)
        let other = session([("client_reference", "other"), ("checkout_status", "complete"), ("payment_status", "succeeded")])
        let notice = try await wave().status(of: asked, over: RecordingTransport([notFound, answer(other)]))
        #expect(
            notice == ProviderNotice(references: [], claim: .unknown, errorCode: "foreign_reference", errorText: "the session is of another order"))
        let odd = question(session: false, unverified: ["../../balance?x=1"])
        let transport = RecordingTransport([notFound, answer("{}", status: 404)])
        #expect(await providerError { try await wave().status(of: odd, over: transport) }?.kind == .notFound)
        #expect(transport.calls.last?.url == "https://api.wave.com/v1/checkout/sessions/..%2F..%2Fbalance%3Fx%3D1")
    }

    @Test("an answer that is none is a sign of illness, never a failure")
    func illness() async {
        for body in ["<html>", "{}", "[]", #"{"id":7}"#, session([("id", "cos-other")])] {
            #expect(await providerError { try await wave().status(of: question(), over: RecordingTransport([answer(body)])) }?.kind == .unavailable)
        }
        for body in ["{}", #"{"result":{}}"#, "7"] {
            let transport = RecordingTransport([answer(body)])
            #expect(await providerError { try await wave().status(of: question(session: false), over: transport) }?.kind == .unavailable)
        }
        for (status, kind) in [(500, .unavailable), (401, .misconfigured), (429, .throttled), (302, .unavailable)] as [(Int, ProviderError.Kind)] {
            let transport = RecordingTransport([answer("{}", status: status)])
            #expect(await providerError { try await wave().status(of: question(), over: transport) }?.kind == kind)
        }
    }
}

@Suite("Wave: giving back and calling off")
struct WaveRefundTests {
    private func refund(
        _ answers: [Result<ProviderAnswer, ProviderError>], amount: Int64 = 2500, captured: Int64 = 2500
    ) async throws -> (ProviderNotice, [ProviderCall]) {
        let transport = RecordingTransport(answers)
        let order = RefundOrder(
            question: question(), amount: Money(amount, .xof), captured: captured, refundedBefore: 0, key: "r", reason: "")
        return (try await wave().refund(order, over: transport), transport.calls)
    }

    @Test("the whole session is given back by the documented call")
    func whole() async throws {
        for done in [answer(""), answer("{}"), answer("", status: 204)] {
            let (notice, calls) = try await refund([answer(paid), done])
            #expect(notice.claim == .refunded)
            #expect(notice.amount == Money(2500, .xof))
            #expect(calls.last?.method == "POST")
            #expect(calls.last?.url == "https://api.wave.com/v1/checkout/sessions/\(id)/refund")
        }
    }

    @Test("parts, other amounts and what was not paid are refused before the call")
    func rules() async {
        #expect(await providerError { try await refund([answer(paid)], amount: 1000) }?.message.contains("whole sessions only") == true)
        for body in [session(), expired, session([("amount", "2000"), ("checkout_status", "complete"), ("payment_status", "succeeded")])] {
            #expect(await providerError { try await refund([answer(body)]) }?.code == "nothing_to_refund")
        }
    }

    @Test("a refusal and a lost answer are what they are: nobody takes them for a refund")
    func faults() async {
        let cases: [(Result<ProviderAnswer, ProviderError>, ProviderError.Kind)] = [
            (answer(#"{"code":"refund-failed"}"#, status: 409), .rejected), (answer("", status: 502), .unavailable), (down, .unavailable),
            (answer("", status: 401), .misconfigured), (answer("", status: 404), .notFound),
        ]
        for (lost, kind) in cases { #expect(await providerError { try await refund([answer(paid), lost]) }?.kind == kind) }
    }

    @Test("a session is called off only where Wave agrees")
    func cancel() async throws {
        func cancel(_ answers: [Result<ProviderAnswer, ProviderError>]) async throws -> ProviderNotice {
            try await wave().cancel(question(), over: RecordingTransport(answers))
        }
        #expect(try await cancel([answer(session()), answer(""), answer(expired)]).claim == .cancelled)
        #expect(try await cancel([answer(session()), answer("{}", status: 409), answer(paid)]).claim == .captured)
        #expect(try await cancel([answer(session()), answer(""), answer(session())]).claim == .pending)
        #expect(try await cancel([answer(paid)]).claim == .captured)
        #expect(try await cancel([answer(expired)]).claim == .expired)
        #expect(await providerError { try await cancel([answer(session()), down]) }?.kind == .unavailable)
        #expect(await providerError { try await cancel([answer("{}", status: 404)]) }?.kind == .notFound)
    }

    @Test("what it can do is what it says")
    func capabilities() {
        let capabilities = wave().capabilities
        #expect(
            capabilities.hasProof && capabilities.proofCoversMoney && capabilities.hasInitiate && capabilities.hasStatus && capabilities.hasCancel)
        #expect(capabilities.statusReferenceKinds == ["session", "ours"])
        #expect(capabilities.refunds == .full)
        #expect(wave().offer.choices(for: Money(1, .xof), country: "SN").map(\.network) == ["wave"])
        #expect(wave().offer.choices(for: Money(1, .xof), country: "BJ").isEmpty)
        #expect(wave().addressSigner == nil)
    }
}
