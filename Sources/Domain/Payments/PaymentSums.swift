import Database
import Formats
import Money

/// All payments, counted and summed by the day (UTC) on which they were begun, so that lists and figures need not go through millions.
///
/// Read whole once, then brought up to date: only days are read anew of which a payment has changed.
public struct PaymentSums: Sendable {
    /// What is added up.
    public struct Sums: Sendable, Equatable {
        public var count: Int64 = 0
        /// Minor units.
        public var owed: Int64 = 0
        public var captured: Int64 = 0
        public var refunded: Int64 = 0
        /// How many of them something went back of.
        public var refundedCount: Int64 = 0
        /// How many were paid at some time, and how long that took in all.
        public var paidCount: Int64 = 0
        public var waitMs: Int64 = 0

        static func += (left: inout Sums, right: Sums) {
            left.count += right.count
            left.owed += right.owed
            left.captured += right.captured
            left.refunded += right.refunded
            left.refundedCount += right.refundedCount
            left.paidCount += right.paidCount
            left.waitMs += right.waitMs
        }
    }

    /// Of what lists are filtered by: a payment counts at every provider that an attempt was made at, and once at nil.
    struct TotalKey: Hashable {
        let currency: String
        let state: String
        let provider: String?
    }

    /// Of what figures tell apart. Provider, method and network are those of the latest attempt; empty where there was none, or none was chosen.
    public struct FigureKey: Sendable, Hashable {
        public let currency: String
        public let state: String
        public let purpose: String
        public let provider: String
        public let method: String
        public let network: String
    }

    struct Day {
        var totals: [TotalKey: Sums] = [:]
        var figures: [FigureKey: Sums] = [:]
    }

    public static let dayMs: Int64 = 86_400_000
    /// Days that figures are kept of; of older ones the totals only.
    public static let figureDays: Int64 = 92
    /// Payments that are read at once: a reader is not held for longer than some milliseconds.
    private static let chunkSize = 1000

    private(set) var days: [Int64: Day] = [:]
    private var marks = Marks()
    /// As of when.
    public private(set) var readAtMs: Int64 = 0

    private init() {}

    // MARK: Reading

    /// Reads everything.
    public static func read(_ database: Database, nowMs: Int64) async throws -> PaymentSums {
        var sums = PaymentSums()
        // What changes from here on is read once more the next time.
        sums.marks = try await database.read { try Marks.read(in: $0) }
        try await sums.add(.identifiers(from: ""), database)
        sums.leaveOut(nowMs)
        return sums
    }

    /// The same as it stands now: the days are read anew of which something has changed.
    public func broughtUpToDate(_ database: Database, nowMs: Int64) async throws -> PaymentSums {
        var sums = self
        let before = marks
        let (now, touched) = try await database.read { (try Marks.read(in: $0), try before.touchedDays(in: $0)) }
        sums.marks = now
        for day in touched {
            sums.days[day] = nil
            try await sums.add(.times(from: day * Self.dayMs, id: "", until: (day + 1) * Self.dayMs), database)
        }
        sums.leaveOut(nowMs)
        return sums
    }

    private mutating func add(_ span: Span, _ database: Database) async throws {
        var next: Span? = span
        while let span = next {
            let chunk = try await database.read { try Chunk(span, limit: Self.chunkSize, in: $0) }
            for (day, key, sums) in chunk.figures {
                days[day, default: Day()].figures[key, default: Sums()] += sums
                days[day, default: Day()].totals[TotalKey(currency: key.currency, state: key.state, provider: nil), default: Sums()] += sums
            }
            for (day, key, sums) in chunk.totals { days[day, default: Day()].totals[key, default: Sums()] += sums }
            next = chunk.next
        }
    }

    private mutating func leaveOut(_ nowMs: Int64) {
        readAtMs = nowMs
        let oldest = nowMs / Self.dayMs - Self.figureDays
        for day in days.keys where day < oldest { days[day]?.figures = [:] }
    }

    /// Where the tables of what changes payments ended when they were read last.
    private struct Marks {
        private var audit: Int64 = 0
        private var facts: Int64 = 0
        private var attempts: Int64 = 0
        private var payments: Int64 = 0

        static func read(in connection: Connection) throws -> Marks {
            let row = try connection.first(
                """
                SELECT (SELECT COALESCE(MAX(id), 0) FROM payments_audit) AS audit, (SELECT COALESCE(MAX(id), 0) FROM payments_facts) AS facts,
                  (SELECT COALESCE(MAX(rowid), 0) FROM payments_attempts) AS attempts,
                  (SELECT COALESCE(MAX(rowid), 0) FROM payments_payments) AS payments
                """)
            var marks = Marks()
            guard let row else { return marks }
            marks.audit = try row.int("audit")
            marks.facts = try row.int("facts")
            marks.attempts = try row.int("attempts")
            marks.payments = try row.int("payments")
            return marks
        }

        /// The days of the payments that anything has come to since.
        func touchedDays(in connection: Connection) throws -> [Int64] {
            try connection.query(
                """
                SELECT DISTINCT created_at / \(PaymentSums.dayMs) AS day FROM payments_payments WHERE id IN (
                  SELECT payment FROM payments_audit WHERE id > $1 UNION SELECT payment FROM payments_facts WHERE id > $2
                  UNION SELECT payment FROM payments_attempts WHERE rowid > $3 UNION SELECT id FROM payments_payments WHERE rowid > $4)
                """, [.integer(audit), .integer(facts), .integer(attempts), .integer(payments)]
            ).map { try $0.int("day") }
        }
    }
}

/// Which payments are gone through, in pieces.
private enum Span: Sendable {
    /// All from an identifier on.
    case identifiers(from: String)
    /// Those begun from a moment (of that moment: from an identifier on) until another.
    case times(from: Int64, id: String, until: Int64)
}

