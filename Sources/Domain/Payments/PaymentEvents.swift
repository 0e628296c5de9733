import Database
import Formats
import JobQueue
import Outbox
import ProviderPort

/// An event together with what its adapter read in it, made outside the transaction.
public struct ReadEvent: Sendable {
    public let event: ProviderEvent
    public let reading: Reading

    public enum Reading: Sendable {
        case notice(ProviderNotice)
        /// Verified, but not of the provider's shape: kept for a person.
        case unreadable(String)
        /// No adapter of that name is on here.
        case noAdapter
    }

    public init(_ event: ProviderEvent, providers: ProviderRegistry) {
        self.event = event
        guard let adapter = providers.known(event.provider) else {
            reading = .noAdapter
            return
        }
        do {
            reading = .notice(try adapter.parse(body: event.body, contentType: event.contentType))
        } catch {
            reading = .unreadable(error.description)
        }
    }
}

/// Applies events in the caller's transaction: archive, match, then fact or fetch.
public struct PaymentEvents: Sendable {
    public let facts: PaymentFacts
    public let providers: ProviderRegistry

    public init(facts: PaymentFacts, providers: ProviderRegistry) {
        self.facts = facts
        self.providers = providers
    }

    public enum Outcome: String, Sendable {
        case applied, verifying, ignored, unmatched, quarantined, duplicate

        /// Somebody or something has still to do with it: few are.
        var isUnsettled: Bool { [.verifying, .unmatched, .quarantined].contains(self) }
    }

    /// Archives an event and lets it take effect, once: the same id a second time only counts a delivery.
    public func apply(_ read: ReadEvent, nowMs: Int64, in connection: Connection) throws -> Outcome {
        let event = read.event
        let inserted = try connection.execute(
            """
            INSERT INTO payments_events (id, provider, mode, trust, type, received_at, content_type, body, headers, matched_key,
              address_payment, address_attempt, outcome)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'ignored') ON CONFLICT (id) DO NOTHING
            """,
            [
                .text(event.archiveID), .text(event.provider), .text(event.mode), .text(event.trust.rawValue), .text(event.type),
                .integer(event.timeMs), .text(event.contentType), .blob(event.body), .text(event.headers),
                .optional(event.matchedKey.map(Int64.init)), .optional(event.payment), .optional(event.attemptNumber),
            ])
        guard inserted == 1 else {
            try connection.execute("UPDATE payments_events SET deliveries = deliveries + 1 WHERE id = $1", [.text(event.archiveID)])
            return .duplicate
        }
        return try take(read, cause: event.archiveID, nowMs: nowMs, in: connection)
    }

    /// Lets an archived event take effect.
    /// - Parameter cause: names this taking: the event's id the first time. A question under a cause that is known is not asked again.
    func take(_ read: ReadEvent, cause: String, nowMs: Int64, in connection: Connection) throws -> Outcome {
        let event = read.event
        switch read.reading {
        case .unreadable(let why): return try settle(event, .quarantined, detail: why, attempt: nil, in: connection)
        case .noAdapter: return try settle(event, .quarantined, detail: "provider \(event.provider) is off here", attempt: nil, in: connection)
        case .notice(let notice): return try apply(notice, of: event, cause: cause, nowMs: nowMs, in: connection)
        }
    }

    /// Lets events that matched nothing take effect for an attempt whose references have just become known.
    public func rematch(_ attempt: PaymentAttempt, nowMs: Int64, in connection: Connection) throws {
        let rows = try connection.query(
            """
            SELECT DISTINCT e.* FROM payments_unmatched u JOIN payments_references r ON r.provider = u.provider AND r.value = u.value
            JOIN payments_events e ON e.id = u.event WHERE r.attempt = $1 AND e.outcome = 'unmatched' ORDER BY e.received_at
            """, [.text(attempt.id)])
        for row in rows {
            let event = try ProviderEvent(archived: row)
            guard case .notice(let notice) = ReadEvent(event, providers: providers).reading else { continue }
            _ = try apply(notice, of: event, cause: event.archiveID, nowMs: nowMs, in: connection)
            try connection.execute("DELETE FROM payments_unmatched WHERE event = $1", [.text(event.archiveID)])
        }
    }

