import Money

/// What the facts amount to.
public struct PaymentStanding: Sendable, Equatable {
    public let state: PaymentState
    /// What each attempt has brought in, in the payment's currency.
    public let captures: [AttemptCapture]
    /// Minor units given back.
    public let refunded: Int64
    /// What a person must look at, in a sentence; empty when nothing.
    public let concerns: [String]

    /// Minor units captured by all attempts.
    public var captured: Int64 { captures.reduce(0) { $0 + $1.minorUnits } }
}

/// Money that came in by one attempt.
public struct AttemptCapture: Sendable, Equatable {
    public let attempt: String
    public let minorUnits: Int64
}

/// State as a pure function of the *set* of facts: their order and repetition cannot matter.
public enum PaymentFold {
    /// - Parameters:
    ///   - owed: what is to be paid.
    ///   - allowsDeposits: whether less than owed is a part payment and not a conflict.
    ///   - attempts: ids of the attempts in the order they were started.
    public static func standing(of facts: [PaymentFact], owed: Money, allowsDeposits: Bool, attempts: [String]) -> PaymentStanding {
        var concerns: [String] = []
        var captures: [AttemptCapture] = []
        var exactCaptures = 0
        var conflicting = false
        for attempt in attempts {
            let mine = facts.filter { $0.attempt == attempt }
            switch capture(in: mine, owed: owed) {
            case .none: continue
            case .amount(let units):
                for (claim, words) in [(FactClaim.expired, "had expired"), (.replaced, "was replaced by another")]
                where mine.contains(where: { $0.claim == claim }) {
                    concerns.append("attempt \(attempt) was paid after it \(words)")
                    conflicting = true
                }
                captures.append(AttemptCapture(attempt: attempt, minorUnits: units))
                if units == owed.minorUnits { exactCaptures += 1 }
            case .contradiction(let why):
                concerns.append("attempt \(attempt): \(why)")
                conflicting = true
            }
        }
        let captured = captures.reduce(0) { $0 + $1.minorUnits }
        let refunded = refunds(in: facts, captured: captured, currency: owed.currency)
        if captured > 0 && captured < owed.minorUnits && !allowsDeposits {
            concerns.append("captured \(Money(captured, owed.currency).decimalText) of \(owed.decimalText) \(owed.currency)")
            conflicting = true
        }
        if captured > owed.minorUnits && exactCaptures == 0 {
            concerns.append("captured \(Money(captured, owed.currency).decimalText), more than \(owed.decimalText) \(owed.currency)")
            conflicting = true
        }
        let isAccepted = captured > 0 && facts.contains { $0.claim == .accepted && $0.amount == Money(captured, owed.currency) }
        // What was decided needs nobody any more; what is too much has still to go back.
        if isAccepted { concerns = [] }
        if exactCaptures > 1 { concerns.append("paid \(exactCaptures) times: the surplus is to be refunded") }
        let state: PaymentState
        if conflicting && !isAccepted {
            state = .conflicted
        } else if captured > 0 && facts.contains(where: { $0.claim == .chargedBack }) {
            state = .chargedBack
        } else if captured == 0 {
            state = uncaptured(facts, attempts: attempts)
        } else {
            // A sum that was taken as payment in full is what is owed.
            state = kept(captured - refunded, refunded: refunded, owed: isAccepted ? min(captured, owed.minorUnits) : owed.minorUnits)
        }
        return PaymentStanding(state: state, captures: captures, refunded: refunded, concerns: concerns.sorted())
    }

    /// Where a payment stands by the money that is in hand of it.
    private static func kept(_ units: Int64, refunded: Int64, owed: Int64) -> PaymentState {
        if units >= owed { return .paid }
        if refunded == 0 { return .partiallyPaid }
        return units > 0 ? .partiallyRefunded : .refunded
    }

    private enum Capture {
        case none, amount(Int64), contradiction(String)
    }

    /// The one amount captured by an attempt. An attempt is one payment at the provider, so two amounts contradict each other.
    private static func capture(in facts: [PaymentFact], owed: Money) -> Capture {
        let captures = facts.filter { $0.claim == .captured }
        guard let first = captures.first else { return .none }
        if let problem = captures.compactMap(\.amountProblem).min() { return .contradiction(problem) }
        guard let amount = first.amount else { return .contradiction("captured without an amount") }
        guard captures.allSatisfy({ $0.amount == amount }) else {
            let told = Set(captures.compactMap { $0.amount?.decimalText }).sorted().joined(separator: " and ")
            return .contradiction("the provider told different amounts: \(told)")
        }
        guard amount.currency == owed.currency else {
            return .contradiction("captured \(amount.decimalText) \(amount.currency) instead of \(owed.decimalText) \(owed.currency)")
        }
        guard amount.minorUnits <= owed.minorUnits else {
            return .contradiction("captured \(amount.decimalText) instead of \(owed.decimalText) \(owed.currency)")
        }
        return .amount(amount.minorUnits)
    }

    /// What was given back. A refund that comes without its capture waits for it; one without an amount is of everything.
    private static func refunds(in facts: [PaymentFact], captured: Int64, currency: Currency) -> Int64 {
        guard captured > 0 else { return 0 }
        var total: Int64 = 0
        for attempt in Set(facts.map(\.attempt)) {
            let mine = facts.filter { $0.attempt == attempt && $0.claim == .refunded }
            guard !mine.isEmpty else { continue }
            guard mine.allSatisfy({ $0.amount?.currency == currency }) else { return captured }
            // Providers state the sum refunded so far; the largest is the latest.
            total += mine.compactMap { $0.amount?.minorUnits }.max() ?? 0
        }
        return min(total, captured)
    }

    /// Without a capture the latest attempt that is still open decides, else the latest one.
    private static func uncaptured(_ facts: [PaymentFact], attempts: [String]) -> PaymentState {
        var last: PaymentState = .created
        for attempt in attempts {
            let claims = Set(facts.filter { $0.attempt == attempt }.map(\.claim))
            let state: PaymentState =
                if claims.contains(.cancelled) {
                    .cancelled
                } else if claims.contains(.failed) {
                    .failed
                } else if claims.contains(.expired) {
                    .expired
                } else if claims.contains(.processing) {
                    .processing
                } else if claims.contains(.pending) {
                    .pending
                } else {
                    .created
                }
            if state.isOpen || !last.isOpen || last == .created { last = state }
        }
        return last
    }
}
