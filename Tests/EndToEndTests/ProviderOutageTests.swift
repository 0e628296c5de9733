import Database
import Formats
import TestSupport
import Testing

@Suite("A provider that has to be asked", .timeLimit(.minutes(4)))
struct ProviderOutageTests {
    private static let programs = ["ingest", "web", "sandbox", "worker-payments"]

    @Test("a status call that fails is made again, also when the worker is killed meanwhile, and pays once")
    func failingStatusCall() async throws {
        try await Stage.run(Self.programs) { stage in
            let shop = try await Shop(stage)
            var payments: [String] = []
            // Fewer failures in a row than would keep calls away.
            for _ in 0..<2 {
                let payment = try await shop.inquiry(email: "awa@example.org")
                try await stage.sandbox("POST", "/sandbox/scenario", ["next": true, "steps": ["status_unavailable:2", "duplicate"]])
                try await shop.call("POST", "/api/v1/payments/cinetpay/initiate/", ["payment": .string(payment)])
                try await stage.sandbox("POST", "/sandbox/pay", ["reference": .string(payment)])
                payments.append(payment)
            }
            try await eventually("a question waits for its next try") { try await stage.held(by: "payments").isEmpty == false }
            try await stage.instance.kill9("worker-payments")
            try await stage.instance.start("worker-payments")
            for payment in payments {
                try await eventually(within: .seconds(40), "\(payment) is paid") { try await stage.state(of: payment) == "paid" }
                let moves = try await stage.count("SELECT COUNT(*) FROM payments_audit WHERE payment = $1 AND to_state = 'paid'", [.text(payment)])
                #expect(moves == 1)
            }
        }
    }

    @Test("while a provider says nothing at all, the events of others are applied at once")
    func silentProvider() async throws {
        try await Stage.run(Self.programs) { stage in
            let shop = try await Shop(stage)
            var asked: [String] = []
            for _ in 0..<12 {
                let payment = try await shop.inquiry(email: "awa@example.org")
                try await shop.call("POST", "/api/v1/payments/cinetpay/initiate/", ["payment": .string(payment)])
                asked.append(payment)
            }
            let attempts = try await stage.texts("SELECT id FROM payments_attempts WHERE provider = 'cinetpay'")
            try stage.instance.process("sandbox").pause()
            for attempt in attempts {
                let notice = Proofs.cinetPay(transaction: attempt)
                let answer = try await HTTPLine.once(
                    port: stage.ingestPort, "POST", "/webhooks/cinetpay", headers: [Proofs.form, ("x-token", notice.token)], body: notice.body)
                #expect(answer.status == 200)
            }
            try await eventually("all are to be asked about") {
                try await stage.count("SELECT COUNT(*) FROM payments_events WHERE outcome = 'verifying'") == attempts.count
            }
            let others = try await stage.seed(.order, 20)
            let begun = ContinuousClock.now
            let tally = try await EventStream.post(others.map { .paid($0) }, port: stage.ingestPort)
            #expect(tally.statuses == [200: 20])
            try await stage.requirePaidOnce(others)
            let took = begun.duration(to: .now)
            #expect(took < (.seconds(10) as Duration).stretched, "others waited \(took)")
            // Nobody has paid there yet, and nothing is assumed.
            for payment in asked {
                let state = try await stage.state(of: payment) ?? ""
                #expect(["created", "pending"].contains(state))
            }
            try stage.instance.process("sandbox").resume()
        }
    }

    @Test("a notice that never comes is made up for by asking: quittance reconcile")
    func droppedNotice() async throws {
        try await Stage.run(Self.programs) { stage in
            let shop = try await Shop(stage)
            let payment = try await shop.inquiry(email: "awa@example.org")
            try await stage.sandbox("POST", "/sandbox/scenario", ["next": true, "steps": ["dropped"]])
            try await shop.call("POST", "/api/v1/payments/cinetpay/initiate/", ["payment": .string(payment)])
            try await stage.sandbox("POST", "/sandbox/pay", ["reference": .string(payment)])
            let young = try await stage.instance.quittance("reconcile", "--json")
            #expect(young.code == 3, "a payment younger than 15 minutes is left alone: \(young.output)")
            let trial = try await stage.instance.quittance("reconcile", "--min-age", "0", "--dry-run", "--json")
            #expect(trial.code == 0 && trial.output.contains(payment))
            #expect(try await stage.state(of: payment) != "paid")
            let asked = try await stage.instance.quittance("reconcile", "--min-age", "0", "--json")
            #expect(asked.code == 0, "\(asked.errors)")
            try await eventually("the payment is paid") { try await stage.state(of: payment) == "paid" }
            #expect(try await stage.count("SELECT COUNT(*) FROM payments_events") == 0)
        }
    }
}
