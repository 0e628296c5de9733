import Access
import Database
import Formats
import Ledger
import Money
import Payments
import ProviderPort
import TestSupport
import Testing

@Suite("What is done about payments over the web: by hand, back, cancelled, once more")
struct WebPaymentActionTests {
    private func order(_ stage: WebStage, _ number: String, amount: String = "5000") async throws -> String {
        let order: JSON = [
            "order_id": .string(number), "description": "A pen", "amount": .string(amount), "currency": "XOF",
            "customer": ["name": "Awa Diop", "email": "awa@example.org"],
        ]
        return try #require(try await stage.post("/api/v1/payments/", order).string("id"))
    }

    private func act(_ stage: WebStage, _ payment: String, _ what: String, _ json: JSON, key: String) async throws -> WebStage.Answer {
        try await stage.post("/api/v1/payments/\(payment)/\(what)/", json, headers: ["idempotency-key": key])
    }

    @Test("a bank transfer: the customer is told account and reference, staff record it, the payment is paid and given back")
    func transfer() async throws {
        try await WebStage.with { stage in
            let payment = try await order(stage, "M-1")
            let body: JSON = ["payment": .string(payment), "method": "bank_transfer"]
            let started = try await stage.post("/api/v1/payments/manual/initiate/", body, headers: ["idempotency-key": "a"])
            #expect(started.status == 201, "\(started.text)")
            #expect(started.json["step"]?["kind"]?.string == "transfer")
            #expect(started.json["step"]?["fields"]?["account"]?.string == "Quittance SARL, IBAN BJ66 0001")
            #expect(started.json["step"]?["fields"]?["reference"]?.string == started.string("attempt"))

            let receipt: JSON = ["amount": "5000", "reference": "BOA-77", "method": "bank_transfer", "proof": "statement of 21 November"]
            let paid = try await act(stage, payment, "received", receipt, key: "b")
            #expect(paid.status == 201 && paid.string("status") == "paid", "\(paid.text)")
            #expect(try await act(stage, payment, "received", receipt, key: "b").headers["idempotency-replayed"] == "true")

            let second = try await order(stage, "M-2")
            let twice = try await act(stage, second, "received", receipt, key: "c")
            #expect(twice.status == 409 && twice.string("payment") == payment, "one transfer never pays two orders")

            let lacking = try await act(stage, payment, "refund", ["amount": "1000", "reason": "too much"], key: "d")
            #expect(lacking.status == 422 && lacking.text.contains("provider_reference"))
            let back: JSON = ["amount": "1000", "reason": "too much", "provider_reference": "BOA-78"]
            let refunded = try await act(stage, payment, "refund", back, key: "e")
            #expect(refunded.status == 201 && refunded.string("status") == "done" && refunded.string("way") == "staff", "\(refunded.text)")
            #expect(try await act(stage, payment, "refund", ["amount": "4001", "reason": "x", "provider_reference": "y"], key: "f").status == 422)
            let listed = try await stage.get("/api/v1/payments/\(payment)/refunds/")
            #expect(listed.json["refunds"]?.array?.count == 1 && listed.string("refundable") == "4000")
            #expect(try await stage.get("/api/v1/payments/\(payment)/").string("status") == "partially_refunded")
        }
    }

    @Test("a transfer that comes in two sums is recorded as two, and one too many as a surplus; nobody is asked to pay meanwhile")
    func twoSums() async throws {
        try await WebStage.with { stage in
            let payment = try await order(stage, "M-5")
            func receive(_ amount: String, _ reference: String) async throws -> WebStage.Answer {
                let receipt: JSON = ["amount": .string(amount), "reference": .string(reference), "method": "bank_transfer"]
                return try await act(stage, payment, "received", receipt, key: "\(reference)-\(amount)")
            }
            #expect(try await receive("3000", "BOA-1").string("status") == "conflicted")
            #expect(try await stage.initiate(payment, key: "no").status == 409)
            #expect(try await receive("2000", "BOA-1").status == 409, "one transfer is recorded once")
            let whole = try await receive("2000", "BOA-2")
            #expect(whole.status == 201 && whole.string("status") == "paid", "\(whole.text)")
            #expect(try await stage.initiate(payment, key: "nor").status == 409)
            #expect(try await receive("2500", "BOA-2").status == 409)
            let more = try await receive("1000", "BOA-3")
            #expect(more.string("status") == "paid", "\(more.text)")
            #expect(try await stage.get("/api/v1/payments/\(payment)/refunds/").string("refundable") == "6000")
        }
    }

