import Database
import Formats
import Payments
import ProviderPort
import TestSupport
import Testing

@Suite("A provider in trouble")
struct WebProviderTroubleTests {
    @Test("one that cannot be reached started nothing: 503, and the same key may try again")
    func unreachable() async throws {
        try await WebStage.with { stage in
            let payment = try await stage.inquire().payment
            stage.transport.set(.failing(ProviderError(.unavailable, "refused", code: "connect")))
            let refused = try await stage.initiate(payment, key: "one")
            #expect(refused.status == 503)
            #expect(refused.headers["retry-after"] != nil)
            let attempt = try #require(try await stage.attempts(of: payment).first)
            #expect(attempt.errorCode == "connect")
            #expect(!attempt.isOpen)
            stage.transport.set(.open)
            #expect(try await stage.initiate(payment, key: "one").status == 201)
            #expect(try await stage.get("/api/v1/payments/\(payment)/").string("status") == "pending")
        }
    }

    @Test("one whose answer is lost leaves the outcome unknown: 502, the attempt stays open, and its webhook still counts")
    func answerLost() async throws {
        try await WebStage.with { stage in
            let payment = try await stage.inquire().payment
            stage.transport.set(.answersLost)
            let lost = try await stage.initiate(payment, key: "one")
            #expect(lost.status == 502)
            #expect(lost.string("title") == "Outcome unknown")
            stage.transport.set(.open)
            let attempt = try #require(try await stage.attempts(of: payment).first)
            #expect(attempt.isOpen)
            #expect(attempt.errorCode == "timeout")
            #expect(lost.string("attempt") == attempt.id)
            #expect(try await stage.initiate(payment, key: "one").status == 502)
            #expect(try await stage.attempts(of: payment).count == 1)
            #expect(try await stage.play("pay", ["reference": .string(payment)]) == 200)
            try await eventually("the payment is paid") {
                try await stage.get("/api/v1/payments/\(payment)/").string("status") == "paid"
            }
        }
    }

    @Test("a rule of the provider is told as it is: 422, and the attempt has failed")
    func rejected() async throws {
        try await WebStage.with { stage in
            let order: JSON = [
                "order_id": "A-1", "description": "A pen", "amount": "1003", "currency": "XOF", "customer": ["name": "Awa Diop"],
            ]
            let payment = try #require(try await stage.post("/api/v1/payments/", order).string("id"))
            let refused = try await stage.initiate(payment, key: "one")
            #expect(refused.status == 422)
            #expect(refused.string("detail") == "amount must be a multiple of 5")
            #expect(refused.string("provider") == "cinetpay")
            #expect(try await stage.get("/api/v1/payments/\(payment)/").string("status") == "failed")
            #expect(try await stage.initiate(payment, key: "one").headers["idempotency-replayed"] == "true")
            // What failed at one provider may be paid at another one.
            let body: JSON = ["payment": .string(payment), "method": "mobile_money"]
            let started = try await stage.post("/api/v1/payments/payment-backend/initiate/", body, headers: ["idempotency-key": "two"])
            #expect(started.status == 201, "\(started.text)")
        }
    }

    @Test(
        "what is no answer of ours is told by its kind",
        arguments: [
            (ProviderError(.throttled, "slow down", retryAfterSeconds: 7), 503, "7"), (ProviderError(.misconfigured, "bad key"), 502, nil),
            (ProviderError(.unreadable, "no JSON"), 502, nil), (ProviderError(.rejected, "no such method"), 422, nil),
        ] as [(ProviderError, Int, String?)])
    func kinds(error: ProviderError, status: Int, retryAfter: String?) async throws {
        try await WebStage.with { stage in
            let payment = try await stage.inquire().payment
            stage.transport.set(.failing(error))
            let answer = try await stage.initiate(payment, key: "one")
            #expect(answer.status == status)
            #expect(answer.headers["retry-after"] == retryAfter)
            #expect(answer.headers["content-type"] == "application/problem+json")
            #expect(!answer.text.contains("bad key"))
        }
    }

    @Test("a provider that is off or starts nothing, and a payment that is over, are refused")
    func notStartable() async throws {
        try await WebStage.with { stage in
            let payment = try await stage.inquire().payment
            #expect(try await stage.initiate(payment, key: "a", at: "wave").status == 404)
            #expect(try await stage.initiate(payment, key: "b", at: "standard-webhooks").status == 422)
            #expect(try await stage.initiate("pay_none", key: "c").status == 404)
            #expect(try await stage.initiate(payment, key: "d").status == 201)
            _ = try await stage.play("pay", ["reference": .string(payment)])
            try await eventually("the payment is paid") {
                try await stage.get("/api/v1/payments/\(payment)/").string("status") == "paid"
            }
            #expect(try await stage.initiate(payment, key: "e").status == 409)
            #expect(try await stage.attempts(of: payment).count == 1)
            #expect(try await stage.get("/api/v1/payments/payment-backend/\(payment)/status/").status == 404)
        }
    }
}
