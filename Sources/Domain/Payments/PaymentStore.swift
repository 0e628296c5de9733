import Database
import Formats
import Money
import ProviderPort

/// Payments, attempts and references in SQL. All calls run inside a transaction of the caller.
public enum PaymentStore {
    public static let migrations = MigrationSet(
        room: "payments",
        migrations: [
            Migration(number: 1, name: "payments", sqlite: String(decoding: PackageResources._001_payments_sqlite_sql, as: UTF8.self)),
            Migration(number: 2, name: "steps", sqlite: String(decoding: PackageResources._002_steps_sqlite_sql, as: UTF8.self)),
            Migration(number: 3, name: "refunds", sqlite: String(decoding: PackageResources._003_refunds_sqlite_sql, as: UTF8.self)),
            Migration(number: 4, name: "refund sums", sqlite: String(decoding: PackageResources._004_refund_sums_sqlite_sql, as: UTF8.self)),
            Migration(number: 5, name: "sources", sqlite: String(decoding: PackageResources._005_sources_sqlite_sql, as: UTF8.self)),
            Migration(number: 6, name: "standings", sqlite: String(decoding: PackageResources._006_standings_sqlite_sql, as: UTF8.self)),
            Migration(number: 7, name: "decisions", sqlite: String(decoding: PackageResources._007_decisions_sqlite_sql, as: UTF8.self)),
            Migration(number: 8, name: "answers", sqlite: String(decoding: PackageResources._008_answers_sqlite_sql, as: UTF8.self)),
            Migration(number: 9, name: "networks", sqlite: String(decoding: PackageResources._009_networks_sqlite_sql, as: UTF8.self)),
            Migration(number: 10, name: "begun", sqlite: String(decoding: PackageResources._010_begun_sqlite_sql, as: UTF8.self)),
        ])

    /// Creates a payment in state `created`, with its first audit row.
    public static func create(_ new: NewPayment, actor: String, nowMs: Int64, in connection: Connection) throws -> Payment {
        guard new.amount.isPositive else { throw PaymentError.invalid(field: "amount", rule: "must be positive") }
        let id = "pay_" + ULID.make(nowMs: nowMs)
        try connection.execute(
            """
            INSERT INTO payments_payments (id, purpose, subject, description, amount, currency, state, customer_name, customer_email,
              customer_phone, language, metadata, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, 'created', $7, $8, $9, $10, $11, $12, $12)
            """,
            [
                .text(id), .text(new.purpose), .text(new.subject), .text(new.description), .integer(new.amount.minorUnits),
                .text(new.amount.currency.code), .text(new.customer.name), .optional(new.customer.email), .optional(new.customer.phone),
                .text(new.customer.language), .text(PaymentMetadata.encode(new.metadata)), .integer(nowMs),
            ])
        try PaymentAudit.record(payment: id, from: nil, to: .created, actor: actor, source: new.purpose, detail: nil, nowMs: nowMs, in: connection)
        return try require(id, in: connection)
    }

    public static func find(_ id: String, in connection: Connection) throws -> Payment? {
        try connection.first("SELECT * FROM payments_payments WHERE id = $1", [.text(id)]).map(Payment.init)
    }

    /// - Throws: ``PaymentError/notFound(_:)``.
    public static func require(_ id: String, in connection: Connection) throws -> Payment {
        guard let payment = try find(id, in: connection) else { throw PaymentError.notFound(id) }
        return payment
    }

    /// The newest payment of a subject.
    public static func latest(purpose: String, subject: String, in connection: Connection) throws -> Payment? {
        try connection.first(
            "SELECT * FROM payments_payments WHERE purpose = $1 AND subject = $2 ORDER BY created_at DESC, id DESC LIMIT 1",
            [.text(purpose), .text(subject)]
        ).map(Payment.init)
    }

    /// Payments, newest first; `state` and `purpose` narrow the list. At most `limit` rows after `before` (a payment id).
    public static func list(
        state: PaymentState? = nil, purpose: String? = nil, before: String? = nil, limit: Int, in connection: Connection
    ) throws -> [Payment] {
        try connection.query(
            """
            SELECT * FROM payments_payments WHERE \(state == nil ? "$1 IS NULL" : "state = $1") AND ($2 IS NULL OR purpose = $2)
              AND id < COALESCE($3, '~') ORDER BY id DESC LIMIT $4
            """, [.optional(state?.rawValue), .optional(purpose), .optional(before), .integer(Int64(limit))]
        ).map(Payment.init)
    }