    @Test("a conflict is decided by whoever may: taken as payment with its reason")
    func accepted() async throws {
        try await WebStage.with { stage in
            let payment = try await order(stage, "M-3")
            let receipt: JSON = ["amount": "4990", "reference": "CHQ-1", "method": "cheque"]
            #expect(try await act(stage, payment, "received", receipt, key: "a").string("status") == "conflicted")
            #expect(try await stage.post("/api/v1/payments/\(payment)/accept/", ["reason": "without a key"]).status == 400)
            let accepted = try await act(stage, payment, "accept", ["reason": "the bank took 10"], key: "b")
            #expect(accepted.status == 200 && accepted.string("status") == "paid", "\(accepted.text)")
            let again = try await act(stage, payment, "accept", ["reason": "the bank took 10"], key: "b")
            #expect(again.status == 200 && again.headers["idempotency-replayed"] == "true")
            #expect(try await act(stage, payment, "accept", ["reason": "another"], key: "b").status == 422)
            #expect(try await act(stage, payment, "accept", ["reason": "again"], key: "c").status == 409)
        }
    }

    @Test("a key without the scope of refunds may neither give money back nor say that some came")
    func scope() async throws {
        try await WebStage.with { stage in
            let payment = try await order(stage, "M-4")
            let now = stage.nowMs
            let plain = try await stage.database.write { try APIKeys.create(name: "till", scopes: [APIKey.payments], nowMs: now, in: $0).text }
            for what in ["refund", "received", "accept"] {
                let answer = try await stage.send(
                    "POST", "/api/v1/payments/\(payment)/\(what)/",
                    headers: ["authorization": "Bearer \(plain)", "content-type": "application/json", "idempotency-key": what],
                    body: Array("{}".utf8))
                #expect(answer.status == 403, "\(what)")
            }
        }
    }

    @Test("cancelled only where the provider agrees, and the answer says so")
    func cancelled() async throws {
        try await WebStage.with { stage in
            let payment = try await order(stage, "C-1")
            let body: JSON = ["payment": .string(payment), "method": "mobile_money"]
            #expect(try await stage.post("/api/v1/payments/payment-backend/initiate/", body, headers: ["idempotency-key": "a"]).status == 201)
            let cancelled = try await stage.post("/api/v1/payments/\(payment)/cancel/", [:])
            #expect(cancelled.status == 200 && cancelled.json["provider_agreed"]?.bool == true, "\(cancelled.text)")
            #expect(cancelled.string("status") == "cancelled")
            #expect(try await stage.post("/api/v1/payments/\(payment)/cancel/", [:]).status == 409)

            let other = try await order(stage, "C-2")
            #expect(try await stage.initiate(other, key: "b").status == 201)
            let refused = try await stage.post("/api/v1/payments/\(other)/cancel/", [:])
            #expect(refused.status == 409 && refused.json["provider_agreed"]?.bool == false, "\(refused.text)")
            #expect(try await stage.get("/api/v1/payments/\(other)/").string("status") == "pending")
        }
    }

    @Test(
        "a provider that could not be asked to cancel has neither agreed nor refused: 503 when it was not asked, 502 when nobody knows",
        arguments: [
            (ProviderError(.unavailable, "refused", code: "connect"), 503, "10"), (ProviderError(.held, "ill", retryAfterSeconds: 40), 503, "40"),
            (ProviderError(.throttled, "slow down", retryAfterSeconds: 7), 503, "7"),
            (ProviderError(.unavailable, "timed out", code: "timeout"), 502, nil), (ProviderError(.unreadable, "html"), 502, nil),
            (ProviderError(.misconfigured, "bad key"), 502, nil),
        ] as [(ProviderError, Int, String?)])
    func cancelUnreachable(error: ProviderError, status: Int, retryAfter: String?) async throws {
        try await WebStage.with { stage in
            let payment = try await order(stage, "C-3")
            let body: JSON = ["payment": .string(payment), "method": "mobile_money"]
            #expect(try await stage.post("/api/v1/payments/payment-backend/initiate/", body, headers: ["idempotency-key": "a"]).status == 201)
            stage.transport.set(.failing(error))
            let answer = try await stage.post("/api/v1/payments/\(payment)/cancel/", [:])
            #expect(answer.status == status && answer.headers["retry-after"] == retryAfter, "\(answer.text)")
            #expect(answer.json["provider_agreed"]?.bool == false && answer.string("status") == "pending", "\(answer.text)")
            #expect(!answer.text.contains("bad key"))
            stage.transport.set(.open)
            #expect(try await stage.post("/api/v1/payments/\(payment)/cancel/", [:]).status == 200)
        }
    }

