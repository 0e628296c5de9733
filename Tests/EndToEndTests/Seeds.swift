import Database
import Formats
import TestSupport

/// A payment that waits for its money at the Standard Webhooks sender.
struct SeededPayment: Sendable {
    let id: String
    /// Our reference at the provider.
    let attempt: String
    let purpose: String
    /// An inquiry, a team or an order number.
    let subject: String
    let amount: Int64
    let currency: String

    var amountText: String {
        guard currency == "EUR" else { return "\(amount)" }
        let cents = "\(amount % 100)"
        return "\(amount / 100)." + String(repeating: "0", count: 2 - cents.count) + cents
    }
}

/// Payments entered by SQL, hundreds in one transaction: what the API does one by one, and tries elsewhere.
extension Stage {
    enum Purpose: String, Sendable { case order, kit, plan }

    /// The issuer without whom no invoice gets a number.
    func enterIssuer() async throws {
        _ = try await database.write { connection in
            try connection.execute(
                """
                INSERT INTO invoicing_issuers (id, name, address, tax_ids, vat_rate, series, mode, updated_at)
                VALUES ('example', 'Exemple SARL', 'Abidjan', 'NCC 0000000 X', 1800, 'EX', 'sandbox', 0) ON CONFLICT DO NOTHING
                """)
        }
    }

    func seed(_ purpose: Purpose, _ count: Int = 1, email: String? = nil) async throws -> [SeededPayment] {
        try await database.write { connection in
            try (0..<count).map { _ in try Self.enter(purpose, email: email, in: connection) }
        }
    }

    func seedOne(_ purpose: Purpose, email: String? = nil) async throws -> SeededPayment {
        let made = try await seed(purpose, 1, email: email)
        return made[0]
    }

    private static func enter(_ purpose: Purpose, email: String?, in connection: Connection) throws -> SeededPayment {
        let nowMs = WallClock.nowMs
        let ulid = ULID.make(nowMs: nowMs)
        let (amount, currency): (Int64, String) =
            switch purpose {
            case .order: (15_000, "XOF")
            case .kit: (12_500, "XOF")
            case .plan: (300, "EUR")
            }
        let subject =
            switch purpose {
            case .order: "order-\(ulid)"
            case .kit: "inq_\(ulid)"
            case .plan: "team-\(ulid)"
            }
        let payment = SeededPayment(
            id: "pay_\(ulid)", attempt: String(ulid.prefix(10) + ulid.suffix(14)), purpose: purpose.rawValue, subject: subject, amount: amount,
            currency: currency)
        let metadata: JSON = purpose == .plan ? ["new_plan": "pay_as_you_go"] : [:]
        try connection.execute(
            """
            INSERT INTO payments_payments (id, purpose, subject, description, amount, currency, state, customer_name, customer_email,
              customer_phone, language, metadata, created_at, updated_at)
            VALUES ($1, $2, $3, 'A thing', $4, $5, 'created', 'Awa Koné', $6, NULL, 'fr', $7, $8, $8)
            """,
            [
                .text(payment.id), .text(purpose.rawValue), .text(subject), .integer(amount), .text(currency), .optional(email),
                .text(metadata.text), .integer(nowMs),
            ])
        try connection.execute(
            """
            INSERT INTO payments_attempts (id, payment, number, provider, mode, created_at)
            VALUES ($1, $2, 1, 'standard-webhooks', 'sandbox', $3)
            """, [.text(payment.attempt), .text(payment.id), .integer(nowMs)])
        try connection.execute(
            """
            INSERT INTO payments_references (provider, value, kind, attempt, created_at)
            VALUES ('standard-webhooks', $1, 'ours', $1, $2)
            """, [.text(payment.attempt), .integer(nowMs)])
        if purpose == .kit { try enterInquiry(payment, nowMs: nowMs, in: connection) }
        return payment
    }

    private static func enterInquiry(_ payment: SeededPayment, nowMs: Int64, in connection: Connection) throws {
        try connection.execute(
            """
            INSERT INTO drafts_inquiries (id, order_id, organization_name, contact_name, email, documents_count, language, payment_status,
              processing_state, created_at, updated_at, statut_juridique, location, sector, mission_text, context_text, budget_range,
              funding_sources, audits_types, audits_frequency, staff_size, org_chart_text, notes_text)
            VALUES ($1, $2, 'Association Sève & Racines', 'Awa Koné', 'awa@example.org', 2, 'fr', 'CREATED', 'INQUIRY_RECEIVED', $3, $3,
              'Association', 'Bouaké', 'Agriculture', 'Accompagner', 'Un audit', '25 à 50', 'Dons', 'Financier', 'Annuelle', '12', 'Deux', '')
            """, [.text(payment.subject), .text("ord_\(payment.subject)"), .integer(nowMs)])
    }
}
