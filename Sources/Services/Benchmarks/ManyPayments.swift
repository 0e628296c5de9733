import Database
import Formats
import Money
import Payments
import ProviderPort

/// The payments of a benchmark: one as the product makes it, with its attempt, and a great many like it but for some columns.
struct ManyPayments: Sendable {
    /// The columns that differ, as SQL over a row's own values, see ``value(_:)``.
    struct Changes: Sendable {
        var payment: [String: String]
        var attempt: [String: String]
        /// Nil where attempts are not looked for by a reference.
        var reference: [String: String]?
    }

    private let payment: String
    private let attempt: String

    /// A value of the row that is made, by its place.
    static func value(_ place: Int) -> String { "json_extract(r.value, '$[\(place)]')" }

    /// Makes the first.
    init(in database: Database) async throws {
        (payment, attempt) = try await database.write { connection in
            let now = WallClock.nowMs
            let customer = Customer(name: "Awa Diop", email: "awa@example.org", phone: "+2250707123456", language: "fr")
            let order = NewPayment(
                purpose: "order", subject: "bench-0", description: "Order of the benchmark", amount: Money(15_000, .xof), customer: customer)
            let payment = try PaymentStore.create(order, actor: "bench", nowMs: now, in: connection)
            let attempt = try PaymentStore.startAttempt(
                of: payment, provider: "standard-webhooks", mode: "sandbox", method: nil, nowMs: now, in: connection)
            return (payment.id, attempt.id)
        }
    }

    /// Makes the others, a transaction for each step.
    /// - Parameter row: the values of one, by its number.
    func copy(
        _ numbers: Range<Int>, step: Int, changing changes: Changes, in database: Database, row: (_ number: Int) -> [JSON]
    ) async throws {
        for first in stride(from: numbers.lowerBound, to: numbers.upperBound, by: step) {
            let rows = JSON.array((first..<min(first + step, numbers.upperBound)).map { .array(row($0)) }).text
            try await database.write { connection in
                try Self.copy("payments_payments", changes.payment, of: payment, by: "id", rows, connection)
                try Self.copy("payments_attempts", changes.attempt, of: attempt, by: "id", rows, connection)
                if let reference = changes.reference {
                    try Self.copy("payments_references", reference, of: attempt, by: "attempt", rows, connection)
                }
            }
        }
    }

    private static func copy(
        _ table: String, _ changes: [String: String], of id: String, by key: String, _ rows: String, _ connection: Connection
    ) throws {
        let columns = try connection.query("SELECT name FROM pragma_table_info('\(table)')").map { try $0.text("name") }
        let values = columns.map { changes[$0] ?? "t.\($0)" }.joined(separator: ", ")
        try connection.execute(
            """
            INSERT INTO \(table) (\(columns.joined(separator: ", "))) SELECT \(values) FROM \(table) AS t, json_each($2) AS r WHERE t.\(key) = $1
            """, [.text(id), .text(rows)])
    }
}
