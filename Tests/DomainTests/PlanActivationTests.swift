import Database
import Formats
import JobQueue
import Money
import Notifications
import Outbox
import Payments
import Plans
import ProviderPort
import Telemetry
import TestSupport
import Testing

@Suite("A plan that a payment has bought")
struct PlanActivationTests {
    private static let price = Money(300, .eur)

    private func activate(
        _ fixture: DomainFixture, _ payment: Payment, plan: String = "pay_as_you_go", team: String? = nil,
        job id: String = "job_" + ULID.make(), nowMs: Int64 = DomainFixture.nowMs
    ) async throws -> JobOutcome {
        let job = DomainFixture.job(ActivatePlan.kind, queue: ActivatePlan.queue, payment: payment.id, id: id)
        return try await PlanActivation(database: fixture.database, outbox: Outbox(slot: "test.0")).run(
            ActivatePlan(team: team ?? payment.subject, plan: plan), job: job, log: Log(), nowMs: nowMs)
    }

    private func subscription(_ fixture: DomainFixture, _ team: String) async throws -> Subscription? {
        try await fixture.database.read { try Subscription.of(team: team, in: $0) }
    }

    private func day(_ month: Int, _ day: Int) -> Int64 { Timestamp.ms(year: 2026, month: month, day: day, hour: 10, minute: 0, second: 0) }

    @Test("the period starts when it is applied and renews on the same day, or on the last of a shorter month")
    func periods() async throws {
        let fixture = try DomainFixture()
        let payment = try await fixture.payment("plan", subject: "t", amount: Self.price)
        #expect(try await activate(fixture, payment) == .done)
        var now = try #require(try await subscription(fixture, "t"))
        #expect(now.plan == "pay_as_you_go" && now.status == "active" && now.version == 1)
        #expect(now.periodStartMs == DomainFixture.nowMs && now.renewsAtMs == day(2, 28) && now.anchorDay == 31)

        // Renewed early: the next period follows the running one, and is back on the 31st.
        let renewal = try await fixture.payment("plan", subject: "t", amount: Self.price)
        #expect(try await activate(fixture, renewal, nowMs: day(2, 10)) == .done)
        now = try #require(try await subscription(fixture, "t"))
        #expect(now.periodStartMs == DomainFixture.nowMs && now.renewsAtMs == day(3, 31))

        // After a lapse it starts anew.
        let late = try await fixture.payment("plan", subject: "t", amount: Self.price)
        #expect(try await activate(fixture, late, nowMs: day(4, 15)) == .done)
        now = try #require(try await subscription(fixture, "t"))
        #expect(now.periodStartMs == day(4, 15) && now.renewsAtMs == day(5, 15) && now.anchorDay == 15)
    }

    @Test("a payment is applied once, by the same job again and by another one")
    func once() async throws {
        let fixture = try DomainFixture()
        let payment = try await fixture.payment("plan", subject: "t", amount: Self.price)
        #expect(try await activate(fixture, payment, job: "job_1") == .done)
        let first = try await subscription(fixture, "t")
        #expect(try await activate(fixture, payment, job: "job_1", nowMs: day(2, 1)) == .done)
        #expect(try await activate(fixture, payment, job: "job_2", nowMs: day(2, 2)) == .done)
        #expect(try await subscription(fixture, "t") == first)
    }

    @Test(
        "what does not buy the plan is buried and changes nothing",
        arguments: [
            (Int64(299), "EUR", "pay_as_you_go", "t"), (301, "EUR", "pay_as_you_go", "t"), (300, "USD", "pay_as_you_go", "t"),
            (300, "EUR", "platinum", "t"), (300, "EUR", "", "t"), (300, "EUR", "free", "t"), (300, "EUR", "pay_as_you_go", "another-team"),
        ])
    func buysNothing(units: Int64, currency: String, plan: String, team: String) async throws {
        let fixture = try DomainFixture()
        let payment = try await fixture.payment("plan", subject: "t", amount: Money(units, try Currency(code: currency)))
        let failure = await #expect(throws: JobFailure.self) { try await activate(fixture, payment, plan: plan, team: team) }
        #expect(failure?.disposition == .bury)
        #expect(try await subscription(fixture, team) == nil)
    }

    @Test("only a payment that is paid activates", arguments: PaymentState.allCases.filter { $0 != .paid })
    func unpaid(state: PaymentState) async throws {
        let fixture = try DomainFixture()
        let payment = try await fixture.payment("plan", subject: "t", amount: Self.price, state: state)
        #expect(try await activate(fixture, payment) == .skipped(reason: "payment is \(state.rawValue)"))
        #expect(try await subscription(fixture, "t") == nil)
    }

