import Database
import JobQueue
import Notifications
import Payments

/// Payments that buy a plan for a team.
public struct PlanPurpose: PaymentPurpose {
    public static let name = "plan"
    public var name: String { Self.name }
    private let invoice: @Sendable (Payment, String) throws -> JobRequest

    /// - Parameter invoice: makes the job of the payment's invoice in a mode; invoices are another room's.
    public init(invoice: @escaping @Sendable (Payment, String) throws -> JobRequest) { self.invoice = invoice }

    public func fulfil(_ payment: Payment, mode: String, nowMs: Int64, in connection: Connection) throws -> [JobRequest] {
        let plan = payment.metadata["new_plan"] ?? ""
        let activation = try JobRequest(
            ActivatePlan(team: payment.subject, plan: plan), payment: payment.id, unique: "\(ActivatePlan.kind):\(payment.id)")
        // The customer is written to once the plan is theirs, and told until when.
        return [activation, try invoice(payment, mode)]
    }

    /// A plan whose money has all gone back goes with it; a part of the money takes nothing.
    public func refunded(_ payment: Payment, units: Int64, mode: String, nowMs: Int64, in connection: Connection) throws -> [JobRequest] {
        let told = try SendNotification.refunded(units, of: payment)
        guard payment.captured <= payment.refunded else { return told }
        return try told + PlanTakeBack.apply(payment, nowMs: nowMs, in: connection)
    }

    public func chargedBack(_ payment: Payment, nowMs: Int64, in connection: Connection) throws -> [JobRequest] {
        try PlanTakeBack.apply(payment, nowMs: nowMs, in: connection)
    }

    public func paidAgain(_ payment: Payment, nowMs: Int64, in connection: Connection) throws -> [JobRequest] {
        try PlanTakeBack.undone(payment, nowMs: nowMs, in: connection)
    }

    public func failed(_ payment: Payment, attempt: String?, nowMs: Int64, in connection: Connection) throws -> [JobRequest] {
        try SendNotification.failed(payment, attempt: attempt)
    }
}

extension PlanPurpose {
    public static let migrations = MigrationSet(
        room: "plans",
        migrations: [
            Migration(number: 1, name: "plans", sqlite: String(decoding: PackageResources._001_plans_sqlite_sql, as: UTF8.self)),
            Migration(number: 2, name: "periods", sqlite: String(decoding: PackageResources._002_periods_sqlite_sql, as: UTF8.self)),
        ])
}
