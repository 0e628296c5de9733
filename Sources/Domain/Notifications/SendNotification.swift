import Formats
import JobQueue
import Money
import Payments
import ProviderPort

/// `notification.send`: one message to one recipient. Guarded by its payment when it names one.
public struct SendNotification: JobParameters {
    public static let kind = "notification.send"
    public static let queue = "notifications"

    public let template: MessageTemplate
    public let recipient: String
    /// `fr` or `en`.
    public let language: String
    /// The template's variables.
    public let values: [String: String]
    /// Files below the private media root.
    public let attachments: [Attachment]
    /// What the message is about; the same template, cause and recipient is one message.
    public let cause: String

    public struct Attachment: Codable, Sendable, Equatable {
        public let path: String
        public let name: String
        public let contentType: String
        public init(path: String, name: String, contentType: String) {
            self.path = path
            self.name = name
            self.contentType = contentType
        }
    }

    public init(
        template: MessageTemplate, recipient: String, language: String, values: [String: String], attachments: [Attachment] = [], cause: String
    ) {
        self.template = template
        self.recipient = recipient
        self.language = language
        self.values = values
        self.attachments = attachments
        self.cause = cause
    }

    /// Temporary refusals of mail servers last minutes to hours.
    public static let retry = RetryPolicy.exponential(base: .seconds(5), factor: 3, cap: .seconds(3600), jitter: .equal, attemptsMax: 12)

    /// Identity of the message.
    public var key: String { "\(template.rawValue):\(cause):\(recipient)" }

    public func request(payment: String?) throws -> JobRequest {
        try JobRequest(self, payment: payment, unique: "\(Self.kind):\(key)")
    }
}

extension SendNotification {
    /// Jobs for the customer of a payment: none when there is no address to write to.
    public static func requests(_ template: MessageTemplate, for payment: Payment) throws -> [JobRequest] {
        guard let email = payment.customer.email else { return [] }
        let message = SendNotification(
            template: template, recipient: email, language: payment.customer.language, values: values(of: payment), cause: payment.id)
        return [try message.request(payment: payment.id)]
    }

    /// Tells the customer of money that was given back. Names no payment: it is sent whatever the payment's state.
    public static func refunded(_ units: Int64, of payment: Payment) throws -> [JobRequest] {
        guard let email = payment.customer.email else { return [] }
        var values = values(of: payment)
        values["amount"] = Money(units, payment.amount.currency).description
        let message = SendNotification(
            template: .paymentRefunded, recipient: email, language: payment.customer.language, values: values,
            cause: "\(payment.id):\(payment.refunded)")
        return [try message.request(payment: nil)]
    }

    /// Tells staff that a draft is there to be worked on.
    public static func draftReady(to staff: String, inquiry: String, organisation: String, payment: Payment) throws -> JobRequest {
        let values = ["inquiry": inquiry, "organisation": organisation, "payment": payment.id]
        let message = SendNotification(template: .draftReady, recipient: staff, language: "fr", values: values, cause: inquiry)
        return try message.request(payment: payment.id)
    }

    /// Sends the customer the invoice as a file.
    public static func invoice(_ label: String, _ amount: Money, path: String, for payment: Payment) throws -> [JobRequest] {
        guard let email = payment.customer.email else { return [] }
        var values = values(of: payment)
        values["amount"] = amount.description
        values["invoice"] = label
        let message = SendNotification(
            template: .invoice, recipient: email, language: payment.customer.language, values: values,
            attachments: [Attachment(path: path, name: "\(label).pdf", contentType: "application/pdf")], cause: label)
        return [try message.request(payment: payment.id)]
    }

    /// Sends the customer a credit note as a file. Names no payment: it is sent whatever the payment's state.
    public static func creditNote(_ label: String, _ amount: Money, of invoice: String, path: String, for payment: Payment) throws -> [JobRequest] {
        guard let email = payment.customer.email else { return [] }
        var values = values(of: payment)
        values["amount"] = amount.description
        values["invoice"] = invoice
        values["credit_note"] = label
        let message = SendNotification(
            template: .creditNote, recipient: email, language: payment.customer.language, values: values,
            attachments: [Attachment(path: path, name: "\(label).pdf", contentType: "application/pdf")], cause: label)
        return [try message.request(payment: nil)]
    }

    private static func values(of payment: Payment) -> [String: String] {
        [
            "name": payment.customer.name, "amount": payment.amount.description, "description": payment.description, "payment": payment.id,
        ]
    }
}
