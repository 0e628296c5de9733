import Database
import Formats
import Ledger
import Money
import Outbox
import ProviderPort
import Telemetry

/// Enters facts and lets the payment follow them: state, audit, ledger and the jobs of the purpose, in one transaction.
public struct PaymentFacts: Sendable {
    public let purposes: PurposeRegistry
    public let outbox: Outbox
    private let log: Log

    public init(purposes: PurposeRegistry, outbox: Outbox, log: Log = Log("payments")) {
        self.purposes = purposes
        self.outbox = outbox
        self.log = log
    }

    /// Where a fact comes from.
    public struct Source: Sendable {
        /// Who says so: `provider:cinetpay`, `reconciliation`, `staff:…`.
        public let actor: String
        /// The event, job or request.
        public let reference: String
        public init(actor: String, reference: String) {
            self.actor = actor
            self.reference = reference
        }
    }

    /// Enters what a provider proved or answered about an attempt.
    /// - Returns: the payment's state afterwards. A fact that is already known changes nothing.
    @discardableResult
    public func record(
        _ notice: ProviderNotice, attempt: PaymentAttempt, source: Source, nowMs: Int64, in connection: Connection
    ) throws -> PaymentState {
        let notice = try PaymentStore.claimed(notice, by: attempt, nowMs: nowMs, in: connection)
        if notice.errorCode != nil || notice.errorText != nil {
            try connection.execute(
                "UPDATE payments_attempts SET error_code = $2, error_text = $3 WHERE id = $1",
                [.text(attempt.id), .optional(notice.errorCode), .optional(notice.errorText.map { String($0.prefix(500)) })])
        }
        if notice.errorCode == ProviderNotice.paidTwice {
            let detail = "attempt \(attempt.id): \(notice.errorText ?? "its provider has taken the money twice"); the surplus is to be refunded there"
            try PaymentTask.open(payment: attempt.payment, kind: "surplus", detail: detail, nowMs: nowMs, in: connection)
        }
        guard let claim = FactClaim(notice.claim) else { return try PaymentStore.require(attempt.payment, in: connection).state }
        let key = PaymentFact.key(claim, notice.amount, notice.amountProblem, attempt: attempt.id)
        return try enter(claim, notice, key: key, attempt: attempt, source: source, nowMs: nowMs, in: connection)
    }

    /// Enters a decision of ours about an attempt.
    /// - Parameter about: what was decided, a line each.
    @discardableResult
    func decide(
        _ claim: FactClaim, amount: Money? = nil, about: String? = nil, kept: Int64? = nil, aboutFact: Int64? = nil, attempt: PaymentAttempt,
        source: Source, nowMs: Int64, in connection: Connection
    ) throws -> PaymentState {
        let decision = ProviderNotice(references: [], claim: .unknown, amount: amount, amountProblem: about)
        let key = PaymentFact.key(claim, amount, nil, attempt: attempt.id) + ((about ?? aboutFact.map { "\($0)" }).map { ":\($0)" } ?? "")
        return try enter(claim, decision, key: key, kept: kept, about: aboutFact, attempt: attempt, source: source, nowMs: nowMs, in: connection)
    }

    private func enter(
        _ claim: FactClaim, _ notice: ProviderNotice, key: String, kept: Int64? = nil, about: Int64? = nil, attempt: PaymentAttempt,
        source: Source, nowMs: Int64, in connection: Connection
    ) throws -> PaymentState {
        let changed = try connection.execute(
            """
            INSERT INTO payments_facts (payment, attempt, claim, amount, currency, problem, provider_transaction, occurred_at, source,
              recorded_at, fact_key, kept, about)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (payment, fact_key) DO NOTHING
            """,
            [
                .text(attempt.payment), .text(attempt.id), .text(claim.rawValue), .optional(notice.amount?.minorUnits),
                .optional(notice.amount?.currency.code), .optional(notice.amountProblem), .optional(notice.transaction),
                .optional(notice.occurredAtMs), .text(source.reference), .integer(nowMs), .text(key), .optional(kept), .optional(about),
            ])
        if changed == 0 { return try PaymentStore.require(attempt.payment, in: connection).state }
        let state = try follow(attempt.payment, source: source, nowMs: nowMs, in: connection)
        guard claim == .captured, let amount = notice.amount else { return state }
        let payment = try PaymentStore.require(attempt.payment, in: connection)
        if !PaymentFold.counts(amount, owed: payment.amount) {
            try PaymentBooks(payment: payment, attempts: [attempt], nowMs: nowMs, connection: connection).hold(amount, attempt: attempt, factKey: key)
        }
        return state
    }

