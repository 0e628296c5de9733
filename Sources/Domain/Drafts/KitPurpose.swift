import Database
import JobQueue
import Notifications
import Payments

/// Payments that buy a kit: once paid, the draft is made, the invoice issued and the customer told.
public struct KitPurpose: PaymentPurpose {
    public static let name = "kit"
    public var name: String { Self.name }
    private let invoice: @Sendable (Payment, String) throws -> JobRequest

    /// - Parameter invoice: makes the job of the payment's invoice in a mode; invoices are another room's.
    public init(invoice: @escaping @Sendable (Payment, String) throws -> JobRequest) { self.invoice = invoice }

    public func fulfil(_ payment: Payment, mode: String, nowMs: Int64, in connection: Connection) throws -> [JobRequest] {
        try InquiryStore.markPaid(payment.subject, nowMs: nowMs, in: connection)
        let draft = try GenerateDraft.request(inquiry: payment.subject, version: 1, payment: payment.id)
        return [draft, try invoice(payment, mode)] + (try SendNotification.requests(.paymentConfirmed, for: payment))
    }

    public func refunded(_ payment: Payment, units: Int64, mode: String, nowMs: Int64, in connection: Connection) throws -> [JobRequest] {
        try SendNotification.refunded(units, of: payment)
    }

    public func failed(_ payment: Payment, attempt: String?, nowMs: Int64, in connection: Connection) throws -> [JobRequest] {
        try SendNotification.failed(payment, attempt: attempt)
    }
}
