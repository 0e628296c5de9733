import Database
import Formats
import JobQueue
import Money
import Notifications
import Outbox
import Payments
import Plans
import ProviderPort
import Synchronization
import Teams
import Telemetry
import TestSupport

/// A team with an owner and a member, payments that buy it Pro, and a clock: everything but the programs.
final class PlanStage: Sendable {
    static let team = "baobab"
    static let price = Money(300, .eur)

    let fixture: DomainFixture
    private let state = Mutex(State())

    private struct State {
        var nowMs = DomainFixture.nowMs
        var payments: [String] = []
        /// The last job that was looked at.
        var sequence: Int64 = 0
    }

    var nowMs: Int64 { state.withLock(\.nowMs) }
    var database: Database { fixture.database }
    static let outbox = Outbox(slot: "test.0")

    init(owners: [(email: String, language: String)] = [("aicha@example.org", "fr")]) async throws {
        fixture = try DomainFixture()
        let nowMs = DomainFixture.nowMs
        try await database.write { connection in
            try TeamStore.put(
                Team(id: Self.team, name: "Équipe Baobab", owner: "user-1", language: "fr", createdAtMs: nowMs), in: connection)
            for (email, language) in owners {
                try TeamStore.put(
                    TeamMember(
                        team: Self.team, email: email, name: "Aïcha", language: language, role: .owner, getsAlerts: false, createdAtMs: nowMs),
                    in: connection)
            }
            try TeamStore.put(
                TeamMember(
                    team: Self.team, email: "member@example.org", name: "Kofi", language: "en", role: .member, getsAlerts: true, createdAtMs: nowMs),
                in: connection)
        }
    }

    func turn(to text: String) throws {
        guard let ms = Timestamp.parse(text) else { throw FixtureError("\(text) is no moment") }
        state.withLock { $0.nowMs = ms }
    }

    // MARK: Payments

    /// How many there are.
    var payments: Int { state.withLock(\.payments.count) }

    /// The first payment is number 1.
    func payment(_ number: Int) -> String { state.withLock { $0.payments[number - 1] } }

    /// A payment with two attempts: the customer may pay by either.
    func owe() async throws {
        let nowMs = nowMs
        let payment = try await fixture.payment(
            PlanPurpose.name, subject: Self.team, amount: Self.price, state: .created, metadata: ["new_plan": Plan.pro], nowMs: nowMs)
        try await database.write { connection in
            for _ in 0..<2 {
                _ = try PaymentStore.startAttempt(of: payment, provider: "played", mode: "sandbox", method: nil, nowMs: nowMs, in: connection)
            }
        }
        state.withLock { $0.payments.append(payment.id) }
    }

    /// Enters what the provider tells of a payment.
    /// - Parameter attempt: 0 or 1.
    func tell(_ claim: ProviderClaim, _ number: Int, attempt: Int = 0, units: Int64 = 300) async throws {
        let (id, nowMs) = (payment(number), nowMs)
        let facts = PaymentFacts(purposes: DomainFixture.purposes, outbox: Self.outbox)
        try await database.write { connection in
            let attempts = try PaymentStore.attempts(of: id, in: connection)
            try facts.record(
                ProviderNotice(references: [], claim: claim, amount: Money(units, .eur)), attempt: attempts[attempt],
                source: PaymentFacts.Source(actor: "provider:played", reference: "test"), nowMs: nowMs, in: connection)
        }
    }

    /// Has worker-plans do what waits for it.
    func activate() async throws -> [JobOutcome] {
        let open = try await database.read { connection in
            try connection.query(
                "SELECT id, args, payment FROM outbox_jobs WHERE kind = $1 AND finished_at IS NULL ORDER BY sequence", [.text(ActivatePlan.kind)]
            ).map { row in
                JobEnvelope(
                    id: try row.text("id"), kind: ActivatePlan.kind, queue: ActivatePlan.queue, args: try JSON(parsing: try row.text("args")),
                    payment: try row.text("payment"), enqueuedAtMs: DomainFixture.nowMs)
            }
        }
        let activation = PlanActivation(database: database, outbox: Self.outbox)
        var outcomes: [JobOutcome] = []
        for job in open { outcomes.append(try await activation.run(try job.parameters(as: ActivatePlan.self), job: job, log: Log(), nowMs: nowMs)) }
        return outcomes
    }

    // MARK: Looking

    /// A tick of the scheduler.
    @discardableResult
    func look(batch: Int = PlanPeriods.batchMax) async throws -> PlanPeriods.Report {
        try await PlanPeriods(outbox: Self.outbox).run(on: database, nowMs: nowMs, batch: batch)
    }

    /// The messages about the plan since they were last asked for.
    func told() async throws -> [SendNotification] {
        let after = state.withLock(\.sequence)
        let (sequence, messages) = try await database.read { connection in
            let rows = try connection.query(
                "SELECT sequence, args FROM outbox_jobs WHERE kind = 'notification.send' AND sequence > $1 ORDER BY sequence", [.integer(after)])
            let messages = try rows.map { row in
                try JobEnvelope(
                    id: "job", kind: SendNotification.kind, queue: SendNotification.queue, args: try JSON(parsing: try row.text("args")),
                    enqueuedAtMs: 0
                ).parameters(as: SendNotification.self)
            }
            return (try rows.last?.int("sequence") ?? after, messages)
        }
        state.withLock { $0.sequence = sequence }
        return messages.filter { $0.template.rawValue.hasPrefix("plan_") }
    }

    /// `active Pro 2026-02-28T10:00:00.000Z`: the status, the plan that counts, and the period's end.
    func standing() async throws -> String {
        let nowMs = nowMs
        return try await database.read { connection in
            let plan = try Plan.of(team: Self.team, nowMs: nowMs, in: connection).name
            guard let subscription = try Subscription.of(team: Self.team, in: connection) else { return "none \(plan)" }
            return "\(subscription.status) \(plan) \(Timestamp.rfc3339(subscription.renewsAtMs))"
        }
    }

    /// The causes of the moves, the oldest first.
    func causes() async throws -> [String] {
        try await database.read { try PlanMove.list(team: Self.team, limit: 100, in: $0) }.reversed().map(\.cause.rawValue)
    }
}
