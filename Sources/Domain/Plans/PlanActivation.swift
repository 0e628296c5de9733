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
    public init(database: Database) { self.database = database }

    public func run(_ parameters: ActivatePlan, job: JobEnvelope, log: Log, nowMs: Int64) async throws -> JobOutcome {
        let result = try await database.paidEffect(of: job, nowMs: nowMs, detail: "\(parameters.team): \(parameters.plan)") { payment, connection in
            try Self.apply(parameters, payment: payment, nowMs: nowMs, in: connection)
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

    /// - Returns: when the period that was paid ends; nil when the payment was applied before, by a job of another id.
    static func apply(_ parameters: ActivatePlan, payment: Payment, nowMs: Int64, in connection: Connection) throws -> Int64? {
        guard try connection.first("SELECT 1 AS found FROM plans_activations WHERE payment = $1", [.text(payment.id)]) == nil else { return nil }
        // The price that counts is that of the version on sale when the payment was created: never the client's.
        guard let plan = try Plan.onSale(parameters.plan, atMs: payment.createdAtMs, in: connection) else {
            throw JobFailure.bury("there is no plan '\(parameters.plan)'")
        }
        guard payment.amount == plan.price, payment.subject == parameters.team else {
            let paid = "\(payment.amount.decimalText) \(payment.amount.currency)"
            throw JobFailure.bury("\(paid) for \(payment.subject) does not buy \(plan.id) version \(plan.version) for \(parameters.team)")
        }
        let current = try Subscription.of(team: parameters.team, in: connection)
        // A renewal before the end of a running period of the same plan adds to it; anything else starts now.
        let runsOn = current.flatMap { $0.plan == plan.id && $0.status == "active" && $0.renewsAtMs > nowMs ? $0 : nil }
        let start = runsOn?.renewsAtMs ?? nowMs
        let anchor = runsOn?.anchorDay ?? Int64(Timestamp.civil(nowMs).day)
        let renewsAt = BillingCalendar.adding(months: plan.periodMonths, to: start, anchorDay: anchor)
        try connection.execute(
            """
            INSERT INTO plans_activations (payment, team, plan, version, period_start, renews_at, applied_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            """,
            [
                .text(payment.id), .text(parameters.team), .text(plan.id), .integer(plan.version), .integer(start), .integer(renewsAt),
                .integer(nowMs),
            ])
        try connection.execute(
            """
            INSERT INTO plans_subscriptions (team, plan, version, status, period_start, renews_at, anchor_day, updated_at)
            VALUES ($1, $2, $3, 'active', $4, $5, $6, $7)
            ON CONFLICT (team) DO UPDATE SET plan = $2, version = $3, status = 'active', period_start = $4, renews_at = $5,
              anchor_day = $6, updated_at = $7
            """,
            [
                .text(parameters.team), .text(plan.id), .integer(plan.version), .integer(runsOn?.periodStartMs ?? nowMs), .integer(renewsAt),
                .integer(anchor), .integer(nowMs),
            ])
        return renewsAt
    }
}