    @Test("the price is that of the version on sale when the payment was created")
    func priceOfItsTime() async throws {
        let fixture = try DomainFixture()
        try await fixture.database.write { connection in
            try connection.execute(
                """
                INSERT INTO plans_versions SELECT plan, 2, name, 500, currency, period_months, max_teams, max_members, max_projects,
                  max_cpu_milli, max_memory_mb, max_traffic_bytes_per_month, max_storage_bytes, custom_domains, $1
                FROM plans_versions WHERE plan = 'pay_as_you_go'
                """, [.integer(DomainFixture.nowMs)])
        }
        let before = try await fixture.payment("plan", subject: "old", amount: Self.price, nowMs: DomainFixture.nowMs - 1)
        #expect(try await activate(fixture, before) == .done)
        #expect(try await subscription(fixture, "old")?.version == 1)
        let tooLittle = try await fixture.payment("plan", subject: "new", amount: Self.price)
        await #expect(throws: JobFailure.self) { try await activate(fixture, tooLittle) }
        let enough = try await fixture.payment("plan", subject: "new", amount: Money(500, .eur))
        #expect(try await activate(fixture, enough) == .done)
        #expect(try await subscription(fixture, "new")?.version == 2)
    }

    @Test("twenty deliveries at once, over four connections, apply a payment once")
    func concurrentDeliveries() async throws {
        let fixture = try DomainFixture()
        let payment = try await fixture.payment("plan", subject: "t", amount: Self.price)
        let job = DomainFixture.job(ActivatePlan.kind, queue: ActivatePlan.queue, payment: payment.id)
        let activations = try (0..<4).map { _ in PlanActivation(database: try fixture.another(), outbox: Outbox(slot: "test.0")) }
        try await withThrowingTaskGroup(of: JobOutcome.self) { group in
            for number in 0..<20 {
                group.addTask {
                    try await activations[number % 4].run(
                        ActivatePlan(team: "t", plan: "pay_as_you_go"), job: job, log: Log(), nowMs: DomainFixture.nowMs + Int64(number))
                }
            }
            for try await outcome in group { #expect(outcome == .done) }
        }
        let applied = try await fixture.database.read { try $0.query("SELECT * FROM plans_activations").count }
        #expect(applied == 1)
        #expect(try await subscription(fixture, "t")?.renewsAtMs == day(2, 28))
    }

    @Test("a team that has the free plan moves up at once, whatever its free period")
    func upgrade() async throws {
        let fixture = try DomainFixture()
        try await fixture.database.write { connection in
            try connection.execute(
                "INSERT INTO plans_subscriptions VALUES ('t', 'free', 1, 'active', $1, $2, 3, $1)",
                [.integer(DomainFixture.nowMs - 1000), .integer(day(12, 3))])
        }
        let payment = try await fixture.payment("plan", subject: "t", amount: Self.price)
        #expect(try await activate(fixture, payment) == .done)
        let now = try #require(try await subscription(fixture, "t"))
        #expect(now.plan == "pay_as_you_go" && now.periodStartMs == DomainFixture.nowMs && now.renewsAtMs == day(2, 28) && now.anchorDay == 31)
    }

    @Test("a paid upgrade starts the activation, the invoice and the customer's message, and nothing before it is paid")
    func fulfilment() async throws {
        let fixture = try DomainFixture()
        let payment = try await fixture.payment(
            "plan", subject: "t", amount: Self.price, state: .created, metadata: ["new_plan": "pay_as_you_go", "plan_upgrade": "true"])
        #expect(try await fixture.tell(.pending, of: payment.id) == .pending)
        #expect(try await fixture.database.read { try JobRecord.of(payment: payment.id, in: $0) }.isEmpty)
        #expect(try await fixture.tell(.captured, of: payment.id) == .paid)
        #expect(try await fixture.tell(.captured, of: payment.id) == .paid)
        let kinds = try await fixture.database.read { try JobRecord.of(payment: payment.id, in: $0) }.map(\.kind)
        #expect(kinds == ["plan.activate", "invoice.create"])
        let job = try await fixture.delivered("plan.activate", of: payment.id)
        let outcome = try await PlanActivation(database: fixture.database, outbox: Outbox(slot: "test.0")).run(
            try job.parameters(as: ActivatePlan.self), job: job, log: Log(), nowMs: DomainFixture.nowMs)
        #expect(outcome == .done)
        #expect(try await subscription(fixture, "t")?.plan == "pay_as_you_go")
        #expect(try await fixture.record(of: job)?.outcome == .done)
        let message = try await fixture.delivered("notification.send", of: payment.id).parameters(as: SendNotification.self)
        #expect(message.template == .planConfirmed && message.recipient == "awa@example.org" && message.link == nil)
        #expect(
            message.values == [
                "amount": "3.00\u{A0}EUR", "name": "Awa", "payment": payment.id, "plan": "Pro", "team": "t", "until": "28/02/2026 à 10:00 UTC",
            ])
    }
}
