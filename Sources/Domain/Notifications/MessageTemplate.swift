import Formats
import MessagePort

/// The messages that can be sent, each in French and English with a fixed list of variables.
public enum MessageTemplate: String, Codable, Sendable, CaseIterable {
    case paymentLink = "payment_link"
    case paymentConfirmed = "payment_confirmed"
    case paymentFailed = "payment_failed"
    case paymentRefunded = "payment_refunded"
    case draftReady = "draft_ready"
    case published
    case invoice
    case creditNote = "credit_note"
    case usageWarning = "usage_warning"
    case usageCritical = "usage_critical"
    case usageExceeded = "usage_exceeded"
    case storageStale = "storage_stale"
    case planConfirmed = "plan_confirmed"
    case planRenewal = "plan_renewal"
    case planGrace = "plan_grace"
    case planEnded = "plan_ended"

    public var variables: [MessageVariable] {
        switch self {
        case .paymentConfirmed, .paymentRefunded, .paymentFailed: [.name, .amount, .description, .payment]
        case .paymentLink: [.name, .amount, .description, .payment, .link, .expires]
        case .draftReady: [.inquiry, .organisation, .payment]
        case .published: [.name, .description, .payment, .link, .expires]
        case .invoice: [.name, .amount, .description, .payment, .invoice]
        case .creditNote: [.name, .amount, .description, .payment, .invoice, .creditNote]
        case .usageWarning, .usageCritical, .usageExceeded: [.name, .team, .metric, .used, .allowed, .percent, .period, .plan]
        case .storageStale: [.origin, .measured, .error]
        case .planConfirmed: [.name, .team, .plan, .until, .amount, .payment]
        case .planRenewal, .planGrace: [.name, .team, .plan, .until, .price, .link, .expires]
        case .planEnded: [.name, .team, .plan, .link, .expires]
        }
    }

    /// What is of no use to anybody after this long is not sent any more. A download's message lives as long as its link.
    public var usefulLifeMs: Int64 {
        let day: Int64 = 86_400_000
        return switch self {
        case .paymentLink, .paymentConfirmed, .paymentFailed, .storageStale, .usageWarning, .usageCritical, .usageExceeded,
            .planConfirmed, .planRenewal:
            day
        case .paymentRefunded, .planGrace: 3 * day
        case .draftReady, .published, .planEnded: 7 * day
        case .invoice, .creditNote: 14 * day
        }
    }

    /// Whether staff reads it: nobody else does, and staff is reached by e-mail.
    public var isForStaff: Bool { self == .draftReady || self == .storageStale }

    /// The values as a job brings them, checked: what is made at sending is not among them.
    /// - Throws: ``MessageError``.
    public func check(_ values: [String: String]) throws(MessageError) { try check(values, variables.filter { !$0.isMadeAtSending }) }

    func check(_ values: [String: String], _ variables: [MessageVariable]) throws(MessageError) {
        for variable in variables where values[variable.rawValue] == nil {
            throw MessageError.missing(variable: variable.rawValue, template: rawValue)
        }
        for name in values.keys.sorted() where !variables.contains(where: { $0.rawValue == name }) {
            throw MessageError.unknown(variable: name, template: rawValue)
        }
    }
}
