import Formats
import MessagePort
import ProviderPort

/// SMS by Africa's Talking. Its 201 may hold a recipient that was refused: the codes inside the body decide, and are no HTTP statuses.
public struct AfricasTalkingSMS: MessageCarrier {
    public static let name = "africas-talking"
    public var name: String { Self.name }
    public let channel = MessageChannel.sms
    public let mode: String?
    /// It knows no keys: one more time may send twice.
    public let againAfterUnknown: Int? = 1

    private let url: String
    private let username: String
    private let apiKey: String
    private let from: String?
    private let transport: any ProviderTransport

    /// - Parameters:
    ///   - apiURL: `https://api.africastalking.com`.
    ///   - from: a sender id or short code that is registered there; the network's own unless given.
    public init(apiURL: String, username: String, apiKey: String, from: String?, mode: String, transport: any ProviderTransport) {
        url = apiURL + "/version1/messaging"
        self.username = username
        self.apiKey = apiKey
        self.from = from
        self.mode = mode
        self.transport = transport
    }

    public func send(_ message: OutgoingMessage) async -> CarrierOutcome {
        guard let number = Telephone.parse(message.to) else {
            return FaultRule.permanent("the number is none", anotherMayHelp: false).outcome(code: "number")
        }
        var fields = [("username", username), ("to", number), ("message", message.short), ("bulkSMSMode", "1"), ("enqueue", "0")]
        if let from { fields.append(("from", from)) }
        let headers: HTTPHeaders = [
            "apikey": apiKey, "accept": "application/json", "content-type": "application/x-www-form-urlencoded",
        ]
        let call = ProviderCall(method: "POST", url: url, headers: headers, body: Array(FormURLEncoded.encode(fields).utf8))
        switch await transport.carry(call) {
        case .failure(let unanswered): return unanswered.outcome
        case .success(let answer): return Self.outcome(of: answer)
        }
    }

    static func outcome(of answer: ProviderAnswer) -> CarrierOutcome {
        guard (200..<300).contains(answer.status) else {
            return answer.outcomeOfStatus(String(decoding: answer.body.prefix(200), as: UTF8.self))
        }
        guard let data = (try? answer.json())?["SMSMessageData"] else {
            // It was taken for a message there, and what became of it is not said.
            return .unknown(CarrierFault(code: "unreadable", text: "the answer (status \(answer.status)) cannot be read", isIllness: true))
        }
        guard let recipient = data["Recipients"]?.array?.first else {
            return AfricasTalkingCodes.ofWord(data["Message"]?.string ?? "")
        }
        guard let code = recipient["statusCode"]?.int ?? recipient["statusCode"]?.string.flatMap({ Int64($0) }) else {
            return .unknown(CarrierFault(code: "unreadable", text: "the answer says nothing of the recipient", isIllness: true))
        }
        guard !AfricasTalkingCodes.accepted.contains(code) else {
            let id = recipient["messageId"]?.string
            return .accepted(id: id == "None" || id?.isEmpty == true ? nil : id)
        }
        let rule = AfricasTalkingCodes.table[code] ?? .retryable("a code that is not known", retriesMax: 1, isIllness: false)
        return rule.outcome(code: "\(code)", text: recipient["status"]?.string ?? "")
    }
}

/// The codes inside the body, each with what it means.
enum AfricasTalkingCodes {
    /// Processed, sent, queued.
    static let accepted: Set<Int64> = [100, 101, 102]

    static let table: [Int64: FaultRule] = [
        401: .permanent("the message is held as risky"),
        402: .channelDown("the sender id is not registered"),
        403: .permanent("the number is none", anotherMayHelp: false),
        404: .permanent("this type of number is not served"),
        405: .channelDown("there is no money on the account"),
        406: .optOut("the person has put the sender on a black list"),
        407: .permanent("there is no way to this network"),
        409: .optOut("the person does not want to be disturbed"),
        500: .retryable("it is out of order"),
        501: .retryable("its gateway is out of order"),
        502: .permanent("the network refuses the message"),
    ]

    /// Without a recipient the error stands as a word in the place of the summary.
    static func ofWord(_ text: String) -> CarrierOutcome {
        let words: [(String, Int64)] = [
            ("InvalidSenderId", 402), ("InvalidPhoneNumber", 403), ("InsufficientBalance", 405), ("UserInBlacklist", 406),
            ("CouldNotRoute", 407), ("RiskHold", 401),
        ]
        if let (word, code) = words.first(where: { text.contains($0.0) }), let rule = table[code] { return rule.outcome(code: "\(code)", text: word) }
        return FaultRule.retryable("nobody was sent to", retriesMax: 1, isIllness: false).outcome(code: "no-recipient", text: text)
    }
}
