import Cryptography
import Formats
import HTTPServer

/// Plays Orange Money Web Payment: token, webpayment, transactionstatus, the page where the customer confirms, and the notification.
///
/// Orange tells only what the customer confirmed: who leaves or cancels is never told of, and the attempt stays `INITIATED`.
struct OrangeMoneyStage: HouseStage {
    let house = SandboxPayment.House.orangeMoney
    let label = "Orange Money Web Payment"
    let configuration: SandboxConfiguration
    let book: SandboxBook
    /// Tokens are texts that prove themselves: the second they end at, and a code over it.
    private let tokenKey = HMACSHA256(key: SecureRandom.bytes(32))

    static let tokenPath = "/oauth/v3/token"
    static let root = "/orange-money-webpay/"
    static let tokenLifeSeconds: Int64 = 3600
    /// A payment confirmed later than this after its start is `EXPIRED`.
    static let confirmedWithinMs: Int64 = 10 * 60_000

    init(configuration: SandboxConfiguration, book: SandboxBook) {
        self.configuration = configuration
        self.book = book
    }

    private var keys: HouseKeys? { configuration.houses[house.rawValue] }

    func purpose(of request: HTTPRequest, _ path: String) -> CallPurpose? {
        guard path == Self.tokenPath || path.hasPrefix(Self.root) else { return nil }
        return path.hasSuffix("/webpayment") ? .start : .other
    }

    func respond(
        _ request: HTTPRequest, _ path: String, base: String, settle: SandboxSettling
    ) async throws(SandboxError) -> HTTPResponse? {
        if request.method == "POST", path == Self.tokenPath { return token(request) }
        guard request.method == "POST", path.hasPrefix(Self.root) else { return nil }
        let parts = path.dropFirst(Self.root.count).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[1] == "v1" else { return Self.fault(404, 60, "Resource not found", "no such offer") }
        if let fault = faultOfToken(request) { return fault }
        guard let json = try? JSON(parsing: request.body), json.object != nil else {
            return Self.fault(400, 22, "Invalid body", "the body is not a JSON object")
        }
        switch parts[2] {
        case "webpayment": return await start(json, country: String(parts[0]), base)
        case "transactionstatus": return await status(json)
        default: return Self.fault(404, 60, "Resource not found", "no such call")
        }
    }

    // MARK: Token

    private func token(_ request: HTTPRequest) -> HTTPResponse {
        guard request.headers["accept"]?.contains("application/json") == true else {
            return Self.fault(406, 62, "Not acceptable", "Accept must name application/json")
        }
        if let id = keys?.values["client_id"], let secret = keys?.values["client_secret"] {
            guard request.headers["authorization"] == "Basic " + Base64.encode(Array("\(id):\(secret)".utf8)) else {
                return Self.fault(401, 41, "Invalid credentials", "The requested service needs credentials, and the ones provided were invalid.")
            }
        }
        let fields = (try? FormURLEncoded.parse(request.body)) ?? []
        guard fields.contains(where: { $0.name == "grant_type" && $0.value == "client_credentials" }) else {
            return Self.fault(400, 23, "Missing body field", "grant_type must be client_credentials, in a form")
        }
        let end = String(WallClock.nowMs / 1000 + Self.tokenLifeSeconds)
        // The life is a text, as Orange's own is.
        return .json(
            200,
            [
                "token_type": "Bearer", "access_token": .string("\(end).\(code(end))"), "expires_in": .string(String(Self.tokenLifeSeconds)),
            ])
    }

    private func code(_ end: String) -> String { Base64.urlEncode(Array(tokenKey.authenticate(Array(end.utf8)).prefix(18))) }

    private func faultOfToken(_ request: HTTPRequest) -> HTTPResponse? {
        let bearer = request.headers["authorization"] ?? ""
        guard bearer.hasPrefix("Bearer ") else { return Self.fault(401, 40, "Missing credentials", "The requested service needs credentials.") }
        let parts = bearer.dropFirst("Bearer ".count).split(separator: ".", maxSplits: 1).map(String.init)
        guard parts.count == 2, let end = Int64(parts[0]), code(parts[0]) == parts[1] else {
            return Self.fault(401, 41, "Invalid credentials", "The requested service needs credentials, and the ones provided were invalid.")
        }
        guard end > WallClock.nowMs / 1000 else {
            return Self.fault(401, 42, "Expired credentials", "The requested service needs credentials, and the ones provided were out-of-date.")
        }
        return nil
    }

    // MARK: Calls

