import Formats
import Money
import ProviderPort

/// What iCount posts: the notification of a payment page ("IPN", form or JSON), or documents that the account issued (JSON).
enum CallbackMessage: Sendable {
    case payment(PaymentFields)
    case documents([DocumentFields])

    static let fieldsMax = 200
    static let documentsMax = 100

    /// - Throws: ``ProviderError`` `unreadable`.
    init(_ body: [UInt8], contentType: String) throws(ProviderError) {
        let first = body.first { $0 > 0x20 }
        guard contentType.lowercased().contains("json") || first == UInt8(ascii: "{") || first == UInt8(ascii: "[") else {
            self = .payment(try PaymentFields(try Self.form(body)))
            return
        }
        let json: JSON
        do { json = try JSON(parsing: body) } catch { throw ProviderError(.unreadable, "the body is not JSON: \(error)") }
        if let entries = json.array {
            guard (1...Self.documentsMax).contains(entries.count) else {
                throw ProviderError(.unreadable, "a list of \(entries.count) documents, where 1 to \(Self.documentsMax) are taken")
            }
            self = .documents(try Self.documents(entries))
            return
        }
        guard let object = json.object else { throw ProviderError(.unreadable, "the body is JSON but neither an object nor a list") }
        // A page's notification names its page or the charge; a document does neither at its top.
        if json["cp"] == nil && json["confirmation_code"] == nil && json["docnum"] != nil {
            self = .documents(try Self.documents([json]))
            return
        }
        guard object.count <= Self.fieldsMax else { throw ProviderError(.unreadable, "more than \(Self.fieldsMax) fields") }
        self = .payment(try PaymentFields(object.map { ($0.key, $0.value) }))
    }

    private static func form(_ body: [UInt8]) throws(ProviderError) -> [(String, JSON)] {
        let fields: [(name: String, value: String)]
        do {
            fields = try FormURLEncoded.parse(body, fieldsMax: fieldsMax)
        } catch {
            throw ProviderError(.unreadable, "the body is not a form: \(error)")
        }
        var names: Set<String> = []
        // Lists, such as items[], may repeat; whatever is read here may not.
        for field in fields where !field.name.hasSuffix("]") && !names.insert(field.name).inserted {
            throw ProviderError(.unreadable, "field '\(field.name.prefix(40))' is there twice")
        }
        return fields.map { ($0.name, .string($0.value)) }
    }

    private static func documents(_ entries: [JSON]) throws(ProviderError) -> [DocumentFields] {
        var documents: [DocumentFields] = []
        for entry in entries { documents.append(try DocumentFields(entry)) }
        return documents
    }

    var type: String {
        switch self {
        case .payment: "payment.notification"
        case .documents: "document.created"
        }
    }

    var notice: ProviderNotice {
        switch self {
        case .payment(let fields): fields.notice
        case .documents(let documents): DocumentFields.notice(of: documents)
        }
    }
}

/// The notification of a payment page, which is sent after a successful charge.
struct PaymentFields: Sendable {
    /// Where our attempt comes back: as we sent it, and as pages that are called by an address echo it.
    private static let echoes = [SaleRules.echoField, "order_id", "attempt", "m__order_id", "m__attempt"]

    private let fields: [String: JSON]

    init(_ fields: [(String, JSON)]) throws(ProviderError) {
        self.fields = Dictionary(fields) { first, _ in first }
        guard ["cp", "confirmation_code", "sum"].contains(where: { FieldText.of(self.fields[$0]) != nil }) else {
            throw ProviderError(.unreadable, "neither a page's notification (cp, sum, confirmation_code) nor a document (doctype, docnum)")
        }
    }

    var notice: ProviderNotice {
        let confirmation = FieldText.of(fields["confirmation_code"])
        let document = ICountDocument(type: fields["doctype"], number: fields["docnum"])
        let echo = Self.echoes.lazy.compactMap { FieldText.of(fields[$0]) }.first
        let money = FieldText.money(fields["sum"], currency: fields["currency_code"])
        let references = [
            echo.map { ProviderReference.ours($0) }, confirmation.map { ICountReference.confirmation($0) }, document?.reference,
        ]
        return ProviderNotice(
            references: references.compactMap { $0 }, claim: claim(isCharged: confirmation != nil), amount: money.amount,
            amountProblem: money.problem, transaction: confirmation)
    }

    /// A page that tells of failures has been coded for, never captured.
    private func claim(isCharged: Bool) -> ProviderClaim {
        switch FieldText.of(fields["status"])?.lowercased() {
        case nil, "completed", "1", "true": isCharged ? .captured : .unknown
        case "failed": .failed
        case "cancelled": .cancelled
        default: .unknown
        }
    }
}

/// A document of the account's webhook.
struct DocumentFields: Sendable {
    /// Types that say that money came or went; every other one, an order or an offer, is paper.
    private static let claims: [String: ProviderClaim] = ["invrec": .captured, "receipt": .captured, "refund": .refunded]
    private static let chargesMax = 50

    private let document: ICountDocument
    private let confirmations: [String]

    init(_ entry: JSON) throws(ProviderError) {
        guard let document = ICountDocument(type: entry["doctype"], number: entry["docnum"]) else {
            throw ProviderError(.unreadable, "a document without doctype and docnum")
        }
        self.document = document
        confirmations = (entry["cc_payments"]?.array ?? []).prefix(Self.chargesMax).compactMap { FieldText.of($0["cc_shovar"]) }
    }

    /// One event is one notice: of several documents the first that says something gives the claim. Sums are left out, for their currency is a
    /// number whose meaning differs by account.
    static func notice(of documents: [DocumentFields]) -> ProviderNotice {
        let telling = documents.filter { claims[$0.document.type] != nil }
        var references: [ProviderReference] = []
        for told in telling {
            references += told.confirmations.map { ICountReference.confirmation($0) }
            // The document that a refund cancels is not named, and the refund's own is no reference of the payment.
            if claims[told.document.type] == .captured { references.append(told.document.reference) }
        }
        let claim = references.isEmpty ? .unknown : telling.first.flatMap { claims[$0.document.type] } ?? .unknown
        return ProviderNotice(references: references, claim: claim, transaction: telling.first?.confirmations.first)
    }
}
