import Cryptography
import Formats
import HTTPServer
import StandardWebhooks

/// Plays Servelink's payment back end: initiate, status, cancel, pay page and signed callbacks.
struct PaymentBackendStage: HouseStage {
    let house = SandboxPayment.House.paymentBackend
    let label = "Servelink's payment back end"
    let configuration: SandboxConfiguration
    let book: SandboxBook
    private let signer: StandardWebhooksSigner?

    static let root = "/api/v1/payments/"

    init(configuration: SandboxConfiguration, book: SandboxBook) {
        self.configuration = configuration
        self.book = book
        // A secret that is no base64 signs by the plain header instead, as the adapter reads it.
        signer = configuration.backendSecret.flatMap { try? StandardWebhooksSigner(secret: $0) }
    }

    func purpose(of request: HTTPRequest, _ path: String) -> CallPurpose? {
        guard path.hasPrefix(Self.root) else { return nil }
        return path == Self.root + "initiate" ? .start : .other
    }

    func respond(
        _ request: HTTPRequest, _ path: String, base: String, settle: SandboxSettling
    ) async throws(SandboxError) -> HTTPResponse? {
        guard path.hasPrefix(Self.root) else { return nil }
        if let key = configuration.backendAPIKey, request.headers["authorization"] != "Bearer \(key)" {
            return Self.problem(401, "the bearer key is missing or not known")
        }
        let parts = path.dropFirst(Self.root.count).split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        switch (request.method, parts.count) {
        case ("POST", 1) where parts[0] == "initiate": return try await initiate(request, base)
        case ("GET", 2) where parts[1] == "status":
            guard await book.countStatusCall(parts[0]) else { return Self.problem(503, "the service is unavailable") }
            return .json(200, Self.record(try await find(parts[0])))
        case ("POST", 2) where parts[1] == "cancel":
            return .json(200, Self.record(try await settle(try await find(parts[0]), .cancelled)))
        default: return nil
        }
    }

    private func find(_ id: String) async throws(SandboxError) -> SandboxPayment {
        let payment = try await book.require(PercentEncoding.decode(id) ?? id)
        guard payment.house == .paymentBackend else { throw SandboxError(404, "no payment has the id '\(id.prefix(80))'") }
        return payment
    }

    private func initiate(_ request: HTTPRequest, _ base: String) async throws(SandboxError) -> HTTPResponse {
        guard let json = try? JSON(parsing: request.body) else { return Self.problem(400, "the body is not JSON") }
        for field in ["amount", "currency", "payment_method", "callback_url"] where (json[field]?.string ?? json[field]?.numberText ?? "").isEmpty {
            return Self.problem(422, "\(field) is required")
        }
        let method = json["payment_method"]?.string ?? ""
        guard ["mobile_money", "credit_card"].contains(method) else { return Self.problem(422, "payment_method is mobile_money or credit_card") }
        // The same key is the same payment: a repeat after a time-out makes no second one.
        let seed = request.headers["idempotency-key"].map { Digest.sha256Hex(Array($0.utf8)) } ?? Hex.encode(SecureRandom.bytes(16))
        let reference = "ext_\(seed.prefix(20))"
        var payment = SandboxPayment(
            house: .paymentBackend, reference: reference, token: reference, amount: json["amount"]?.string ?? json["amount"]?.numberText ?? "",
            currency: json["currency"]?.string ?? "", description: json["metadata"]?["description"]?.string ?? "",
            metadata: json["metadata"] ?? .null,
            method: method, notifyURL: json["callback_url"]?.string ?? "", returnURL: json["return_url"]?.string, createdAtMs: WallClock.nowMs)
        if let steps = json["metadata"]?["sandbox"]?.string { payment.scenario = try Scenario(text: steps) }
        let entered = try await book.enter(payment)
        let url = "\(base)/payment-backend/pay/\(entered.payment.token)"
        return .json(
            entered.isNew ? 201 : 200,
            [
                "external_payment_id": .string(entered.payment.reference), "payment_url": .string(url), "qr_code": .string(url),
                "status": "pending", "expires_at": .string(Timestamp.rfc3339(entered.payment.createdAtMs + 3_600_000)),
            ])
    }

    // MARK: Callbacks

    /// A notice keeps its id however often it is posted; each try signs its own time.
    func notice(_ payment: SandboxPayment, _ notice: NotificationPlan.Notice, delayMs: Int64) -> Parcel? {
        var told = payment
        if notice == .waiting { told.state = .waiting }
        let body = Self.record(told).bytes
        let status = Self.status(told.state)
        let id = "msg_\(Digest.sha256Hex(Array("\(payment.reference) \(payment.createdAtMs) \(status)".utf8)).prefix(24))"
        let headers: @Sendable (Int64) -> HTTPHeaders
        if let signer {
            headers = { nowMs in
                var headers = signer.headers(id: id, timestamp: nowMs / 1000, body: body)
                headers["content-type"] = "application/json"
                return headers
            }
        } else if let secret = configuration.backendSecret {
            let signature = Hex.encode(HMACSHA256(key: secret).authenticate(body))
            headers = { _ in ["content-type": "application/json", "x-webhook-signature": "sha256=\(signature)"] }
        } else {
            headers = { _ in ["content-type": "application/json"] }
        }
        return Parcel(url: payment.notifyURL, headers: headers, body: body, label: status, delayMs: delayMs)
    }

    private static func record(_ payment: SandboxPayment) -> JSON {
        [
            "external_payment_id": .string(payment.reference), "status": .string(status(payment.state)), "amount": .string(payment.statedAmount),
            "currency": .string(payment.statedCurrency), "payment_method": .optional(payment.method), "metadata": payment.metadata,
            "created_at": .string(Timestamp.rfc3339(payment.createdAtMs)),
            "completed_at": payment.state == .paid ? .optional(payment.settledAtMs.map { Timestamp.rfc3339($0) }) : .null,
        ]
    }

    private static func status(_ state: SandboxPayment.State) -> String {
        switch state {
        case .created: "pending"
        case .waiting: "processing"
        case .paid: "completed"
        case .refused: "failed"
        case .cancelled: "cancelled"
        }
    }

    private static func problem(_ status: Int, _ detail: String) -> HTTPResponse { .json(status, ["detail": .string(detail)]) }
}
