import Formats
import MessagePort
import ProviderPort

/// WhatsApp by Meta's Cloud API: messages go out by the name of a template that Meta has approved, whose variables are filled in by their
/// places. Free text is taken within a day of a person's own message only, and not used.
public struct WhatsAppCarrier: MessageCarrier {
    public static let name = "whatsapp"
    public var name: String { Self.name }
    public let channel = MessageChannel.whatsapp
    public let mode: String?
    /// It knows no keys: one more time may send twice.
    public let againAfterUnknown: Int? = 1

    private let url: String
    private let token: String
    private let templatePrefix: String
    private let transport: any ProviderTransport

    /// - Parameters:
    ///   - apiURL: with the version: `https://graph.facebook.com/v23.0`.
    ///   - templatePrefix: stands before the names of templates, as they are registered at Meta.
    public init(apiURL: String, phoneNumberID: String, token: String, templatePrefix: String, mode: String, transport: any ProviderTransport) {
        url = "\(apiURL)/\(phoneNumberID)/messages"
        self.token = token
        self.templatePrefix = templatePrefix
        self.mode = mode
        self.transport = transport
    }

    public func send(_ message: OutgoingMessage) async -> CarrierOutcome {
        guard let number = Telephone.parse(message.to) else {
            return FaultRule.permanent("the number is none", anotherMayHelp: false).outcome(code: "number")
        }
        let parameters = message.parameters.map { JSON.object(["type": "text", "text": .string(Self.oneLine($0))]) }
        let components: JSON = parameters.isEmpty ? [] : [["type": "body", "parameters": .array(parameters)]]
        let body: JSON = [
            "messaging_product": "whatsapp", "recipient_type": "individual", "to": .string(String(number.dropFirst())), "type": "template",
            "template": [
                "name": .string(templatePrefix + message.template), "language": ["code": .string(message.language)], "components": components,
            ],
            // Comes back with what becomes of the message, even where its answer never came.
            "biz_opaque_callback_data": .string(message.id),
        ]
        switch await transport.carry(.postJSON(url, body, headers: ["authorization": "Bearer \(token)"])) {
        case .failure(let unanswered): return unanswered.outcome
        case .success(let answer): return Self.outcome(of: answer)
        }
    }

    /// Meta refuses variables with line breaks, tabs, or more than four blanks in a row.
    static func oneLine(_ text: String) -> String { text.split(whereSeparator: \.isWhitespace).joined(separator: " ") }

    static func outcome(of answer: ProviderAnswer) -> CarrierOutcome {
        let json = try? answer.json()
        if let error = json?["error"] { return WhatsAppCodes.outcome(of: error, answer) }
        guard (200..<300).contains(answer.status) else { return answer.outcomeOfStatus() }
        guard let message = json?["messages"]?[0] else {
            return .unknown(CarrierFault(code: "unreadable", text: "the answer (status \(answer.status)) names no message", isIllness: true))
        }
        // `accepted` and `held_for_quality_assessment` go on there; a paused one never does.
        if message["message_status"]?.string == "paused" {
            return FaultRule.templatePaused("the template is paused").outcome(code: "paused")
        }
        return .accepted(id: message["id"]?.string)
    }
}
