import Cryptography
import Formats
import HTTPServer
import Synchronization

/// Plays iCount's API v3: session or token, payment page, notification ("IPN"), charges, documents and their webhook.
///
/// As there, a refusal is HTTP 200 with `status` false, numbers come as texts, and failures are told to nobody.
struct ICountStage: HouseStage {
    let house = SandboxPayment.House.iCount
    let label = "iCount"
    let configuration: SandboxConfiguration
    let book: SandboxBook
    let office = ICountOffice()

    static let root = "/api/v3.php/"
    static let doctype = "invrec"
    static let currencies = ["ILS", "USD", "EUR"]

    private var keys: HouseKeys? { configuration.houses[house.rawValue] }

    func purpose(of request: HTTPRequest, _ path: String) -> CallPurpose? {
        guard path.hasPrefix(Self.root) else { return nil }
        return path == Self.root + "paypage/generate_sale" ? .start : .other
    }

    func respond(
        _ request: HTTPRequest, _ path: String, base: String, settle: SandboxSettling
    ) async throws(SandboxError) -> HTTPResponse? {
        guard request.method == "POST", path.hasPrefix(Self.root) else { return nil }
        guard let json = try? JSON(parsing: request.body), json.object != nil else {
            return Self.refusal("bad_request", "the body is not a JSON object")
        }
        let method = path.dropFirst(Self.root.count)
        if method == "auth/login" { return logIn(json) }
        guard isKnown(request, json) else { return Self.refusal("auth_required", "the session or the token is not known") }
        switch method {
        case "auth/info", "auth/logout": return Self.answer([:])
        case "paypage/get_list": return Self.answer(["paypages": [Self.page(paypageID)]])
        case "paypage/info": return Self.answer(["paypage_info": Self.page(paypageID)])
        case "paypage/generate_sale": return try await generateSale(json, base)
        case "cc/transactions": return await transactions(json)
        case "doc/cancel": return await cancelDocument(json)
        case "doc/search": return await searchDocuments(json)
        case "webhook/add": return addWebhook(json)
        default: return Self.refusal("unknown_method", "no method \(method.prefix(80))")
        }
    }

    // MARK: Access

    private var paypageID: Int64 { keys?.values["paypage_id"].flatMap { Int64($0) } ?? 30_512 }

    private func logIn(_ json: JSON) -> HTTPResponse {
        for name in ["cid", "user", "pass"] {
            if let value = keys?.values[name], json[name]?.string != value { return Self.refusal("bad_login", "cid, user or pass is wrong") }
        }
        return Self.answer(["sid": .string(office.beginSession())])
    }

    private func isKnown(_ request: HTTPRequest, _ json: JSON) -> Bool {
        if let sid = json["sid"]?.string { return office.knows(session: sid) }
        let bearer = request.headers["authorization"] ?? ""
        guard let token = keys?.values["api_token"] else { return bearer.hasPrefix("Bearer ") || keys == nil }
        return bearer == "Bearer \(token)"
    }

    // MARK: The page

    private static func page(_ id: Int64) -> JSON { ["paypage_id": .string(String(id)), "page_name": "Sandbox", "doctype": .string(doctype)] }

    private func generateSale(_ json: JSON, _ base: String) async throws(SandboxError) -> HTTPResponse {
        guard let page = json["paypage_id"]?.int ?? json["paypage_id"]?.string.flatMap({ Int64($0) }), page == paypageID else {
            return Self.refusal("missing_paypage_id", "Missing paypage_id")
        }
        guard json["custom_client_id"] == nil else { return Self.refusal("client_not_found", "no such client") }
        let item = json["items"]?[0]
        guard let amount = (item?["unitprice_incl"] ?? json["sum"]).flatMap({ $0.numberText ?? $0.string }), amount.first?.isNumber == true else {
            return Self.refusal("missing_items", "an item with unitprice_incl, or sum")
        }
        let currency = json["currency_code"]?.string ?? "ILS"
        guard Self.currencies.contains(currency) else { return Self.refusal("bad_currency", "currency_code") }
        let token = Hex.encode(SecureRandom.bytes(8))
        let notifyURL = json["ipn_url"]?.string ?? ""
        var metadata: [(String, JSON)] = [
            // By its confirmation code a charge is found, too.
            ("attempt", .string(office.nextConfirmation())), ("cancel_url", json["cancel_url"] ?? .null),
            ("failure_url", json["failure_url"] ?? .null),
            ("utm_content", json["utm_content"] ?? .null), ("client", json["client_name"] ?? .null), ("email", json["email"] ?? .null),
        ]
        if let payment = OrangeMoneyStage.payment(in: notifyURL) { metadata.append(("payment", .string(payment))) }
        var payment = SandboxPayment(
            house: house, reference: json["utm_content"]?.string ?? token, token: token, amount: amount, currency: currency,
            description: item?["description"]?.string ?? json["description"]?.string ?? "", metadata: .object(JSONObject(metadata)), method: nil,
            notifyURL: notifyURL, returnURL: json["success_url"]?.string, createdAtMs: WallClock.nowMs)
        payment.scenario = .ofAmount(String(amount.prefix { $0 != "." }))
        let entered = try await book.enter(payment).payment
        office.note(document: Self.docnum(entered), of: entered.reference)
        return Self.answer([
            "paypage_id": .string(String(page)), "sale_uniqid": .string(entered.token), "sale_sid": .string(Hex.encode(SecureRandom.bytes(16))),
            "sale_url": .string("\(base)/icount/pay/\(entered.token)"),
        ])
    }

