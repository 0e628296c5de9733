import Access
import Database
import Formats
import Outbox
import Payments
import ProviderPort
import TestSupport
import Testing

@Suite("The web takes inquiries and starts payments")
struct WebPaymentTests {
    @Test("an inquiry is paid at CinetPay: created, pending, paid, and its jobs are there")
    func kitIsPaid() async throws {
        try await WebStage.with { stage in
            let taken = try await stage.post("/api/v1/kit/inquiries/", WebStage.inquiry)
            #expect(taken.status == 201, "\(taken.text)")
            #expect(taken.string("amount") == "12500")
            #expect(taken.string("currency") == "XOF")
            let inquiry = try #require(taken.string("inquiry"))
            #expect(taken.string("checkout_url") == "\(WebStage.baseURL)/kit/checkout/\(inquiry)/")
            #expect(taken.headers["location"] == taken.string("checkout_url"))
            let payment = try #require(taken.string("payment"))
            #expect(try await stage.get("/api/v1/payments/\(payment)/").string("status") == "created")

            _ = try await stage.play("scenario", ["next": true, "steps": ["early_waiting", "duplicate"]])
            let started = try await stage.initiate(payment, key: "a")
            #expect(started.status == 201, "\(started.text)")
            #expect(started.string("status") == "pending")
            #expect(started.string("payment_url")?.hasPrefix("http://") == true)
            #expect(started.json["qr_code"]?.isNull == true)

            #expect(try await stage.play("pay", ["reference": .string(payment)]) == 200)
            try await eventually("the payment is paid") {
                try await stage.get("/api/v1/payments/cinetpay/\(payment)/status/").string("status") == "paid"
            }
            let shown = try await stage.get("/api/v1/payments/\(payment)/")
            #expect(shown.json["attempts"]?[0]?["provider"]?.string == "cinetpay")
            #expect(shown.string("captured") == "12500")
            let jobs = try await stage.database.read { try JobRecord.of(payment: payment, in: $0).map(\.kind) }
            #expect(Set(jobs) == ["payment.verify", "draft.generate", "invoice.create", "notification.send"])
        }
    }

    @Test("a team pays for a plan at the price on sale, and reads it in Servelink's words")
    func planIsPaid() async throws {
        try await WebStage.with { stage in
            let body: JSON = [
                "payment_method": "mobile_money", "metadata": ["plan_upgrade": true, "new_plan": "pro", "description": "Passage à Pro"],
            ]
            let started = try await stage.post("/api/payments/team-baobab/initiate", body)
            #expect(started.status == 201, "\(started.text)")
            #expect(started.json["amount"]?.numberText == "3.00")
            #expect(started.string("currency") == "EUR")
            #expect(started.string("status") == "pending")
            #expect(started.string("external_payment_id")?.hasPrefix("ext_") == true)
            #expect(started.json["metadata"]?["new_plan"]?.string == "pay_as_you_go")
            let payment = try #require(started.string("id"))
            #expect(try await stage.play("pay", ["reference": .string(payment)]) == 200)
            try await eventually("the payment is completed") {
                try await stage.get("/api/payments/\(payment)/status").string("status") == "completed"
            }
            let jobs = try await stage.database.read { try JobRecord.of(payment: payment, in: $0).map(\.kind) }
            #expect(jobs.contains("plan.activate"))
            let history = try await stage.get("/api/payments/team-baobab/history")
            #expect(history.json["payments"]?.array?.count == 1)
            #expect(try await stage.get("/api/payments/team-other/history").json["payments"]?.array?.isEmpty == true)
            let status = try await stage.get("/api/payments/\(payment)/status")
            #expect(status.json["completed_at"]?.string.flatMap { Timestamp.parse($0) } != nil)
        }
    }
}
