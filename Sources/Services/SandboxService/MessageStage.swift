import Cryptography
import Formats
import HTTPServer
import Telemetry

/// Plays the carriers of messages: Africa's Talking, Orange SMS and WhatsApp. Every message is taken and soon delivered, unless a step says
/// otherwise; see `docs/sandbox.md`.
struct MessageStage: Sendable {
    /// As the product calls them.
    static let carriers = ["africas-talking", "orange-sms", "whatsapp"]

    let configuration: SandboxConfiguration
    let book: MessageBook
    let courier: Courier
    let couriers: Couriers

    /// Answers a call to a carrier; nil when the path is none of theirs.
    func respond(_ request: HTTPRequest) async -> HTTPResponse? {
        let parts = request.path.split(separator: "/").map(String.init)
        guard let carrier = parts.first, Self.carriers.contains(carrier) else { return nil }
        let rest = Array(parts.dropFirst())
        switch (carrier, request.method) {
        case ("africas-talking", "POST") where rest == ["version1", "messaging"]: return await africasTalking(request)
        case ("orange-sms", "POST") where rest == ["oauth", "v3", "token"]: return await orangeToken(request)
        case ("orange-sms", "POST") where rest.count == 5 && rest[0] == "smsmessaging" && rest[4] == "requests":
            return await orangeSMS(request, sender: rest[3])
        case ("whatsapp", "POST") where rest.count == 3 && rest[2] == "messages": return await whatsApp(request)
        default: return .problem(404, "nobody here answers that")
        }
    }

    private func keys(_ carrier: String) -> HouseKeys { configuration.carriers[carrier] ?? HouseKeys() }

    // MARK: Africa's Talking

    private func africasTalking(_ request: HTTPRequest) async -> HTTPResponse {
        if let key = keys("africas-talking").values["api_key"], request.headers["apikey"] != key {
            return .text(401, "The supplied authentication is invalid")
        }
        let fields = (try? FormURLEncoded.parse(request.body)) ?? []
        func field(_ name: String) -> String { fields.first { $0.name == name }?.value ?? "" }
        let step = await book.next("africas-talking")
        if let response = await interrupted(step) { return response }
        let (code, status) = Self.talkingStatus(step)
        guard code != 402 else { return .json(201, ["SMSMessageData": ["Message": "InvalidSenderId", "Recipients": []]]) }
        let id = "ATXid_\(ULID.make().lowercased())"
        let taken = code < 200
        if taken { await keep("africas-talking", id: id, to: field("to"), text: field("message"), step) }
        return await answered(
            "africas-talking", id: taken ? id : nil, step,
            .json(
                201,
                [
                    "SMSMessageData": [
                        "Message": .string("Sent to \(taken ? 1 : 0)/1 Total Cost: XOF 12.0000"),
                        "Recipients": [
                            [
                                "statusCode": .int(code), "number": .string(field("to")), "status": .string(status),
                                "cost": .string(taken ? "XOF 12.0000" : "0"), "messageId": .string(taken ? id : "None"),
                            ]
                        ],
                    ]
                ]))
    }

    private static func talkingStatus(_ step: MessageStep) -> (Int64, String) {
        guard case .code(let text) = step, let code = Int64(text) else { return (101, "Success") }
        let words: [Int64: String] = [
            401: "RiskHold", 403: "InvalidPhoneNumber", 404: "UnsupportedNumberType", 405: "InsufficientBalance", 406: "UserInBlacklist",
            407: "CouldNotRoute", 409: "DoNotDisturbRejection", 500: "InternalServerError", 501: "GatewayError", 502: "RejectedByGateway",
        ]
        return (code, words[code] ?? "Failed")
    }

    // MARK: Orange

    private func orangeToken(_ request: HTTPRequest) async -> HTTPResponse {
        guard request.headers["accept"] == "application/json" else { return Self.gateway(406, 62, "Not acceptable") }
        let keys = keys("orange-sms").values
        let basic = Base64.encode(Array("\(keys["client_id"] ?? ""):\(keys["client_secret"] ?? "")".utf8))
        if keys["client_id"] != nil, request.headers["authorization"] != "Basic \(basic)" { return Self.gateway(401, 41, "Invalid credentials") }
        return .json(200, ["token_type": "Bearer", "access_token": .string(await book.makeToken()), "expires_in": "3600"])
    }