    @Test("money in another currency is shown, and decided by staff: taken at an amount, or given back")
    func held() async throws {
        try await WebStage.with { stage in
            for (number, taken) in [("H-1", true), ("H-2", false)] {
                let payment = try await order(stage, number)
                let body: JSON = ["payment": .string(payment), "method": "mobile_money"]
                #expect(try await stage.post("/api/v1/payments/payment-backend/initiate/", body, headers: ["idempotency-key": number]).status == 201)
                #expect(try await stage.play("scenario", ["reference": .string(payment), "steps": ["wrong_currency"]]) == 200)
                _ = try await stage.play("pay", ["reference": .string(payment)])
                try await eventually("the payment is conflicted") {
                    try await stage.get("/api/v1/payments/\(payment)/").string("status") == "conflicted"
                }
                let listed = try await stage.get("/api/v1/payments/\(payment)/held/")
                let id = try #require(listed.json["held"]?[0]?["id"]?.int)
                #expect(listed.json["held"]?[0]?["currency"]?.string != "XOF")
                let wanting = try await act(stage, payment, "held/\(id)", ["decision": "accepted", "reason": "r"], key: "\(number)-0")
                #expect(wanting.status == 422 && wanting.text.contains("amount"))
                let decision: JSON =
                    taken
                    ? ["decision": "accepted", "amount": "5000", "reason": "as agreed"]
                    : ["decision": "returned", "provider_reference": "B-1", "reason": "not ours"]
                let decided = try await act(stage, payment, "held/\(id)", decision, key: "\(number)-1")
                #expect(decided.status == 200 && decided.string("status") == (taken ? "paid" : "refunded"), "\(decided.text)")
                #expect(try await act(stage, payment, "held/\(id)", decision, key: "\(number)-1").headers["idempotency-replayed"] == "true")
                #expect(try await act(stage, payment, "held/\(id)", decision, key: "\(number)-2").status == 404)
                #expect(try await stage.get("/api/v1/payments/\(payment)/held/").json["held"]?.array?.isEmpty == true)
            }
        }
    }

    @Test("what a provider offers is told with its limits, and not again to whom has it")
    func offers() async throws {
        try await WebStage.with { stage in
            let all = try await stage.get("/api/v1/payments/providers/")
            let names = all.json["providers"]?.array?.compactMap { $0["provider"]?.string }
            #expect(names == ["cinetpay", "feexpay", "kkiapay", "manual", "orange-money", "payment-backend", "standard-webhooks"])
            let one = try await stage.get("/api/v1/payments/cinetpay/providers/")
            #expect(one.headers["cache-control"] == "private, max-age=3600")
            #expect(one.json["providers"]?[0]?["choices"]?[0]?["minimum"]?.string == "100")
            let tag = try #require(one.headers["etag"])
            let again = try await stage.send(
                "GET", "/api/v1/payments/cinetpay/providers/", headers: ["authorization": "Bearer \(stage.key)", "if-none-match": tag])
            #expect(again.status == 304 && again.body.isEmpty)
            #expect(try await stage.get("/api/v1/payments/wave/providers/").status == 404)
        }
    }

