import AfricasTalking
import Formats
import MessagePort
import OrangeSMS
import ProviderPort
import Synchronization
import Testing
import WhatsAppCloud

/// A transport that answers what it was told to, and remembers what was asked.
final class ScriptedTransport: ProviderTransport {
    enum Line: Sendable {
        case answer(Int, String, HTTPHeaders = [:])
        case none(ProviderError.Kind)
    }
    private let state: Mutex<(lines: [Line], calls: [ProviderCall])>

    init(_ lines: Line...) { state = Mutex((lines, [])) }

    var calls: [ProviderCall] { state.withLock { $0.calls } }

    func send(_ call: ProviderCall) async throws(ProviderError) -> ProviderAnswer {
        let line = state.withLock { state -> Line in
            state.calls.append(call)
            return state.lines.isEmpty ? .none(.unavailable) : state.lines.removeFirst()
        }
        switch line {
        case .answer(let status, let body, let headers): return ProviderAnswer(status: status, headers: headers, body: Array(body.utf8))
        case .none(let kind): throw ProviderError(kind, "nothing came back from +2250708091011")
        }
    }
}

@Suite("What carriers answer, and what follows from it")
struct CarrierOutcomeTests {
    static func message(to number: String = "+2250708091011", text: String = "Bonjour", parameters: [String] = ["12 500 XOF", "Kit\nComplet"])
        -> OutgoingMessage
    {
        OutgoingMessage(
            id: "<01k@example.com>", to: number, language: "fr", template: "payment_confirmed",
            mail: OutgoingMessage.Mail(subject: "s", text: "t", html: "h"), short: text, parameters: parameters, atMs: 0)
    }

    /// `accepted`, `refused`, `retry`, `down`, `unknown`, with what else matters.
    static func word(_ outcome: CarrierOutcome) -> String {
        switch outcome {
        case .accepted: "accepted"
        case .permanent(let fault): fault.isOptOut ? "opt-out" : fault.stop != nil ? "template" : fault.anotherMayHelp ? "refused" : "address"
        case .retryable(let fault, _): fault.retriesMax.map { "retry \($0)" } ?? "retry"
        case .channelDown: "down"
        case .unknown: "unknown"
        }
    }

    // MARK: Africa's Talking

    private static func talking(_ transport: ScriptedTransport) -> AfricasTalkingSMS {
        AfricasTalkingSMS(apiURL: "https://at.example", username: "shop", apiKey: "key", from: "QUITTANCE", mode: "live", transport: transport)
    }

    private static func talkingBody(_ code: String) -> String {
        #"{"SMSMessageData":{"Message":"Sent to 0/1","Recipients":[{"statusCode":\#(code),"number":"+2250708091011","status":"x","messageId":"ATXid_1"}]}}"#
    }