    private func orangeSMS(_ request: HTTPRequest, sender: String) async -> HTTPResponse {
        let bearer = request.headers["authorization"]?.split(separator: " ").last.map(String.init) ?? ""
        let step = await book.next("orange-sms")
        if case .expired = step { await book.dropTokens() }
        guard await book.hasToken(bearer) else { return Self.gateway(401, 42, "Expired credentials") }
        if let response = await interrupted(step) { return response }
        if case .code(let code) = step {
            if let number = Int64(code) { return Self.gateway(number == 53 ? 429 : 403, number, "The gateway refuses") }
            let exception: JSON = ["messageId": .string(code), "text": "An error occurred: %1", "variables": ["sandbox"]]
            return .json(400, ["requestError": code.hasPrefix("SVC") ? ["serviceException": exception] : ["policyException": exception]])
        }
        guard let sent = (try? JSON(parsing: request.body))?["outboundSMSMessageRequest"], let to = sent["address"]?.string, to.hasPrefix("tel:+"),
            sent["senderAddress"]?.string.map({ PercentEncoding.encodePathSegment($0) }) == sender
        else { return Self.gateway(400, 24, "Invalid body field") }
        let id = ULID.make().lowercased()
        await keep("orange-sms", id: id, to: String(to.dropFirst(4)), text: sent["outboundSMSTextMessage"]?["message"]?.string ?? "", step)
        var members = sent.object ?? JSONObject()
        members["resourceURL"] = .string("http://\(configuration.address)/orange-sms/smsmessaging/v1/outbound/\(sender)/requests/\(id)")
        return await answered("orange-sms", id: id, step, .json(201, ["outboundSMSMessageRequest": .object(members)]))
    }

    private static func gateway(_ status: Int, _ code: Int64, _ message: String) -> HTTPResponse {
        .json(status, ["code": .int(code), "message": .string(message), "description": "Played by the sandbox"])
    }

    // MARK: WhatsApp

    private func whatsApp(_ request: HTTPRequest) async -> HTTPResponse {
        if let token = keys("whatsapp").values["token"], request.headers["authorization"] != "Bearer \(token)" {
            return Self.graph(401, 190, "Invalid OAuth access token")
        }
        let step = await book.next("whatsapp")
        if let response = await interrupted(step) { return response }
        if case .code(let text) = step, let code = Int64(text) {
            return Self.graph(code == 131000 ? 500 : code == 130429 || code == 131056 ? 429 : 400, code, "Refused by the sandbox")
        }
        guard let json = try? JSON(parsing: request.body), json["messaging_product"]?.string == "whatsapp", let to = json["to"]?.string,
            let template = json["template"], let name = template["name"]?.string, template["language"]?["code"]?.string != nil
        else { return Self.graph(400, 100, "Invalid parameter") }
        let parameters = (template["components"]?[0]?["parameters"]?.array ?? []).compactMap { $0["text"]?.string }
        guard !parameters.contains(where: { $0.isEmpty || $0.contains { $0.isNewline || $0 == "\t" } }) else {
            return Self.graph(400, 132012, "A parameter's format is wrong")
        }
        let id = "wamid.\(Base64.encode(Array(ULID.make().utf8)))"
        await keep(
            "whatsapp", id: id, to: "+" + to, text: parameters.joined(separator: " | "), template: name,
            reference: json["biz_opaque_callback_data"]?.string, step)
        return await answered(
            "whatsapp", id: id, step,
            .json(
                200,
                [
                    "messaging_product": "whatsapp", "contacts": [["input": .string(to), "wa_id": .string(to)]],
                    "messages": [["id": .string(id), "message_status": "accepted"]],
                ]))
    }

    private static func graph(_ status: Int, _ code: Int64, _ details: String) -> HTTPResponse {
        .json(
            status,
            [
                "error": [
                    "message": .string("(#\(code)) \(details)"), "type": "OAuthException", "code": .int(code),
                    "error_data": ["messaging_product": "whatsapp", "details": .string(details)], "fbtrace_id": "sandbox",
                ]
            ])
    }

    // MARK: Steps

    /// What comes in place of an answer.
    private func interrupted(_ step: MessageStep) async -> HTTPResponse? {
        switch step {
        case .http(let status):
            var response = HTTPResponse.text(status, "<html>played by the sandbox</html>")
            if status == 429 || status == 503 { response.headers["retry-after"] = "2" }
            return response
        case .slow(let ms):
            try? await Task.sleep(for: .milliseconds(ms))
            return nil
        default: return nil
        }
    }

