import Cryptography
import Formats
import HTTPServer

/// Plays CinetPay's checkout v2: payment, check, pay page and notifications with their token.
struct CinetPayStage: HouseStage {
    let house = SandboxPayment.House.cinetPay
    let label = "CinetPay"
    let configuration: SandboxConfiguration
    let book: SandboxBook

    func purpose(of request: HTTPRequest, _ path: String) -> CallPurpose? {
        switch path {
        case "/v2/payment": .start
        case "/v2/payment/check": .other
        default: nil
        }
    }

    func respond(
        _ request: HTTPRequest, _ path: String, base: String, settle: SandboxSettling
    ) async throws(SandboxError) -> HTTPResponse? {
        switch (request.method, path) {
        case ("POST", "/v2/payment"): await initiate(request, base)
        case ("POST", "/v2/payment/check"): await check(request)
        default: nil
        }
    }

    private func initiate(_ request: HTTPRequest, _ base: String) async -> HTTPResponse {
        guard let json = try? JSON(parsing: request.body) else { return Self.fault("608", "MINIMUM_REQUIRED_FIELDS", "the body is not JSON") }
        if let fault = faultOfKeys(json) { return fault }
        let required = ["transaction_id", "currency", "description", "notify_url", "return_url"]
        for field in required where (json[field]?.string ?? "").isEmpty {
            return Self.fault("608", "MINIMUM_REQUIRED_FIELDS", "\(field) is missing")
        }
        guard let amount = json["amount"]?.int, amount > 0 else { return Self.fault("608", "MINIMUM_REQUIRED_FIELDS", "amount is no whole number") }
        let currency = json["currency"]?.string ?? ""
        guard ["XOF", "XAF", "CDF", "GNF", "USD"].contains(currency) else { return Self.fault("608", "MINIMUM_REQUIRED_FIELDS", "currency") }
        guard currency == "USD" || (amount % 5 == 0 && amount >= 100) else { return Self.fault("641", "ERROR_AMOUNT_TOO_LOW", "amount") }
        let token = Hex.encode(SecureRandom.bytes(34))
        var payment = SandboxPayment(
            house: .cinetPay, reference: json["transaction_id"]?.string ?? "", token: token, amount: String(amount), currency: currency,
            description: json["description"]?.string ?? "", metadata: json["metadata"] ?? .null, method: nil,
            notifyURL: json["notify_url"]?.string ?? "", returnURL: json["return_url"]?.string, createdAtMs: WallClock.nowMs)
        payment.scenario = .ofAmount(String(amount))
        do throws(SandboxError) {
            let entered = try await book.enter(payment).payment
            return .json(
                200,
                [
                    "code": "201", "message": "CREATED", "description": "Transaction created with success",
                    "data": ["payment_token": .string(entered.token), "payment_url": .string("\(base)/cinetpay/pay/\(entered.token)")],
                    "api_response_id": .string(Self.responseID()),
                ])
        } catch {
            return Self.fault("603", "SERVICE_UNAVAILABLE", error.description)
        }
    }

    private func check(_ request: HTTPRequest) async -> HTTPResponse {
        guard let json = try? JSON(parsing: request.body) else { return Self.fault("608", "MINIMUM_REQUIRED_FIELDS", "the body is not JSON") }
        if let fault = faultOfKeys(json) { return fault }
        guard let name = json["transaction_id"]?.string ?? json["token"]?.string else {
            return Self.fault("608", "MINIMUM_REQUIRED_FIELDS", "transaction_id or token is missing")
        }
        guard await book.countStatusCall(name) else { return .html(503, "<html><body>Service unavailable</body></html>") }
        guard let payment = await book.find(name), payment.house == .cinetPay else {
            return Self.fault("624", "UNKNOWN_ERROR", "no such transaction")
        }
        let answer = Self.answer(for: payment.state)
        let paid = payment.state == .paid
        return .json(
            200,
            [
                "code": .string(answer.code), "message": .string(answer.message),
                "data": [
                    "amount": .string(payment.statedAmount), "currency": .string(payment.statedCurrency), "status": .string(answer.status),
                    "payment_method": "OM", "description": .string(payment.description), "metadata": payment.metadata,
                    "operator_id": paid ? .string("MP\(payment.token.prefix(12))") : .null,
                    "payment_date": .string(paid ? Self.date(payment.settledAtMs ?? payment.createdAtMs) : " "),
                ], "api_response_id": .string(Self.responseID()),
            ])
    }

