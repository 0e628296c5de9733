import Cryptography
import Formats
import HTTPServer

/// Plays FeexPay's V2: a payment by each network and by card, status, history, and webhooks with the fixed authorization value.
///
/// The last six digits of a phone number say what its owner does: see `docs/sandbox.md`.
struct FeexPayStage: HouseStage {
    let house = SandboxPayment.House.feexPay
    let label = "FeexPay"
    let configuration: SandboxConfiguration
    let book: SandboxBook

    private static let root = "/api/transactions/"
    private static let start = "public/requesttopay/"
    private static let card = "public/initcard"
    private static let status = "public/single/status/"
    private static let historyRowsMax = 500
    private static let historyDaysMax: Int64 = 31

    private var keys: HouseKeys { configuration.houses[house.rawValue] ?? HouseKeys() }

    func purpose(of request: HTTPRequest, _ path: String) -> CallPurpose? {
        guard path.hasPrefix(Self.root) else { return nil }
        return path.hasPrefix(Self.root + Self.start) || path == Self.root + Self.card ? .start : .other
    }

    func respond(
        _ request: HTTPRequest, _ path: String, base: String, settle: SandboxSettling
    ) async throws(SandboxError) -> HTTPResponse? {
        guard path.hasPrefix(Self.root) else { return nil }
        if let key = keys.values["api_key"], request.headers["authorization"] != "Bearer \(key)" {
            return Self.fault(401, "Token invalide ou expiré", code: "UNAUTHORIZED")
        }
        let rest = String(path.dropFirst(Self.root.count))
        switch request.method {
        case "POST" where rest.hasPrefix(Self.start):
            guard let network = FeexPayStageNetwork.all[String(rest.dropFirst(Self.start.count))] else {
                return Self.fault(404, "Cannot POST \(path.prefix(120))")
            }
            return try await pay(request, by: network, base, settle)
        case "POST" where rest == Self.card: return try await pay(request, by: nil, base, settle)
        case "POST" where rest == "history": return await history(request)
        case "GET" where rest.hasPrefix(Self.status): return await status(String(rest.dropFirst(Self.status.count)))
        default: return Self.fault(404, "Cannot \(request.method) \(path.prefix(120))")
        }
    }

    // MARK: Starting

    /// - Parameter network: nil for a card.
    private func pay(
        _ request: HTTPRequest, by network: FeexPayStageNetwork?, _ base: String, _ settle: SandboxSettling
    ) async throws(SandboxError) -> HTTPResponse {
        guard let json = try? JSON(parsing: request.body), json.object != nil else { return Self.fault(400, "the body is no JSON object") }
        if let shop = keys.values["shop_id"], json["shop"]?.string != shop { return Self.fault(404, "Merchant or Shop not found") }
        guard let amount = json["amount"]?.int, (100...2_000_000).contains(amount) else {
            return Self.fault(400, "amount must be between 100 and 2000000", code: "ERR_INVALID_AMOUNT")
        }
        let number = json[network == nil ? "phone" : "phoneNumber"]
        guard let phone = number?.string ?? number?.numberText, network?.takes(phone) ?? (phone.count >= 8) else {
            return Self.fault(400, "phoneNumber is not valid for the network", code: "ERR_INVALID_PHONE_NUMBER")
        }
        let description = json["description"]?.string ?? ""
        guard description.utf8.allSatisfy({ $0 == 0x20 || Slug.isByte($0) && !"-_.".utf8.contains($0) }) else {
            return Self.fault(400, "description: no special characters", code: "ERR_TRANSACTION_FAILED")
        }
        if network?.flow == .otp {
            let code = json["otp"]?.string ?? ""
            // The one code that is always wrong.
            guard (4...10).contains(code.count), code.contains(where: { $0 != "0" }) else { return Self.fault(400, "OTP invalide") }
        }
        if network == nil {
            guard ["VISA", "MASTERCARD"].contains(json["type_card"]?.string ?? ""), json["currency"]?.string == "XOF" else {
                return Self.fault(400, "type_card is VISA or MASTERCARD, currency is XOF")
            }
        }
        var payment = SandboxPayment(
            house: house, reference: Self.reference(network), token: Hex.encode(SecureRandom.bytes(16)), amount: String(amount),
            currency: network?.currency ?? "XOF", description: description, metadata: json["callback_info"] ?? .null,
            method: network?.label ?? json["type_card"]?.string, notifyURL: "\(configuration.ingestURL)/webhooks/feexpay",
            returnURL: json["return_url"]?.string, createdAtMs: WallClock.nowMs)
        payment.phone = phone
        payment.scenario = .ofAmount(String(amount))
        var entered = try await book.enter(payment).payment
        // A test number answers before we do, as a quick thumb may: the webhook can be there before the reference is known.
        if let state = Self.answer(of: phone) { entered = try await settle(entered, state) }
        return .json(200, Self.started(entered, network, base))
    }

