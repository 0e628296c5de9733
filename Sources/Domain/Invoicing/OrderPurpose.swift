import Database
import JobQueue
import Notifications
import Payments

/// Payments of another system's orders: once paid, the invoice is issued and the customer told.
public struct OrderPurpose: PaymentPurpose {
    public static let name = "order"
    public var name: String { Self.name }

    public init() {}

    public func fulfil(_ payment: Payment, mode: String, nowMs: Int64, in connection: Connection) throws -> [JobRequest] {
        [try CreateInvoice.request(for: payment, mode: mode)] + (try SendNotification.requests(.paymentConfirmed, for: payment))
    }

    public func refunded(_ payment: Payment, units: Int64, mode: String, nowMs: Int64, in connection: Connection) throws -> [JobRequest] {
        try SendNotification.refunded(units, of: payment)
    }

    public func failed(_ payment: Payment, attempt: String?, nowMs: Int64, in connection: Connection) throws -> [JobRequest] {
        try SendNotification.failed(payment, attempt: attempt)
    }
}
