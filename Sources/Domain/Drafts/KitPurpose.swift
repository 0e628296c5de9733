import Database
import Formats
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
        try reportLostFiles(of: payment, nowMs: nowMs, in: connection)
        let draft = try GenerateDraft.request(inquiry: payment.subject, version: 1, payment: payment.id)
        return [draft, try invoice(payment, mode)] + (try SendNotification.requests(.paymentConfirmed, for: payment))
    }

    public func refunded(_ payment: Payment, units: Int64, mode: String, nowMs: Int64, in connection: Connection) throws -> [JobRequest] {
        try SendNotification.refunded(units, of: payment)
    }

    public func failed(_ payment: Payment, attempt: String?, nowMs: Int64, in connection: Connection) throws -> [JobRequest] {
        try SendNotification.failed(payment, attempt: attempt)
    }

    /// The kind of a task for an inquiry that was paid after its files had been removed.
    public static let filesGone = "files_gone"

    /// Whoever pays when the time of the files is over has a kit made without them: staff ask for them.
    private func reportLostFiles(of payment: Payment, nowMs: Int64, in connection: Connection) throws {
        let purges = try InquiryAudit.of(inquiry: payment.subject, in: connection).filter {
            $0.action == InquiryAudit.Action.attachmentsPurged.rawValue
        }
        guard let purge = purges.last, try InquiryAttachment.of(inquiry: payment.subject, in: connection).isEmpty else { return }
        let detail =
            "the files that came with inquiry \(payment.subject) were removed at \(Timestamp.rfc3339(purge.atMs)), before it was paid: "
            + "ask the customer for them (\(purge.detail ?? ""))"
        try PaymentTask.open(payment: payment.id, kind: Self.filesGone, detail: detail, nowMs: nowMs, in: connection)
    }
}