    /// Corrects the address that the customer of a payment is written to.
    public static func correct(email: String, of id: String, actor: String, reason: String, nowMs: Int64, in connection: Connection) throws {
        let payment = try require(id, in: connection)
        guard payment.customer.email != email else { return }
        try connection.execute(
            "UPDATE payments_payments SET customer_email = $2, updated_at = $3 WHERE id = $1", [.text(id), .text(email), .integer(nowMs)])
        // What it was is the customer's, or a stranger's.
        let detail = "the customer's e-mail address was corrected: \(reason)"
        try PaymentAudit.note(payment, actor: actor, source: payment.subject, detail: detail, nowMs: nowMs, in: connection)
    }

    /// Notes that somebody was asked for the money once more: a payment that moved lately is not taken for one that nobody will pay.
    public static func noteAsked(for payment: Payment, nowMs: Int64, in connection: Connection) throws {
        guard payment.state.takesAttempts else { return }
        try connection.execute(
            "UPDATE payments_payments SET updated_at = $2 WHERE id = $1 AND updated_at < $2", [.text(payment.id), .integer(nowMs)])
    }

    /// How many payments stand where.
    public static func counts(in connection: Connection) throws -> [(state: PaymentState, count: Int64)] {
        try connection.query("SELECT state, SUM(count) AS n FROM payments_standings GROUP BY state HAVING n > 0 ORDER BY state", []).compactMap {
            row in
            guard let state = PaymentState(rawValue: try row.text("state")) else { return nil }
            return (state, try row.int("n"))
        }
    }

    // MARK: Attempts

    /// Starts an attempt and registers our reference for it, to be committed *before* the provider is called: whatever the
    /// call comes to, its webhook and the reconciliation find the attempt.
    /// - Parameters:
    ///   - amount: a part of what is owed, where the purpose allows deposits; else what is still owed.
    ///   - capabilities: the provider's, which say when it may be asked about the attempt for the first time.
    /// - Throws: ``PaymentError/notAllowed(_:)`` when the payment no longer waits for money.
    public static func startAttempt(
        of payment: Payment, provider: String, mode: String, method: String?, network: String? = nil, amount: Int64? = nil,
        capabilities: ProviderCapabilities? = nil, nowMs: Int64, in connection: Connection
    ) throws -> PaymentAttempt {
        guard payment.state.takesAttempts else {
            throw PaymentError.notAllowed("payment \(payment.id) is \(payment.state.rawValue): no further attempt can be started")
        }
        let left = payment.left.minorUnits
        guard left > 0, amount.map({ (1...left).contains($0) }) ?? true else {
            throw PaymentError.invalid(field: "amount", rule: "must be positive and at most \(payment.left.decimalText)")
        }
        return try enterAttempt(
            of: payment, provider: provider, mode: mode, method: method, network: network, part: amount ?? left, capabilities: capabilities,
            nowMs: nowMs, in: connection)
    }

    /// Starts the attempt by which a person records a sum that has come in by hand, and which nobody is asked to pay by. Such money is there
    /// whatever the payment waits for: beside a payment that waits it may be the rest of a conflicted one, or a second transfer of a paid one.
    /// - Throws: ``PaymentError/notAllowed(_:)`` when money of the payment went back: what comes then is another payment.
    public static func startReceipt(
        of payment: Payment, received sum: Money, provider: String, mode: String, method: String?, nowMs: Int64, in connection: Connection
    ) throws -> PaymentAttempt {
        guard payment.state == .conflicted || payment.state == .paid else {
            return try startAttempt(of: payment, provider: provider, mode: mode, method: method, nowMs: nowMs, in: connection)
        }
        // It asks for what came: only the sum of all is compared with what is owed. What is more than all that is owed contradicts by itself.
        let owed = payment.amount
        let part = PaymentFold.counts(sum, owed: owed) ? min(sum.minorUnits, owed.minorUnits) : owed.minorUnits
        return try enterAttempt(of: payment, provider: provider, mode: mode, method: method, part: part, nowMs: nowMs, in: connection)
    }

