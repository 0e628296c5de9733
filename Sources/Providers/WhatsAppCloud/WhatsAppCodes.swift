import Formats
import MessagePort
import ProviderPort

/// Meta's codes. It asks to go by code and details, never by titles or the HTTP status.
enum WhatsAppCodes {
    static func outcome(of error: JSON, _ answer: ProviderAnswer) -> CarrierOutcome {
        let details = error["error_data"]?["details"]?.string ?? error["message"]?.string ?? ""
        guard let code = error["code"]?.int else { return answer.outcomeOfStatus(details) }
        return (rule(of: code) ?? .ofStatus(answer.status)).outcome(code: "\(code)", text: details, asked: answer.askedToWait)
    }

    static func rule(of code: Int64) -> FaultRule? {
        if (200...299).contains(code) { return .channelDown("a permission was taken away") }
        return table[code]
    }

    static let table: [Int64: FaultRule] = [
        0: .channelDown("the token is not valid"), 190: .channelDown("the token has expired"),
        3: .channelDown("the application may not do that"), 10: .channelDown("a permission was taken away"),
        33: .channelDown("the number's id is no more"), 131005: .channelDown("access is denied"),
        368: .channelDown("the account is restricted"), 131031: .channelDown("the account is locked"),
        131042: .channelDown("the account's payment is in trouble"), 131045: .channelDown("the number is not registered"),
        133010: .channelDown("the number is not registered"),
        4: .retryable("the application calls too often", after: .seconds(120), isIllness: false),
        80007: .retryable("the account calls too often", after: .seconds(120), isIllness: false),
        130429: .retryable("the number sends too quickly", after: .seconds(5), isIllness: false),
        131056: .retryable("too much to this one person", after: .seconds(6), isIllness: false),
        131048: .channelDown("the number is limited as one of spam", rest: .seconds(6 * 3600)),
        1: .retryable("unknown error", retriesMax: 1), 2: .retryable("the service is down"),
        131000: .retryable("something went wrong", retriesMax: 3), 131016: .retryable("the service is unavailable"),
        131057: .retryable("the account is being maintained"), 133004: .retryable("the server is unavailable"),
        100: .permanent("a parameter is not valid"), 131008: .permanent("a parameter is missing"), 131009: .permanent("a value is not valid"),
        131021: .permanent("sender and recipient are the same"),
        // Not on WhatsApp, an old client, or terms that were not accepted: SMS is next.
        131026: .permanent("the person cannot be reached on WhatsApp"),
        130472: .permanent("the person is part of Meta's experiment"), 130497: .permanent("the person's country is restricted"),
        131047: .permanent("the person last wrote more than a day ago"),
        // The limit is Meta's, of a person and a day: by the time it is over the message is of no use.
        131049: .permanent("not sent, to keep the person's engagement healthy"),
        131050: .optOut("the person has stopped our messages"),
        131051: .permanent("this type of message is not served"), 131052: .permanent("the media cannot be had"),
        131053: .permanent("the media cannot be sent"),
        132000: .permanent("the template has another number of variables"), 132001: .permanent("there is no such template in this language"),
        132005: .permanent("the translated text is too long"), 132012: .permanent("a variable has another format"),
        132007: .templatePaused("the template breaks a policy"), 132015: .templatePaused("the template is paused"),
        132016: .templatePaused("the template is disabled"), 135000: .permanent("generic error"),
    ]
}