    private static func started(_ payment: SandboxPayment, _ network: FeexPayStageNetwork?, _ base: String) -> JSON {
        if payment.state == .refused && network?.answersAtOnce == true {
            return [
                "reference": .string(payment.reference), "status": "FAILED", "message": "FAILED", "statusCode": "10",
                "response_operator": ["description": ["Insufficient funds"], "status": ["10"]],
            ]
        }
        let page = "\(base)/feexpay/pay/\(payment.token)"
        var fields: [(String, JSON)] = [
            ("reference", .string(payment.reference)), ("message", "Accepted"), ("status", "PENDING"), ("amount", amount(payment.amount)),
            ("description", .string(payment.description)), ("callback_info", payment.metadata),
        ]
        guard let network else { return .object(JSONObject(fields + [("url", .string(page))])) }
        fields.append(("phoneNumber", .optional(payment.phone)))
        if network.flow == .hosted { fields += [("order_id", .string(payment.reference)), ("payment_url", .string(page))] }
        return .object(JSONObject(fields))
    }

    /// What the owner of a test number does; nil for nothing: a person plays, or nobody answers.
    private static func answer(of phone: String) -> SandboxPayment.State? {
        switch phone.suffix(6) {
        case "000000": .paid
        case "000001": .refused
        case "000002": .cancelled
        default: nil
        }
    }

    private static func reference(_ network: FeexPayStageNetwork?) -> String {
        let digits = Hex.encode(SecureRandom.bytes(16))
        if network?.label == "CELTIIS BJ" { return "AG_\(Timestamp.date(WallClock.nowMs).filter { $0 != "-" })_\(digits.prefix(20))" }
        var rest = digits[...]
        let parts = [8, 4, 4, 4, 12].map { count in
            defer { rest = rest.dropFirst(count) }
            return String(rest.prefix(count))
        }
        return parts.joined(separator: "-")
    }

    // MARK: Being asked

    private func status(_ segment: String) async -> HTTPResponse {
        let reference = PercentEncoding.decode(segment) ?? segment
        guard await book.countStatusCall(reference) else { return Self.fault(503, "Network under maintenance", code: "NETWORK_UNAVAILABLE") }
        guard let payment = await book.find(reference), payment.house == house, payment.reference == reference else {
            return Self.fault(404, "Transaction not found", code: "NOT_FOUND")
        }
        let word = Self.word(payment.state)
        let paid = payment.state == .paid
        var fields: [(String, JSON)] = [
            ("reference", .string(reference)), ("amount", Self.amount(payment.statedAmount)), ("phoneNumber", .optional(payment.phone)),
            ("status", .string(word)), ("callback_info", payment.metadata), ("responsecode", .string(payment.state.isFinal ? word : "")),
            ("responsemsg", .string(payment.state.isFinal ? word : "")), ("transref", .string(reference)), ("serviceref", .string(reference)),
            ("comment", ""), ("reason", .string(Self.reason(payment.state))), ("description", .string(payment.description)),
            ("date", .string(Timestamp.rfc3339(payment.settledAtMs ?? payment.createdAtMs))),
            ("operator_id", .string(paid ? Self.operatorNumber(payment) : "")),
        ]
        // V2 names no currency; only a scenario makes it.
        if payment.scenario.wrongCurrency { fields.append(("currency", .string(payment.statedCurrency))) }
        return .json(200, .object(JSONObject(fields)))
    }

    private func history(_ request: HTTPRequest) async -> HTTPResponse {
        let json = (try? JSON(parsing: request.body)) ?? .null
        if let shop = keys.values["shop_id"], json["shop"]?.string != shop { return Self.fault(404, "Merchant or Shop not found") }
        guard let from = json["start_date"]?.string, let to = json["end_date"]?.string,
            let first = Timestamp.parse("\(from)T00:00:00Z"), let last = Timestamp.parse("\(to)T00:00:00Z"), first <= last
        else { return Self.fault(400, "start_date and end_date are required, YYYY-MM-DD") }
        guard (last - first) / 86_400_000 < Self.historyDaysMax else { return Self.fault(400, "the range is longer than 31 days") }
        let wanted = json["status"]?.string ?? "ALL"
        let rows = await book.all.reversed().filter { payment in
            payment.house == house && (from...to).contains(Timestamp.date(payment.createdAtMs)) && ["ALL", Self.word(payment.state)].contains(wanted)
        }
        let shown = json["type"]?.string == "PAYOUT" ? [] : rows.prefix(Self.historyRowsMax)
        return .json(200, ["success": true, "total": .int(Int64(shown.count)), "data": .array(shown.map(Self.row))])
    }

    private static func row(_ payment: SandboxPayment) -> JSON {
        [
            "reference": .string(payment.reference), "type": "PAYMENT_API", "status": .string(word(payment.state)),
            "amount": amount(payment.statedAmount),
            "reseau": .optional(payment.method), "phone_number": .optional(payment.phone),
            "financial_transaction_id": payment.state == .paid ? .string(operatorNumber(payment)) : .null, "custom_id": .null,
            "description": .string(payment.description), "callback_info": payment.metadata, "reason": .string(reason(payment.state)),
            "date": .string(Timestamp.rfc3339(payment.createdAtMs)),
        ]
    }

