import Formats
import MessagePort
import ProviderPort

/// What Orange answers in place of a success: its gateway's `{code, message, description}`, or a `requestError` of the SMS service behind it.
struct OrangeFault {
    private static let expiredToken: Int64 = 42

    private let answer: ProviderAnswer
    private let gatewayCode: Int64?
    private let serviceCode: String?
    private let words: String

    init(_ answer: ProviderAnswer) {
        self.answer = answer
        let json = try? answer.json()
        gatewayCode = json?["code"]?.int ?? json?["code"]?.string.flatMap { Int64($0) }
        let exception = json?["requestError"]?["serviceException"] ?? json?["requestError"]?["policyException"]
        serviceCode = exception?["messageId"]?.string
        let texts = [json?["message"], json?["description"], exception?["text"]].compactMap { $0?.string }
        words = texts.joined(separator: ": ")
    }

    var isExpiredToken: Bool { answer.status >= 400 && gatewayCode == Self.expiredToken }

    var outcome: CarrierOutcome {
        // The same message again: the first one was taken.
        if serviceCode == "SVC0005" { return .accepted(id: nil) }
        if let serviceCode, let rule = Self.service[serviceCode] {
            return rule.outcome(code: serviceCode, text: words, asked: answer.askedToWait)
        }
        if let gatewayCode, let rule = Self.gateway[gatewayCode] {
            return rule.outcome(code: "\(gatewayCode)", text: words, asked: answer.askedToWait)
        }
        return answer.outcomeOfStatus(words)
    }

    /// Nothing was sent yet when there is no token.
    var tokenError: ProviderError {
        switch outcome {
        case .retryable(let fault, let after):
            ProviderError(.held, fault.text, code: fault.code, retryAfterSeconds: after.map { Int($0.components.seconds) })
        default: ProviderError(.misconfigured, "no token: \(words)", code: gatewayCode.map { "\($0)" } ?? "http-\(answer.status)")
        }
    }

    static let gateway: [Int64: FaultRule] = [
        1: .retryable("internal error"), 5: .retryable("unavailable"), 6: .retryable("over capacity"),
        40: .channelDown("the keys are missing"), 41: .channelDown("the keys are not valid"),
        // Refused with a token that was new: the gateway is at odds with itself.
        42: .retryable("the token has expired"),
        50: .channelDown("the application is not allowed to"), 51: .channelDown("the application is not allowed to"),
        52: .channelDown("the user is not allowed to"), 53: .retryable("too many requests", isIllness: false), 63: .retryable("time-out"),
    ]

    static let service: [String: FaultRule] = [
        "SVC0001": .retryable("service error", retriesMax: 3),
        "SVC0002": .permanent("a value is not valid"),
        "SVC0003": .permanent("a value is none of those allowed"),
        "SVC0004": .permanent("the address is not valid", anotherMayHelp: false),
        "SVC0006": .permanent("the group is not valid"),
        "SVC0007": .permanent("the format of the address is not valid"),
        "SVC0270": .permanent("such receipts are not served"),
        "POL0001": .permanent("a rule of the network forbids it"),
        "POL0002": .permanent("the person's privacy forbids it"),
        "POL0003": .permanent("too many addresses"),
        "POL0012": .permanent("too many addresses"),
        "POL0009": .channelDown("the quota is used up, or there is none"),
        "POL0013": .retryable("too many messages", isIllness: false),
        "POL0050": .channelDown("there is no credit"),
        "POL1009": .channelDown("the application has no subscription"),
    ]
}
