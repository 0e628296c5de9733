import Database
import JobQueue
import Notifications
import Outbox
import Payments
import Teams

/// What one payment has bought.
struct PaidActivation: Sendable {
    let payment: String
    let team: String
    let plan: String
    let version: Int64
    let periodStartMs: Int64
    let renewsAtMs: Int64
    /// When the payment was paid.
    let paidAtMs: Int64
    let appliedAtMs: Int64

    /// Whether there was nothing that it could have added to.
    var beganAnew: Bool { periodStartMs == appliedAtMs }

    init(_ row: Row) throws {
        payment = try row.text("payment")
        team = try row.text("team")
        plan = try row.text("plan")
        version = try row.int("version")
        periodStartMs = try row.int("period_start")
        renewsAtMs = try row.int("renews_at")
        paidAtMs = try row.int("paid_at")
        appliedAtMs = try row.int("applied_at")
    }

    static func find(payment: String, in connection: Connection) throws -> PaidActivation? {
        try connection.first("SELECT * FROM plans_activations WHERE payment = $1", [.text(payment)]).map(PaidActivation.init)
    }

    /// The oldest first.
    static func list(team: String, in connection: Connection) throws -> [PaidActivation] {
        try connection.query("SELECT * FROM plans_activations WHERE team = $1 ORDER BY applied_at, period_start", [.text(team)])
            .map(PaidActivation.init)
    }

    /// Enters that the period is another one.
    /// - Returns: as it is then.
    func move(to period: PaidPeriod, in connection: Connection) throws -> PaidActivation {
        let row = try connection.first(
            "UPDATE plans_activations SET period_start = $2, renews_at = $3 WHERE payment = $1 RETURNING *",
            [.text(payment), .integer(period.startMs), .integer(period.renewsAtMs)])
        return try row.map(PaidActivation.init) ?? self
    }

    // MARK: Its message

    /// The message that tells the payment's customer what was bought, and until when.
    func confirmation(to payment: Payment, in connection: Connection) throws -> [JobRequest] {
        let name = try Plan.find(plan, version: version, in: connection)?.name ?? plan
        let teamName = try TeamStore.find(team, in: connection)?.name ?? team
        return try SendNotification.planConfirmed(name, team: teamName, untilMs: renewsAtMs, appliedAtMs: appliedAtMs, for: payment)
    }

    /// Sees to it that nobody is told of this period any more.
    /// - Returns: false when they were told before.
    @discardableResult
    func leaveConfirmationOff(to payment: Payment, nowMs: Int64, in connection: Connection) throws -> Bool {
        try confirmation(to: payment, in: connection).reduce(false) { any, request in
            guard let unique = request.unique else { return any }
            return try Outbox.leaveOff(unique: unique, because: "the period is another one by now", nowMs: nowMs, in: connection) || any
        }
    }
}
