import Money

/// What the facts amount to.
public struct PaymentStanding: Sendable, Equatable {
    public let state: PaymentState
    /// What each attempt has brought in, in the payment's currency.
    public let captures: [AttemptCapture]
    /// What a person must decide before the money counts, a sentence each; those that somebody has decided are among them.
    public let conflicts: [String]
    /// What a person must look at, in a sentence; empty when nothing.
    public let concerns: [String]

    /// Minor units captured by all attempts.
    public var captured: Int64 { captures.reduce(0) { $0 + $1.minorUnits } }
    /// Minor units given back.
    public var refunded: Int64 { captures.reduce(0) { $0 + $1.refunded } }
    /// Minor units in hand.
    public var kept: Int64 { captures.reduce(0) { $0 + $1.kept } }
}

/// Money that came in by one attempt, and what went back of it. Neither the one nor the other ever falls.
public struct AttemptCapture: Sendable, Equatable {
    public let attempt: String
    public let minorUnits: Int64
    public let refunded: Int64
    /// Whether the customer's bank took back what had not been refunded.
    public let isChargedBack: Bool

    public var chargedBack: Int64 { isChargedBack ? minorUnits - refunded : 0 }
    public var kept: Int64 { minorUnits - refunded - chargedBack }
}

/// State as a pure function of the *set* of facts: their order and repetition cannot matter.
public enum PaymentFold {
    /// More than this is no amount that could be added up.
    private static let unitsMax: Int64 = 1_000_000_000_000_000

    /// Whether a captured amount is one of what is owed; else it is only held.
    static func counts(_ amount: Money, owed: Money) -> Bool { amount.currency == owed.currency && (1...unitsMax).contains(amount.minorUnits) }

    /// - Parameters:
    ///   - owed: what is to be paid.
    ///   - allowsDeposits: whether less than owed is a part payment and not a conflict.
    ///   - attempts: ids of the attempts in the order they were started.
    ///   - parts: minor units that an attempt asks for, of those that ask for a part of what is owed.
    public static func standing(
        of told: [PaymentFact], owed: Money, allowsDeposits: Bool, attempts: [String], parts: [String: Int64] = [:]
    ) -> PaymentStanding {
        let facts = decided(told)
        var conflicts: [String] = []
        var captures: [AttemptCapture] = []
        for attempt in attempts {
            let mine = facts.filter { $0.attempt == attempt }
            let told = Told(mine, owed: owed, asked: parts[attempt].map { Money($0, owed.currency) } ?? owed)
            let capture = told.units > 0 ? Self.capture(told.units, by: attempt, mine, owed: owed) : nil
            if let capture { captures.append(capture) }
            // What of an attempt has all gone back needs no decision any more; what cannot be counted has not.
            guard told.isForeign || capture.map({ $0.kept > 0 }) ?? false else { continue }
            conflicts += told.contradictions.map { "attempt \(attempt): \($0)" }
            for (claim, words) in [(FactClaim.expired, "had expired"), (.replaced, "was replaced by another")]
            where mine.contains(where: { $0.claim == claim }) {
                conflicts.append("attempt \(attempt) was paid after it \(words)")
            }
        }
        let live = captures.filter { $0.kept > 0 }
        let brought = live.reduce(0) { $0 + $1.minorUnits }
        let kept = live.reduce(0) { $0 + $1.kept }
        let exactCaptures = live.count { $0.minorUnits == owed.minorUnits }
        let sum = "captured \(Money(brought, owed.currency).decimalText)"
        if !live.isEmpty && brought < owed.minorUnits && !allowsDeposits { conflicts.append("\(sum) of \(owed.decimalText) \(owed.currency)") }
        // One that is too much by itself has said so.
        let areParts = live.allSatisfy { $0.minorUnits < owed.minorUnits }
        // Once the earlier ones were exactly what is owed, what comes besides is too much and changes nothing else.
        let wereWhole = sums(live).contains(owed.minorUnits)
        if kept > owed.minorUnits && areParts && !wereWhole { conflicts.append("\(sum), more than \(owed.decimalText) \(owed.currency)") }
        conflicts.sort()
        let captured = captures.reduce(0) { $0 + $1.minorUnits }
        let acceptances = captured > 0 ? facts.filter { accepts($0, Money(captured, owed.currency), conflicts) } : []
        let isAccepted = !acceptances.isEmpty
        var concerns = isAccepted ? [] : conflicts
        // What is too much has to go back, whoever decided what.
        if kept > owed.minorUnits && (exactCaptures > 0 || wereWhole || isAccepted) {
            concerns.append((exactCaptures > 1 ? "paid \(exactCaptures) times" : "\(sum) of \(owed.decimalText)") + ": the surplus is to be refunded")
        }
        let state: PaymentState
        if !conflicts.isEmpty && !isAccepted {
            state = .conflicted
        } else if captured == 0 {
            state = facts.contains { $0.claim == .returned } ? .refunded : uncaptured(facts, attempts: attempts)
        } else {
            // What was in hand when it was taken as payment in full is what is owed.
            let taken = acceptances.map { min($0.kept ?? captured, owed.minorUnits) }.min()
            let found = inHand(captures, owed: taken ?? owed.minorUnits)
            // What came besides a sum that was taken as payment in full makes it no part payment again.
            let wasTaken = facts.contains { $0.claim == .accepted && $0.amount.map { $0.minorUnits <= captured } ?? false }
            state = found == .partiallyPaid && wasTaken ? .paid : found
        }
        return PaymentStanding(state: state, captures: captures, conflicts: conflicts, concerns: concerns.sorted())
    }

