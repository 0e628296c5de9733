import Access
import Database
import Formats
import Money
import Outbox
import Payments
import ProviderPort
import TestSupport
import Testing

@Suite("A call with an idempotency key is carried out once")
struct WebIdempotencyTests {
    @Test("the same key and body get the first answer again, and the provider hears of one attempt")
    func sameBody() async throws {
        try await WebStage.with { stage in
            let payment = try await stage.inquire().payment
            let first = try await stage.initiate(payment, key: "one")
            let again = try await stage.initiate(payment, key: "one")
            #expect(first.status == 201)
            #expect(first.headers["idempotency-replayed"] == nil)
            #expect(again.status == 201)
            #expect(again.body == first.body)
            #expect(again.headers["idempotency-replayed"] == "true")
            #expect(again.headers["content-type"] == "application/json")
            #expect(try await stage.attempts(of: payment).count == 1)
            #expect(try await stage.callCount(under: "/cinetpay/v2/payment") == 1)
            #expect(try await stage.initiate(payment, key: "two").string("attempt") != first.string("attempt"))
        }
    }

    @Test("the same key with another body or path is refused, and a key of another caller is another key")
    func otherBody() async throws {
        try await WebStage.with { stage in
            let payment = try await stage.inquire().payment
            let other = try await stage.inquire().payment
            #expect(try await stage.initiate(payment, key: "one").status == 201)
            let refused = try await stage.initiate(other, key: "one")
            #expect(refused.status == 422)
            #expect(refused.json["errors"]?[0]?["field"]?.string == "Idempotency-Key")
            #expect(try await stage.attempts(of: other).isEmpty)
            #expect(try await stage.initiate(payment, key: "one", at: "payment-backend").status == 422)

            let second = try await stage.database.write { try APIKeys.create(name: "second", nowMs: 1, in: $0).text }
            let answer = try await stage.post(
                "/api/v1/payments/cinetpay/initiate/", ["payment": .string(other)],
                headers: ["idempotency-key": "one", "authorization": "Bearer \(second)"])
            #expect(answer.status == 201)
        }
    }

    @Test("while the first call is not answered the second is told so")
    func running() async throws {
        try await WebStage.with { stage in
            let payment = try await stage.inquire().payment
            stage.transport.set(.held)
            async let first = stage.initiate(payment, key: "one")
            try await eventually("the first call has begun") { try await stage.attempts(of: payment).count == 1 }
            let second = try await stage.initiate(payment, key: "one")
            #expect(second.status == 409)
            #expect(second.headers["retry-after"] != nil)
            stage.transport.set(.open)
            let answered = try await first
            #expect(answered.status == 201)
            #expect(try await stage.initiate(payment, key: "one").body == answered.body)
            #expect(try await stage.attempts(of: payment).count == 1)
        }
    }

    @Test("what was told to come again is carried out when it does, with the key that it has")
    func comesAgain() async throws {
        try await WebStage.with { stage in
            let payment = try await stage.inquire().payment
            stage.transport.set(.held)
            async let first = stage.initiate(payment, key: "one")
            try await eventually("the first call has begun") { try await stage.attempts(of: payment).count == 1 }
            let early = try await stage.initiate(payment, key: "two")
            #expect(early.status == 409 && early.headers["retry-after"] == "60", "\(early.text)")
            stage.transport.set(.open)
            #expect(try await first.status == 201)
            let late = try await stage.initiate(payment, key: "two")
            #expect(late.status == 201 && late.headers["idempotency-replayed"] == nil, "\(late.text)")
            #expect(try await stage.initiate(payment, key: "two").body == late.body)
            #expect(try await stage.attempts(of: payment).count == 2)
        }
    }