    func leave(_ payment: SandboxPayment) -> HTTPResponse? {
        let field = [.cancelled: "cancel_url", .refused: "failure_url"][payment.state] ?? ""
        guard let url = payment.metadata[field]?.string, url.hasPrefix("http") else { return nil }
        return .redirect(303, url)
    }

    // MARK: Charges and documents

    private static func confirmation(_ payment: SandboxPayment) -> String { payment.metadata["attempt"]?.string ?? "" }
    private static func docnum(_ payment: SandboxPayment) -> String {
        Int64(confirmation(payment)).map { String($0 - ICountOffice.firstConfirmation + 3000) } ?? ""
    }
    private static func day(_ payment: SandboxPayment) -> String { Timestamp.date(payment.settledAtMs ?? payment.createdAtMs) }

    private func transactions(_ json: JSON) async -> HTTPResponse {
        guard let code = json["confirmation_code"]?.string else { return Self.refusal("no_results_found", "confirmation_code") }
        guard await book.countStatusCall(code) else { return .html(503, "<html><body>Service unavailable</body></html>") }
        guard let payment = await book.find(code), payment.house == house, payment.state == .paid, Self.confirmation(payment) == code else {
            return Self.refusal("no_results_found", "No results found")
        }
        let entry: JSON = [
            "cc_bill_log_id": .string("88\(Self.docnum(payment))"), "confirmation_code": .string(code), "cctotal": .string(payment.statedAmount),
            "ccfirstpayment": .string(payment.statedAmount), "currency_code": .string(payment.statedCurrency),
            "cc_charge_date": .string(Self.day(payment)), "cc_cardtype": "VISA", "cc_cardnumber": "4555", "cc_numofpayments": "1",
            "docnumber": .string(Self.docnum(payment)), "doctype": .string(Self.doctype), "client_id": "9001", "deal_id": "",
            "refunded": .string(office.isRefunded(payment.reference) ? "1" : "0"), "is_chargeback": "0", "is_3ds": "1",
        ]
        return Self.answer(["results_count": 1, "results_list": [entry]])
    }

    private func cancelDocument(_ json: JSON) async -> HTTPResponse {
        guard json["doctype"]?.string == Self.doctype else { return Self.refusal("bad_doctype", "doctype") }
        guard let number = json["docnum"]?.string ?? json["docnum"]?.numberText, let reference = office.payment(of: number),
            let payment = await book.find(reference), payment.state == .paid
        else { return Self.refusal("doc_not_found", "no such document") }
        guard office.refund(reference) else { return Self.refusal("doc_already_cancelled", "the document is cancelled already") }
        return Self.answer(["doctype": .string(Self.doctype), "docnum": .string(number)])
    }

    private func searchDocuments(_ json: JSON) async -> HTTPResponse {
        let most = Int(json["max_results"]?.int ?? 100)
        let paid = await book.all.filter { $0.house == house && $0.state == .paid }.prefix(max(0, min(most, 100)))
        guard !paid.isEmpty, json["doctype"]?.string ?? Self.doctype == Self.doctype else {
            return Self.refusal("no_results_found", "No results found")
        }
        return Self.answer(["results_count": .int(Int64(paid.count)), "results_list": .array(paid.map(Self.document))])
    }

    private static func document(_ payment: SandboxPayment) -> JSON {
        [
            "doctype": .string(doctype), "docnum": .string(docnum(payment)), "dateissued": .string(day(payment)),
            "timeissued": .string("\(day(payment)) 10:16:48"), "clientname": payment.metadata["client"] ?? .null, "client_id": "9001",
            // The number of the currency, which differs by account: 5 is the shekel in iCount's own example.
            "totalwithvat": .string(payment.statedAmount), "currency": "5",
            "items": [["description": .string(payment.description), "quantity": "1"]],
            "cc_payments": [
                [
                    "id": "8", "doctype": .string(doctype), "docnumber": .string(docnum(payment)), "cc_cardtype": "VISA",
                    "cctotal": .string(payment.statedAmount), "cc_shovar": .string(confirmation(payment)), "cc_cardnumber": "4555", "deal_id": "",
                    "sum": .string(payment.statedAmount), "payment_date": .string(day(payment)),
                ]
            ], "client": ["email": payment.metadata["email"] ?? .null],
        ]
    }