    /// Brings the payment to where its facts say it stands.
    private func follow(_ id: String, source: Source, nowMs: Int64, in connection: Connection) throws -> PaymentState {
        let payment = try PaymentStore.require(id, in: connection)
        let attempts = try PaymentStore.attempts(of: id, in: connection)
        let facts = try Self.facts(of: id, in: connection)
        let standing = standing(of: payment, facts, attempts)
        try tell(of: standing, payment, nowMs: nowMs, in: connection)
        let valued = Set(facts.filter { $0.claim == .valued && HeldMoney.wasForeign($0, among: facts) }.map(\.attempt))
        try PaymentBooks(payment: payment, attempts: attempts, exchanged: valued, nowMs: nowMs, connection: connection).follow(standing)
        let moves = standing.state != payment.state && payment.state.mayMove(to: standing.state)
        let state = moves ? standing.state : payment.state
        let firstPaid = state == .paid && payment.paidAtMs == nil
        try connection.execute(
            """
            UPDATE payments_payments SET state = $2, captured = $3, refunded = $4, updated_at = $5,
              paid_at = COALESCE(paid_at, CASE WHEN $6 = 1 THEN $5 END) WHERE id = $1
            """,
            [
                .text(id), .text(state.rawValue), .integer(standing.captured), .integer(standing.refunded), .integer(nowMs),
                .integer(firstPaid ? 1 : 0),
            ])
        try close(attempts, facts: facts, state: state, in: connection)
        // Which attempt decides: the one that brought the money, else the latest.
        let deciding = attempts.first { $0.id == standing.captures.first?.attempt } ?? attempts.last
        if standing.refunded > payment.refunded {
            try startRefundWork(payment, units: standing.refunded - payment.refunded, mode: deciding?.mode, source, nowMs: nowMs, in: connection)
        }
        guard moves else { return state }
        try PaymentAudit.record(
            payment: id, from: payment.state, to: state, actor: source.actor, source: source.reference,
            detail: standing.concerns.isEmpty ? nil : standing.concerns.joined(separator: "; "), nowMs: nowMs, in: connection)
        let fields = payment.logFields.merging(deciding?.logFields ?? [:]) { mine, _ in mine }
        connection.afterCommit { [log, from = payment.state] in
            log.with(fields).info(
                "payment moved", ["from": .string(from.rawValue), "to": .string(state.rawValue), "source": .string(source.reference)])
        }
        if state == .paid {
            try startWork(of: id, isFirst: firstPaid, mode: deciding?.mode ?? "live", fields: fields, nowMs: nowMs, in: connection)
        }
        if state == .failed || state == .chargedBack, let purpose = purposes[payment.purpose] {
            let moved = try PaymentStore.require(id, in: connection)
            let requests =
                try state == .failed
                ? purpose.failed(moved, attempt: attempts.last?.id, nowMs: nowMs, in: connection)
                : purpose.chargedBack(moved, nowMs: nowMs, in: connection)
            for request in requests { try outbox.add(request, nowMs: nowMs, in: connection) }
        }
        return state
    }

    /// Starts what the payment buys, once. One that is paid again has its work already: what of it was skipped while the payment stood
    /// elsewhere is taken up again.
    private func startWork(
        of id: String, isFirst: Bool, mode: String, fields: [String: Log.Value], nowMs: Int64, in connection: Connection
    ) throws {
        let payment = try PaymentStore.require(id, in: connection)
        guard !isFirst else {
            for request in try purposes[payment.purpose]?.fulfil(payment, mode: mode, nowMs: nowMs, in: connection) ?? [] {
                try outbox.add(request, nowMs: nowMs, in: connection)
            }
            return
        }
        for request in try purposes[payment.purpose]?.paidAgain(payment, nowMs: nowMs, in: connection) ?? [] {
            try outbox.add(request, nowMs: nowMs, in: connection)
        }
        let resumed = try outbox.resume(of: id, skippedFor: PaymentState.skipReasons, nowMs: nowMs, in: connection)
        guard resumed > 0 else { return }
        connection.afterCommit { [log] in log.with(fields).info("work taken up again", ["jobs": .int(Int64(resumed))]) }
    }

    private func startRefundWork(
        _ before: Payment, units: Int64, mode: String?, _ source: Source, nowMs: Int64, in connection: Connection
    ) throws {
        let payment = try PaymentStore.require(before.id, in: connection)
        var requests = try purposes.refunded(payment, try Refund.find(source.reference, in: connection)?.id)
        if let purpose = purposes[payment.purpose] {
            requests += try purpose.refunded(payment, units: units, mode: mode ?? "live", nowMs: nowMs, in: connection)
        }
        for request in requests { try outbox.add(request, nowMs: nowMs, in: connection) }
    }

    /// Opens tasks for what a person must look at now, and closes those that it is no more.
    private func tell(of standing: PaymentStanding, _ payment: Payment, nowMs: Int64, in connection: Connection) throws {
        let kind = standing.state.rawValue
        for concern in standing.concerns { try PaymentTask.open(payment: payment.id, kind: kind, detail: concern, nowMs: nowMs, in: connection) }
        if payment.captured > 0 || payment.state == .conflicted {
            try PaymentTask.closeConcerns(of: payment.id, but: (kind, standing.concerns), nowMs: nowMs, in: connection)
        }
        let before = payment.state == .conflicted ? try PaymentAudit.stateBeforeConflict(of: payment.id, in: connection) : payment.state
        if standing.state == .paid, let before, before.isGivenBack, payment.paidAtMs != nil {
            let detail = "paid again after it was \(before.rawValue): look whether its work was done, or give the money back"
            try PaymentTask.open(payment: payment.id, kind: "paid_again", detail: detail, nowMs: nowMs, in: connection)
        }
        try tellLateRest(standing, payment, nowMs: nowMs, in: connection)
        try tellUnstarted(standing, payment, nowMs: nowMs, in: connection)
    }