    private func apply(
        _ notice: ProviderNotice, of event: ProviderEvent, cause: String, nowMs: Int64, in connection: Connection
    ) throws -> Outcome {
        if notice.references.isEmpty && notice.claim == .unknown && event.payment == nil {
            return try settle(event, .ignored, detail: "a type that is not used: \(event.type)", attempt: nil, in: connection)
        }
        guard let attempt = try attempt(of: notice, event, in: connection) else {
            for reference in notice.references {
                try connection.execute(
                    "INSERT INTO payments_unmatched (event, provider, value) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                    [.text(event.archiveID), .text(event.provider), .text(reference.value)])
            }
            let kinds = providers.known(event.provider)?.capabilities.identifiedBy ?? []
            try ParkedReferences.park(notice.references, of: event, kinds: kinds, nowMs: nowMs, in: connection)
            let told = (notice.references.map { "\($0.kind) \($0.value)" } + (event.payment.map { ["payment \($0)"] } ?? [])).joined(separator: ", ")
            return try settle(event, .unmatched, detail: "no payment has \(told)", attempt: nil, in: connection)
        }
        try connection.execute(
            "UPDATE payments_attempts SET webhook_received_at = COALESCE(webhook_received_at, $2) WHERE id = $1",
            [.text(attempt.id), .integer(event.timeMs)])
        guard attempt.mode == event.mode else {
            let detail = "a \(event.mode) event for a \(attempt.mode) attempt"
            return try settle(event, .quarantined, detail: detail, attempt: attempt, in: connection)
        }
        if let meant = event.payment, meant != attempt.payment {
            return try settle(event, .quarantined, detail: "posted to an address made for another payment", attempt: attempt, in: connection)
        }
        switch belief(in: notice, of: event) {
        case .believed: break
        case .mustAsk:
            try keep(notice.references, of: event, for: attempt, nowMs: nowMs, in: connection)
            // What nobody proved shares its questions; a replay is somebody's wish.
            if event.trust == .unproven && cause == event.archiveID {
                try UnprovenHints.ask(about: attempt, cause: cause, outbox: facts.outbox, nowMs: nowMs, in: connection)
            } else {
                try VerifyPayment.ask(about: attempt, cause: cause, outbox: facts.outbox, nowMs: nowMs, in: connection)
            }
            return try settle(event, .verifying, detail: nil, attempt: attempt, in: connection)
        case .cannotBeProved:
            let detail = "the event proves nothing and \(event.provider) cannot be asked"
            return try settle(event, .quarantined, detail: detail, attempt: attempt, in: connection)
        }
        let source = PaymentFacts.Source(actor: "provider:\(event.provider)", reference: cause)
        let state = try facts.recordTold(notice, attempt: attempt, source: source, nowMs: nowMs, in: connection)
        return try settle(event, .applied, detail: "payment is \(state.rawValue)", attempt: attempt, in: connection)
    }

    /// The attempt that the message names; else the one that its address was made for.
    func attempt(of notice: ProviderNotice, _ event: ProviderEvent, in connection: Connection) throws -> PaymentAttempt? {
        if let named = try PaymentStore.attempt(of: notice.references, provider: event.provider, in: connection) { return named }
        guard let payment = event.payment, let number = event.attemptNumber else { return nil }
        return try PaymentStore.attempts(of: payment, in: connection).first { $0.number == number && $0.provider == event.provider }
    }

    /// What a message names may be all that there is to ask by. It is the attempt's where a secret proves that the message is for it; else
    /// only the provider's answer tells.
    private func keep(
        _ references: [ProviderReference], of event: ProviderEvent, for attempt: PaymentAttempt, nowMs: Int64, in connection: Connection
    ) throws {
        let isMeant = event.payment == attempt.payment && event.attemptNumber == attempt.number && event.trust != .unproven
        guard !isMeant else {
            return try PaymentStore.register(references, attempt: attempt.id, provider: attempt.provider, nowMs: nowMs, in: connection)
        }
        for reference in references where reference.kind != "ours" {
            try UnverifiedReferences.add(reference, attempt: attempt, isProven: event.trust != .unproven, nowMs: nowMs, in: connection)
        }
    }

    private enum Belief { case believed, mustAsk, cannotBeProved }

    /// Only a proof that covers status, amount and currency is believed; for all else the provider is asked.
    private func belief(in notice: ProviderNotice, of event: ProviderEvent) -> Belief {
        guard let capabilities = providers.known(event.provider)?.capabilities else { return .cannotBeProved }
        let isEnough = event.trust == .signed && capabilities.proofCoversMoney && providers.policy(of: event.provider).believesProofs
        guard isEnough else { return capabilities.hasStatus ? .mustAsk : .cannotBeProved }
        let lacksMoney = notice.claim == .captured && notice.amount == nil && notice.amountProblem == nil
        return (notice.claim == .unknown || lacksMoney) && capabilities.hasStatus ? .mustAsk : .believed
    }

    private func settle(
        _ event: ProviderEvent, _ outcome: Outcome, detail: String?, attempt: PaymentAttempt?, in connection: Connection
    ) throws -> Outcome {
        try connection.execute(
            "UPDATE payments_events SET outcome = $2, detail = $3, attempt = $4, payment = $5 WHERE id = $1",
            [.text(event.archiveID), .text(outcome.rawValue), .optional(detail), .optional(attempt?.id), .optional(attempt?.payment)])
        return outcome
    }
}

extension ProviderEvent {
    /// An id is the provider's own: unique with its source only.
    var archiveID: String { "\(provider)/\(id)" }

