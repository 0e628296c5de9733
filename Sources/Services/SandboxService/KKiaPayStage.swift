import Cryptography
import Formats
import HTTPServer

/// Plays KKiaPay: the widget and its script, the calls about a transaction, and the posts with the shared secret.
struct KKiaPayStage: HouseStage {
    let house = SandboxPayment.House.kkiapay
    let label = "KKiaPay"
    let configuration: SandboxConfiguration
    let book: SandboxBook

    private var keys: HouseKeys { configuration.houses["kkiapay"] ?? HouseKeys() }

    /// The widget is the customer's: what becomes of a payment there is no call of ours.
    func purpose(of request: HTTPRequest, _ path: String) -> CallPurpose? {
        switch path {
        case "/api/v1/payments/request": .start
        case "/api/v1/transactions/status", "/api/v1/transactions/revert": .other
        default: nil
        }
    }

    func respond(
        _ request: HTTPRequest, _ path: String, base: String, settle: SandboxSettling
    ) async throws(SandboxError) -> HTTPResponse? {
        switch (request.method, path) {
        case ("GET", "/k.js"): return KKiaPayWidget.script
        case ("GET", "/widget"): return KKiaPayWidget.page(try form(request.query.map { Array($0.utf8) } ?? []))
        case ("POST", "/widget"): return try await widget(request, settle)
        case ("POST", "/api/v1/payments/request"): return try await paymentRequest(request, settle)
        case ("POST", "/api/v1/transactions/status"): return try await status(request)
        case ("POST", "/api/v1/transactions/revert"): return try await revert(request)
        default: return nil
        }
    }

    // MARK: The customer

    /// What is filled in at the widget: `action` is pay, refuse, poor or cancel.
    private func widget(_ request: HTTPRequest, _ settle: SandboxSettling) async throws(SandboxError) -> HTTPResponse {
        let isJSON = request.headers["content-type"]?.contains("json") == true
        let fields = isJSON ? try Self.fields(try Self.object(request.body)) : try form(request.body)
        let action = fields["action"] ?? "pay"
        guard ["pay", "refuse", "poor", "cancel"].contains(action) else { throw SandboxError(400, "field 'action' is pay, refuse, poor or cancel") }
        // Who closes the widget leaves nothing behind.
        guard action != "cancel" else { return isJSON ? .json(200, ["closed": true]) : KKiaPayWidget.closed(fields) }
        let transaction = try await enter(fields)
        let settled = try await decide(transaction, TestPhone(fields["phone"] ?? "") ?? Self.customer(action), settle)
        guard isJSON else { return KKiaPayWidget.ended(settled, status: Self.status(of: settled), fields) }
        return .json(200, ["transactionId": .string(settled.reference), "status": .string(Self.status(of: settled))])
    }

    private static func customer(_ action: String) -> TestPhone {
        switch action {
        case "refuse": .cancels
        case "poor": .lacksFunds
        default: .pays
        }
    }

    /// The call that older widgets make: a push to the phone, which somebody answers by `/sandbox/pay`.
    private func paymentRequest(_ request: HTTPRequest, _ settle: SandboxSettling) async throws(SandboxError) -> HTTPResponse {
        if let fault = faultOfKeys(request) { return fault }
        var fields = try Self.fields(try Self.object(request.body))
        fields["phone"] = fields["phoneNumber"]
        fields["data"] = fields["stateData"]
        fields["key"] = request.headers["x-api-key"]
        var transaction = try await enter(fields)
        if let customer = TestPhone(fields["phone"] ?? "") {
            transaction = try await decide(transaction, customer, settle)
        } else {
            transaction = try await book.move(transaction.reference, to: .waiting)
        }
        return .json(200, ["transactionId": .string(transaction.reference), "status": .string(Self.status(of: transaction))])
    }

    private func decide(_ transaction: SandboxPayment, _ customer: TestPhone, _ settle: SandboxSettling) async throws(SandboxError) -> SandboxPayment
    {
        switch customer {
        case .pays: return try await settle(transaction, .paid)
        case .cancels: return try await settle(transaction, .refused)
        case .lacksFunds:
            try await book.setFault(.insufficientFunds, of: transaction.reference)
            return try await settle(transaction, .refused)
        case .neverAnswers: return try await book.move(transaction.reference, to: .waiting)
        }
    }

