import Database
import Formats
import Money
import ProviderPort

/// What a customer asks for with the form: the fifteen texts of the template, and how many documents came along.
public struct InquiryForm: Sendable {
    public let organizationName: String
    public let contactName: String
    public let email: String
    public let phone: String?
    /// `fr` or `en`.
    public let language: String
    public let documentsCount: Int64
    /// The other texts of the template by their names in it.
    public let texts: [String: String]

    /// The texts besides name, contact and e-mail, in the template's order.
    public static let textFields = [
        "statut_juridique", "location", "sector", "mission_text", "context_text", "budget_range", "funding_sources", "audits_types",
        "audits_frequency", "staff_size", "org_chart_text", "notes_text",
    ]
    /// Characters of a short field and of a field that ends in `_text`.
    public static let shortLimit = 200
    public static let longLimit = 10_000

    /// Reads the form's fields.
    /// - Throws: ``InquiryError/invalid(_:)`` with every field that breaks a rule.
    public init(fields: [String: String]) throws(InquiryError) {
        var faults: [InquiryError.Fault] = []
        func text(_ name: String, required: Bool) -> String {
            let value = (fields[name] ?? "").trimmingWhitespace()
            let limit = name.hasSuffix("_text") ? Self.longLimit : Self.shortLimit
            if required && value.isEmpty { faults.append(.init(field: name, rule: "is required")) }
            if value.count > limit { faults.append(.init(field: name, rule: "must have at most \(limit) characters")) }
            if value.unicodeScalars.contains(where: { $0.value < 32 && $0 != "\n" && $0 != "\r" && $0 != "\t" }) {
                faults.append(.init(field: name, rule: "must not contain control characters"))
            }
            if CardNumber.isIn(value) { faults.append(.init(field: name, rule: "must not hold the number of a card")) }
            return value
        }
        organizationName = text("organization_name", required: true)
        contactName = text("contact_name", required: true)
        email = text("email", required: true)
        if !email.isEmpty && !EmailAddress.isPlausible(email) { faults.append(.init(field: "email", rule: "must be an e-mail address")) }
        let phoneText = text("phone", required: false)
        if !phoneText.isEmpty && !PhoneNumber.isE164(phoneText) {
            faults.append(.init(field: "phone", rule: PhoneNumber.rule))
        }
        phone = phoneText.isEmpty ? nil : phoneText
        let asked = text("language", required: false)
        if !["", "fr", "en"].contains(asked) { faults.append(.init(field: "language", rule: "must be fr or en")) }
        language = asked.isEmpty ? "fr" : asked
        let count = text("documents_count", required: false)
        documentsCount = Int64(count) ?? 0
        if !count.isEmpty && !(0...100).contains(Int64(count) ?? -1) {
            faults.append(.init(field: "documents_count", rule: "must be a whole number from 0 to 100"))
        }
        var texts: [String: String] = [:]
        for name in Self.textFields { texts[name] = text(name, required: false) }
        self.texts = texts
        guard faults.isEmpty else { throw InquiryError.invalid(faults) }
    }
}

/// Why an inquiry cannot be taken or found. A retry never helps.
public enum InquiryError: Error, Equatable, CustomStringConvertible {
    public struct Fault: Sendable, Equatable {
        public let field: String
        public let rule: String
        public init(field: String, rule: String) {
            self.field = field
            self.rule = rule
        }
    }
    case invalid([Fault])
    case notFound(String)
    case noProduct(String)

    public var description: String {
        switch self {
        case .invalid(let faults): faults.map { "\($0.field) \($0.rule)" }.joined(separator: "; ")
        case .notFound(let id): "there is no inquiry \(id)"
        case .noProduct(let slug): "there is no product '\(slug)'"
        }
    }
}

/// Where an inquiry stands on the way to its document, apart from its payment.
public enum ProcessingState: String, Sendable, CaseIterable {
    case inquiryReceived = "INQUIRY_RECEIVED"
    case paid = "PAID"
    case aiRunning = "IA_RUNNING"
    case draftDone = "DRAFT_DONE"
    case draftFailed = "DRAFT_FAILED"
    case finalUploaded = "FINAL_UPLOADED"
    case published = "PUBLISHED"

    /// Whether a draft may be made now: paid for, or under way in an attempt that was interrupted.
    package var admitsDraft: Bool { Self.admittingDraft.contains(self) }

    package static let admittingDraft: Set<ProcessingState> = [.paid, .aiRunning, .draftFailed]
}

/// A taken inquiry.
public struct Inquiry: Sendable {
    public let id: String
    public let order: String
    public let paymentStatus: String
    public let state: ProcessingState
    public let failure: String?
    public let language: String
    public let email: String
    public let contactName: String
    public let organizationName: String
    public let phone: String?
    public let documentsCount: Int64
    /// The version of the draft that is wanted; those before it stay.
    public let draftVersion: Int64
    public let createdAtMs: Int64
    public let updatedAtMs: Int64
    /// Every text of the template that the customer gave, by its name there.
    public let texts: [String: String]

    init(_ row: Row) throws {
        id = try row.text("id")
        order = try row.text("order_id")
        paymentStatus = try row.text("payment_status")
        guard let known = ProcessingState(rawValue: try row.text("processing_state")) else { throw InquiryError.notFound(id) }
        state = known
        failure = try row.textOrNil("failure")
        language = try row.text("language")
        email = try row.text("email")
        contactName = try row.text("contact_name")
        organizationName = try row.text("organization_name")
        phone = try row.textOrNil("phone")
        documentsCount = try row.int("documents_count")
        draftVersion = try row.int("draft_version")
        createdAtMs = try row.int("created_at")
        updatedAtMs = try row.int("updated_at")
        var texts: [String: String] = ["organization_name": organizationName, "contact_name": contactName, "email": email]
        for name in InquiryForm.textFields { texts[name] = try row.text(name) }
        self.texts = texts
    }
}

extension String {
    func trimmingWhitespace() -> String {
        guard let first = firstIndex(where: { !$0.isWhitespace }), let last = lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return String(self[first...last])
    }
}

package enum EmailAddress {
    /// A plain `local@domain.tld` in ASCII: what mail servers take from us, so that nobody pays who could not be written to.
    package static func isPlausible(_ text: String) -> Bool {
        let parts = text.utf8.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
        guard parts.count == 2, text.utf8.count <= 254, parts[0].count <= 64 else { return false }
        let atoms = parts[0].split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        let labels = parts[1].split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return atoms.allSatisfy { !$0.isEmpty && $0.allSatisfy { isAlphanumeric($0) || "!#$%&'*+-/=?^_`{|}~".utf8.contains($0) } }
            && labels.count >= 2
            && labels.allSatisfy { label in
                (1...63).contains(label.count) && label.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
                    && label.first != UInt8(ascii: "-") && label.last != UInt8(ascii: "-")
            }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: false
        }
    }
}

package enum PhoneNumber {
    /// What is told of a number that is not in this form.
    package static let rule = "must be in international form, such as +2250707123456"

    package static func isE164(_ text: String) -> Bool {
        text.hasPrefix("+") && (8...16).contains(text.utf8.count) && text.utf8.dropFirst().allSatisfy { (48...57).contains($0) }
            && text.utf8.dropFirst().first != 48
    }
}