    @Test("what a call has made is its own when it comes again, and a card's number is no key")
    func suspended() async throws {
        try await WebStage.with { stage in
            let digest = IdempotentCalls.digest(method: "POST", path: "/", body: [])
            try await stage.database.write { connection in
                let owner = try #require(try APIKeys.list(in: connection).first).id
                func begin(_ nowMs: Int64) throws -> IdempotentCalls.Claim? {
                    let verdict = try IdempotentCalls.begin(apiKey: owner, key: "k", requestDigest: digest, nowMs: nowMs, in: connection)
                    if case .proceed(let claim) = verdict { return claim }
                    return nil
                }
                let first = try #require(try begin(1_000_000))
                #expect(try IdempotentCalls.note("att_1", for: first, in: connection))
                #expect(try begin(1_000_001) == nil)
                try IdempotentCalls.suspend(first, nowMs: 1_000_002, in: connection)
                let second = try #require(try begin(1_000_002))
                #expect(second.made == "att_1")
                // The first run is over: it takes nothing back any more.
                try IdempotentCalls.suspend(first, nowMs: 1_000_003, in: connection)
                #expect(try begin(1_000_003) == nil)
            }
            let payment = try await stage.inquire().payment
            let answer = try await stage.initiate(payment, key: "4111-1111-1111-1111")
            #expect(answer.status == 400 && answer.string("detail")?.contains("card") == true)
        }
    }

    @Test("the key is required where money moves, and must be one", arguments: [nil, "", "two words", String(repeating: "k", count: 201)])
    func badKeys(key: String?) async throws {
        try await WebStage.with { stage in
            let payment = try await stage.inquire().payment
            let headers = HTTPHeaders(key.map { [("idempotency-key", $0)] } ?? [])
            let answer = try await stage.post("/api/v1/payments/cinetpay/initiate/", ["payment": .string(payment)], headers: headers)
            #expect(answer.status == 400)
            #expect(answer.string("detail")?.contains("Idempotency-Key") == true)
            #expect(try await stage.attempts(of: payment).isEmpty)
        }
    }

    @Test("a run that died is taken over after a minute, and goes on with the attempt that it had started")
    func takenOver() async throws {
        try await WebStage.with { stage in
            let payment = try await stage.inquire().payment
            let body: JSON = ["payment": .string(payment)]
            let digest = IdempotentCalls.digest(method: "POST", path: "/api/v1/payments/cinetpay/initiate/", body: body.bytes)
            let now = stage.nowMs
            let attempt = try await stage.database.write { connection in
                let key = try #require(try APIKeys.list(in: connection).first)
                let verdict = try IdempotentCalls.begin(apiKey: key.id, key: "dead", requestDigest: digest, nowMs: now, in: connection)
                guard case .proceed(let claim) = verdict else { throw FixtureError("no claim: \(verdict)") }
                let found = try PaymentStore.require(payment, in: connection)
                let attempt = try PaymentStore.startAttempt(
                    of: found, provider: "cinetpay", mode: "sandbox", method: nil, nowMs: now, in: connection)
                #expect(try IdempotentCalls.note(attempt.id, for: claim, in: connection))
                return attempt.id
            }
            #expect(try await stage.initiate(payment, key: "dead").status == 409)
            stage.turnClock(by: IdempotentCalls.takeOverAfterMs)
            let answer = try await stage.initiate(payment, key: "dead")
            #expect(answer.status == 201, "\(answer.text)")
            #expect(answer.string("attempt") == attempt)
            #expect(try await stage.attempts(of: payment).count == 1)
        }
    }

