import HTTPClient
import MessagePort

/// E-mail by a mail server. A mail that may have been taken is sent once more under the same Message-ID, which mail programs show once.
public struct MailCarrier: MessageCarrier {
    public static let name = "smtp"
    public var name: String { Self.name }
    public let channel = MessageChannel.email
    public var mode: String? { nil }
    public var againAfterUnknown: Int? { nil }

    private let smtp: SMTPClient
    private let from: MailAddress

    public init(smtp: SMTPClient, from: MailAddress) {
        self.smtp = smtp
        self.from = from
    }

    /// What Message-IDs end in.
    public var host: String { String(from.address.split(separator: "@").last ?? "localhost") }

    public func send(_ message: OutgoingMessage) async -> CarrierOutcome {
        let bytes: [UInt8]
        do {
            bytes = try MailMessage(
                from: from, to: [MailAddress(message.to)], subject: message.mail.subject, textBody: message.mail.text, htmlBody: message.mail.html,
                attachments: message.mail.files.map { MailMessage.Attachment(name: $0.name, contentType: $0.contentType, bytes: $0.bytes) },
                messageID: message.id, dateMs: message.atMs
            ).encoded()
        } catch {
            return .permanent(CarrierFault(code: "message", text: "the mail cannot be written: \(error)"))
        }
        do {
            try await smtp.send(from: from.address, to: [message.to], message: bytes)
            return .accepted(id: message.id)
        } catch {
            return Self.outcome(of: error)
        }
    }

    /// 4xx is "later", 5xx is "never"; who we are, and whom we trust, is a matter of the settings.
    static func outcome(of error: SMTPError) -> CarrierOutcome {
        let code = error.code.map { "\($0)" } ?? error.kind.rawValue
        func fault(isIllness: Bool = false, stop: CarrierFault.Stop? = nil) -> CarrierFault {
            CarrierFault(code: code, text: error.message, stop: stop, isIllness: isIllness)
        }
        if error.mayHaveBeenAccepted { return .unknown(fault(isIllness: true)) }
        switch error.kind {
        case .refused:
            return error.isTransient ? .retryable(fault(isIllness: error.code == 421)) : .permanent(fault())
        case .authentication, .tls:
            return error.isTransient
                ? .retryable(fault(isIllness: true)) : .channelDown(fault(isIllness: true, stop: .carrier(FaultRule.carrierRest)))
        case .connection, .timeout: return error.isTransient ? .retryable(fault(isIllness: true)) : .permanent(fault())
        case .cancelled: return .retryable(fault())
        case .invalid: return .permanent(fault())
        }
    }
}
