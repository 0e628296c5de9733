import Cryptography
import Formats
import Money
import ProviderPort
import Testing
import Wave

private let secret = "wave_sn_WHS_madeup0000000000000000000000000000000000000000000001"

private func wave(_ secrets: [String] = [secret]) -> WaveProvider { WaveProvider(apiKey: "key", secrets: secrets) }

private func post(_ body: [UInt8], _ headers: (String, String)...) -> IncomingWebhook {
    IncomingWebhook(method: "POST", headers: HTTPHeaders(headers + [("content-type", "application/json")]), body: body)
}

private func signed(_ body: [UInt8], _ signature: String, at seconds: Int64 = 1_763_712_000, _ provider: WaveProvider = wave()) -> WebhookVerdict {
    provider.verifyWebhook(post(body, ("Wave-Signature", signature)), nowMs: seconds * 1000)
}

@Suite("Wave: signatures")
struct WaveSignatureTests {
    static let vectors: [(body: String, time: Int64, code: String)] = [
        (
            #"{"id":"EV_1","type":"test.test_event","data":{}}"#, 1_639_081_943,
            "29a3949f2e663dab0ab39f147af5f74494223b200fef12e76b7c72232d184fe6"
        ),
        (
            #"{"id":"EV_2","data":{"payment_reason":"Réglé à Dakar"}}"#, 1_700_000_000,
            "685eec5029f05daac11866d5d2a4f0edd32934338f3c1716166593b72aeae77b"
        ),
    ]

    @Test("the published construction verifies: time and body without a dot", arguments: vectors)
    func vector(_ row: (body: String, time: Int64, code: String)) {
        let accepted = signed(Array(row.body.utf8), "t=\(row.time),v1=\(row.code)", at: row.time).accepted
        #expect(accepted?.trust == .signed)
        #expect(accepted?.matchedKey == 0)
        #expect(signed(Array(row.body.utf8), "t=\(row.time),v1=\(row.code.uppercased())", at: row.time).accepted != nil)
        #expect(signed(Array((row.body + " ").utf8), "t=\(row.time),v1=\(row.code)", at: row.time).refusal?.contains("does not match") == true)
        #expect(signed(Array(row.body.utf8), "t=\(row.time + 1),v1=\(row.code)", at: row.time).refusal?.contains("does not match") == true)
    }

    static let samples: [(file: String, time: Int64, code: String)] = [
        ("checkout_session_completed", 1_763_712_000, "82f582d5d169fc29940e441984baa31337aafc6cf4cb80ed313cfb4d6a6bf36a"),
        ("checkout_session_payment_failed", 1_763_712_311, "959a3ae78e3c9ae425d1fda20e9cca01e36d9579866ae1b16431d4d055b47738"),
        ("merchant_payment_received", 1_763_715_600, "821b538920c0caa00849d7c39beb4f4d00df68fc4286b1002f773dfa47e2a578"),
        ("b2b_payment_received", 1_763_719_200, "e53715ea33410bdd834d56322be87adc69419fda36fa9cf8da3eda26a6c0bfed"),
    ]

    @Test("the recorded events verify, and their id names the delivery", arguments: samples)
    func sample(_ row: (file: String, time: Int64, code: String)) throws {
        let body = try Fixture.bytes("wave/\(row.file).json")
        let accepted = signed(body, "t=\(row.time),v1=\(row.code)", at: row.time).accepted
        #expect(accepted?.deliveryID == (try JSON(parsing: body))["id"]?.string)
    }

    static let good = "82f582d5d169fc29940e441984baa31337aafc6cf4cb80ed313cfb4d6a6bf36a"
    static let other = "ed8847b6c9f31c926e3f17ba66ff966561f6c00d94933a4d94b34979b2cf720a"

    @Test(
        "one good signature of several is enough, and what is not understood is passed over",
        arguments: [
            "t=1763712000,v1=\(other),v1=\(good)", "t=1763712000,v1=zz,v1=\(good),v0=00", " t=1763712000, v1=\(good)", "v1=\(good),t=1763712000",
            "x,t=1763712000,,v1=\(good)",
        ])
    func several(_ header: String) throws {
        #expect(signed(try Fixture.bytes("wave/checkout_session_completed.json"), header).accepted?.trust == .signed)
    }

