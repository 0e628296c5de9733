/// The ways on which people are reached.
public enum MessageChannel: String, Sendable, Codable, CaseIterable {
    case email, sms, whatsapp
}

/// One party that carries messages on one channel: a mail server, an SMS provider, WhatsApp. Nobody else knows its fields.
public protocol MessageCarrier: Sendable {
    /// `smtp`, `africas-talking`, `orange-sms`, `whatsapp`.
    var name: String { get }
    var channel: MessageChannel { get }
    /// `sandbox` or `live`; nil for one that has no modes.
    var mode: String? { get }
    /// How often a message is sent once more after nobody knows whether it was taken, or the program ended in between; nil where that does
    /// no harm, as the receiver sees one of them.
    var againAfterUnknown: Int? { get }

    /// Hands a message over.
    func send(_ message: OutgoingMessage) async -> CarrierOutcome
}

/// A message as a carrier takes it.
public struct OutgoingMessage: Sendable {
    public struct File: Sendable {
        public let name: String
        public let contentType: String
        public let bytes: [UInt8]

        public init(name: String, contentType: String, bytes: [UInt8]) {
            self.name = name
            self.contentType = contentType
            self.bytes = bytes
        }
    }

    /// What an e-mail says.
    public struct Mail: Sendable {
        public let subject: String
        public let text: String
        public let html: String
        public let files: [File]

        public init(subject: String, text: String, html: String, files: [File] = []) {
            self.subject = subject
            self.text = text
            self.html = html
            self.files = files
        }
    }

    /// `<…@host>`: the same for every try of the message on every channel.
    public let id: String
    /// An e-mail address, or a telephone number in international form.
    public let to: String
    /// `fr` or `en`.
    public let language: String
    /// The template's name: WhatsApp takes messages by the name of a template that Meta has approved.
    public let template: String
    public let mail: Mail
    /// The message in a sentence or two.
    public let short: String
    /// What stands in the variables of ``short``, in their order.
    public let parameters: [String]
    public let atMs: Int64

    public init(
        id: String, to: String, language: String, template: String, mail: Mail, short: String, parameters: [String], atMs: Int64
    ) {
        self.id = id
        self.to = to
        self.language = language
        self.template = template
        self.mail = mail
        self.short = short
        self.parameters = parameters
        self.atMs = atMs
    }
}

/// What came of handing a message over. Taken is not delivered: that is told later, by a receipt.
public enum CarrierOutcome: Sendable, Equatable {
    /// Taken, under the carrier's own id where it gives one.
    case accepted(id: String?)
    /// This carrier never takes this message to this address.
    case permanent(CarrierFault)
    /// Later it may; `after` comes from the carrier.
    case retryable(CarrierFault, after: Duration? = nil)
    /// Keys, money or account: nothing goes out by this carrier before somebody acts.
    case channelDown(CarrierFault)
    /// Sent, and nothing came back: it may have been taken.
    case unknown(CarrierFault)

    public var fault: CarrierFault? {
        switch self {
        case .accepted: nil
        case .permanent(let fault), .retryable(let fault, _), .channelDown(let fault), .unknown(let fault): fault
        }
    }
}

/// Why a carrier did not take a message, and what follows from it.
public struct CarrierFault: Sendable, Equatable, CustomStringConvertible {
    /// What is stopped by it, and for how long, so that nobody runs against the same wall meanwhile.
    public enum Stop: Sendable, Equatable {
        /// Everything that goes by this carrier.
        case carrier(Duration)
        /// What is said by this one template.
        case template(Duration)
    }

    /// The carrier's own, or `http-503`, `timeout`, ….
    public let code: String
    /// Never with a whole telephone number, a key or the message.
    public let text: String
    /// How often it is tried again on its account; nil for as long as the message is of use.
    public let retriesMax: Int?
    /// The person does not want to be written to on this channel.
    public let isOptOut: Bool
    /// The fault is the carrier's, not the address's: another one of the same channel may take it.
    public let anotherMayHelp: Bool
    public let stop: Stop?
    /// The carrier itself is ill, not this message.
    public let isIllness: Bool

    public init(
        code: String, text: String, retriesMax: Int? = nil, isOptOut: Bool = false, anotherMayHelp: Bool = true, stop: Stop? = nil,
        isIllness: Bool = false
    ) {
        self.code = code
        self.text = text
        self.retriesMax = retriesMax
        self.isOptOut = isOptOut
        self.anotherMayHelp = anotherMayHelp
        self.stop = stop
        self.isIllness = isIllness
    }

    public var description: String { "\(text) (\(code))" }
}