    /// What check says, and the same word in a notification.
    private static func answer(for state: SandboxPayment.State) -> (code: String, message: String, status: String) {
        switch state {
        case .created: ("662", "WAITING_CUSTOMER_PAYMENT", "PENDING")
        case .waiting: ("623", "WAITING_CUSTOMER_TO_VALIDATE", "WAITING_FOR_CUSTOMER")
        case .paid: ("00", "SUCCES", "ACCEPTED")
        case .refused: ("600", "PAYMENT_FAILED", "REFUSED")
        case .cancelled: ("627", "TRANSACTION_CANCEL", "REFUSED")
        }
    }

    // MARK: Notifications

    /// The availability ping that comes before the first notification.
    func prelude(_ payment: SandboxPayment) -> [Parcel] {
        [Parcel(url: payment.notifyURL, headers: { _ in [:] }, body: [], label: "availability ping", method: "GET", tries: 1)]
    }

    /// It sends the browser back by a POST from its own site.
    func leave(_ payment: SandboxPayment) -> HTTPResponse? {
        payment.returnURL.map { PayPage.post(["transaction_id": payment.reference, "token": payment.token], to: $0) }
    }

    /// The same notice is the same bytes however often it is posted.
    func notice(_ payment: SandboxPayment, _ notice: NotificationPlan.Notice, delayMs: Int64) -> Parcel? {
        let message = Self.answer(for: notice == .waiting ? .waiting : payment.state).message
        let fields = [
            ("cpm_site_id", configuration.cinetPaySiteID ?? ""), ("cpm_trans_id", payment.reference),
            ("cpm_trans_date", Self.date(payment.createdAtMs)), ("cpm_amount", payment.statedAmount), ("cpm_currency", payment.statedCurrency),
            ("signature", Digest.sha256Hex(Array(payment.token.utf8)) + "4417"), ("payment_method", "OM"), ("cel_phone_num", "0707123456"),
            ("cpm_phone_prefixe", "225"), ("cpm_language", "fr"), ("cpm_version", "V4"), ("cpm_payment_config", "SINGLE"),
            ("cpm_page_action", "PAYMENT"), ("cpm_custom", payment.metadata.string ?? ""), ("cpm_designation", payment.description),
            ("cpm_error_message", message),
        ]
        var headers: HTTPHeaders = ["content-type": "application/x-www-form-urlencoded"]
        if let secret = configuration.cinetPaySecret {
            headers["x-token"] = Hex.encode(HMACSHA256(key: secret).authenticate(Array(fields.map(\.1).joined().utf8)))
        }
        return Parcel(
            url: payment.notifyURL, headers: { [headers] _ in headers }, body: Array(FormURLEncoded.encode(fields).utf8), label: message,
            delayMs: delayMs)
    }

    /// `2026-03-14 09:26:53`
    static func date(_ ms: Int64) -> String { String(Timestamp.rfc3339(ms).prefix(19).replacing("T", with: " ")) }

    private func faultOfKeys(_ json: JSON) -> HTTPResponse? {
        if let key = configuration.cinetPayAPIKey, json["apikey"]?.string != key {
            return Self.fault("609", "AUTH_NOT_FOUND", "apikey is not known")
        }
        if let site = configuration.cinetPaySiteID, (json["site_id"]?.string ?? json["site_id"]?.numberText) != site {
            return Self.fault("613", "ERROR_SITE_ID_NOTVALID", "site_id is not valid")
        }
        return nil
    }

    private static func fault(_ code: String, _ message: String, _ description: String) -> HTTPResponse {
        .json(
            200,
            [
                "code": .string(code), "message": .string(message), "description": .string(description), "api_response_id": .string(responseID()),
            ])
    }

    private static func responseID() -> String {
        let now = WallClock.nowMs
        return "\(now / 1000).\(now % 1000)"
    }
}
