import Database
import Formats
import Money
import Payments
import ProviderPort

/// An order: which product, at which price when it was ordered, paid by which payment.
public struct Order: Sendable {
    public let id: String
    public let inquiry: String
    public let product: String
    public let price: Money
    public let payment: String
    public let paidAtMs: Int64?

    init(_ row: Row) throws {
        id = try row.text("id")
        inquiry = try row.text("inquiry")
        product = try row.text("product")
        price = Money(try row.int("price"), try Currency(code: try row.text("currency")))
        payment = try row.text("payment")
        paidAtMs = try row.intOrNil("paid_at")
    }
}

/// Inquiries and orders in SQL, in the caller's transaction.
public enum InquiryStore {
    public static let migrations = MigrationSet(
        room: "drafts",
        migrations: [
            Migration(number: 1, name: "kit", sqlite: PackageResources._001_kit_sqlite_sql),
            Migration(number: 2, name: "finals", sqlite: PackageResources._002_finals_sqlite_sql),
            Migration(number: 3, name: "versions", sqlite: PackageResources._003_versions_sqlite_sql),
            Migration(number: 4, name: "attachments", sqlite: PackageResources._004_attachments_sqlite_sql),
            Migration(number: 5, name: "strays", sqlite: PackageResources._005_strays_sqlite_sql),
        ])

    /// Takes an inquiry: enters it with its order and its payment, at the price of the product row. Starts nothing.
    /// - Parameters:
    ///   - productSlug: the product that is sold unless given.
    ///   - files: what came with the form, stored already. Where there are any, they are what `documents_count` counts.
    public static func create(
        _ form: InquiryForm, productSlug: String? = nil, files: [CheckedFile] = [], actor: String, nowMs: Int64, in connection: Connection
    ) throws -> (Inquiry, Order, Payment) {
        guard let product = try productSlug.map({ try Product.find($0, in: connection) }) ?? Product.sold(in: connection) else {
            throw InquiryError.noProduct(productSlug ?? "(sold)")
        }
        let id = "inq_" + ULID.make(nowMs: nowMs)
        let order = "ord_" + ULID.make(nowMs: nowMs)
        let customer = Customer(name: form.contactName, email: form.email, phone: form.phone, language: form.language)
        let payment = try PaymentStore.create(
            NewPayment(
                purpose: KitPurpose.name, subject: id, description: product.name(in: form.language), amount: product.price, customer: customer,
                metadata: ["order_id": order, "inquiry_id": id]), actor: actor, nowMs: nowMs, in: connection)
        let names = InquiryForm.textFields
        var bindings: [SQLValue] = [
            .text(id), .text(order), .text(form.organizationName), .text(form.contactName), .text(form.email), .optional(form.phone),
            .integer(files.isEmpty ? form.documentsCount : Int64(files.count)), .text(form.language), .integer(nowMs),
        ]
        bindings += names.map { .text(form.texts[$0] ?? "") }
        let places = names.indices.map { "$\($0 + 10)" }.joined(separator: ", ")
        try connection.execute(
            """
            INSERT INTO drafts_inquiries (id, order_id, organization_name, contact_name, email, phone, documents_count, language,
              payment_status, processing_state, created_at, updated_at, \(names.joined(separator: ", ")))
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'CREATED', 'INQUIRY_RECEIVED', $9, $9, \(places))
            """, bindings)
        try connection.execute(
            "INSERT INTO drafts_orders (id, inquiry, product, price, currency, payment, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            [
                .text(order), .text(id), .text(product.slug), .integer(product.price.minorUnits), .text(product.price.currency.code),
                .text(payment.id), .integer(nowMs),
            ])
        try InquiryAttachment.add(files, to: id, nowMs: nowMs, in: connection)
        return (try require(id, in: connection), try requireOrder(of: id, in: connection), payment)
    }

    public static func find(_ id: String, in connection: Connection) throws -> Inquiry? {
        try connection.first("SELECT * FROM drafts_inquiries WHERE id = $1", [.text(id)]).map(Inquiry.init)
    }

    /// - Throws: ``InquiryError/notFound(_:)``.
    public static func require(_ id: String, in connection: Connection) throws -> Inquiry {
        guard let inquiry = try find(id, in: connection) else { throw InquiryError.notFound(id) }
        return inquiry
    }

    public static func requireOrder(of inquiry: String, in connection: Connection) throws -> Order {
        guard let row = try connection.first("SELECT * FROM drafts_orders WHERE inquiry = $1", [.text(inquiry)]) else {
            throw InquiryError.notFound(inquiry)
        }
        return try Order(row)
    }

    /// Notes that the customer was sent to a provider.
    public static func markPending(_ inquiry: String, nowMs: Int64, in connection: Connection) throws {
        try connection.execute(
            "UPDATE drafts_inquiries SET payment_status = 'PENDING', updated_at = $2 WHERE id = $1 AND payment_status = 'CREATED'",
            [.text(inquiry), .integer(nowMs)])
    }

    static func markPaid(_ inquiry: String, nowMs: Int64, in connection: Connection) throws {
        try connection.execute(
            """
            UPDATE drafts_inquiries SET payment_status = 'PAID', updated_at = $2,
              processing_state = CASE processing_state WHEN 'INQUIRY_RECEIVED' THEN 'PAID' ELSE processing_state END WHERE id = $1
            """, [.text(inquiry), .integer(nowMs)])
        try connection.execute(
            "UPDATE drafts_orders SET paid_at = COALESCE(paid_at, $2) WHERE inquiry = $1", [.text(inquiry), .integer(nowMs)])
    }

    package static func move(_ inquiry: String, to state: ProcessingState, failure: String? = nil, nowMs: Int64, in connection: Connection) throws {
        try connection.execute(
            "UPDATE drafts_inquiries SET processing_state = $2, failure = $3, updated_at = $4 WHERE id = $1",
            [.text(inquiry), .text(state.rawValue), .optional(failure.map { String($0.prefix(500)) }), .integer(nowMs)])
    }

    /// Moves an inquiry that stands in one of `states`, by one statement: of several who try at once one does.
    /// - Returns: whether it was this call.
    package static func move(
        _ inquiry: String, from states: Set<ProcessingState>, to state: ProcessingState, nowMs: Int64, in connection: Connection
    ) throws -> Bool {
        let known = states.map { "'\($0.rawValue)'" }.sorted().joined(separator: ", ")
        return try connection.execute(
            """
            UPDATE drafts_inquiries SET processing_state = $2, failure = NULL, updated_at = $3 WHERE id = $1 AND processing_state IN (\(known))
            """, [.text(inquiry), .text(state.rawValue), .integer(nowMs)]) == 1
    }
}
