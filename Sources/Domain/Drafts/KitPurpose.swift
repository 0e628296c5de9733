import Database
import JobQueue
import Notifications
import Payments

/// Payments that buy a kit: once paid, the draft is made, the invoice issued and the customer told.
public struct KitPurpose: PaymentPurpose {
    public static let name = "kit"
    public var name: String { Self.name }
    private let invoice: @Sendable (Payment) -> JobRequest

    /// - Parameter invoice: makes the invoice's job, which is another room's.
    public init(invoice: @escaping @Sendable (Payment) -> JobRequest) { self.invoice = invoice }

    public func fulfil(_ payment: Payment, nowMs: Int64, in connection: Connection) throws -> [JobRequest] {
        try InquiryStore.markPaid(payment.subject, nowMs: nowMs, in: connection)
        let draft = try JobRequest(
            GenerateDraft(inquiry: payment.subject), payment: payment.id, unique: "\(GenerateDraft.kind):\(payment.id)")
        return [draft, invoice(payment)] + (try SendNotification.requests(.paymentConfirmed, for: payment))
    }
}
