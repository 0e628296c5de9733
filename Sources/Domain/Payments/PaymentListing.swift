import Database
import Formats
import Money
import ProviderPort

/// A page of payments as staff look at them: each with its latest attempt.
public struct PaymentListing: Sendable {
    public struct Line: Sendable {
        public let payment: Payment
        /// Of the latest attempt; nil where there was none.
        public let provider: String?
        public let mode: String?
    }

    public let lines: [Line]
    /// Where the next page begins; nil where this is the last one.
    public let next: String?

    /// How much later an identifier may be made than the payment it names, when a clock was put back.
    private static let slackMs: Int64 = 60 * 60_000

    /// Payments, newest first: at most `limit` of those before `before` (a payment id).
    public static func page(_ filter: PaymentFilter, before: String?, limit: Int, in connection: Connection) throws -> PaymentListing {
        let found = try PaymentStore.search(filter, before: start(filter, before), limit: limit + 1, in: connection)
        let lines = try found.prefix(limit).map { payment in
            let attempt = try connection.first(
                "SELECT provider, mode FROM payments_attempts WHERE payment = $1 ORDER BY number DESC LIMIT 1", [.text(payment.id)])
            return Line(payment: payment, provider: try attempt?.text("provider"), mode: try attempt?.text("mode"))
        }
        return PaymentListing(lines: lines, next: found.count > limit ? lines.last?.payment.id : nil)
    }

    /// What is older than the time that is asked for need not be walked through.
    private static func start(_ filter: PaymentFilter, _ before: String?) -> String? {
        guard let toMs = filter.toMs else { return before }
        let bound = "pay_" + ULID.lowest(atMs: toMs + slackMs)
        return before.map { min($0, bound) } ?? bound
    }

    /// How many payments were begun in each hour before a moment, the oldest hour first.
    public static func perHour(_ hours: Int, nowMs: Int64, in connection: Connection) throws -> [(begun: Int64, paid: Int64)] {
        let hourMs: Int64 = 3_600_000
        let first = nowMs - Int64(hours) * hourMs
        var counts = Array(repeating: (begun: Int64(0), paid: Int64(0)), count: hours)
        let rows = try connection.query(
            """
            SELECT (created_at - $1) / $2 AS hour, COUNT(*) AS begun, SUM(paid_at IS NOT NULL) AS paid FROM payments_payments
            WHERE id >= $3 AND created_at >= $1 AND created_at < $4 GROUP BY 1
            """, [.integer(first), .integer(hourMs), .text("pay_" + ULID.lowest(atMs: first)), .integer(nowMs)])
        for row in rows {
            let hour = Int(try row.int("hour"))
            if counts.indices.contains(hour) { counts[hour] = (try row.int("begun"), try row.int("paid")) }
        }
        return counts
    }
}
