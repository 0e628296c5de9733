import MessagePort

/// A message as it would look, with sample values in it: for whoever looks at the templates.
public struct MessagePreview: Sendable, Equatable {
    public let template: MessageTemplate
    /// `fr` or `en`.
    public let language: String
    public let channel: MessageChannel
    /// Of an e-mail.
    public let subject: String?
    /// What is read.
    public let text: String
    /// Of an e-mail.
    public let html: String?
    /// What is to be registered at Meta: the text with its variables by number. Of a WhatsApp message.
    public let registered: String?
    /// The name to register it by there, behind the prefix of the settings. Of a WhatsApp message.
    public let registeredName: String?
    /// In how many parts it is sent. Of an SMS.
    public let parts: Int?

    public static let languages = ["fr", "en"]

    /// - Parameter values: in place of the samples, those given.
    /// - Throws: ``MessageError`` when a value is none of the template's.
    public init(
        _ template: MessageTemplate, language: String, channel: MessageChannel, values: [String: String] = [:]
    ) throws(MessageError) {
        var all = Dictionary(uniqueKeysWithValues: template.variables.map { ($0.rawValue, $0.sample(in: language)) })
        for (name, value) in values { all[name] = value }
        let message = try RenderedMessage(template, language: language, values: all)
        self.template = template
        self.language = language
        self.channel = channel
        subject = channel == .email ? message.subject : nil
        text = channel == .email ? message.text : message.short
        html = channel == .email ? message.html : nil
        registeredName = channel == .whatsapp ? template.registeredName : nil
        registered = channel == .whatsapp ? Self.registered(template, language) : nil
        parts = channel == .sms ? ShortText.parts(message.short) : nil
    }

    private static func registered(_ template: MessageTemplate, _ language: String) -> String {
        let pattern = template.shortWording(in: language)
        let numbers = RenderedMessage.variables(of: pattern).enumerated().map { ($1, "{{\($0 + 1)}}") }
        return RenderedMessage.fill(pattern, Dictionary(uniqueKeysWithValues: numbers))
    }
}