    // MARK: What is posted

    /// A page tells of a charge only.
    func notice(_ payment: SandboxPayment, _ notice: NotificationPlan.Notice, delayMs: Int64) -> Parcel? {
        guard notice == .final, payment.state == .paid else { return nil }
        let fields = [
            ("cp", String(paypageID)), ("sum", payment.statedAmount), ("currency_id", "5"), ("currency_code", payment.statedCurrency),
            ("num_of_payments", "1"), ("confirmation_code", Self.confirmation(payment)), ("doctype", Self.doctype), ("docnum", Self.docnum(payment)),
            ("customer_id", "9001"), ("customer_name", payment.metadata["client"]?.string ?? ""),
            ("customer_email", payment.metadata["email"]?.string ?? ""), ("cc_type", "VISA"), ("cc_last4", "4555"),
            ("payment_date", Self.day(payment)), ("utm_content", payment.metadata["utm_content"]?.string ?? ""),
        ]
        return Parcel(
            url: payment.notifyURL, headers: { _ in ["content-type": "application/x-www-form-urlencoded"] },
            body: Array(FormURLEncoded.encode(fields).utf8), label: "IPN", delayMs: delayMs)
    }

    /// The document of a paid sale, to every address that `webhook/add` named.
    func epilogue(_ payment: SandboxPayment) -> [Parcel] {
        guard payment.state == .paid else { return [] }
        let body = JSON.array([Self.document(payment)]).bytes
        var headers: HTTPHeaders = ["content-type": "application/json"]
        if let secret = keys?.secrets.last { headers["x-icount-secret"] = secret }
        return office.webhooks.map { url in Parcel(url: url, headers: { [headers] _ in headers }, body: body, label: "doc.create") }
    }

    /// The webhook's secret is the last of `ICOUNT_WEBHOOK_SECRET`: the first is the merchant's own.
    private func addWebhook(_ json: JSON) -> HTTPResponse {
        guard json["action"]?.string == "doc.create", let url = json["url"]?.string, url.hasPrefix("http") else {
            return Self.refusal("bad_action", "action doc.create with a url")
        }
        office.add(webhook: url)
        return Self.answer(["webhook_id": "1"])
    }

    private static func answer(_ fields: JSONObject) -> HTTPResponse {
        .json(200, .object(JSONObject([("status", true), ("reason", "OK")] + fields.map { ($0.key, $0.value) })))
    }

    private static func refusal(_ reason: String, _ description: String) -> HTTPResponse {
        .json(200, ["status": false, "reason": .string(reason), "error_description": .string(description), "error_details": []])
    }
}

/// What the played iCount keeps besides the payments.
final class ICountOffice: Sendable {
    static let firstConfirmation: Int64 = 431_877
    private static let sessionsMax = 1000

    private struct State {
        var sessions: [String] = []
        var confirmations = firstConfirmation
        var documents: [String: String] = [:]
        var refunded: Set<String> = []
        var webhooks: [String] = []
    }
    private let state = Mutex(State())

    func beginSession() -> String {
        let sid = Hex.encode(SecureRandom.bytes(16))
        state.withLock { state in
            if state.sessions.count >= Self.sessionsMax { state.sessions.removeFirst() }
            state.sessions.append(sid)
        }
        return sid
    }

    func knows(session: String) -> Bool { state.withLock { $0.sessions.contains(session) } }

    /// Seven digits, a zero in front.
    func nextConfirmation() -> String {
        let number = state.withLock { state in
            state.confirmations += 1
            return state.confirmations
        }
        let digits = String(number)
        return String(repeating: "0", count: max(0, 7 - digits.utf8.count)) + digits
    }

    func note(document: String, of payment: String) { state.withLock { $0.documents[document] = payment } }
    func payment(of document: String) -> String? { state.withLock { $0.documents[document] } }

    /// - Returns: whether it was not given back before.
    func refund(_ payment: String) -> Bool { state.withLock { $0.refunded.insert(payment).inserted } }
    func isRefunded(_ payment: String) -> Bool { state.withLock { $0.refunded.contains(payment) } }

    func add(webhook: String) { state.withLock { if !$0.webhooks.contains(webhook) && $0.webhooks.count < 10 { $0.webhooks.append(webhook) } } }
    var webhooks: [String] { state.withLock { $0.webhooks } }
}
