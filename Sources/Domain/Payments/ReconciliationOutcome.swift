import Database
import Money
import Outbox
import ProviderPort
import Telemetry

/// What a provider's word, asked for or listed, is to what we have booked.
public enum ReconciliationOutcome: String, Sendable, CaseIterable {
    /// It agrees with what is booked, or completes it.
    case confirmed
    /// It does not: a person must look, and the alarm is raised.
    case contradicted
    /// It says nothing that could be compared.
    case unknown

    /// Compares what a provider says of an attempt with what is booked of it, before that is entered.
    /// - Parameter isGivingBack: whether a refund of the attempt is under way, whose own sum the provider may be telling.
    /// - Returns: for a contradiction the sentence that tells it.
    static func compare(
        _ notice: ProviderNotice, _ attempt: PaymentAttempt, booked facts: [PaymentFact], isGivingBack: Bool
    ) -> (outcome: ReconciliationOutcome, contradiction: String?) {
        let mine = facts.filter { $0.attempt == attempt.id }
        let captured = mine.filter { $0.claim == .captured }
        let booked = captured.compactMap(\.amount).map { "\($0)" }.joined(separator: " and ")
        switch notice.claim {
        case .unknown: return (.unknown, nil)
        case .captured:
            guard !captured.isEmpty else {
                // Still waiting: that is what it was asked for.
                guard !attempt.isOpen, let end = mine.first(where: { [.failed, .cancelled, .expired, .replaced].contains($0.claim) }) else {
                    return (.confirmed, nil)
                }
                return (.contradicted, "says that \(words(notice.amount)) came in, booked is that the attempt is \(end.claim.rawValue)")
            }
            guard let amount = notice.amount, !captured.contains(where: { $0.amount == amount }) else { return (.confirmed, nil) }
            return (.contradicted, "says that \(amount) came in, booked is \(booked)")
        case .refunded:
            let known = mine.filter { $0.claim == .refunded }
            let back = known.compactMap { $0.amount?.minorUnits }.max() ?? 0
            let told = notice.amount?.minorUnits ?? captured.compactMap { $0.amount?.minorUnits }.max() ?? 0
            guard told > back, !isGivingBack, !known.contains(where: { $0.amount == nil }) else { return (.confirmed, nil) }
            let booked = back == 0 ? "nothing of that" : "\(back) in minor units"
            return (.contradicted, "says that \(words(notice.amount)) went back, booked is \(booked)")
        case .chargedBack:
            if mine.contains(where: { $0.claim == .chargedBack }) { return (.confirmed, nil) }
            return (.contradicted, "says that the customer's bank took the money back, which is not booked")
        default:
            guard captured.isEmpty else { return (.contradicted, "says \(notice.claim.rawValue), booked is that \(booked) came in") }
            return ([.pending, .processing].contains(FactClaim(notice.claim)) ? .unknown : .confirmed, nil)
        }
    }

    private static func words(_ amount: Money?) -> String { amount.map { "\($0)" } ?? "money" }

    /// Counted from the start, so that an increase is seen.
    public static func counter(_ provider: String, _ outcome: ReconciliationOutcome) -> Counter {
        MetricRegistry.shared.counter(
            "payments_reconciled_total", help: "Attempts compared with what their provider says, by outcome.",
            labels: [("provider", provider), ("outcome", outcome.rawValue)])
    }
}

extension PaymentFacts {
    /// Enters what a provider told, or answered because it was told. Nobody here wanted a charge-back: the first word of one is put before a
    /// person, since there is a time in which it can be contested.
    @discardableResult
    func recordTold(
        _ notice: ProviderNotice, attempt: PaymentAttempt, source: Source, nowMs: Int64, in connection: Connection
    ) throws -> PaymentState {
        let isNews = try notice.claim == .chargedBack && !isChargedBack(attempt, in: connection)
        let state = try record(notice, attempt: attempt, source: source, nowMs: nowMs, in: connection)
        // What was told under another attempt's reference was not entered.
        if isNews, try isChargedBack(attempt, in: connection) {
            let words = "says that the customer's bank took the money back; contest it there, or settle it with the customer"
            let detail = "attempt \(attempt.id): \(attempt.provider) \(words)"
            try PaymentTask.open(payment: attempt.payment, kind: "charge_back", detail: detail, nowMs: nowMs, in: connection)
        }
        return state
    }

    private func isChargedBack(_ attempt: PaymentAttempt, in connection: Connection) throws -> Bool {
        try Self.facts(of: attempt.payment, in: connection).contains { $0.attempt == attempt.id && $0.claim == .chargedBack }
    }

    /// Compares a provider's word with the books, enters what it adds to them, and puts a contradiction before a person.
    @discardableResult
    func reconcile(
        _ notice: ProviderNotice, attempt: PaymentAttempt, source: Source, nowMs: Int64, in connection: Connection
    ) throws -> ReconciliationOutcome {
        let facts = try Self.facts(of: attempt.payment, in: connection)
        let isGivingBack = try Refund.of(payment: attempt.payment, in: connection).contains { $0.attempt == attempt.id && !$0.state.isOver }
        let (outcome, contradiction) = ReconciliationOutcome.compare(notice, attempt, booked: facts, isGivingBack: isGivingBack)
        if let contradiction {
            let payment = try PaymentStore.require(attempt.payment, in: connection)
            let detail = "\(attempt.provider) \(contradiction) (attempt \(attempt.id))"
            try PaymentTask.open(payment: attempt.payment, kind: outcome.rawValue, detail: detail, nowMs: nowMs, in: connection)
            try PaymentAudit.note(payment, actor: source.actor, source: source.reference, detail: detail, nowMs: nowMs, in: connection)
        }
        // Money that moved is booked whatever else was known; that something waits or failed adds nothing to what was decided.
        if attempt.isOpen || [.captured, .refunded, .chargedBack].contains(notice.claim) {
            try record(notice, attempt: attempt, source: source, nowMs: nowMs, in: connection)
        }
        connection.afterCommit { ReconciliationOutcome.counter(attempt.provider, outcome).add() }
        return outcome
    }
}
