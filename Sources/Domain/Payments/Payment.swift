import Database
import Formats
import Money
import ProviderPort

/// What is owed, by whom, for what, and where it stands.
public struct Payment: Sendable {
    /// `pay_` + ULID.
    public let id: String
    /// What it buys: `kit`, `plan`, `order`.
    public let purpose: String
    /// Which one of these: an inquiry, a team, an order number.
    public let subject: String
    public let description: String
    public let amount: Money
    public let state: PaymentState
    /// Minor units in hand and given back.
    public let captured: Int64
    public let refunded: Int64
    public let customer: Customer
    public let metadata: [String: String]
    public let createdAtMs: Int64
    public let updatedAtMs: Int64
    public let paidAtMs: Int64?

    /// What is still to come of what is owed.
    public var left: Money { Money(max(0, amount.minorUnits - captured + refunded), amount.currency) }

    init(_ row: Row) throws {
        id = try row.text("id")
        purpose = try row.text("purpose")
        subject = try row.text("subject")
        description = try row.text("description")
        amount = Money(try row.int("amount"), try Currency(code: try row.text("currency")))
        guard let known = PaymentState(rawValue: try row.text("state")) else { throw PaymentError.damagedRow(id) }
        state = known
        captured = try row.int("captured")
        refunded = try row.int("refunded")
        customer = Customer(
            name: try row.text("customer_name"), email: try row.textOrNil("customer_email"), phone: try row.textOrNil("customer_phone"),
            language: try row.text("language"))
        metadata = try PaymentMetadata.decode(try row.text("metadata"))
        createdAtMs = try row.int("created_at")
        updatedAtMs = try row.int("updated_at")
        paidAtMs = try row.intOrNil("paid_at")
    }
}

/// One try at one provider.
public struct PaymentAttempt: Sendable {
    /// 24 letters and digits, given to the provider as our reference: CinetPay is said to take 25 at most.
    public let id: String
    public let payment: String
    public let number: Int64
    public let provider: String
    public let mode: String
    /// Minor units that it asks for; nil for all that is owed.
    public let amount: Int64?
    public let method: String?
    public let network: String?
    /// What its customer has to do; nil before the provider has answered.
    public let step: CustomerStep?
    public let isOpen: Bool
    public let paymentURL: String?
    public let qrCode: String?
    public let expiresAtMs: Int64?
    public let createdAtMs: Int64
    public let webhookReceivedAtMs: Int64?
    public let errorCode: String?
    public let errorText: String?

    init(_ row: Row) throws {
        id = try row.text("id")
        payment = try row.text("payment")
        number = try row.int("number")
        provider = try row.text("provider")
        mode = try row.text("mode")
        method = try row.textOrNil("method")
        amount = try row.intOrNil("amount")
        network = try row.textOrNil("network")
        step = try row.textOrNil("step").flatMap { CustomerStep(try JSON(parsing: $0)) }
        isOpen = try row.int("open") == 1
        paymentURL = try row.textOrNil("payment_url")
        qrCode = try row.textOrNil("qr_code")
        expiresAtMs = try row.intOrNil("expires_at")
        createdAtMs = try row.int("created_at")
        webhookReceivedAtMs = try row.intOrNil("webhook_received_at")
        errorCode = try row.textOrNil("error_code")
        errorText = try row.textOrNil("error_text")
    }
}

extension PaymentAttempt {
    /// What it asks for.
    public func asked(of payment: Payment) -> Money { amount.map { Money($0, payment.amount.currency) } ?? payment.amount }

    /// Whether a customer may be led to it still: it waits, its payment takes money, and it asks for no more than is still to come.
    public func isPayable(of payment: Payment) -> Bool {
        isOpen && payment.state.takesAttempts && asked(of: payment).minorUnits <= payment.left.minorUnits
    }
}

/// A payment that is to be created.
public struct NewPayment: Sendable {
    public let purpose: String
    public let subject: String
    public let description: String
    public let amount: Money
    public let customer: Customer
    public let metadata: [String: String]

    public init(purpose: String, subject: String, description: String, amount: Money, customer: Customer, metadata: [String: String] = [:]) {
        self.purpose = purpose
        self.subject = subject
        self.description = description
        self.amount = amount
        self.customer = customer
        self.metadata = metadata
    }
}

/// What goes wrong in this room itself.
public enum PaymentError: Error, Equatable, CustomStringConvertible {
    case notFound(String)
    case damagedRow(String)
    /// A rule of the payment's state forbids the request.
    case notAllowed(String)
    case invalid(field: String, rule: String)

    public var description: String {
        switch self {
        case .notFound(let id): "there is no payment \(id)"
        case .damagedRow(let id): "the row of payment \(id) is damaged"
        case .notAllowed(let why): why
        case .invalid(let field, let rule): "\(field): \(rule)"
        }
    }
}

/// Free texts kept with a payment: a flat object of texts.
enum PaymentMetadata {
    static func encode(_ metadata: [String: String]) -> String {
        JSON.object(JSONObject(metadata.sorted { $0.key < $1.key }.map { ($0.key, JSON.string($0.value)) })).text
    }

    static func decode(_ text: String) throws -> [String: String] {
        var metadata: [String: String] = [:]
        for member in try JSON(parsing: text).object ?? JSONObject() { metadata[member.key] = member.value.string }
        return metadata
    }
}