    private func enter(_ fields: [String: String]) async throws(SandboxError) -> SandboxPayment {
        if let key = keys.values["public_key"], fields["key"] != key { throw SandboxError(401, "field 'key' is no public key of this account") }
        guard let amount = fields["amount"], let units = Int64(amount), units > 0 else {
            throw SandboxError(400, "field 'amount' is no whole number")
        }
        let data = fields["data"] ?? ""
        let state = (try? JSON(parsing: data)) ?? .string(data)
        // A widget that shows cards alone is paid by card; who is shown both pays by phone.
        let methods = fields["paymentmethod"] ?? fields["paymentmethods"] ?? ""
        var transaction = SandboxPayment(
            house: .kkiapay, reference: Self.number(), token: Hex.encode(SecureRandom.bytes(16)), amount: amount, currency: "XOF",
            description: fields["reason"] ?? "", metadata: state, method: methods.contains("card") && !methods.contains("momo") ? "card" : "momo",
            notifyURL: "\(configuration.ingestURL)/webhooks/kkiapay", returnURL: fields["callback"], createdAtMs: WallClock.nowMs)
        transaction.scenario = .ofAmount(amount)
        transaction.details = [
            "state": .string(data), "partner": .string(fields["partnerId"] ?? ""), "phone": .string(fields["phone"] ?? ""),
            "name": .string(fields["name"] ?? ""), "email": .string(fields["email"] ?? ""),
        ]
        return try await book.enter(transaction).payment
    }

    // MARK: The API

    private func status(_ request: HTTPRequest) async throws(SandboxError) -> HTTPResponse {
        if let fault = faultOfKeys(request) { return fault }
        guard let number = try Self.object(request.body)["transactionId"]?.string else { return Self.fault(400, "transactionId is missing") }
        guard await book.countStatusCall(number) else { return .html(503, "<html><body>Service unavailable</body></html>") }
        guard let transaction = await find(number) else { return Self.unknown }
        let paid = transaction.state == .paid
        let amount = Int64(transaction.statedAmount) ?? 0
        let fees = paid ? Self.fees(amount) : 0
        let performed = JSON.string(Timestamp.rfc3339(transaction.settledAtMs ?? transaction.createdAtMs))
        let failure = Self.failureCode(transaction)
        return .json(
            200,
            [
                "performed_at": performed, "received_at": .int(transaction.createdAtMs), "type": "DEBIT",
                "status": .string(Self.status(of: transaction)), "source": .string(Self.isCard(transaction) ? "CARD" : "MOBILE_MONEY"),
                "source_common_name": .string(Self.isCard(transaction) ? "visa-local" : "mtn-benin"), "amount": .int(amount), "fees": .int(fees),
                "isFeesBorneByMerchant": true, "net": .int(paid ? amount - fees : 0), "paymentlink": nil, "country": "BJ",
                "reason": .string(transaction.description), "state": transaction.details["state"] ?? "",
                "partnerId": transaction.details["partner"] ?? nil, "is_payout": false, "is_counted": false, "wallet": "", "sharedTransaction": nil,
                "client": [
                    "fullname": transaction.details["name"] ?? "", "phone": transaction.details["phone"] ?? "",
                    "email": transaction.details["email"] ?? "",
                ],
                "session": "", "transactionId": .string(transaction.reference), "performedAt": performed, "externalTransactionId": nil,
                "failureCode": .optional(failure), "failureMessage": .optional(failure),
            ])
    }

    private func revert(_ request: HTTPRequest) async throws(SandboxError) -> HTTPResponse {
        if let fault = faultOfKeys(request) { return fault }
        guard let number = try Self.object(request.body)["transactionId"]?.string, let transaction = await find(number) else { return Self.unknown }
        let id = JSON.string(transaction.reference)
        guard !Self.isCard(transaction) else { return .json(400, ["code": "INVALID_TRANSACTION_TYPE", "transactionId": id]) }
        guard transaction.state == .paid, transaction.refundedAtMs == nil else {
            return .json(400, ["code": "TRANSACTION_NOT_ELIGIBLE", "transactionId": id])
        }
        _ = try await book.refund(transaction.reference)
        return .json(200, ["code": "SUCCESS", "description": "REVERTED", "transactionId": id])
    }

    private func find(_ number: String) async -> SandboxPayment? {
        // Its numbers only, not what we call it.
        guard let transaction = await book.find(number), transaction.house == .kkiapay, transaction.reference == number else { return nil }
        return transaction
    }

    /// Some official kits send the public key alone.
    private func faultOfKeys(_ request: HTTPRequest) -> HTTPResponse? {
        let expected = [("x-api-key", "public_key"), ("x-private-key", "private_key"), ("x-secret-key", "secret")]
        for (header, key) in expected {
            guard let value = keys.values[key] else { continue }
            if let sent = request.headers[header] {
                if sent != value { return .json(401, ["status": "INVALID_API_KEY", "reason": .string("\(header) is not known")]) }
            } else if key == "public_key" {
                return .json(401, ["status": "INVALID_API_KEY", "reason": .string("\(header) is missing")])
            }
        }
        return nil
    }