    private func start(_ json: JSON, country: String, _ base: String) async -> HTTPResponse {
        for field in ["merchant_key", "currency", "order_id", "return_url", "cancel_url", "notif_url"] where (json[field]?.string ?? "").isEmpty {
            return Self.missing("WebPaymentInfo", field)
        }
        guard let amount = json["amount"]?.int, amount > 0 else { return Self.invalid("amount", "a whole number above 0") }
        if let key = keys?.values["merchant_key"], json["merchant_key"]?.string != key {
            return Self.fault(403, 50, "Access denied", "the merchant key is not known")
        }
        let isTrial = country == "dev"
        guard (json["currency"]?.string == "OUV") == isTrial else { return Self.invalid("currency", isTrial ? "OUV on dev" : "the country's") }
        for (field, most) in [("order_id", 30), ("reference", 30), ("return_url", 120), ("cancel_url", 120), ("notif_url", 120)]
        where (json[field]?.string ?? "").utf8.count > most { return Self.invalid(field, "at most \(most) characters") }
        let payToken = Hex.encode(SecureRandom.bytes(32))
        let notifyURL = json["notif_url"]?.string ?? ""
        var metadata: [(String, JSON)] = [("cancel_url", json["cancel_url"] ?? .null)]
        if let payment = Self.payment(in: notifyURL) { metadata.append(("payment", .string(payment))) }
        var payment = SandboxPayment(
            house: house, reference: json["order_id"]?.string ?? "", token: payToken, amount: String(amount),
            currency: json["currency"]?.string ?? "", description: json["reference"]?.string ?? "", metadata: .object(JSONObject(metadata)),
            method: nil, notifyURL: notifyURL, returnURL: json["return_url"]?.string, createdAtMs: WallClock.nowMs)
        payment.scenario = .ofAmount(String(amount))
        do throws(SandboxError) {
            // What Orange itself answers to an order_id that was used is not known; that it must be unique is.
            guard try await book.enter(payment).isNew else { return Self.invalid("order_id", "not used before") }
        } catch {
            return Self.fault(503, 5, "Service unavailable", error.description)
        }
        return .json(
            201,
            [
                "status": 201, "message": "OK", "pay_token": .string(payToken),
                "payment_url": .string("\(base)/orange-money/pay/\(payToken)"), "notif_token": .string(Self.notifyToken(payment)),
            ])
    }

    private func status(_ json: JSON) async -> HTTPResponse {
        guard let order = json["order_id"]?.string, !order.isEmpty else { return Self.missing("GetTransactionStatusInfo", "order_id") }
        guard let token = json["pay_token"]?.string, !token.isEmpty else { return Self.missing("GetTransactionStatusInfo", "pay_token") }
        guard let amount = json["amount"]?.int else { return Self.missing("GetTransactionStatusInfo", "amount") }
        guard await book.countStatusCall(order) else { return Self.fault(503, 5, "Service unavailable", "The service is unavailable.") }
        guard let payment = await book.find(order), payment.house == house, payment.reference == order, payment.token == token else {
            return Self.fault(404, 60, "Resource not found", "no such transaction")
        }
        // Another amount is another payment: Orange has none to tell, so it can only be asked with.
        guard payment.statedAmount == String(amount) else { return Self.invalid("amount", "the one of the transaction") }
        var members: [(String, JSON)] = [("status", .string(Self.word(payment))), ("order_id", .string(order))]
        if Self.word(payment) == "SUCCESS" { members.append(("txnid", .string(Self.transaction(payment)))) }
        return .json(201, .object(JSONObject(members)))
    }

    private static func word(_ payment: SandboxPayment) -> String {
        if let at = payment.settledAtMs, at - payment.createdAtMs > confirmedWithinMs, payment.state != .cancelled { return "EXPIRED" }
        return switch payment.state {
        case .created, .cancelled: "INITIATED"
        case .waiting: "PENDING"
        case .paid: "SUCCESS"
        case .refused: "FAILED"
        }
    }

    // MARK: Notifications and the way back

    /// Only what was confirmed and is over is told.
    func notice(_ payment: SandboxPayment, _ notice: NotificationPlan.Notice, delayMs: Int64) -> Parcel? {
        let word = Self.word(payment)
        guard notice == .final, word == "SUCCESS" || word == "FAILED" else { return nil }
        let body: JSON = [
            "status": .string(word), "notif_token": .string(Self.notifyToken(payment)), "txnid": .string(Self.transaction(payment)),
        ]
        return Parcel(
            url: payment.notifyURL, headers: { _ in ["content-type": "application/json"] }, body: body.bytes, label: word, delayMs: delayMs)
    }

    func leave(_ payment: SandboxPayment) -> HTTPResponse? {
        guard payment.state == .cancelled, let url = payment.metadata["cancel_url"]?.string, url.hasPrefix("http") else { return nil }
        return .redirect(303, url)
    }

    private static func notifyToken(_ payment: SandboxPayment) -> String { String(Digest.sha256Hex(Array("notif \(payment.token)".utf8)).prefix(32)) }

    /// `MP251121.0802.A45213`
    private static func transaction(_ payment: SandboxPayment) -> String {
        let at = Timestamp.rfc3339(payment.settledAtMs ?? payment.createdAtMs).filter(\.isNumber)
        return "MP\(at.dropFirst(2).prefix(6)).\(at.dropFirst(8).prefix(4)).\(payment.token.prefix(10).uppercased())"
    }

    /// The payment that the address was made for, so that it can be named by it.
    static func payment(in notifyURL: String) -> String? { notifyURL.split(separator: "/").first { $0.hasPrefix("pay_") }.map(String.init) }

    private static func missing(_ type: String, _ field: String) -> HTTPResponse {
        fault(400, 23, "Missing body field", "Key: '\(type).\(field)' Error:Field validation for '\(field)' failed on the 'required' tag")
    }

    private static func invalid(_ field: String, _ rule: String) -> HTTPResponse { fault(400, 24, "Invalid body field", "\(field): \(rule)") }

    private static func fault(_ status: Int, _ code: Int64, _ message: String, _ description: String) -> HTTPResponse {
        .json(status, ["code": .int(code), "message": .string(message), "description": .string(description)])
    }
}