/// Some payments that lie beside each other, summed.
private struct Chunk: Sendable {
    let figures: [(day: Int64, key: PaymentSums.FigureKey, sums: PaymentSums.Sums)]
    let totals: [(day: Int64, key: PaymentSums.TotalKey, sums: PaymentSums.Sums)]
    /// Where the next one begins; nil where this is the last.
    let next: Span?

    private static let sums = """
        COUNT(*) AS n, SUM(p.amount) AS owed, SUM(p.captured) AS captured, SUM(p.refunded) AS refunded, SUM(p.refunded > 0) AS refunds,
        SUM(p.paid_at IS NOT NULL) AS paid, COALESCE(SUM(p.paid_at - p.created_at), 0) AS wait
        """

    init(_ span: Span, limit: Int, in connection: Connection) throws {
        let (condition, bindings): (String, [SQLValue])
        (condition, bindings, next) = try Self.piece(span, limit: limit, in: connection)
        figures = try connection.query(
            """
            SELECT p.created_at / \(PaymentSums.dayMs) AS day, p.currency AS currency, p.state AS state, p.purpose AS purpose,
              COALESCE(a.provider, '') AS provider, COALESCE(a.method, '') AS method, COALESCE(a.network, '') AS network, \(Self.sums)
            FROM payments_payments p LEFT JOIN payments_attempts a
              ON a.payment = p.id AND a.number = (SELECT MAX(number) FROM payments_attempts WHERE payment = p.id)
            WHERE \(condition) GROUP BY 1, 2, 3, 4, 5, 6, 7
            """, bindings
        ).map { row in
            let key = PaymentSums.FigureKey(
                currency: try row.text("currency"), state: try row.text("state"), purpose: try row.text("purpose"),
                provider: try row.text("provider"), method: try row.text("method"), network: try row.text("network"))
            return (try row.int("day"), key, try PaymentSums.Sums(row))
        }
        totals = try connection.query(
            """
            SELECT p.created_at / \(PaymentSums.dayMs) AS day, p.currency AS currency, p.state AS state, t.provider AS provider, \(Self.sums)
            FROM (
              SELECT DISTINCT a.payment AS payment, a.provider AS provider
              FROM payments_payments p CROSS JOIN payments_attempts a ON a.payment = p.id WHERE \(condition)
            ) t CROSS JOIN payments_payments p ON p.id = t.payment
            GROUP BY 1, 2, 3, 4
            """, bindings
        ).map { row in
            let key = PaymentSums.TotalKey(currency: try row.text("currency"), state: try row.text("state"), provider: try row.text("provider"))
            return (try row.int("day"), key, try PaymentSums.Sums(row))
        }
    }

    /// So many payments of a span: their condition in SQL with what is bound in it, and what is left of the span.
    private static func piece(_ span: Span, limit: Int, in connection: Connection) throws -> (String, [SQLValue], Span?) {
        switch span {
        case .identifiers(let first):
            let row = try connection.first(
                "SELECT id FROM payments_payments WHERE id >= $1 ORDER BY id LIMIT 1 OFFSET $2", [.text(first), .int(limit)])
            guard let end = try row?.text("id") else { return ("p.id >= $1", [.text(first)], nil) }
            return ("p.id >= $1 AND p.id < $2", [.text(first), .text(end)], .identifiers(from: end))
        case .times(let fromMs, let id, let untilMs):
            let row = try connection.first(
                """
                SELECT created_at, id FROM payments_payments WHERE (created_at, id) >= ($1, $2) AND created_at < $3
                ORDER BY created_at, id LIMIT 1 OFFSET $4
                """, [.integer(fromMs), .text(id), .integer(untilMs), .int(limit)])
            let end = try row.map { (ms: try $0.int("created_at"), id: try $0.text("id")) }
            let bindings: [SQLValue] = [.integer(fromMs), .text(id), .integer(end?.ms ?? untilMs), .text(end?.id ?? "")]
            return (
                "(p.created_at, p.id) >= ($1, $2) AND (p.created_at, p.id) < ($3, $4)", bindings,
                end.map { .times(from: $0.ms, id: $0.id, until: untilMs) }
            )
        }
    }
}

extension PaymentSums.Sums {
    fileprivate init(_ row: Row) throws {
        count = try row.int("n")
        owed = try row.int("owed")
        captured = try row.int("captured")
        refunded = try row.int("refunded")
        refundedCount = try row.int("refunds")
        paidCount = try row.int("paid")
        waitMs = try row.int("wait")
    }
}

// MARK: Totals

extension PaymentSums {
    /// Sums of one currency.
    public struct Total: Sendable, Equatable {
        public let count: Int64
        public let owed: Money
        public let captured: Money
        public let refunded: Money
    }

    /// Sums by currency of all payments that a filter means. Its times count by whole days; a method is not asked for.
    public func totals(_ filter: PaymentFilter) throws -> [Total] {
        let first = filter.fromMs.map { $0 / Self.dayMs } ?? .min
        let end = filter.toMs.map { ($0 + Self.dayMs - 1) / Self.dayMs } ?? .max
        var found: [String: Sums] = [:]
        for (day, content) in days where day >= first && day < end {
            for (key, sums) in content.totals
            where key.provider == filter.provider && (filter.state == nil || key.state == filter.state?.rawValue)
                && (filter.currency == nil || key.currency == filter.currency)
            {
                found[key.currency, default: Sums()] += sums
            }
        }
        return try found.sorted { $0.key < $1.key }.map { code, sums in
            let currency = try Currency(code: code)
            return Total(
                count: sums.count, owed: Money(sums.owed, currency), captured: Money(sums.captured, currency),
                refunded: Money(sums.refunded, currency))
        }
    }
}