    // MARK: Webhooks

    /// The same notice is the same bytes however often it is posted.
    func notice(_ payment: SandboxPayment, _ notice: NotificationPlan.Notice, delayMs: Int64) -> Parcel? {
        let state = notice == .waiting ? SandboxPayment.State.waiting : payment.state
        let word = Self.word(state)
        let body: JSON = [
            "reference": .string(payment.reference), "order_id": .string(payment.reference), "status": .string(word),
            "amount": Self.amount(payment.statedAmount), "callback_info": payment.metadata, "last_name": "Mensah", "first_name": "Adjoa",
            "email": "adjoa@example.com", "type": "Paiement", "phoneNumber": .optional(payment.phone),
            "date": .string(Timestamp.rfc3339(payment.createdAtMs)), "reseau": .optional(payment.method), "ref_link": "",
            "description": .string(payment.description), "reason": .string(Self.reason(state)),
            "ref_operator": .string(state == .paid ? Self.operatorNumber(payment) : ""),
        ]
        var headers: HTTPHeaders = ["content-type": "application/json"]
        if let secret = keys.secrets.first { headers["authorization"] = "Bearer \(secret)" }
        return Parcel(url: payment.notifyURL, headers: { [headers] _ in headers }, body: body.bytes, label: word, delayMs: delayMs)
    }

    private static func word(_ state: SandboxPayment.State) -> String {
        switch state {
        case .created: "PENDING"
        case .waiting: "IN PENDING STATE"
        case .paid: "SUCCESSFUL"
        case .refused: "FAILED"
        case .cancelled: "CANCELED"
        }
    }

    private static func reason(_ state: SandboxPayment.State) -> String {
        state == .refused ? "LOW_BALANCE_OR_PAYEE_LIMIT_REACHED_OR_NOT_ALLOWED" : ""
    }

    private static func operatorNumber(_ payment: SandboxPayment) -> String { "OP\(payment.token.prefix(12).uppercased())" }

    private static func amount(_ text: String) -> JSON { Int64(text).map(JSON.int) ?? .string(text) }

    private static func fault(_ status: Int, _ message: String, code: String? = nil) -> HTTPResponse {
        var fields: [(String, JSON)] = [("statusCode", .int(Int64(status))), ("message", .string(message))]
        if let code { fields.append(("code", .string(code))) }
        return .json(status, .object(JSONObject(fields)))
    }
}

/// A network as the played FeexPay knows it, told apart from the adapter's own table so that an error in either is seen.
struct FeexPayStageNetwork: Sendable {
    enum Flow: Sendable { case push, otp, hosted }
    let label: String
    let callingCode: String
    /// Digits of a whole number, calling code included.
    let digits: Int
    let flow: Flow
    let currency: String

    /// Moov Benin tells the end of a payment in its answer to the start.
    var answersAtOnce: Bool { label == "MOOV" }

    func takes(_ phone: String) -> Bool {
        phone.count == digits && phone.hasPrefix(callingCode == "229" ? "22901" : callingCode) && phone.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }

    static let all: [String: FeexPayStageNetwork] = {
        let countries = ["BJ": ("229", 13), "TG": ("228", 11), "CI": ("225", 13), "SN": ("221", 12), "CG": ("242", 12), "BF": ("226", 11)]
        let rows: [(String, String, String, Flow)] = [
            ("mtn", "MTN", "BJ", .push), ("moov", "MOOV", "BJ", .push), ("celtiis_bj", "CELTIIS BJ", "BJ", .push), ("coris", "CORIS", "BJ", .otp),
            ("togocom_tg", "TOGOCOM TG", "TG", .push), ("moov_tg", "MOOV TG", "TG", .push), ("mtn_ci", "MTN CI", "CI", .push),
            ("moov_ci", "MOOV CI", "CI", .hosted), ("orange_ci", "ORANGE CI", "CI", .hosted), ("wave_ci", "WAVE CI", "CI", .hosted),
            ("orange_sn", "ORANGE SN", "SN", .otp), ("free_sn", "FREE SN", "SN", .hosted), ("wave_sn", "WAVE SN", "SN", .hosted),
            ("mtn_cg", "MTN CG", "CG", .push), ("orange_bf", "ORANGE BF", "BF", .push), ("moov_bf", "MOOV BF", "BF", .push),
        ]
        var all: [String: FeexPayStageNetwork] = [:]
        for (slug, label, country, flow) in rows {
            guard let (code, digits) = countries[country] else { continue }
            all[slug] = FeexPayStageNetwork(
                label: label, callingCode: code, digits: digits, flow: flow, currency: country == "CG" ? "XAF" : "XOF")
        }
        return all
    }()
}
