import Database
import JobQueue
import Payments

/// Takes a period back whose money has gone back: what is left is what the other payments have bought.
enum PlanTakeBack {
    /// - Returns: the messages about it. None where the payment had bought nothing (yet), or the plan runs on.
    static func apply(_ payment: Payment, nowMs: Int64, in connection: Connection) throws -> [JobRequest] {
        guard let taken = try PaidActivation.find(payment: payment.id, in: connection),
            let current = try Subscription.of(team: taken.team, in: connection)
        else { return [] }
        let all = try PaidActivation.list(team: taken.team, in: connection)
        try connection.execute("DELETE FROM plans_activations WHERE payment = $1", [.text(payment.id)])
        try taken.leaveConfirmationOff(to: payment, nowMs: nowMs, in: connection)
        let left = try refold(all, without: taken, current, nowMs: nowMs, in: connection)
        // What has ended stays ended: less was paid than before, not more.
        let moved = current.isRunning ? try left.standing(instead: current, nowMs: nowMs, in: connection) : current
        if current.isRunning { try moved.store(in: connection) }
        if !moved.isRunning { try connection.execute("DELETE FROM plans_next WHERE team = $1", [.text(taken.team)]) }
        try PlanMove.record(.takenBack, moved, payment: payment.id, actor: "payment", nowMs: nowMs, in: connection)
        let isNews = moved.status != "active" && (moved.status != current.status || moved.renewsAtMs != current.renewsAtMs)
        guard isNews else { return left.messages }
        return try left.messages
            + PlanNotices.requests(moved.isRunning ? .grace : .ended, moved, takenBack: payment, nowMs: nowMs, in: connection)
    }

    /// The payment has its money after all: its period is bought once more, from now on. Nothing where it was never taken back.
    static func undone(_ payment: Payment, nowMs: Int64, in connection: Connection) throws -> [JobRequest] {
        let taken = try connection.first(
            "SELECT COUNT(*) AS times FROM plans_moves WHERE team = $1 AND payment = $2 AND cause = $3",
            [.text(payment.subject), .text(payment.id), .text(PlanMove.Cause.takenBack.rawValue)])
        let times = try taken?.int("times") ?? 0
        guard times > 0, let plan = payment.metadata["new_plan"] else { return [] }
        return [
            try JobRequest(
                ActivatePlan(team: payment.subject, plan: plan), payment: payment.id, unique: "\(ActivatePlan.kind):\(payment.id):\(times)")
        ]
    }

    /// What the other payments have bought.
    private struct Left {
        /// The last of their periods; nil without any.
        var subscription: Subscription?
        /// Whether that had come to its end before the period began that was taken away.
        var isOver = false
        /// To those that were not told of their period yet, which is another one now.
        var messages: [JobRequest] = []

        /// How the team stands with it now: what is over is not brought back for a tick to end it once more.
        func standing(instead current: Subscription, nowMs: Int64, in connection: Connection) throws -> Subscription {
            guard let subscription else { return current.with(status: "ended", renewsAtMs: min(current.renewsAtMs, nowMs), nowMs: nowMs) }
            var status = "active"
            if subscription.renewsAtMs <= nowMs {
                let isUnwanted = try PlanChanges.next(of: current.team, in: connection) != nil
                status = isOver || isUnwanted || subscription.graceEndsAtMs <= nowMs ? "ended" : "grace"
            }
            return subscription.with(status: status, renewsAtMs: subscription.renewsAtMs, nowMs: nowMs)
        }
    }

    /// Lays the periods of the payments that are left one after the other again, in the order in which they were applied. One that began anew
    /// begins there still, and so does the one after it when it is gone: what was before it had ended.
    private static func refold(
        _ all: [PaidActivation], without taken: PaidActivation, _ current: Subscription, nowMs: Int64, in connection: Connection
    ) throws -> Left {
        var left = Left(subscription: try base(of: all, current, in: connection))
        for activation in all {
            if activation.beganAnew { left.isOver = true }
            guard activation.payment != taken.payment, let plan = try Plan.find(activation.plan, version: activation.version, in: connection)
            else { continue }
            let period = PaidPeriod(
                of: plan, paidAtMs: activation.paidAtMs, appliedAtMs: activation.appliedAtMs, after: left.isOver ? nil : left.subscription)
            left.subscription = period.subscription(of: activation.team, plan, nowMs: activation.appliedAtMs)
            left.isOver = false
            let moved = try activation.move(to: period, in: connection)
            guard moved.renewsAtMs != activation.renewsAtMs, let payment = try PaymentStore.find(activation.payment, in: connection),
                try activation.leaveConfirmationOff(to: payment, nowMs: nowMs, in: connection)
            else { continue }
            left.messages += try moved.confirmation(to: payment, in: connection)
        }
        return left
    }

    /// What the team had before the first payment that is known here, of a period paid elsewhere: the first one has added to it.
    private static func base(of all: [PaidActivation], _ current: Subscription, in connection: Connection) throws -> Subscription? {
        guard let first = all.first, !first.beganAnew else { return nil }
        return Subscription(
            team: first.team, plan: first.plan, version: first.version, status: "active", periodStartMs: current.periodStartMs,
            renewsAtMs: first.periodStartMs, anchorDay: current.anchorDay, updatedAtMs: current.updatedAtMs)
    }
}

extension Subscription {
    fileprivate func with(status: String, renewsAtMs: Int64, nowMs: Int64) -> Subscription {
        Subscription(
            team: team, plan: plan, version: version, status: status, periodStartMs: periodStartMs, renewsAtMs: renewsAtMs,
            anchorDay: anchorDay, updatedAtMs: nowMs)
    }
}