    static let bad: [(header: String, word: String)] = [
        ("t=1763712000,v1=3e4003f313ae0fb59e50f596a236c1ad262e48bcf4f21f8b73929eab16ca9d78", "does not match"),
        ("t=1763712000,v1=\(other)", "does not match"),
        ("", "no readable t"), ("v1=\(good)", "no readable t"), ("t=,v1=\(good)", "no readable t"), ("t=1763712000abc,v1=\(good)", "no readable t"),
        ("t=-1763712000,v1=\(good)", "no readable t"), ("t=+1763712000,v1=\(good)", "no readable t"), ("t=9999999999999,v1=\(good)", "no readable t"),
        ("t=1763712000", "no readable v1"), ("t=1763712000,v1=", "no readable v1"), ("t=1763712000,v2=\(good)", "no readable v1"),
        ("t=1763712000,v1=\(good)00", "no readable v1"), ("t=1763712000,t=1763712000,v1=\(good)", "two times"),
        ("t=1763712000,v1=" + String(repeating: "\(other),v1=", count: 40) + good, "does not match"),
    ]

    @Test("everything else is refused; a dot between time and body too", arguments: bad)
    func refused(_ row: (header: String, word: String)) throws {
        let reason = signed(try Fixture.bytes("wave/checkout_session_completed.json"), row.header).refusal
        #expect(reason?.contains(row.word) == true, "\(reason ?? "accepted")")
        #expect(reason?.contains(Self.good) != true)
    }

    @Test(
        "the clock may be off by 300 s, both ways", arguments: [(300, true), (301, false), (-300, true), (-301, false), (0, true)] as [(Int64, Bool)])
    func clock(_ off: Int64, _ passes: Bool) throws {
        let verdict = signed(try Fixture.bytes("wave/checkout_session_completed.json"), "t=1763712000,v1=\(Self.good)", at: 1_763_712_000 + off)
        #expect((verdict.accepted != nil) == passes)
        if !passes { #expect(verdict.refusal?.contains(off > 0 ? "old" : "future") == true) }
    }

    @Test("while rotating, both secrets verify, and the event is one delivery whichever it came under")
    func rotation() throws {
        let body = try Fixture.bytes("wave/checkout_session_completed.json")
        let both = wave(["new", secret])
        let new = Hex.encode(HMACSHA256(key: "new").authenticate(Array("1763712000".utf8), body))
        let one = try #require(signed(body, "t=1763712000,v1=\(new)", at: 1_763_712_000, both).accepted)
        let two = try #require(signed(body, "t=1763712000,v1=\(Self.good)", at: 1_763_712_000, both).accepted)
        #expect(one.matchedKey == 0 && two.matchedKey == 1)
        #expect(one.deliveryID == two.deliveryID)
    }

    @Test("the shared secret proves the sender and no byte of the body; a signature that is there decides")
    func sharedSecret() throws {
        let body = try Fixture.bytes("wave/checkout_session_completed.json")
        func verdict(_ headers: (String, String)...) -> WebhookVerdict {
            wave(["new", secret]).verifyWebhook(
                IncomingWebhook(method: "POST", headers: HTTPHeaders(headers), body: body), nowMs: 1_763_712_000_000)
        }
        let accepted = try #require(verdict(("Authorization", "Bearer \(secret)")).accepted)
        #expect(accepted.trust == .sharedSecret)
        #expect(accepted.matchedKey == 1)
        #expect(accepted.deliveryID != "EV_7hK2mQxT4bNz")
        #expect(verdict(("Authorization", "bearer new")).accepted?.matchedKey == 0)
        #expect(verdict(("Authorization", "Bearer \(secret)x")).refusal == "authorization does not match")
        #expect(verdict(("Authorization", "Basic \(secret)")).refusal == "authorization is no bearer")
        #expect(verdict(("Authorization", "Bearer ")).refusal == "authorization does not match")
        #expect(verdict().refusal?.contains("neither") == true)
        #expect(verdict(("Authorization", "Bearer \(secret)"), ("Wave-Signature", "t=1763712000,v1=00")).refusal?.contains("v1") == true)
        #expect(verdict(("Wave-Signature", "t=1"), ("Wave-Signature", "t=2")).refusal?.contains("twice") == true)
        for secrets in [[], [""]] {
            #expect(wave(secrets).verifyWebhook(post(body, ("Authorization", "Bearer ")), nowMs: 0).refusal?.contains("no secret") == true)
        }
    }
}

@Suite("Wave: events")
struct WaveEventTests {
    private func event(_ type: String, _ changes: [(String, JSON?)] = []) throws -> ProviderNotice {
        let sample = try JSON(parsing: try Fixture.bytes("wave/checkout_session_completed.json"))
        var data = try #require(sample["data"]?.object)
        for (key, value) in changes { data[key] = value }
        return try wave().parse(body: JSON.object(["id": "EV_1", "type": .string(type), "data": .object(data)]).bytes, contentType: "")
    }