    /// Less was taken as payment in full, and invoiced as that; more that comes then is in no document.
    private func tellLateRest(_ standing: PaymentStanding, _ payment: Payment, nowMs: Int64, in connection: Connection) throws {
        let (taken, owed) = (payment.captured, payment.amount)
        guard payment.state == .paid, standing.state == .paid, taken < owed.minorUnits, standing.captured > taken else { return }
        let detail =
            "\(Money(standing.captured - taken, owed.currency)) more came in after \(Money(taken, owed.currency)) had been taken as payment: "
            + "the invoice may lack it, invoice it yourself or give it back"
        try PaymentTask.open(payment: payment.id, kind: "late_rest", detail: detail, nowMs: nowMs, in: connection)
    }

    /// Money that went back was told before it was told to have come: nothing was ever to be done for the payment, and nobody would notice.
    private func tellUnstarted(_ standing: PaymentStanding, _ payment: Payment, nowMs: Int64, in connection: Connection) throws {
        let kind = "unstarted"
        // It is paid after all, or the rest has gone back too.
        let isOver = standing.state == .paid || (standing.kept == 0 && standing.refunded > payment.refunded)
        if isOver && payment.captured > 0 && payment.paidAtMs == nil {
            try PaymentTask.close(payment: payment.id, kind: kind, nowMs: nowMs, in: connection)
        }
        guard payment.paidAtMs == nil, standing.state.isGivenBack, standing.captured > payment.captured,
            payment.captured == 0 || standing.captured >= payment.amount.minorUnits
        else { return }
        func money(_ units: Int64) -> Money { Money(units, payment.amount.currency) }
        let came = "\(money(standing.captured)) came in and \(money(standing.captured - standing.kept)) of it went back before its work began"
        let rest =
            standing.kept > 0
            ? "none was started, and \(money(standing.kept)) is kept: give it back, and have the customer pay anew for what they still want"
            : "none was started: whoever still wants it pays anew"
        try PaymentTask.open(payment: payment.id, kind: kind, detail: "\(came): \(rest)", nowMs: nowMs, in: connection)
    }

    /// Attempts that nothing more is expected of. Of a payment that still waits for money only those that are over themselves, and of one that
    /// is conflicted too: whoever decides has to know of all money, and a notification may be lost.
    private func close(_ attempts: [PaymentAttempt], facts: [PaymentFact], state: PaymentState, in connection: Connection) throws {
        let over: Set<FactClaim> = [.captured, .failed, .cancelled, .expired, .refunded, .chargedBack]
        let waits = state.isOpen || state.takesAttempts || state == .conflicted
        for attempt in attempts where attempt.isOpen {
            guard !waits || facts.contains(where: { $0.attempt == attempt.id && over.contains($0.claim) }) else { continue }
            try connection.execute("UPDATE payments_attempts SET open = 0, next_check_at = NULL WHERE id = $1", [.text(attempt.id)])
        }
    }

    /// Where a payment stands by all that is known of it.
    func standing(of payment: Payment, in connection: Connection) throws -> PaymentStanding {
        standing(
            of: payment, try Self.facts(of: payment.id, in: connection), try PaymentStore.attempts(of: payment.id, in: connection))
    }

    private func standing(of payment: Payment, _ facts: [PaymentFact], _ attempts: [PaymentAttempt]) -> PaymentStanding {
        PaymentFold.standing(
            of: facts, owed: payment.amount, allowsDeposits: purposes[payment.purpose]?.allowsDeposits ?? false, attempts: attempts.map(\.id),
            parts: Dictionary(attempts.compactMap { attempt in attempt.amount.map { (attempt.id, $0) } }) { first, _ in first })
    }

    static func facts(of payment: String, in connection: Connection) throws -> [PaymentFact] {
        try connection.query(
            "SELECT id, attempt, claim, amount, currency, problem, kept, about FROM payments_facts WHERE payment = $1 ORDER BY id", [.text(payment)]
        ).map { row in
            guard let claim = FactClaim(rawValue: try row.text("claim")) else { throw PaymentError.damagedRow(payment) }
            let currency = try row.textOrNil("currency").map { code in try Currency(code: code) }
            let units = try row.intOrNil("amount")
            let amount: Money? = if let units, let currency { Money(units, currency) } else { nil }
            return PaymentFact(
                attempt: try row.text("attempt"), claim: claim, amount: amount, amountProblem: try row.textOrNil("problem"),
                kept: try row.intOrNil("kept"), id: try row.int("id"), about: try row.intOrNil("about"))
        }
    }
}