    /// What the first, the first two, … of them brought.
    private static func sums(_ captures: [AttemptCapture]) -> [Int64] {
        var sum: Int64 = 0
        return captures.map { capture in
            sum += capture.minorUnits
            return sum
        }
    }

    /// What was told, after what people have decided about money that could not be counted: what was given back never came, what was
    /// valued came as that sum.
    private static func decided(_ facts: [PaymentFact]) -> [PaymentFact] {
        let decisions = facts.filter { $0.claim == .returned || $0.claim == .valued }
        guard !decisions.isEmpty else { return facts }
        return facts.compactMap { fact in
            guard fact.claim == .captured, let decision = decisions.first(where: { $0.decides(fact) }) else { return fact }
            return decision.claim == .returned ? nil : PaymentFact(attempt: fact.attempt, claim: .captured, amount: decision.amount)
        }
    }

    /// Where a payment stands by the money that is in hand of it.
    private static func inHand(_ captures: [AttemptCapture], owed: Int64) -> PaymentState {
        let kept = captures.reduce(0) { $0 + $1.kept }
        if kept >= owed { return .paid }
        if captures.contains(where: \.isChargedBack) { return .chargedBack }
        if captures.allSatisfy({ $0.refunded == 0 }) { return .partiallyPaid }
        return kept > 0 ? .partiallyRefunded : .refunded
    }

    /// Whether this is a decision about exactly this sum, and about all that contradicts it.
    private static func accepts(_ fact: PaymentFact, _ captured: Money, _ conflicts: [String]) -> Bool {
        guard fact.claim == .accepted, fact.amount == captured else { return false }
        guard let decided = fact.amountProblem else { return true }
        return Set(conflicts).isSubset(of: decided.split(separator: "\n").map(String.init))
    }

    /// What was told of an attempt's capture. An attempt is one payment at the provider, so two amounts contradict each other: the larger
    /// one counts until a person has looked.
    private struct Told {
        var units: Int64 = 0
        var contradictions: [String] = []
        /// Whether something came in that is no amount of what is owed.
        var isForeign = false

        /// - Parameter asked: what the attempt asks for, all that is owed or a part of it.
        init(_ facts: [PaymentFact], owed: Money, asked: Money) {
            let captures = facts.filter { $0.claim == .captured }
            guard !captures.isEmpty else { return }
            let amounts = captures.compactMap(\.amount)
            units = amounts.filter { counts($0, owed: owed) }.map(\.minorUnits).max() ?? 0
            isForeign = captures.contains { $0.amount.map { !counts($0, owed: owed) } ?? true }
            if let problem = captures.compactMap(\.amountProblem).min() { contradictions.append(problem) }
            if captures.contains(where: { $0.amount == nil && $0.amountProblem == nil }) { contradictions.append("captured without an amount") }
            let told = Set(amounts)
            if told.count > 1 {
                let sums = told.map { "\($0.decimalText) \($0.currency)" }.sorted().joined(separator: " and ")
                contradictions.append("the provider told different amounts: \(sums)")
            } else if let amount = told.first, !counts(amount, owed: owed) || amount.minorUnits > asked.minorUnits {
                contradictions.append("captured \(amount.decimalText) \(amount.currency) instead of \(asked.decimalText) \(asked.currency)")
            }
        }
    }

    /// What an attempt brought and what was given back of it. A refund that comes without its capture waits for it; one without an amount is
    /// of everything that the attempt brought.
    private static func capture(_ units: Int64, by attempt: String, _ facts: [PaymentFact], owed: Money) -> AttemptCapture {
        let refunds = facts.filter { $0.claim == .refunded }
        let isWhole = refunds.contains { $0.amount?.currency != owed.currency }
        // Providers state the sum refunded so far; the largest is the latest.
        let refunded = isWhole ? units : refunds.compactMap { $0.amount?.minorUnits }.max() ?? 0
        return AttemptCapture(
            attempt: attempt, minorUnits: units, refunded: min(max(0, refunded), units), isChargedBack: facts.contains { $0.claim == .chargedBack })
    }

    /// Without a capture the latest attempt that is still open decides, else the latest one; one that nothing is known of says nothing.
    private static func uncaptured(_ facts: [PaymentFact], attempts: [String]) -> PaymentState {
        var last: PaymentState = .created
        for attempt in attempts {
            let claims = Set(facts.filter { $0.attempt == attempt }.map(\.claim))
            let state: PaymentState
            if claims.contains(.cancelled) {
                state = .cancelled
            } else if claims.contains(.failed) {
                state = .failed
            } else if claims.contains(.expired) {
                state = .expired
            } else if claims.contains(.processing) {
                state = .processing
            } else if claims.contains(.pending) {
                state = .pending
            } else {
                continue
            }
            if state.isOpen || !last.isOpen || last == .created { last = state }
        }
        return last
    }
}
