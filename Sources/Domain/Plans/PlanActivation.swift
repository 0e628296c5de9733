import Database
import Formats
import JobQueue
import Money
import Outbox
import Payments
import Telemetry

/// `plan.activate`: gives a team the plan version that its payment has bought. Paid-only, applied once per payment.
public struct ActivatePlan: PaidOnlyParameters {
    public static let kind = "plan.activate"
    public static let queue = "plans"

    public let team: String
    public let plan: String
    public init(team: String, plan: String) {
        self.team = team
        self.plan = plan
    }

    /// Only SQL can be in the way, and not for long.
    public static let retry = RetryPolicy.exponential(base: .seconds(1), factor: 2, cap: .seconds(300), jitter: .equal, attemptsMax: 12)
}

/// Carries out ``ActivatePlan``.
public struct PlanActivation: Sendable {
    private let database: Database
    private let outbox: Outbox

    public init(database: Database, outbox: Outbox) {
        self.database = database
        self.outbox = outbox
    }

    public func run(_ parameters: ActivatePlan, job: JobEnvelope, log: Log, nowMs: Int64) async throws -> JobOutcome {
        let outbox = outbox
        let result = try await database.paidEffect(of: job, nowMs: nowMs, detail: "\(parameters.team): \(parameters.plan)") {
            payment, connection -> Int64? in
            // The job was made in the transaction in which the payment was paid, or was paid once more.
            let madeAtMs = try JobRecord.find(job.id, in: connection)?.createdAtMs ?? nowMs
            let applied = try Self.apply(parameters, payment: payment, paidAtMs: min(madeAtMs, nowMs), nowMs: nowMs, in: connection)
            guard let applied else { return nil }
            for request in try applied.confirmation(to: payment, in: connection) { try outbox.add(request, nowMs: nowMs, in: connection) }
            return applied.renewsAtMs
        }
        if case .done(let renewsAt?) = result {
            log.info(
                "plan activated",
                ["team": .string(parameters.team), "plan": .string(parameters.plan), "renews_at": .string(Timestamp.rfc3339(renewsAt))])
        }
        return switch result {
        case .done, .finishedBefore: .done
        case .skipped(let reason): .skipped(reason: reason)
        }
    }

    /// - Parameter paidAtMs: what the payment adds to is what the team had then, however late it is applied.
    /// - Returns: what was bought; nil when the payment was applied before, by a job of another id.
    static func apply(
        _ parameters: ActivatePlan, payment: Payment, paidAtMs: Int64, nowMs: Int64, in connection: Connection
    ) throws -> PaidActivation? {
        guard try connection.first("SELECT 1 AS found FROM plans_activations WHERE payment = $1", [.text(payment.id)]) == nil else { return nil }
        // The price that counts is that of the version on sale when the payment was created: never the client's.
        guard let plan = try Plan.onSale(parameters.plan, atMs: payment.createdAtMs, in: connection) else {
            throw JobFailure.bury("there is no plan '\(parameters.plan)'")
        }
        guard payment.amount == plan.price, payment.subject == parameters.team else {
            let paid = "\(payment.amount.decimalText) \(payment.amount.currency)"
            throw JobFailure.bury("\(paid) for \(payment.subject) does not buy \(plan.id) version \(plan.version) for \(parameters.team)")
        }
        // Whatever had ended when it was paid has ended, although no tick has come by yet.
        _ = try Subscription.of(team: parameters.team, in: connection)?.settle(nowMs: paidAtMs, in: connection)
        let current = try Subscription.of(team: parameters.team, in: connection)
        let period = PaidPeriod(of: plan, paidAtMs: paidAtMs, appliedAtMs: nowMs, after: current)
        try connection.execute(
            """
            INSERT INTO plans_activations (payment, team, plan, version, period_start, renews_at, applied_at, paid_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            """,
            [
                .text(payment.id), .text(parameters.team), .text(plan.id), .integer(plan.version), .integer(period.startMs),
                .integer(period.renewsAtMs), .integer(nowMs), .integer(paidAtMs),
            ])
        try connection.execute("DELETE FROM plans_next WHERE team = $1", [.text(parameters.team)])
        let subscription = period.subscription(of: parameters.team, plan, nowMs: nowMs)
        try subscription.store(in: connection)
        try PlanMove.record(
            period.continues ? .renewed : .bought, subscription, payment: payment.id, actor: "payment", nowMs: nowMs, in: connection)
        return try PaidActivation.find(payment: payment.id, in: connection)
    }

    /// Whether a team has paid for a plan and worker-plans has not come to it yet.
    static func isWaitedFor(by team: String, in connection: Connection) throws -> Bool {
        try PaymentStore.paid(purpose: PlanPurpose.name, subject: team, in: connection).contains { payment in
            guard try PaidActivation.find(payment: payment, in: connection) == nil else { return false }
            return try JobRecord.of(payment: payment, in: connection).contains { $0.kind == ActivatePlan.kind && $0.finishedAtMs == nil }
        }
    }
}