    @Test(
        "Africa's Talking: the code inside a 201 decides",
        arguments: [
            ("100", "accepted"), ("101", "accepted"), ("102", "accepted"), ("401", "refused"), ("402", "down"), ("403", "address"),
            ("404", "refused"),
            ("405", "down"), ("406", "opt-out"), ("407", "refused"), ("409", "opt-out"), ("500", "retry"), ("501", "retry"), ("502", "refused"),
            ("999", "retry 1"),
        ])
    func talkingCodes(code: String, word: String) async {
        let outcome = await Self.talking(ScriptedTransport(.answer(201, Self.talkingBody(code)))).send(Self.message())
        #expect(Self.word(outcome) == word)
        if word == "accepted" { #expect(outcome == .accepted(id: "ATXid_1")) }
    }

    @Test(
        "Africa's Talking: what is no such answer",
        arguments: [
            (ScriptedTransport.Line.answer(201, #"{"SMSMessageData":{"Message":"InvalidSenderId","Recipients":[]}}"#), "down"),
            (.answer(201, #"{"SMSMessageData":{"Message":"Sent to 0/1","Recipients":[]}}"#), "retry 1"),
            (.answer(201, "<html>"), "unknown"), (.answer(401, "The supplied authentication is invalid"), "down"), (.answer(500, "<html>"), "retry"),
            (.answer(503, ""), "retry"), (.answer(400, "Must have username in your request"), "refused"), (.answer(429, ""), "retry"),
            (.answer(302, ""), "down"), (.none(.unavailable), "unknown"), (.none(.held), "retry"), (.none(.misconfigured), "down"),
        ])
    func talkingOddities(line: ScriptedTransport.Line, word: String) async {
        let outcome = await Self.talking(ScriptedTransport(line)).send(Self.message())
        #expect(Self.word(outcome) == word)
        #expect(outcome.fault?.text.contains("0708091011") != true, "a telephone number stands whole in a fault")
    }

    @Test("Africa's Talking: the call as they document it")
    func talkingCall() async throws {
        let transport = ScriptedTransport(.answer(201, Self.talkingBody("101")))
        _ = await Self.talking(transport).send(Self.message(text: "Payé & reçu"))
        let call = try #require(transport.calls.first)
        #expect(call.method == "POST" && call.url == "https://at.example/version1/messaging")
        #expect(call.headers["apikey"] == "key" && call.headers["accept"] == "application/json")
        let fields = try FormURLEncoded.parse(call.body)
        let sent = Dictionary(uniqueKeysWithValues: fields.map { ($0.name, $0.value) })
        #expect(
            sent == ["username": "shop", "to": "+2250708091011", "message": "Payé & reçu", "bulkSMSMode": "1", "enqueue": "0", "from": "QUITTANCE"])
    }

    @Test("a number that is none reaches no carrier", arguments: ["0708091011", "+225070809", "awa@example.org", "", "+22901234567890123"])
    func noNumber(number: String) async {
        let transport = ScriptedTransport()
        let carriers: [any MessageCarrier] = [Self.talking(transport), Self.orange(transport), Self.whatsApp(transport)]
        for carrier in carriers { #expect(Self.word(await carrier.send(Self.message(to: number))) == "address") }
        #expect(transport.calls.isEmpty)
    }

    // MARK: Orange

    private static func orange(_ transport: ScriptedTransport) -> OrangeSMSCarrier {
        OrangeSMSCarrier(
            apiURL: "https://orange.example", clientID: "id", clientSecret: "secret", sender: "+2250000", senderName: "Quittance", mode: "live",
            transport: transport, nowMs: { 1_000 })
    }

    private static let token = ScriptedTransport.Line.answer(200, #"{"token_type":"Bearer","access_token":"t-1","expires_in":"3600"}"#)
    private static let taken = ScriptedTransport.Line.answer(
        201, #"{"outboundSMSMessageRequest":{"resourceURL":"https://orange.example/smsmessaging/v1/outbound/tel%3A%2B2250000/requests/abc-1"}}"#)

    @Test(
        "Orange: gateway codes and the service's own",
        arguments: [
            (401, #"{"code":40}"#, "down"), (401, #"{"code":41}"#, "down"), (403, #"{"code":50}"#, "down"), (429, #"{"code":53}"#, "retry"),
            (500, #"{"code":1}"#, "retry"), (503, #"{"code":"6"}"#, "retry"), (403, #"{}"#, "down"), (400, #"{"code":24}"#, "refused"),
            (400, Self.service("SVC0001"), "retry 3"), (400, Self.service("SVC0002"), "refused"), (400, Self.service("SVC0004"), "address"),
            (400, Self.service("SVC0005"), "accepted"), (403, Self.policy("POL0001"), "refused"), (403, Self.policy("POL0009"), "down"),
            (403, Self.policy("POL0013"), "retry"), (403, Self.policy("POL0050"), "down"), (403, Self.policy("POL1009"), "down"),
            (404, "<html>", "refused"),
        ])
    func orangeCodes(status: Int, body: String, word: String) async {
        let transport = ScriptedTransport(Self.token, .answer(status, body))
        #expect(Self.word(await Self.orange(transport).send(Self.message())) == word)
    }

    private static func service(_ id: String) -> String { #"{"requestError":{"serviceException":{"messageId":"\#(id)","text":"error %1"}}}"# }
    private static func policy(_ id: String) -> String { #"{"requestError":{"policyException":{"messageId":"\#(id)","text":"error %1"}}}"# }

    @Test("Orange: one token serves many messages; one that has expired is made anew once, and only once")
    func orangeToken() async throws {
        let expired = ScriptedTransport.Line.answer(401, #"{"code":42,"message":"Expired credentials"}"#)
        let again = ScriptedTransport.Line.answer(200, #"{"access_token":"t-2","expires_in":3600}"#)
        let transport = ScriptedTransport(Self.token, Self.taken, Self.taken, expired, again, Self.taken, expired, again, expired)
        let carrier = Self.orange(transport)
        for _ in 0..<3 { #expect(await carrier.send(Self.message()) == .accepted(id: "abc-1")) }
        #expect(Self.word(await carrier.send(Self.message())) == "retry", "an expired token after a new one is the gateway's fault")
        let calls = transport.calls
        #expect(calls.count { $0.url.hasSuffix("/oauth/v3/token") } == 3)
        #expect(calls[5].headers["authorization"] == "Bearer t-2")
        #expect(calls[1].url == "https://orange.example/smsmessaging/v1/outbound/tel%3A%2B2250000/requests")
        let body = try JSON(parsing: calls[1].body)["outboundSMSMessageRequest"]
        #expect(body?["address"] == "tel:+2250708091011" && body?["senderAddress"] == "tel:+2250000" && body?["senderName"] == "Quittance")
        #expect(body?["outboundSMSTextMessage"]?["message"] == "Bonjour")
    }

    @Test(
        "Orange: without a token nothing was sent, whatever the reason",
        arguments: [
            (ScriptedTransport.Line.none(.unavailable), "retry"), (.answer(401, #"{"code":41}"#), "down"), (.answer(503, "<html>"), "retry"),
            (.answer(200, "{}"), "retry"), (.answer(406, #"{"code":62}"#), "down"),
        ])
    func orangeWithoutToken(line: ScriptedTransport.Line, word: String) async {
        let transport = ScriptedTransport(line)
        #expect(Self.word(await Self.orange(transport).send(Self.message())) == word)
        #expect(transport.calls.count == 1)
    }

    // MARK: WhatsApp

    private static func whatsApp(_ transport: ScriptedTransport) -> WhatsAppCarrier {
        WhatsAppCarrier(
            apiURL: "https://graph.example/v23.0", phoneNumberID: "106", token: "token", templatePrefix: "quittance_", mode: "live",
            transport: transport)
    }

    @Test(
        "WhatsApp: the code decides, not the status",
        arguments: [
            (401, 190, "down"), (401, 0, "down"), (500, 3, "down"), (403, 10, "down"), (403, 230, "down"), (403, 368, "down"), (400, 131042, "down"),
            (403, 131005, "down"), (400, 33, "down"), (400, 131048, "down"), (400, 4, "retry"), (429, 130429, "retry"), (429, 131056, "retry"),
            (400, 1, "retry 1"), (503, 2, "retry"), (500, 131000, "retry 3"), (503, 131016, "retry"), (400, 100, "refused"), (400, 131008, "refused"),
            (400, 131026, "refused"), (400, 131047, "refused"), (400, 131050, "opt-out"), (400, 132000, "refused"), (404, 132001, "refused"),
            (400, 132007, "template"), (400, 132015, "template"), (400, 132016, "template"), (500, 987_654, "retry"), (400, 987_654, "refused"),
        ])
    func whatsAppCodes(status: Int, code: Int, word: String) async {
        let body = #"{"error":{"message":"(#\#(code)) x","code":\#(code),"error_data":{"details":"to +2250708091011"}}}"#
        let outcome = await Self.whatsApp(ScriptedTransport(.answer(status, body))).send(Self.message())
        #expect(Self.word(outcome) == word)
        #expect(outcome.fault?.code == "\(code)" && outcome.fault?.text.contains("0708091011") == false)
    }

    @Test("WhatsApp: a template by its name, its variables on one line each, and our own id to come back")
    func whatsAppCall() async throws {
        let transport = ScriptedTransport(.answer(200, #"{"messages":[{"id":"wamid.1","message_status":"accepted"}]}"#), .answer(200, "{}"))
        #expect(await Self.whatsApp(transport).send(Self.message()) == .accepted(id: "wamid.1"))
        let call = try #require(transport.calls.first)
        #expect(call.url == "https://graph.example/v23.0/106/messages" && call.headers["authorization"] == "Bearer token")
        let json = try JSON(parsing: call.body)
        #expect(json["to"] == "2250708091011" && json["type"] == "template" && json["biz_opaque_callback_data"] == "<01k@example.com>")
        #expect(json["template"]?["name"] == "quittance_payment_confirmed" && json["template"]?["language"]?["code"] == "fr")
        let texts = json["template"]?["components"]?[0]?["parameters"]?.array?.map { $0["text"]?.string }
        #expect(texts == ["12 500 XOF", "Kit Complet"])
        #expect(Self.word(await Self.whatsApp(transport).send(Self.message())) == "unknown", "an answer that names no message")
    }

    @Test("who asks for a later time is obeyed, if it is later than the rule's")
    func retryAfter() async {
        func after(_ seconds: String) async -> Duration? {
            let transport = ScriptedTransport(.answer(429, #"{"error":{"code":131056}}"#, ["retry-after": seconds]))
            guard case .retryable(_, let after) = await Self.whatsApp(transport).send(Self.message()) else { return nil }
            return after
        }
        #expect(await after("1") == .seconds(6))
        #expect(await after("30") == .seconds(30))
    }

    @Test(
        "telephone numbers are taken in international form, of the length that their country has",
        arguments: [
            ("+2250708091011", "+2250708091011"), ("+225 07 08 09 10 11", "+2250708091011"), ("+2250809101", nil),
            ("+2290197979797", "+2290197979797"),
            ("+22997979797", nil), ("+33612345678", "+33612345678"), ("0612345678", nil), ("+0612345678", nil), ("+225o708091011", nil),
        ] as [(String, String?)])
    func telephones(text: String, number: String?) {
        #expect(Telephone.parse(text) == number)
    }
}
