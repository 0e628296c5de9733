import Database
import Formats
import Ledger
import Outbox
import ProviderPort

/// Taking up an archived event again: what it came to, or would come to.
///
/// It has a name of its own, so that nothing takes it for a repetition of the event. What is known already is not entered twice: a fact, a
/// fulfilment and an entry of the ledger have names by which there is one of each, whatever told of them.
public struct EventReplay: Sendable {
    /// The event's id in the archive.
    public let event: String
    public let nonce: String
    public let before: PaymentEvents.Outcome
    public let outcome: PaymentEvents.Outcome
    public let detail: String?
    /// The payment that it is about; nil where it leads to none.
    public let payment: String?
    public let stateBefore: PaymentState?
    public let stateAfter: PaymentState?
    /// Kinds of the jobs that it adds, and of the tasks that it opens.
    public let jobs: [String]
    public let tasks: [String]
    /// Facts and ledger entries that were not known before.
    public let facts: Int64
    public let entries: Int

    /// Whether anything is different afterwards, beside the event's own outcome. That the provider is asked once more changes nothing yet.
    public var changesPayment: Bool {
        stateBefore != stateAfter || facts > 0 || entries > 0 || !tasks.isEmpty || jobs.contains { $0 != VerifyPayment.kind }
    }
}

/// Which archived events are meant; nil for any.
public struct EventFilter: Sendable {
    public let outcome: PaymentEvents.Outcome?
    public let provider: String?
    public let payment: String?
    /// Received from this time on, and before that one.
    public let fromMs: Int64?
    public let toMs: Int64?

    public init(
        outcome: PaymentEvents.Outcome? = nil, provider: String? = nil, payment: String? = nil, fromMs: Int64? = nil, toMs: Int64? = nil
    ) {
        self.outcome = outcome
        self.provider = provider
        self.payment = payment
        self.fromMs = fromMs
        self.toMs = toMs
    }
}

extension EventRecord {
    /// The ids of the events that a filter means, oldest first.
    public static func ids(_ filter: EventFilter, limit: Int, in connection: Connection) throws -> [String] {
        try connection.query(
            """
            SELECT id FROM payments_events WHERE ($1 IS NULL OR outcome = $1) AND ($2 IS NULL OR provider = $2) AND ($3 IS NULL OR payment = $3)
              AND ($4 IS NULL OR received_at >= $4) AND ($5 IS NULL OR received_at < $5) ORDER BY received_at, id LIMIT $6
            """,
            [
                .optional(filter.outcome?.rawValue), .optional(filter.provider), .optional(filter.payment), .optional(filter.fromMs),
                .optional(filter.toMs), .integer(Int64(limit)),
            ]
        ).map { try $0.text("id") }
    }
}

extension PaymentEvents {
    /// Lets an archived event take effect as if it came now: after a payment it names has become known, a provider was turned on, an adapter
    /// has learnt to read it.
    /// - Parameters:
    ///   - nonce: names the replay; the same one a second time is refused.
    ///   - actor: who wants it.
    /// - Throws: ``PaymentError/notFound(_:)`` when the archive has no such event.
    public func replay(_ id: String, nonce: String, actor: String, nowMs: Int64, in connection: Connection) throws -> EventReplay {
        guard let row = try connection.first("SELECT * FROM payments_events WHERE id = $1", [.text(id)]) else { throw PaymentError.notFound(id) }
        guard let before = Outcome(rawValue: try row.text("outcome")) else { throw PaymentError.damagedRow(id) }
        let read = ReadEvent(try ProviderEvent(archived: row), providers: providers)
        let payment = try self.payment(of: read, in: connection)
        let standing = try payment.map { try Standing($0, in: connection) }
        let outcome = try take(read, cause: "\(id)~\(nonce)", nowMs: nowMs, in: connection)
        let detail = try connection.first("SELECT detail FROM payments_events WHERE id = $1", [.text(id)])?.textOrNil("detail")
        // What once had its effect is not forgotten for a replay that comes to less.
        if [.applied, .verifying].contains(before), ![.applied, .verifying].contains(outcome) {
            try connection.execute(
                "UPDATE payments_events SET outcome = $2, detail = $3, attempt = $4, payment = $5 WHERE id = $1",
                [
                    .text(id), .text(before.rawValue), .optional(try row.textOrNil("detail")), .optional(try row.textOrNil("attempt")),
                    .optional(try row.textOrNil("payment")),
                ])
        }
        if outcome != .unmatched { try connection.execute("DELETE FROM payments_unmatched WHERE event = $1", [.text(id)]) }
        try connection.execute(
            "INSERT INTO payments_replays (event, nonce, at, actor, outcome_before, outcome, detail) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            [
                .text(id), .text(nonce), .integer(nowMs), .text(actor), .text(before.rawValue), .text(outcome.rawValue), .optional(detail),
            ])
        let after = try payment.map { try Standing($0, in: connection) }
        return EventReplay(
            event: id, nonce: nonce, before: before, outcome: outcome, detail: detail, payment: payment, stateBefore: standing?.state,
            stateAfter: after?.state, jobs: Self.added(standing?.jobs, after?.jobs), tasks: Self.added(standing?.tasks, after?.tasks),
            facts: (after?.facts ?? 0) - (standing?.facts ?? 0), entries: (after?.entries ?? 0) - (standing?.entries ?? 0))
    }

    private func payment(of read: ReadEvent, in connection: Connection) throws -> String? {
        guard case .notice(let notice) = read.reading else { return nil }
        return try attempt(of: notice, read.event, in: connection)?.payment
    }

    /// What can change of a payment.
    private struct Standing {
        let state: PaymentState
        let facts: Int64
        let entries: Int
        /// What it is called, by id.
        let jobs: [String: String]
        let tasks: [String: String]

        init(_ payment: String, in connection: Connection) throws {
            state = try PaymentStore.require(payment, in: connection).state
            facts = try connection.first("SELECT COUNT(*) AS n FROM payments_facts WHERE payment = $1", [.text(payment)])?.int("n") ?? 0
            entries = try Ledger.entries(of: payment, in: connection).count
            jobs = Dictionary(try JobRecord.of(payment: payment, in: connection).map { ($0.id, $0.kind) }) { first, _ in first }
            let tasks = try connection.query("SELECT id, kind FROM payments_tasks WHERE payment = $1 AND closed_at IS NULL", [.text(payment)])
            self.tasks = Dictionary(try tasks.map { (String(try $0.int("id")), try $0.text("kind")) }) { first, _ in first }
        }
    }

    private static func added(_ before: [String: String]?, _ after: [String: String]?) -> [String] {
        (after ?? [:]).filter { before?[$0.key] == nil }.map(\.value).sorted()
    }
}
