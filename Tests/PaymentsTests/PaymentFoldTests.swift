import Money
import Payments
import ProviderPort
import Testing

@Suite("The fold of facts into a payment's state")
struct PaymentFoldTests {
    struct Situation: Sendable, CustomTestStringConvertible {
        let title: String
        let facts: [PaymentFact]
        var attempts = ["a"]
        var deposits = false
        let state: PaymentState
        var captured: Int64 = 0
        var refunded: Int64 = 0
        var testDescription: String { title }
    }

    static func fact(_ claim: FactClaim, _ units: Int64? = nil, _ currency: Currency = .xof, attempt: String = "a") -> PaymentFact {
        PaymentFact(attempt: attempt, claim: claim, amount: units.map { Money($0, currency) })
    }

    static let situations: [Situation] = [
        Situation(title: "nothing is known", facts: [], state: .created),
        Situation(title: "the customer was sent to the provider", facts: [fact(.pending)], state: .pending),
        Situation(title: "the customer is at it", facts: [fact(.pending), fact(.processing)], state: .processing),
        Situation(title: "the whole amount came", facts: [fact(.captured, 5000)], state: .paid, captured: 5000),
        Situation(
            title: "a failure told before the success does not win", facts: [fact(.failed), fact(.captured, 5000)], state: .paid, captured: 5000),
        Situation(title: "an older waiting notice after the success", facts: [fact(.captured, 5000), fact(.pending)], state: .paid, captured: 5000),
        Situation(title: "failed", facts: [fact(.pending), fact(.failed)], state: .failed),
        Situation(title: "cancelled by the customer", facts: [fact(.processing), fact(.cancelled)], state: .cancelled),
        Situation(title: "given up", facts: [fact(.pending), fact(.expired)], state: .expired),
        Situation(
            title: "paid after it was given up: a person must look", facts: [fact(.expired), fact(.captured, 5000)], state: .conflicted,
            captured: 5000),
        Situation(title: "too little", facts: [fact(.captured, 4999)], state: .conflicted, captured: 4999),
        Situation(
            title: "a part that was accepted as payment, and more that comes besides",
            facts: [fact(.captured, 2000), fact(.accepted, 2000), fact(.captured, 1000, attempt: "b")], attempts: ["a", "b"], deposits: true,
            state: .paid, captured: 3000),
        Situation(
            title: "too little where deposits are allowed", facts: [fact(.captured, 2000)], deposits: true, state: .partiallyPaid, captured: 2000),
        Situation(title: "too much", facts: [fact(.captured, 5001)], state: .conflicted, captured: 5001),
        Situation(title: "the right number in the wrong currency", facts: [fact(.captured, 5000, .xaf)], state: .conflicted),
        Situation(title: "captured without an amount", facts: [fact(.captured)], state: .conflicted),
        Situation(
            title: "an amount that is no amount", facts: [PaymentFact(attempt: "a", claim: .captured, amount: nil, amountProblem: "currency 'CFA'")],
            state: .conflicted),
        Situation(title: "two amounts for one attempt", facts: [fact(.captured, 5000), fact(.captured, 500)], state: .conflicted, captured: 5000),
        Situation(
            title: "a second attempt after a failed one", facts: [fact(.failed), fact(.pending, attempt: "b")], attempts: ["a", "b"], state: .pending),
        Situation(
            title: "the second attempt fails while the first still waits", facts: [fact(.pending), fact(.failed, attempt: "b")],
            attempts: ["a", "b"],
            state: .pending),
        Situation(
            title: "the second attempt succeeds", facts: [fact(.failed), fact(.captured, 5000, attempt: "b")], attempts: ["a", "b"], state: .paid,
            captured: 5000),
        Situation(
            title: "paid twice stays paid, the surplus is a task", facts: [fact(.captured, 5000), fact(.captured, 5000, attempt: "b")],
            attempts: ["a", "b"], state: .paid, captured: 10_000),
        Situation(
            title: "given back whole", facts: [fact(.captured, 5000), fact(.refunded, 5000)], state: .refunded, captured: 5000, refunded: 5000),
        Situation(
            title: "given back in part", facts: [fact(.captured, 5000), fact(.refunded, 2000)], state: .partiallyRefunded, captured: 5000,
            refunded: 2000),
        Situation(
            title: "sums given back so far: the largest counts", facts: [fact(.captured, 5000), fact(.refunded, 2000), fact(.refunded, 5000)],
            state: .refunded, captured: 5000, refunded: 5000),
        Situation(title: "a refund waits for its capture", facts: [fact(.pending), fact(.refunded, 5000)], state: .pending),
        Situation(
            title: "more given back than came is capped", facts: [fact(.captured, 5000), fact(.refunded, 9000)], state: .refunded, captured: 5000,
            refunded: 5000),
        Situation(title: "charged back", facts: [fact(.captured, 5000), fact(.chargedBack, 5000)], state: .chargedBack, captured: 5000),
    ]

    @Test("A situation has its state", arguments: situations)
    func state(_ situation: Situation) {
        let standing = PaymentFold.standing(
            of: situation.facts, owed: Money(5000, .xof), allowsDeposits: situation.deposits, attempts: situation.attempts)
        #expect(standing.state == situation.state)
        #expect(standing.captured == situation.captured)
        #expect(standing.refunded == situation.refunded)
        if situation.state == .conflicted { #expect(!standing.concerns.isEmpty) }
    }

    @Test("Neither the order nor the repetition of facts matters", arguments: 0..<300)
    func orderDoesNotMatter(_ seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        let attempts = ["a", "b", "c"]
        let facts = (0..<Int.random(in: 1...8, using: &generator)).map { _ in
            let claim = FactClaim.allCases.randomElement(using: &generator) ?? .pending
            let units: Int64? = [nil, 5000, 5000, 2500, 6000].randomElement(using: &generator) ?? nil
            let currency: Currency = Bool.random(using: &generator) || Bool.random(using: &generator) ? .xof : .eur
            return Self.fact(claim, units, currency, attempt: attempts.randomElement(using: &generator) ?? "a")
        }
        let deposits = Bool.random(using: &generator)
        func standing(_ facts: [PaymentFact]) -> PaymentStanding {
            PaymentFold.standing(of: facts, owed: Money(5000, .xof), allowsDeposits: deposits, attempts: attempts)
        }
        let expected = standing(facts)
        for _ in 0..<10 {
            let shuffled = (facts + facts.shuffled(using: &generator)).shuffled(using: &generator)
            let found = standing(shuffled)
            #expect(found.state == expected.state)
            #expect(found.captured == expected.captured)
            #expect(found.refunded == expected.refunded)
        }
    }

    @Test("Every state that the facts can give may be entered from every state before it, or is refused by the table")
    func movesAreWhole() {
        for state in PaymentState.allCases {
            #expect(!state.mayMove(to: state))
            #expect(!state.mayMove(to: .created))
        }
        #expect(PaymentState.pending.mayMove(to: .paid))
        #expect(PaymentState.failed.mayMove(to: .paid))
        for downgrade in [PaymentState.created, .pending, .processing, .failed, .cancelled, .expired] {
            #expect(!PaymentState.paid.mayMove(to: downgrade))
            #expect(!PaymentState.refunded.mayMove(to: downgrade))
            #expect(!PaymentState.conflicted.mayMove(to: downgrade))
        }
    }
}

/// SplitMix64: the same situations on every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
