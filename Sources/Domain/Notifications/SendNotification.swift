import Database
import Formats
import JobQueue
import MessagePort
import Money
import Payments
import ProviderPort

/// `notification.send`: one message to one recipient. Guarded by its payment when it names one.
public struct SendNotification: JobParameters {
    public static let kind = "notification.send"
    public static let queue = "notifications"
    public static let sensitiveFields: Set<String> = ["phone"]

    public let template: MessageTemplate
    /// Who is written to: an e-mail address, or a telephone number of who has none.
    public let recipient: String
    /// The person's telephone, for channels that reach one.
    public let phone: String?
    /// `fr` or `en`.
    public let language: String
    /// The template's variables, but for what is made at sending.
    public let values: [String: String]
    /// Files below the private media root.
    public let attachments: [Attachment]
    /// What the message is about; the same template, cause and recipient is one message.
    public let cause: String
    /// What the message links to. The link is signed where the message is sent: no queue ever holds one.
    public let link: Link?
    /// The message is sent only while this holds.
    public let standing: Standing?

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

    public struct Link: Codable, Sendable, Equatable {
        public enum Kind: String, Codable, Sendable {
            /// A page where a payment can be paid.
            case payment
            case download
            /// The page of a team, where its plan can be paid.
            case team
        }
        public let kind: Kind
        /// Of the payment, the download or the team.
        public let id: String
        /// Of a team's page: the end of the period that the message is about. It is of no use once that is paid on.
        public let periodEndMs: Int64?

        public init(_ kind: Kind, _ id: String, periodEndMs: Int64? = nil) {
            self.kind = kind
            self.id = id
            self.periodEndMs = periodEndMs
        }
    }

    /// Where a payment has to stand: nobody is told that it failed after it was paid.
    public struct Standing: Codable, Sendable, Equatable {
        public let payment: String
        public let states: [String]

        public init(payment: String, in states: Set<PaymentState>) {
            self.payment = payment
            self.states = states.map(\.rawValue).sorted()
        }
    }

    public init(
        template: MessageTemplate, recipient: String, phone: String? = nil, language: String, values: [String: String],
        attachments: [Attachment] = [], cause: String, link: Link? = nil, standing: Standing? = nil
    ) {
        self.template = template
        self.recipient = recipient
        self.phone = phone
        self.language = language
        self.values = values
        self.attachments = attachments
        self.cause = cause
        self.link = link
        self.standing = standing
    }

    /// Five seconds, half a minute, two minutes, ten, then an hour, each by a fifth more or less. The message's useful life is the end of it.
    public static let retry = RetryPolicy.custom(attemptsMax: 30) { failure in
        let ladder: [Double] = [5, 30, 120, 600, 3600]
        return .seconds(ladder[min(failure.attempt, ladder.count) - 1] * (0.8 + 0.4 * failure.random))
    }

    /// Identity of the message.
    public var key: String { "\(template.rawValue):\(cause):\(recipient)" }

    public func request(payment: String?) throws -> JobRequest {
        try JobRequest(self, payment: payment, unique: "\(Self.kind):\(key)")
    }
}

extension SendNotification {
    /// The kind of the task for a link that its customer did not get in time.
    public static let reissueTask = PaymentTask.reissueLink

    /// Where the person is reached on a channel; nil where it is not.
    package func address(on channel: MessageChannel) -> String? {
        switch channel {
        case .email: recipient.hasPrefix("+") ? nil : recipient
        case .sms, .whatsapp: phone ?? (recipient.hasPrefix("+") ? recipient : nil)
        }
    }

    /// The routes that lead to the person, in their order. Of a message with files those first that carry them.
    package func routes(among all: [DeliveryRoute], in connection: Connection) throws -> [DeliveryRoute] {
        let leading = try all.filter { route in
            guard let address = address(on: route.channel) else { return false }
            return try !OptOut.isRecorded(address, on: route.channel, in: connection)
        }
        guard !attachments.isEmpty else { return leading }
        return leading.filter { $0.channel == .email } + leading.filter { $0.channel != .email }
    }

    /// A customer who cannot get a download is a person's business.
    package func openTask(payment: String?, why: String, nowMs: Int64, in connection: Connection) throws {
        guard let link, link.kind == .download, let payment else { return }
        try PaymentTask.open(
            payment: payment, kind: Self.reissueTask, detail: "download \(link.id) did not reach its customer: reissue the link (\(why))",
            nowMs: nowMs, in: connection)
    }
}
