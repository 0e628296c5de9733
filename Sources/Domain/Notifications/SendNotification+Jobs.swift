import JobQueue
import MessagePort
import Money
import Payments
import ProviderPort

extension SendNotification {
    /// Jobs for the customer of a payment: none when there is no address to write to.
    public static func requests(_ template: MessageTemplate, for payment: Payment) throws -> [JobRequest] {
        try requests(template, for: payment, values: values(of: payment), cause: payment.id, guarding: true)
    }

    /// Tells the customer of money that was given back. Names no payment: it is sent whatever the payment's state.
    public static func refunded(_ units: Int64, of payment: Payment) throws -> [JobRequest] {
        var values = values(of: payment)
        values["amount"] = Money(units, payment.amount.currency).description
        return try requests(.paymentRefunded, for: payment, values: values, cause: "\(payment.id):\(payment.refunded)")
    }

    /// Tells the customer that an attempt has failed, unless the payment stands elsewhere by then. Names no payment: it is not paid.
    public static func failed(_ payment: Payment, attempt: String?) throws -> [JobRequest] {
        try requests(
            .paymentFailed, for: payment, values: values(of: payment), cause: "\(payment.id):\(attempt ?? "")",
            standing: Standing(payment: payment.id, in: [.failed]))
    }

    /// Sends the customer a link where the payment can be paid, as long as it is not. Names no payment: it is not paid.
    /// - Parameter cause: one message for each: a date, or who asked for it.
    public static func paymentLink(to payment: Payment, cause: String) throws -> [JobRequest] {
        try requests(
            .paymentLink, for: payment, values: values(of: payment), cause: "\(payment.id):\(cause)", link: Link(.payment, payment.id),
            standing: Standing(payment: payment.id, in: [.created, .pending, .processing, .failed, .cancelled, .expired, .partiallyPaid]))
    }

    /// Sends the customer the link of a download, which is signed at sending. One that cannot go out before the link ends opens the task
    /// ``reissueTask``.
    public static func published(download: String, for payment: Payment) throws -> [JobRequest] {
        var values = values(of: payment)
        values["amount"] = nil
        return try requests(.published, for: payment, values: values, cause: download, link: Link(.download, download), guarding: true)
    }

    /// Tells the customer what plan the payment has bought, and until when.
    /// - Parameter appliedAtMs: a payment that was taken back and buys once more has another message.
    public static func planConfirmed(
        _ plan: String, team: String, untilMs: Int64, appliedAtMs: Int64, for payment: Payment
    ) throws -> [JobRequest] {
        let values = [
            "name": payment.customer.name, "team": team, "plan": plan, "amount": payment.amount.description, "payment": payment.id,
            "until": MessageMoment.text(untilMs, language: payment.customer.language),
        ]
        return try requests(.planConfirmed, for: payment, values: values, cause: "\(payment.id):\(appliedAtMs):\(untilMs)", guarding: true)
    }

    /// Tells the customer of a payment of what is no longer paid, with a link to the team's page. Names no payment: it is sent whatever the
    /// payment's state.
    /// - Parameter values: by language, and without the name.
    public static func plan(
        _ template: MessageTemplate, values: (_ language: String) -> [String: String], cause: String, link: Link, toCustomerOf payment: Payment
    ) throws -> [JobRequest] {
        let all = values(payment.customer.language).merging(["name": payment.customer.name]) { mine, _ in mine }
        return try requests(template, for: payment, values: all, cause: cause, link: link)
    }

    /// Tells staff that a draft is there to be worked on.
    public static func draftReady(to staff: String, inquiry: String, organisation: String, payment: Payment) throws -> JobRequest {
        let values = ["inquiry": inquiry, "organisation": organisation, "payment": payment.id]
        let message = SendNotification(template: .draftReady, recipient: staff, language: "fr", values: values, cause: inquiry)
        return try message.request(payment: payment.id)
    }

    /// Sends the customer the invoice as a file.
    /// - Parameter amount: what the invoice comes to, taxes included.
    public static func invoice(_ label: String, _ amount: Money, path: String, for payment: Payment) throws -> [JobRequest] {
        var values = values(of: payment)
        values["amount"] = amount.description
        values["invoice"] = label
        return try requests(.invoice, for: payment, values: values, file: path, cause: label, guarding: true)
    }

    /// Sends the customer a credit note as a file. Names no payment: it is sent whatever the payment's state.
    public static func creditNote(_ label: String, _ amount: Money, of invoice: String, path: String, for payment: Payment) throws -> [JobRequest] {
        var values = values(of: payment)
        values["amount"] = amount.description
        values["invoice"] = invoice
        values["credit_note"] = label
        return try requests(.creditNote, for: payment, values: values, file: path, cause: label)
    }

    /// - Parameters:
    ///   - file: a PDF that is named by the cause.
    ///   - guarding: whether it is sent only while the payment is paid.
    private static func requests(
        _ template: MessageTemplate, for payment: Payment, values: [String: String], file: String? = nil, cause: String, link: Link? = nil,
        standing: Standing? = nil, guarding: Bool = false
    ) throws -> [JobRequest] {
        let phone = payment.customer.phone.flatMap { Telephone.parse($0) }
        guard let recipient = payment.customer.email ?? phone else { return [] }
        let message = SendNotification(
            template: template, recipient: recipient, phone: phone, language: payment.customer.language, values: values,
            attachments: file.map { [Attachment(path: $0, name: "\(cause).pdf", contentType: "application/pdf")] } ?? [], cause: cause, link: link,
            standing: standing)
        return [try message.request(payment: guarding ? payment.id : nil)]
    }

    private static func values(of payment: Payment) -> [String: String] {
        [
            "name": payment.customer.name, "amount": payment.amount.description, "description": payment.description, "payment": payment.id,
        ]
    }
}