    private static func enterAttempt(
        of payment: Payment, provider: String, mode: String, method: String?, network: String? = nil, part: Int64,
        capabilities: ProviderCapabilities? = nil, nowMs: Int64, in connection: Connection
    ) throws -> PaymentAttempt {
        let id = attemptID(nowMs: nowMs)
        try connection.execute(
            """
            INSERT INTO payments_attempts (id, payment, number, provider, mode, method, network, amount, created_at, next_check_at)
            VALUES ($1, $2, (SELECT COALESCE(MAX(number), 0) + 1 FROM payments_attempts WHERE payment = $2), $3, $4, $5, $8, $9, $6, $7)
            """,
            [
                .text(id), .text(payment.id), .text(provider), .text(mode), .optional(method), .integer(nowMs),
                .integer(ReconciliationLadder.nextCheckMs(afterChecks: 0, createdAtMs: nowMs, nowMs: nowMs, capabilities)), .optional(network),
                .optional(part == payment.amount.minorUnits ? nil : part),
            ])
        try register([.ours(id)], attempt: id, provider: provider, nowMs: nowMs, in: connection)
        return try requireAttempt(id, in: connection)
    }

    /// Records what the provider answered to the start of an attempt.
    public static func recordInitiation(_ initiation: Initiation, attempt: String, nowMs: Int64, in connection: Connection) throws {
        let found = try requireAttempt(attempt, in: connection)
        try connection.execute(
            "UPDATE payments_attempts SET payment_url = $2, qr_code = $3, expires_at = $4, step = $5 WHERE id = $1",
            [
                .text(attempt), .text(initiation.paymentURL), .optional(initiation.qrCode), .optional(initiation.expiresAtMs),
                .text(initiation.step.json.text),
            ])
        try register(initiation.references, attempt: attempt, provider: found.provider, nowMs: nowMs, in: connection)
    }

    public static func requireAttempt(_ id: String, in connection: Connection) throws -> PaymentAttempt {
        guard let row = try connection.first("SELECT * FROM payments_attempts WHERE id = $1", [.text(id)]) else { throw PaymentError.notFound(id) }
        return try PaymentAttempt(row)
    }

    static func payment(ofAttempt id: String, in connection: Connection) throws -> String? {
        try connection.first("SELECT payment FROM payments_attempts WHERE id = $1", [.text(id)])?.text("payment")
    }

    /// The attempts of a payment in the order they were started.
    public static func attempts(of payment: String, in connection: Connection) throws -> [PaymentAttempt] {
        try connection.query("SELECT * FROM payments_attempts WHERE payment = $1 ORDER BY number", [.text(payment)]).map(PaymentAttempt.init)
    }

    // MARK: References

    /// Enters references of an attempt; one that already leads somewhere stays.
    public static func register(
        _ references: [ProviderReference], attempt: String, provider: String, nowMs: Int64, in connection: Connection
    ) throws {
        for reference in references {
            try connection.execute(
                """
                INSERT INTO payments_references (provider, value, kind, attempt, created_at) VALUES ($1, $2, $3, $4, $5)
                ON CONFLICT (provider, value) DO NOTHING
                """,
                [.text(provider), .text(reference.value), .text(reference.kind), .text(attempt), .integer(nowMs)])
        }
    }

