import Cryptography
import Formats
import HTTPServer

/// Plays Wave's checkout: sessions, their page, expiry, refunds and signed events.
///
/// A failed try leaves a session open, as at Wave: the page's *Fail* posts `checkout.session.payment_failed`, and the customer can pay afterwards.
struct WaveStage: HouseStage {
    let house = SandboxPayment.House.wave
    let label = "Wave"
    let configuration: SandboxConfiguration
    let book: SandboxBook

    static let root = "/v1/checkout/sessions"
    static let lifeMs: Int64 = 30 * 60_000
    /// Wave refuses members that it does not know.
    static let members: Set<String> = [
        "amount", "currency", "success_url", "error_url", "client_reference", "restrict_payer_mobile", "aggregated_merchant_id",
    ]

    private var keys: HouseKeys { configuration.houses["wave"] ?? HouseKeys() }

    func purpose(of request: HTTPRequest, _ path: String) -> CallPurpose? {
        guard path == Self.root || path.hasPrefix(Self.root + "/") else { return nil }
        return request.method == "POST" && path == Self.root ? .start : .other
    }

    func respond(
        _ request: HTTPRequest, _ path: String, base: String, settle: SandboxSettling
    ) async throws(SandboxError) -> HTTPResponse? {
        if path.hasPrefix("/c/") { return try await page(request, String(path.dropFirst(3)), settle) }
        guard path == Self.root || path.hasPrefix(Self.root + "/") else { return nil }
        if let fault = faultOfKey(request) { return fault }
        let parts = path.dropFirst(Self.root.count).split(separator: "/").map(String.init)
        switch (request.method, parts.count) {
        case ("POST", 0): return try await create(request, base, settle)
        case ("GET", 0): return await look(request.queryValue("transaction_id"), base)
        case ("GET", 1) where parts[0] == "search": return await search(request.queryValue("client_reference"), base)
        case ("GET", 1): return await look(parts[0], base)
        case ("POST", 2) where parts[1] == "expire": return try await expire(parts[0], settle)
        case ("POST", 2) where parts[1] == "refund": return try await refund(parts[0])
        default: return nil
        }
    }

    // MARK: Sessions

    private func create(_ request: HTTPRequest, _ base: String, _ settle: SandboxSettling) async throws(SandboxError) -> HTTPResponse {
        guard let json = try? JSON(parsing: request.body), let object = json.object else { return Self.fault(400, "invalid-body") }
        if let other = object.keys.first(where: { !Self.members.contains($0) }) { return Self.fault(422, "unknown-field", other) }
        guard let amount = json["amount"]?.string, let units = Int64(amount), units > 0 else { return Self.fault(422, "invalid-amount") }
        guard json["currency"]?.string == "XOF" else { return Self.fault(422, "invalid-currency") }
        guard let success = json["success_url"]?.string, let failure = json["error_url"]?.string, success.hasPrefix("http"), failure.hasPrefix("http")
        else { return Self.fault(422, "invalid-url") }
        let reference = json["client_reference"]?.string
        var session = SandboxPayment(
            house: .wave, reference: "cos-\(Hex.encode(SecureRandom.bytes(7)))", token: Hex.encode(SecureRandom.bytes(16)), amount: amount,
            currency: "XOF", description: reference ?? "", metadata: reference.map { ["attempt": .string($0)] } ?? [:], method: nil,
            notifyURL: "\(configuration.ingestURL)/webhooks/wave", returnURL: success, createdAtMs: WallClock.nowMs)
        session.scenario = .ofAmount(amount)
        session.details = [
            "error_url": .string(failure), "client_reference": .optional(reference),
            "transaction_id": .string("T\(Hex.encode(SecureRandom.bytes(5)).uppercased())"), "failures": 0,
        ]
        var entered = try await book.enter(session).payment
        if let customer = json["restrict_payer_mobile"]?.string.flatMap({ TestPhone($0) }) { entered = try await decide(entered, customer, settle) }
        return .json(200, Self.session(entered, base))
    }

    private func look(_ name: String?, _ base: String) async -> HTTPResponse {
        guard let name, let session = await find(name) else { return Self.fault(404, "checkout-session-not-found") }
        guard await book.countStatusCall(session.reference) else { return .html(503, "<html><body>Service unavailable</body></html>") }
        return .json(200, Self.session(session, base))
    }

    private func search(_ reference: String?, _ base: String) async -> HTTPResponse {
        guard let reference else { return Self.fault(400, "missing-client-reference") }
        let found = await book.all.filter { $0.house == .wave && $0.details["client_reference"]?.string == reference }
        for session in found {
            guard await book.countStatusCall(session.reference) else { return .html(503, "<html><body>Service unavailable</body></html>") }
        }
        return .json(200, ["result": .array(found.map { Self.session($0, base) })])
    }

    private func expire(_ id: String, _ settle: SandboxSettling) async throws(SandboxError) -> HTTPResponse {
        guard let session = await find(id) else { return Self.fault(404, "checkout-session-not-found") }
        guard !session.state.isFinal else { return Self.fault(409, "checkout-session-not-open") }
        try await book.setFault(.expired, of: id)
        _ = try await settle(session, .cancelled)
        return HTTPResponse(status: 200)
    }

    /// Called again it makes no second refund.
    private func refund(_ id: String) async throws(SandboxError) -> HTTPResponse {
        guard let session = await find(id) else { return Self.fault(404, "checkout-session-not-found") }
        guard session.state == .paid else { return Self.fault(409, "checkout-refund-failed") }
        if session.refundedAtMs == nil { _ = try await book.refund(id) }
        return HTTPResponse(status: 200)
    }

    private func find(_ name: String) async -> SandboxPayment? {
        if let session = await book.find(name), session.house == .wave, session.reference == name { return session }
        return await book.all.first { $0.house == .wave && $0.state == .paid && $0.details["transaction_id"]?.string == name }
    }