    @Test("a completed session is a payment with its amount, references and time")
    func completed() throws {
        let notice = try wave().parse(body: try Fixture.bytes("wave/checkout_session_completed.json"), contentType: "application/json")
        #expect(
            notice
                == ProviderNotice(
                    references: [
                        ProviderReference("session", "cos-1mrr5a2bg10a8"), .ours("ORD-2025-000184"), ProviderReference("transaction", "TCN4Y4ZC3FM"),
                    ], claim: .captured, amount: Money(15_000, .xof), transaction: "TCN4Y4ZC3FM",
                    occurredAtMs: Timestamp.parse("2025-11-21T07:59:58Z")))
    }

    @Test("a failed try is kept as an error, and the attempt goes on")
    func failed() throws {
        let notice = try wave().parse(body: try Fixture.bytes("wave/checkout_session_payment_failed.json"), contentType: "")
        #expect(notice.claim == .pending)
        #expect(notice.errorCode == "insufficient-funds")
        #expect(notice.errorText == "Insufficient balance")
        #expect(notice.amount == nil)
        #expect(notice.references.prefix(2) == [ProviderReference("session", "cos-1mrr6c9x0g0bq"), .ours("ORD-2025-000185")])
        // One copy of the documentation has this word, which is in no list of Wave's.
        let other = try event("checkout.session.payment_failed", [("payment_status", "failed"), ("last_payment_error", nil)])
        #expect(other.claim == .pending)
        #expect(other.errorCode == "payment_failed")
    }

    @Test("a type that its session contradicts is asked about")
    func contradiction() throws {
        let contradictions: [[(String, JSON?)]] = [
            [("payment_status", "processing")], [("checkout_status", "open")], [("payment_status", "cancelled")], [("checkout_status", nil)],
            [("payment_status", nil)], [("amount", nil)], [("payment_status", "SUCCEEDED")],
        ]
        for changes in contradictions { #expect(try event("checkout.session.completed", changes).claim == .unknown) }
    }

    static let amounts: [(amount: JSON, currency: JSON?, units: Int64?)] = [
        ("15000", "XOF", 15_000), (15_000, "XOF", 15_000), ("15000.00", "XOF", 15_000), ("5000000000", "XOF", 5_000_000_000), ("0", "XOF", nil),
        ("-15000", "XOF", nil), ("15 000", "XOF", nil), ("15000.5", "XOF", nil), ("1e4", "XOF", nil), ("NaN", "XOF", nil),
        ("99999999999999999999", "XOF", nil), ("15000", "GMD", nil), ("15000", nil, nil), ("15000", 1, nil),
    ]

    @Test("amounts are texts, read exactly; odd ones pay nothing and are told", arguments: amounts)
    func amount(_ row: (amount: JSON, currency: JSON?, units: Int64?)) throws {
        let notice = try event("checkout.session.completed", [("amount", row.amount), ("currency", row.currency)])
        #expect(notice.claim == .captured)
        #expect(notice.amount?.minorUnits == row.units)
        #expect((notice.amountProblem == nil) == (row.units != nil))
    }

    @Test(
        "events of other money, trials and new types lead nowhere",
        arguments: ["merchant.payment_received", "b2b.payment_received", "b2b.payment_failed", "test.test_event", "checkout.session.refunded", "x"])
    func others(_ type: String) throws {
        let notice = try event(type)
        #expect(notice.references.isEmpty)
        #expect(notice.claim == .unknown)
        for file in ["merchant_payment_received", "b2b_payment_received"] {
            #expect(try wave().parse(body: try Fixture.bytes("wave/\(file).json"), contentType: "").references.isEmpty)
        }
    }

    @Test("what has not the shape of an event is quarantined")
    func hostile() {
        let bodies = [
            "", "[]", "null", "{}", #"{"type":""}"#, #"{"type":7}"#, #"{"type":"checkout.session.completed"}"#,
            #"{"type":"checkout.session.completed","data":[]}"#, #"{"type":"checkout.session.completed","data":{"id":7}}"#,
            #"{"type":"checkout.session.completed","data":{"id":""}}"#, #"{"type":"checkout.session.payment_failed","data":"cos-1"}"#,
            #"{"type":"checkout.session.completed","data":{"id":NaN}}"#,
        ]
        for body in bodies { #expect(throws: ProviderError.self) { try wave().parse(body: Array(body.utf8), contentType: "") } }
    }
}