    @Test("a provider's payments page by page, by state and by time, and how it is doing")
    func history() async throws {
        try await WebStage.with { stage in
            var payments: [String] = []
            for number in 0..<3 {
                let payment = try await order(stage, "H-\(number)")
                #expect(try await stage.initiate(payment, key: "h\(number)").status == 201)
                payments.append(payment)
            }
            _ = try await order(stage, "never tried")
            let first = try await stage.get("/api/v1/payments/cinetpay/history/?limit=2")
            #expect(first.json["payments"]?.array?.compactMap { $0["id"]?.string } == [payments[2], payments[1]])
            let next = try #require(first.string("next"))
            let rest = try await stage.get("/api/v1/payments/cinetpay/history/?limit=2&before=\(next)")
            #expect(rest.json["payments"]?.array?.compactMap { $0["id"]?.string } == [payments[0]])
            #expect(rest.json["next"]?.isNull == true)
            for (query, count) in [("status=paid", 0), ("status=pending", 3), ("currency=EUR", 0), ("from=2099-01-01", 0), ("to=2099-01-01", 3)] {
                let found = try await stage.get("/api/v1/payments/cinetpay/history/?\(query)")
                #expect(found.json["payments"]?.array?.count == count, "\(query)")
            }
            for query in ["status=lost", "from=yesterday", "limit=0", "limit=101"] {
                #expect(try await stage.get("/api/v1/payments/cinetpay/history/?\(query)").status == 422, "\(query)")
            }
            let health = try await stage.get("/api/v1/payments/cinetpay/health/")
            #expect(health.string("status") == "ok" && health.json["attempts_24h"]?.int == 3 && health.json["waiting_24h"]?.int == 3)
        }
    }

    @Test("one more attempt takes the place of the one that waits; none while nobody knows whether the last was started")
    func retry() async throws {
        try await WebStage.with { stage in
            let payment = try await order(stage, "R-1")
            #expect(try await stage.initiate(payment, key: "a").status == 201)
            let again = try await stage.post(
                "/api/v1/payments/payment-backend/retry/\(payment)/", ["method": "mobile_money"], headers: ["idempotency-key": "b"])
            #expect(again.status == 201, "\(again.text)")
            #expect(try await stage.attempts(of: payment).map(\.provider) == ["cinetpay", "payment-backend"])

            let lost = try await order(stage, "R-2")
            stage.transport.set(.answersLost)
            #expect(try await stage.initiate(lost, key: "c").status == 502)
            stage.transport.set(.open)
            let blocked = try await stage.post("/api/v1/payments/payment-backend/retry/\(lost)/", [:], headers: ["idempotency-key": "d"])
            #expect(blocked.status == 409 && blocked.headers["retry-after"] == "60", "\(blocked.text)")
            #expect(try await stage.attempts(of: lost).count == 1)
        }
    }

    @Test("the number of a card is taken in no field, is told nowhere and stored nowhere")
    func cards() async throws {
        try await WebStage.with { stage in
            let card = "4111 1111 1111 1111"
            let before = try await stage.content()
            var order: JSON = ["order_id": "K-1", "description": "A pen", "amount": "5000", "currency": "XOF", "customer": ["name": "Awa Diop"]]
            guard case .object(var members) = order else { return }
            let told: [(String, JSON)] = [
                ("description", .string("card \(card)")), ("customer", ["name": .string(card)]), ("metadata", ["note": .string(card)]),
            ]
            for (name, value) in told {
                members[name] = value
                order = .object(members)
                let refused = try await stage.post("/api/v1/payments/", order)
                #expect(refused.status == 422 && refused.text.contains("must not hold the number of a card"), "\(name): \(refused.text)")
                #expect(!refused.text.contains("1111"))
                members[name] = name == "customer" ? ["name": "Awa Diop"] : name == "metadata" ? [:] : "A pen"
            }
            guard case .object(var inquiry) = WebStage.inquiry else { return }
            inquiry["notes_text"] = .string("my card is \(card)")
            #expect(try await stage.post("/api/v1/kit/inquiries/", .object(inquiry)).status == 422)
            #expect(try await stage.content() == before)
        }
    }

    @Test("a choice that breaks a rule is refused with the field named")
    func malformed() async throws {
        try await WebStage.with { stage in
            let payment = try await order(stage, "F-1")
            for (field, value) in [("phone", "0166"), ("otp", "12ab"), ("return_url", "javascript:x")] {
                let body: JSON = ["payment": .string(payment), "method": "mobile_money", field: .string(value)]
                let answer = try await stage.post("/api/v1/payments/cinetpay/initiate/", body, headers: ["idempotency-key": field])
                #expect(answer.status == 422 && answer.text.contains(field), "\(field): \(answer.text)")
            }
        }
    }
}