    /// The event as the archive holds it.
    init(archived row: Row) throws {
        let provider = try row.text("provider")
        guard let trust = Trust(rawValue: try row.text("trust")) else { throw PaymentError.damagedRow(try row.text("id")) }
        self.init(
            id: String(try row.text("id").dropFirst(provider.count + 1)), provider: provider, mode: try row.text("mode"), trust: trust,
            type: try row.text("type"),
            timeMs: try row.int("received_at"), contentType: try row.text("content_type"), body: try row.blob("body"),
            headers: try row.text("headers"), matchedKey: try row.intOrNil("matched_key").map(Int.init),
            payment: try row.textOrNil("address_payment"), attemptNumber: try row.intOrNil("address_attempt"), target: "", traceparent: nil)
    }
}

/// One row of the archive, as listings show it.
public struct EventRecord: Sendable {
    public let id: String
    public let provider: String
    public let mode: String
    public let trust: String
    public let type: String
    public let receivedAtMs: Int64
    public let payment: String?
    public let outcome: String
    public let detail: String?
    public let deliveries: Int64

    static let columns = "id, provider, mode, trust, type, received_at, payment, outcome, detail, deliveries"

    init(_ row: Row) throws {
        id = try row.text("id")
        provider = try row.text("provider")
        mode = try row.text("mode")
        trust = try row.text("trust")
        type = try row.text("type")
        receivedAtMs = try row.int("received_at")
        payment = try row.textOrNil("payment")
        outcome = try row.text("outcome")
        detail = try row.textOrNil("detail")
        deliveries = try row.int("deliveries")
    }

    /// The events of one payment, oldest first.
    public static func of(payment: String, in connection: Connection) throws -> [EventRecord] {
        try connection.query("SELECT \(columns) FROM payments_events WHERE payment = $1 ORDER BY received_at, id", [.text(payment)])
            .map(EventRecord.init)
    }

    /// What people search by of the payment that an event, as it was archived, belongs to; empty where it belongs to none.
    public static func searchFields(of event: ProviderEvent, in connection: Connection) throws -> [String: String] {
        let row = try connection.first("SELECT payment FROM payments_events WHERE id = $1", [.text(event.archiveID)])
        guard let payment = try row?.textOrNil("payment") ?? event.payment else { return [:] }
        return try PaymentStore.searchFields(of: payment, in: connection)
    }

    /// Events of one outcome (`unmatched`, `quarantined`, …), newest first.
    public static func list(outcome: PaymentEvents.Outcome, limit: Int, in connection: Connection) throws -> [EventRecord] {
        try connection.query(
            // In the words of the index of the few that are unsettled: SQLite would walk through all events by time else.
            """
            SELECT \(columns) FROM payments_events
            WHERE \(outcome.isUnsettled ? "outcome IN ('unmatched', 'quarantined', 'verifying') AND" : "") outcome = $1
            ORDER BY received_at DESC LIMIT $2
            """, [.text(outcome.rawValue), .integer(Int64(limit))]
        ).map(EventRecord.init)
    }

    /// Which of these events, by their ids in the archive, it has.
    public static func known(_ ids: [String], in connection: Connection) throws -> Set<String> {
        try ids.reduce(into: []) { known, id in
            if try connection.first("SELECT 1 AS found FROM payments_events WHERE id = $1", [.text(id)]) != nil { known.insert(id) }
        }
    }

    /// How many events ended how.
    public static func counts(in connection: Connection) throws -> [(outcome: String, count: Int64)] {
        try connection.query("SELECT outcome, COUNT(*) AS n FROM payments_events GROUP BY outcome ORDER BY outcome", []).map {
            (try $0.text("outcome"), try $0.int("n"))
        }
    }

    /// How long an unproven event that nothing matched is kept: anybody can post any number of them. What such an event names becomes known
    /// within minutes, if ever.
    public static let unprovenKeepMs: Int64 = 2 * 86_400_000

    /// Removes unproven events received before `cutoffMs` that nothing has matched; at most `limit` a call.
    public static func purgeUnproven(receivedBefore cutoffMs: Int64, limit: Int, in connection: Connection) throws -> Int {
        try connection.execute(
            // In the words of the index of the few that are unsettled.
            """
            DELETE FROM payments_events WHERE id IN (SELECT id FROM payments_events
              WHERE outcome IN ('unmatched', 'quarantined', 'verifying') AND outcome = 'unmatched' AND received_at < $1 AND trust = $2
              ORDER BY received_at LIMIT $3)
            """, [.integer(cutoffMs), .text(Trust.unproven.rawValue), .integer(Int64(limit))])
    }

    /// Removes events received before `cutoffMs`, whatever became of them; at most `limit` a call. Facts and audit rows stay.
    public static func purge(receivedBefore cutoffMs: Int64, limit: Int, in connection: Connection) throws -> Int {
        try connection.execute(
            """
            DELETE FROM payments_events WHERE id IN (SELECT id FROM payments_events
              WHERE received_at < $1 ORDER BY received_at LIMIT $2)
            """, [.integer(cutoffMs), .integer(Int64(limit))])
    }
}