    /// Enters the references of what a provider says of an attempt, where it ties them to it: what claims nothing of the attempt and does not
    /// name it may be about anybody's payment, and what is another attempt's is not this one's. What is said under a reference that is another
    /// attempt's is not said of this one: a capture would pay twice with one sum, and is entered as one that is no payment of ours, for a
    /// person to look at; money that went back would be taken from the wrong attempt, and is a task; anything else says nothing.
    static func claimed(
        _ notice: ProviderNotice, by attempt: PaymentAttempt, nowMs: Int64, in connection: Connection
    ) throws -> ProviderNotice {
        guard notice.claim != .unknown || notice.references.contains(.ours(attempt.id)) else { return notice }
        for reference in notice.references {
            guard let owner = try self.attempt(of: [reference], provider: attempt.provider, in: connection), owner.id != attempt.id else { continue }
            let problem = "\(reference.kind) \(reference.value.prefix(80)) is of attempt \(owner.id)"
            guard notice.claim != .captured else {
                return ProviderNotice(
                    references: [], claim: .captured, amount: nil, amountProblem: problem, transaction: notice.transaction,
                    occurredAtMs: notice.occurredAtMs)
            }
            if notice.claim == .refunded || notice.claim == .chargedBack {
                let detail = "attempt \(attempt.id) is said to be \(notice.claim.rawValue), but \(problem)"
                try PaymentTask.open(payment: attempt.payment, kind: "foreign_reference", detail: detail, nowMs: nowMs, in: connection)
            }
            return ProviderNotice(references: [], claim: .unknown, errorCode: "foreign_reference", errorText: problem)
        }
        try register(notice.references, attempt: attempt.id, provider: attempt.provider, nowMs: nowMs, in: connection)
        return notice
    }

    /// The attempt that the first known of these references leads to.
    public static func attempt(of references: [ProviderReference], provider: String, in connection: Connection) throws -> PaymentAttempt? {
        for reference in references {
            let row = try connection.first(
                """
                SELECT a.* FROM payments_references r JOIN payments_attempts a ON a.id = r.attempt
                WHERE r.provider = $1 AND r.value = $2
                """, [.text(provider), .text(reference.value)])
            if let row { return try PaymentAttempt(row) }
        }
        return nil
    }

    /// Every reference of an attempt, oldest first.
    public static func references(of attempt: String, in connection: Connection) throws -> [ProviderReference] {
        try connection.query("SELECT kind, value FROM payments_references WHERE attempt = $1 ORDER BY created_at, kind", [.text(attempt)]).map {
            ProviderReference(try $0.text("kind"), try $0.text("value"))
        }
    }

    /// Ten characters of time and fourteen of chance: a ULID without two of its random characters.
    private static func attemptID(nowMs: Int64) -> String {
        let ulid = ULID.make(nowMs: nowMs)
        return String(ulid.prefix(10) + ulid.suffix(14))
    }
}

/// The append-only trail of a payment's moves.
public struct PaymentAudit: Sendable {
    public let atMs: Int64
    public let from: String?
    public let to: String
    /// Who: `provider:cinetpay`, `staff:…`, `api:…`, `reconciliation`.
    public let actor: String
    /// What caused it: an event, a job, a request.
    public let source: String
    public let detail: String?

    static func record(
        payment: String, from: PaymentState?, to: PaymentState, actor: String, source: String, detail: String?, nowMs: Int64,
        in connection: Connection
    ) throws {
        try connection.execute(
            "INSERT INTO payments_audit (payment, at, from_state, to_state, actor, source, detail) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            [
                .text(payment), .integer(nowMs), .optional(from?.rawValue), .text(to.rawValue), .text(actor), .text(source), .optional(detail),
            ])
    }

    /// A row for what somebody did to a payment that need not move it.
    static func note(_ payment: Payment, actor: String, source: String, detail: String, nowMs: Int64, in connection: Connection) throws {
        try record(
            payment: payment.id, from: payment.state, to: payment.state, actor: actor, source: source, detail: String(detail.prefix(1000)),
            nowMs: nowMs, in: connection)
    }

    /// Where a payment stood when it became conflicted the last time.
    static func stateBeforeConflict(of payment: String, in connection: Connection) throws -> PaymentState? {
        try connection.first(
            "SELECT from_state FROM payments_audit WHERE payment = $1 AND to_state = 'conflicted' AND from_state <> 'conflicted' ORDER BY id DESC",
            [.text(payment)])?.textOrNil("from_state").flatMap(PaymentState.init(rawValue:))
    }

    /// The trail of one payment, oldest first.
    public static func of(payment: String, in connection: Connection) throws -> [PaymentAudit] {
        try connection.query("SELECT * FROM payments_audit WHERE payment = $1 ORDER BY id", [.text(payment)]).map { row in
            PaymentAudit(
                atMs: try row.int("at"), from: try row.textOrNil("from_state"), to: try row.text("to_state"), actor: try row.text("actor"),
                source: try row.text("source"), detail: try row.textOrNil("detail"))
        }
    }
}
