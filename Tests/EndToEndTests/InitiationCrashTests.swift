import Database
import Formats
import TestSupport
import Testing

@Suite("A web that dies while it starts a payment", .timeLimit(.minutes(4)), .enabled(if: Sanitizer.leavesClocks))
struct InitiationCrashTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let provider: String
        let barrier: Turnpike.Barrier
        /// What the same call is answered afterwards.
        let status: Int
        /// Payments at the provider.
        let payments: Int
        let effect: String
        var isTask: Bool { effect == "doubtful" }
        var testDescription: String { "\(provider), \(barrier)" }
    }

    private static let cases = [
        // It can be asked by our reference: nothing was started, so it is started now; or it was, and is not started once more.
        Case(provider: "cinetpay", barrier: .beforeCall, status: 201, payments: 1, effect: "done"),
        Case(provider: "cinetpay", barrier: .beforeAnswer, status: 502, payments: 1, effect: "done"),
        // It cannot: a person finds out.
        Case(provider: "payment-backend", barrier: .beforeCall, status: 502, payments: 0, effect: "doubtful"),
        Case(provider: "payment-backend", barrier: .beforeAnswer, status: 502, payments: 1, effect: "doubtful"),
    ]

    @Test(
        "kill -9 between the intent and the call, or the call and the result: one payment at the provider, or a task for a person",
        arguments: cases)
    func killed(_ wanted: Case) async throws {
        let turnpike = try await Turnpike()
        let settings = ["CINETPAY_API_URL": "\(turnpike.url)/cinetpay/v2", "PAYMENT_BACKEND_URL": "\(turnpike.url)/payment-backend"]
        try await Stage.run(["sandbox", "web"], Instance.Configuration(settings: settings)) { stage in
            turnpike.lead(to: stage.instance.sandboxPort)
            let shop = try await Shop(stage)
            let order: JSON = [
                "order_id": "A-1", "description": "A pen", "amount": "1000", "currency": "XOF",
                "customer": ["name": "Awa Diop", "email": "awa@example.org", "phone": "+2250707123456"],
            ]
            let payment = try #require(try await shop.call("POST", "/api/v1/payments/", order)["id"]?.string)
            let port = stage.instance.webPort
            let headers = [("authorization", "Bearer \(shop.key)"), ("content-type", "application/json"), ("idempotency-key", "one")]
            let body: JSON = ["payment": .string(payment), "method": "mobile_money"]
            @Sendable func start() async throws -> HTTPLine.Answer {
                try await HTTPLine.once(
                    port: port, "POST", "/api/v1/payments/\(wanted.provider)/initiate/", headers: headers, body: body.bytes, timeout: .seconds(40))
            }

            turnpike.set(wanted.barrier)
            let first = Task { try? await start() }
            try await eventually(within: .seconds(30), "the call is at the barrier") { turnpike.held == 1 }
            let effects = "SELECT state FROM outbox_effects WHERE name = 'provider.initiate'"
            #expect(try await stage.texts(effects) == ["pending"])
            try await stage.instance.kill9("web")
            #expect(await first.value == nil)
            turnpike.set(.open)

            // Nobody knows yet whether the dead process is dead: a repeat at once is told to wait.
            try await stage.instance.start("web")
            #expect(try await start().status == 409)
            try await stage.instance.stop("web")

            let clock = try TemporaryFolder("quittance-clock")
            try clock.write("+3m", to: "clock")
            try await stage.instance.start("web", with: FakeTime.environment(file: clock.file("clock")))
            let again = try await start()
            #expect(again.status == wanted.status, "\(again.text)")
            let made = try await stage.sandbox("GET", "/sandbox/payments")["payments"]?.array
            #expect(made?.count == wanted.payments, "\(made ?? [])")
            #expect(try await stage.texts(effects) == [wanted.effect])
            let attempts = try await stage.texts("SELECT id FROM payments_attempts WHERE payment = $1", [.text(payment)])
            #expect(attempts.count == 1)

            let tasks = try JSON(parsing: try await stage.instance.quittance("tasks", "--json").output).array ?? []
            #expect(tasks.count == (wanted.isTask ? 1 : 0))
            guard wanted.isTask, let attempt = attempts.first else { return }
            #expect(tasks.first?["kind"] == "effect" && tasks.first?["payment"]?.string == payment)
            let settled = try await stage.instance.quittance("effects", "settle", "provider.initiate", attempt, "--done", "{\"references\":[]}")
            #expect(settled.code == 0, "\(settled.errors)")
            #expect(try await stage.instance.quittance("tasks").output == "No open tasks.\n")
            // The same call keeps its answer, and calls nobody.
            #expect(try await start().status == wanted.status)
            #expect(try await stage.sandbox("GET", "/sandbox/payments")["payments"]?.array?.count == wanted.payments)
        }
        await turnpike.stop()
    }
}