    @Test(
        "a run that died and is taken over calls nobody for an attempt that is over, or of a payment that was paid meanwhile",
        arguments: ["paid", "paid elsewhere", "failed", "conflicted elsewhere"])
    func takenOverTooLate(_ meanwhile: String) async throws {
        try await WebStage.with { stage in
            let payment = try await stage.inquire().payment
            let body: JSON = ["payment": .string(payment)]
            let digest = IdempotentCalls.digest(method: "POST", path: "/api/v1/payments/cinetpay/initiate/", body: body.bytes)
            let now = stage.nowMs
            let facts = PaymentFacts(purposes: PurposeRegistry([]), outbox: Outbox(slot: "test.0"))
            let attempt = try await stage.database.write { connection in
                let key = try #require(try APIKeys.list(in: connection).first)
                let verdict = try IdempotentCalls.begin(apiKey: key.id, key: "dead", requestDigest: digest, nowMs: now, in: connection)
                guard case .proceed(let claim) = verdict else { throw FixtureError("no claim: \(verdict)") }
                let found = try PaymentStore.require(payment, in: connection)
                func start() throws -> PaymentAttempt {
                    try PaymentStore.startAttempt(of: found, provider: "cinetpay", mode: "sandbox", method: nil, nowMs: now, in: connection)
                }
                let attempt = try start()
                #expect(try IdempotentCalls.note(attempt.id, for: claim, in: connection))
                let told = meanwhile.hasSuffix("elsewhere") ? try start() : attempt
                let owed = found.amount
                let amount = meanwhile.hasPrefix("conflicted") ? Money(owed.minorUnits - 1, owed.currency) : owed
                _ = try facts.record(
                    ProviderNotice(references: [], claim: meanwhile == "failed" ? .failed : .captured, amount: amount), attempt: told,
                    source: .init(actor: "provider:cinetpay", reference: "e"), nowMs: now, in: connection)
                return attempt.id
            }
            stage.turnClock(by: IdempotentCalls.takeOverAfterMs)
            let answer = try await stage.initiate(payment, key: "dead")
            #expect(answer.status == 201, "\(answer.text)")
            #expect(answer.string("attempt") == attempt && answer.string("status") == meanwhile.split(separator: " ").first.map(String.init))
            #expect(answer.json["payment_url"]?.isNull == true)
            #expect(try await stage.callCount(under: "/cinetpay/v2/payment") == 0)
        }
    }

    @Test("a run that was taken over can neither keep an answer nor give the key back")
    func fenced() async throws {
        try await WebStage.with { stage in
            let digest = IdempotentCalls.digest(method: "POST", path: "/", body: [])
            try await stage.database.write { connection in
                let owner = try #require(try APIKeys.list(in: connection).first).id
                func begin(_ nowMs: Int64) throws -> IdempotentCalls.Verdict {
                    try IdempotentCalls.begin(apiKey: owner, key: "k", requestDigest: digest, nowMs: nowMs, in: connection)
                }
                guard case .proceed(let slow) = try begin(0), case .proceed(let next) = try begin(60_000) else { throw FixtureError("no claims") }
                let answer = IdempotentCalls.Answer(status: 201, contentType: "application/json", body: [1])
                #expect(try !IdempotentCalls.note("x", for: slow, in: connection))
                try IdempotentCalls.finish(slow, with: answer, nowMs: 60_001, in: connection)
                try IdempotentCalls.release(slow, in: connection)
                #expect(try begin(60_002) == .running)
                try IdempotentCalls.finish(next, with: answer, nowMs: 60_003, in: connection)
                #expect(try begin(60_004) == .finished(answer))
                #expect(try IdempotentCalls.purge(nowMs: 60_000 + IdempotentCalls.keepForMs, limit: 10, in: connection) == 0)
                #expect(try IdempotentCalls.purge(nowMs: 60_001 + IdempotentCalls.keepForMs, limit: 10, in: connection) == 1)
                guard case .proceed = try begin(60_005) else { throw FixtureError("the key is still taken") }
            }
        }
    }

    @Test("creating an order's payment and a plan upgrade repeat harmlessly too")
    func otherCalls() async throws {
        try await WebStage.with { stage in
            let order: JSON = [
                "order_id": "A-1", "description": "Two chairs", "amount": "15000", "currency": "XOF", "customer": ["name": "Awa Diop"],
                "provider": "standard-webhooks",
            ]
            let upgrade: JSON = ["payment_method": "credit_card", "metadata": ["new_plan": "pay_as_you_go"]]
            for (path, body) in [("/api/v1/payments/", order), ("/api/payments/team/initiate", upgrade)] {
                let first = try await stage.post(path, body, headers: ["idempotency-key": path])
                let again = try await stage.post(path, body, headers: ["idempotency-key": path])
                #expect(first.status == 201, "\(first.text)")
                #expect(again.body == first.body)
                #expect(again.headers["idempotency-replayed"] == "true")
            }
            let count = try await stage.database.read { try PaymentStore.list(limit: 10, in: $0).count }
            #expect(count == 2)
        }
    }
}
