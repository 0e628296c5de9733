import Formats
import HTTPServer
import StandardWebhooks

/// The calls by which a demo or a test plays the customer and sets the scene. See `docs/sandbox.md`.
struct ControlStage: Sendable {
    let configuration: SandboxConfiguration
    let book: SandboxBook
    let courier: Courier
    let messages: MessageStage

    func respond(
        _ request: HTTPRequest, _ path: String, settle: SandboxSettling
    ) async throws(SandboxError) -> HTTPResponse? {
        switch (request.method, path) {
        case ("POST", "/sandbox/pay"): return try await settled(request, .paid, settle)
        case ("POST", "/sandbox/refuse"): return try await settled(request, .refused, settle)
        case ("POST", "/sandbox/cancel"): return try await settled(request, .cancelled, settle)
        case ("POST", "/sandbox/scenario"): return try await setScenario(request)
        case ("POST", "/sandbox/messages"): return try await messages.setSteps(try Self.body(request))
        case ("GET", "/sandbox/messages"): return await messages.listing()
        case ("POST", "/sandbox/openai"): return try await setTextScenarios(try Self.body(request))
        case ("POST", "/sandbox/standard-webhooks"): return try await sendStandardWebhook(try Self.body(request))
        case ("GET", "/sandbox/payments"): return .json(200, ["payments": .array(await book.all.map(\.json))])
        case ("GET", "/sandbox/calls"): return .json(200, ["calls": .array(await book.seenCalls(under: request.queryValue("path")))])
        case ("GET", "/sandbox/deliveries"): return .json(200, ["deliveries": .array(await book.seenDeliveries)])
        case ("POST", "/sandbox/reset"):
            await book.reset()
            await messages.book.reset()
            return .json(200, ["reset": true])
        default: return nil
        }
    }

    private func settled(
        _ request: HTTPRequest, _ state: SandboxPayment.State,
        _ settle: SandboxSettling
    ) async throws(SandboxError) -> HTTPResponse {
        let body = try Self.body(request)
        guard let name = body["reference"]?.string else { throw SandboxError(400, "field 'reference' is required") }
        if let reason = body["reason"]?.string {
            guard state == .refused, let fault = SandboxPayment.Fault(rawValue: reason) else {
                throw SandboxError(400, "field 'reason' is insufficient_funds or expired, of a refusal")
            }
            try await book.setFault(fault, of: name)
        }
        return .json(200, try await settle(try await book.require(name), state).json)
    }

    private func setScenario(_ request: HTTPRequest) async throws(SandboxError) -> HTTPResponse {
        if request.headers["content-type"]?.hasPrefix("application/x-www-form-urlencoded") == true { return try await setPressed(request) }
        let body = try Self.body(request)
        guard let steps = body["steps"]?.array else { throw SandboxError(400, "field 'steps' is required, a list") }
        let scenario = try Scenario(steps: steps)
        if let name = body["reference"]?.string {
            try await book.setScenario(scenario, of: name)
        } else if body["next"]?.bool == true {
            await book.setNextScenario(scenario)
        } else if let name = body["provider"]?.string {
            try await setTroubles(scenario, of: name)
        } else {
            throw SandboxError(400, "field 'reference', 'provider' or 'next': true is required")
        }
        return .json(200, ["steps": .array(scenario.steps.map { .string($0) })])
    }

    /// A button of the front page.
    private func setPressed(_ request: HTTPRequest) async throws(SandboxError) -> HTTPResponse {
        let fields = (try? FormURLEncoded.parse(request.body)) ?? []
        func value(_ name: String) -> String { fields.first { $0.name == name }?.value ?? "" }
        try await setTroubles(try Scenario(text: value("steps")), of: value("provider"))
        return .redirect(303, "/")
    }

    private func setTroubles(_ scenario: Scenario, of provider: String) async throws(SandboxError) {
        guard let house = SandboxPayment.House(rawValue: provider) else {
            throw SandboxError(400, "field 'provider' is \(SandboxPayment.House.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        var calls = Scenario()
        calls.troubles = scenario.troubles
        guard calls == scenario else { throw SandboxError(400, "a provider's steps are \(CallTroubles.names.joined(separator: ", "))") }
        await book.setTroubles(scenario.troubles, of: house)
    }

    private func setTextScenarios(_ body: JSON) async throws(SandboxError) -> HTTPResponse {
        let steps = (body["steps"]?.array ?? []).compactMap(\.string)
        guard !steps.isEmpty, steps.count == body["steps"]?.array?.count, steps.allSatisfy({ TextStage.scenarios.contains($0) }) else {
            throw SandboxError(400, "field 'steps' is a list of \(TextStage.scenarios.joined(separator: ", "))")
        }
        await book.addTextScenarios(steps)
        return .json(200, ["steps": .array(steps.map { .string($0) })])
    }

    /// Signs a message about a payment and posts it to the product's own webhook.
    private func sendStandardWebhook(_ body: JSON) async throws(SandboxError) -> HTTPResponse {
        guard let secret = configuration.standardWebhooksSecret, let signer = try? StandardWebhooksSigner(secret: secret) else {
            throw SandboxError(409, "STANDARD_WEBHOOKS_SECRET is not set or cannot be read")
        }
        guard let order = body["order_id"]?.string else { throw SandboxError(400, "field 'order_id' is required") }
        let type = body["type"]?.string ?? "payment.succeeded"
        let id = body["webhook_id"]?.string ?? "msg_\(ULID.make())"
        var data: [(String, JSON)] = [("id", body["id"] ?? .string("ext_\(id.suffix(20))")), ("order_id", .string(order))]
        for member in ["amount", "refunded_amount", "currency", "status", "provider_reference"] {
            if let value = body[member] { data.append((member, value)) }
        }
        let message: JSON = ["type": .string(type), "timestamp": .string(Timestamp.rfc3339(WallClock.nowMs)), "data": .object(JSONObject(data))]
        let bytes = message.bytes
        let headers: @Sendable (Int64) -> HTTPHeaders = { nowMs in
            var headers = signer.headers(id: id, timestamp: nowMs / 1000, body: bytes)
            headers["content-type"] = "application/json"
            return headers
        }
        let url = body["url"]?.string ?? "\(configuration.ingestURL)/webhooks/standard-webhooks"
        let status = await courier.deliver(Parcel(url: url, headers: headers, body: bytes, label: type))
        return .json(status == nil ? 502 : 200, ["webhook_id": .string(id), "status": .optional(status.map { Int64($0) })])
    }

    private static func body(_ request: HTTPRequest) throws(SandboxError) -> JSON {
        guard let json = try? JSON(parsing: request.body), json.object != nil else { throw SandboxError(400, "the body is not a JSON object") }
        return json
    }
}