    // MARK: Notifications

    /// Five tries, each after a longer pause: over in 7.5 seconds, and whatever is not 2xx counts as not received.
    static let firstDelayMs: Int64 = 500
    static let pauses: [Duration] = [.milliseconds(1000), .milliseconds(1500), .milliseconds(2000), .milliseconds(2500)]

    func notice(_ payment: SandboxPayment, _ notice: NotificationPlan.Notice, delayMs: Int64) -> Parcel? {
        // Nothing is posted of a payment that waits.
        guard notice == .final, payment.state.isFinal else { return nil }
        let paid = payment.state == .paid
        let amount = Int64(payment.statedAmount) ?? 0
        var body: [(String, JSON)] = [("transactionId", .string(payment.reference)), ("isPaymentSucces", .bool(paid))]
        if let code = Self.failureCode(payment) { body += [("failureCode", .string(code)), ("failureMessage", .string(code))] }
        body += [
            ("account", payment.details["phone"] ?? ""), ("label", ""), ("method", .string(Self.isCard(payment) ? "CARD" : "MOBILE_MONEY")),
            ("amount", .int(amount)), ("fees", .int(paid ? Self.fees(amount) : 0)), ("partnerId", payment.details["partner"] ?? ""),
            ("performedAt", .string(Timestamp.rfc3339(payment.settledAtMs ?? payment.createdAtMs))), ("stateData", payment.details["state"] ?? ""),
            ("event", paid ? "transaction.success" : "transaction.failed"),
        ]
        var headers: HTTPHeaders = ["content-type": "application/json"]
        if let secret = keys.secrets.first { headers["x-kkiapay-secret"] = secret }
        return Parcel(
            url: payment.notifyURL, headers: { [headers] _ in headers }, body: JSON.object(JSONObject(body)).bytes,
            label: paid ? "transaction.success" : "transaction.failed", delayMs: Self.firstDelayMs + delayMs, tries: Self.pauses.count + 1,
            pauses: Self.pauses, repeatsRefusals: true)
    }

    func leave(_ payment: SandboxPayment) -> HTTPResponse? {
        payment.returnURL.map { .redirect(303, KKiaPayWidget.address($0, transaction: payment.reference)) }
    }

    // MARK: Words

    private static func status(of transaction: SandboxPayment) -> String {
        switch transaction.state {
        case .created: "INIT"
        case .waiting: "PENDING"
        case .paid: transaction.refundedAtMs == nil ? "SUCCESS" : "REVERTED"
        case .refused, .cancelled: transaction.fault == .insufficientFunds ? "INSUFFICIENT_FUND" : "FAILED"
        }
    }

    private static func failureCode(_ transaction: SandboxPayment) -> String? {
        switch transaction.state {
        case .refused: transaction.fault == .insufficientFunds ? "insufficient_fund" : "payment_declined"
        case .cancelled: "processing_error"
        case .created, .waiting, .paid: nil
        }
    }

    private static func isCard(_ transaction: SandboxPayment) -> Bool { transaction.method == "card" }

    /// 1.9 percent, as on the page of the webhook.
    private static func fees(_ amount: Int64) -> Int64 { amount / 1000 * 19 + amount % 1000 * 19 / 1000 }

    private static let unknown = HTTPResponse.json(404, ["status": 4003, "reason": "TRANSACTION_NOT_FOUND"])

    private static func fault(_ status: Int, _ reason: String) -> HTTPResponse {
        .json(status, ["status": .int(Int64(status)), "reason": .string(reason)])
    }

    /// Nine letters and digits, upper and lower case.
    private static func number() -> String {
        let signs = Array("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789".utf8)
        return String(decoding: SecureRandom.bytes(9).map { signs[Int($0) % signs.count] }, as: UTF8.self)
    }

    // MARK: Reading

    private static func object(_ body: [UInt8]) throws(SandboxError) -> JSON {
        guard let json = try? JSON(parsing: body), json.object != nil else { throw SandboxError(400, "the body is not a JSON object") }
        return json
    }

    private static func fields(_ json: JSON) throws(SandboxError) -> [String: String] {
        Dictionary(
            (json.object ?? [:]).map { member in
                (member.key, member.value.string ?? (member.value.isNull ? "" : member.value.text))
            }, uniquingKeysWith: { first, _ in first })
    }

    private func form(_ bytes: [UInt8]) throws(SandboxError) -> [String: String] {
        guard let fields = try? FormURLEncoded.parse(bytes) else { throw SandboxError(400, "the form cannot be read") }
        return Dictionary(fields.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    }
}