    // MARK: The customer

    private func page(_ request: HTTPRequest, _ token: String, _ settle: SandboxSettling) async throws(SandboxError) -> HTTPResponse? {
        guard let session = await book.find(token), session.house == .wave, session.token == token else {
            throw SandboxError(404, "no session has this page")
        }
        let title = "Wave, \(HTML.escape(session.amount)) XOF"
        switch request.method {
        case "GET":
            guard !session.state.isFinal else { return .html(200, PayPage.page(title, "<p>This session is \(session.state.rawValue).</p>")) }
            let buttons = [("pay", "Pay"), ("fail", "Fail"), ("cancel", "Cancel")]
                .map { "<button name=\"action\" value=\"\($0.0)\">\($0.1)</button>" }.joined(separator: " ")
            return .html(200, PayPage.page(title, "<form method=\"post\">\(buttons)</form>"))
        case "POST":
            let customers: [String: TestPhone] = ["pay": .pays, "fail": .lacksFunds, "cancel": .cancels]
            let action = ((try? FormURLEncoded.parse(request.body)) ?? []).first { $0.name == "action" }?.value ?? ""
            guard let customer = customers[action] else { throw SandboxError(400, "field 'action' is pay, fail or cancel") }
            let now = try await decide(session, customer, settle)
            return .redirect(303, (now.state == .paid ? now.returnURL : now.details["error_url"]?.string) ?? "/")
        default: return nil
        }
    }

    private func decide(_ session: SandboxPayment, _ customer: TestPhone, _ settle: SandboxSettling) async throws(SandboxError) -> SandboxPayment {
        switch customer {
        case .pays: return try await settle(session, .paid)
        case .cancels: return try await settle(session, .cancelled)
        case .lacksFunds:
            try await book.setFault(.insufficientFunds, of: session.reference)
            try await book.setDetail("failures", .int((session.details["failures"]?.int ?? 0) + 1), of: session.reference)
            return try await settle(session, .waiting)
        case .neverAnswers: return session
        }
    }

    // MARK: Events

    func notice(_ payment: SandboxPayment, _ notice: NotificationPlan.Notice, delayMs: Int64) -> Parcel? {
        // Nothing is posted of a session that waits, expires or is cancelled.
        guard notice == .final else { return nil }
        let type: String
        switch payment.state {
        case .paid: type = "checkout.session.completed"
        case .waiting where payment.fault == .insufficientFunds: type = "checkout.session.payment_failed"
        case .refused where payment.fault != .expired: type = "checkout.session.payment_failed"
        case .created, .waiting, .refused, .cancelled: return nil
        }
        let seed = "\(payment.reference) \(type) \(payment.details["failures"]?.int ?? 0)"
        let event: JSON = [
            "id": .string("EV_\(Digest.sha256Hex(Array(seed.utf8)).prefix(16))"), "type": .string(type),
            "data": Self.session(payment, "https://pay.wave.com"),
        ]
        let body = event.bytes
        let key = keys.secrets.first.map { HMACSHA256(key: $0) }
        let headers: @Sendable (Int64) -> HTTPHeaders = { nowMs in
            var headers: HTTPHeaders = ["content-type": "application/json"]
            let time = String(nowMs / 1000)
            // No dot between the time and the body.
            if let key { headers["wave-signature"] = "t=\(time),v1=\(Hex.encode(key.authenticate(Array(time.utf8), body)))" }
            return headers
        }
        return Parcel(url: payment.notifyURL, headers: headers, body: body, label: type, delayMs: delayMs, repeatsRefusals: true)
    }

    private static func session(_ session: SandboxPayment, _ base: String) -> JSON {
        let paid = session.state == .paid
        let checkout =
            switch session.state {
            case .created, .waiting: "open"
            case .paid: "complete"
            case .refused, .cancelled: "expired"
            }
        let payment = paid ? "succeeded" : session.state == .cancelled && session.fault == nil ? "cancelled" : "processing"
        let failed = session.fault == .insufficientFunds || (session.state == .refused && session.fault == nil)
        let error: JSON =
            failed && !paid
            ? [
                "code": .string(session.fault == nil ? "payment-failure" : "insufficient-funds"),
                "message": .string(session.fault == nil ? "Payment failed" : "Insufficient balance"),
            ] : .null
        return [
            "id": .string(session.reference), "amount": .string(session.statedAmount), "checkout_status": .string(checkout),
            "client_reference": session.details["client_reference"] ?? .null, "currency": .string(session.statedCurrency),
            "error_url": session.details["error_url"] ?? .null, "last_payment_error": error, "business_name": "Sandbox",
            "payment_status": .string(payment), "transaction_id": paid ? session.details["transaction_id"] ?? .null : .null,
            "success_url": .optional(session.returnURL), "wave_launch_url": .string("\(base)/wave/c/\(session.token)"),
            "when_completed": paid ? .optional(session.settledAtMs.map { Timestamp.rfc3339($0) }) : .null,
            "when_created": .string(Timestamp.rfc3339(session.createdAtMs)), "when_expires": .string(Timestamp.rfc3339(session.createdAtMs + lifeMs)),
        ]
    }

    private func faultOfKey(_ request: HTTPRequest) -> HTTPResponse? {
        guard let key = keys.values["api_key"] else { return nil }
        guard let sent = request.headers["authorization"] else { return Self.fault(401, "missing-auth-header") }
        return sent == "Bearer \(key)" ? nil : Self.fault(401, "no-matching-api-key")
    }

    private static func fault(_ status: Int, _ code: String, _ message: String? = nil) -> HTTPResponse {
        .json(status, ["code": .string(code), "message": .string(message ?? code)])
    }
}