    private func keep(
        _ carrier: String, id: String, to: String, text: String, template: String? = nil, reference: String? = nil, _ step: MessageStep
    ) async {
        await book.keep(PlayedMessage(carrier: carrier, id: id, to: to, text: text, template: template, reference: reference, step: step.name))
    }

    /// The answer, with the receipts around it that the step asks for.
    private func answered(_ carrier: String, id: String?, _ step: MessageStep, _ answer: HTTPResponse) async -> HTTPResponse {
        guard let id else { return answer }
        let message = await book.message(id)
        let parcels = step.receipts.compactMap { state in message.flatMap { parcel($0, state, code: step.failure) } }
        if case .early = step {
            await courier.deliver(parcels)
        } else {
            couriers.send { [courier] in await courier.deliver(parcels) }
        }
        if case .lost = step { return .text(200, "the answer is lost") }
        return answer
    }

    /// One receipt as the carrier posts it; nil where none are taken.
    private func parcel(_ message: PlayedMessage, _ state: String, code: String?) -> Parcel? {
        guard let secret = keys(message.carrier).secrets.first else { return nil }
        let base = "\(configuration.ingestURL)/webhooks/\(message.carrier)"
        let label = "\(message.carrier) \(state)"
        switch message.carrier {
        case "africas-talking":
            var fields = [("id", message.id), ("phoneNumber", message.to), ("networkCode", "61203"), ("retryCount", "0")]
            fields += state == "failed" ? [("status", "Failed"), ("failureReason", code ?? "DeliveryFailure")] : [("status", "Success")]
            let body = Array(FormURLEncoded.encode(fields).utf8)
            return Parcel(
                url: "\(base)/\(secret)", headers: { _ in ["content-type": "application/x-www-form-urlencoded"] }, body: body, label: label)
        case "orange-sms":
            let status = state == "failed" ? "DeliveryImpossible" : "DeliveredToTerminal"
            let body: JSON = [
                "deliveryInfoNotification": [
                    "callbackData": .string(message.id),
                    "deliveryInfo": ["address": .string("tel:" + message.to), "deliveryStatus": .string(status)],
                ]
            ]
            return Parcel(url: "\(base)/\(secret)", headers: { _ in ["content-type": "application/json"] }, body: body.bytes, label: label)
        default:
            var status: JSONObject = [
                "id": .string(message.id), "status": .string(state), "timestamp": .string("\(WallClock.nowMs / 1000)"),
                "recipient_id": .string(String(message.to.dropFirst())),
            ]
            if let reference = message.reference { status["biz_opaque_callback_data"] = .string(reference) }
            if state == "failed" {
                status["errors"] = [
                    ["code": .int(Int64(code ?? "") ?? 131026), "title": "Message undeliverable", "message": "Message undeliverable"]
                ]
            }
            let value: JSON = ["messaging_product": "whatsapp", "statuses": [.object(status)]]
            let body: JSON = [
                "object": "whatsapp_business_account", "entry": [["id": "1", "changes": [["field": "messages", "value": value]]]],
            ]
            let bytes = body.bytes
            let signature = "sha256=" + Hex.encode(HMACSHA256(key: secret).authenticate(bytes))
            return Parcel(
                url: base, headers: { _ in ["content-type": "application/json", "x-hub-signature-256": signature] }, body: bytes, label: label)
        }
    }

    // MARK: Control

    /// Sets steps for the next calls to a carrier.
    func setSteps(_ body: JSON) async throws(SandboxError) -> HTTPResponse {
        guard let carrier = body["carrier"]?.string, Self.carriers.contains(carrier) else {
            throw SandboxError(400, "field 'carrier' is one of \(Self.carriers.joined(separator: ", "))")
        }
        let words = (body["steps"]?.array ?? []).compactMap(\.string)
        let steps = words.compactMap { MessageStep($0) }
        guard !steps.isEmpty, steps.count == body["steps"]?.array?.count else {
            throw SandboxError(400, "field 'steps' is a list of \(MessageStep.names)")
        }
        await book.add(steps, for: carrier)
        return .json(200, ["carrier": .string(carrier), "steps": .array(words.map { .string($0) })])
    }

    func listing() async -> HTTPResponse { .json(200, ["messages": .array(await book.all.map(\.json))]) }
}
