import Database
import Formats
import JobQueue
import JobQueueTestKit
import Outbox
import Synchronization
import TestSupport
import Testing

private struct PayOut: JobParameters {
    static let kind = "payout"
    static let queue = "payouts"
    let order: String
}

/// A bank that carries out what it is told, once per key where it knows keys.
private final class Bank: Sendable {
    private let state = Mutex((calls: 0, transfers: [String](), questions: 0))
    let knowsKeys: Bool
    /// Where effects are recorded; the folder of the database lives as long.
    let store: any EffectStore
    private let domain: DomainFixture?

    init(_ rule: EffectRule, _ store: EffectCrashTests.Store) throws {
        knowsKeys = rule != .againVisibly
        domain = store == .sql ? try DomainFixture() : nil
        self.store = domain.map { EffectTable(database: $0.database) } ?? InMemoryEffects()
    }

    var calls: Int { state.withLock { $0.calls } }
    var transfers: [String] { state.withLock { $0.transfers } }
    var questions: Int { state.withLock { $0.questions } }

    func transfer(_ key: String) -> String {
        state.withLock { state in
            state.calls += 1
            if !knowsKeys || !state.transfers.contains(key) { state.transfers.append(key) }
            return "receipt of \(key)"
        }
    }

    func policy(_ rule: EffectRule) -> EffectPolicy<String> {
        switch rule {
        case .ask:
            .ask { [self] key in
                state.withLock { state in
                    state.questions += 1
                    return state.transfers.contains(key) ? .happened("receipt of \(key)") : .didNotHappen
                }
            }
        case .sameKeyAgain: .sameKeyAgain
        case .onceThenTask: .onceThenTask
        case .againVisibly: .againVisibly
        }
    }
}

@Suite("Workers that die in an effect")
struct EffectCrashTests {
    enum Store: String, CaseIterable, Sendable { case memory, sql }

    /// What a policy comes to when the process dies at a step.
    struct Expectation: Sendable {
        /// Calls to the bank in all.
        var calls = 1
        /// Transfers that the bank carried out.
        var transfers = 1
        var questions = 0
        /// Nobody knows; a person decides, and the job is buried.
        var isDoubtful = false
    }

    private static func expected(_ rule: EffectRule, _ step: JobTestStep) -> Expectation {
        switch (step, rule) {
        case (.intended("payout"), .onceThenTask): Expectation(calls: 0, transfers: 0, isDoubtful: true)
        case (.called("payout"), .onceThenTask): Expectation(isDoubtful: true)
        case (.intended("payout"), .ask), (.called("payout"), .ask): Expectation(questions: 1)
        case (.called("payout"), .sameKeyAgain): Expectation(calls: 2)
        // The double is there, and can be seen as one.
        case (.called("payout"), .againVisibly): Expectation(calls: 2, transfers: 2)
        default: Expectation()
        }
    }

    private static let steps: [JobTestStep] = [.claimed, .intended("payout"), .called("payout"), .finished("payout"), .handled]
    private static let crashes = EffectRule.allCases.flatMap { rule in
        steps.flatMap { step in Store.allCases.map { (rule, step, $0) } }
    }

    @Test(
        "what is killed after the intent, the call or the result leaves what its policy can mend, wherever effects are recorded",
        arguments: crashes)
    func crash(_ rule: EffectRule, _ step: JobTestStep, _ store: Store) async throws {
        let bank = try Bank(rule, store)
        let receipts = Receipts()
        let kit = JobTestKit(effects: bank.store, patience: (.seconds(40) as Duration).stretched) { jobs in Self.register(rule, bank, receipts, jobs)
        }
        kit.crashAfter(step: step)
        try await kit.push(PayOut(order: "order-7"))
        try await kit.drain(turning: .seconds(60))
        let wanted = Self.expected(rule, step)
        #expect(kit.crashes == 1)
        #expect(bank.calls == wanted.calls && bank.transfers.count == wanted.transfers && bank.questions == wanted.questions)
        let record = try #require(try await kit.effects.list(EffectFilter()).first)
        if wanted.isDoubtful {
            #expect(record.state == .doubtful && record.owner?.job == kit.queues.jobs.first?.id)
            #expect(try await kit.queues.dead(on: PayOut.queue).count == 1)
            #expect(receipts.all.isEmpty)
        } else {
            #expect(record.state == .done && record.result == "receipt of order-7")
            try await kit.expectNothingDead(on: PayOut.queue)
            #expect(Set(receipts.all) == ["receipt of order-7"])
        }
        #expect(record.rule == rule)
        await kit.shutDown()
        #expect(bank.calls == wanted.calls, "what was suspended calls nothing when the test is over")
    }

    @Test(
        "a job with an effect has the same effects delivered once, twice, or killed after any step",
        arguments: [EffectRule.ask, .sameKeyAgain], Store.allCases)
    func sameEffects(_ rule: EffectRule, _ store: Store) async throws {
        let steps = try await JobTestKit.expectSameEffects(
            of: PayOut(order: "order-7"), in: { try Bank(rule, store) }, store: { $0.store }, effects: { $0.transfers }
        ) { jobs, bank in Self.register(rule, bank, Receipts(), jobs) }
        #expect(steps == ["claimed", "payout begun", "payout intended", "payout called", "payout finished", "handled"])
    }

    @Test("run twice, an effect is had once", arguments: EffectRule.allCases, Store.allCases)
    func twice(_ rule: EffectRule, _ store: Store) async throws {
        let bank = try Bank(rule, store)
        let receipts = Receipts()
        let kit = JobTestKit(effects: bank.store, patience: (.seconds(40) as Duration).stretched) { jobs in Self.register(rule, bank, receipts, jobs)
        }
        let effects = try await kit.runTwice(PayOut(order: "order-7"))
        #expect(effects.map(\.identity) == [EffectIdentity("payout", key: "order-7")] && effects.first?.fence == 1)
        #expect(bank.calls == 1 && receipts.all == ["receipt of order-7", "receipt of order-7"])
        await kit.shutDown()
    }

    @Test("run twice, an effect whose key changes from attempt to attempt is found out")
    func betrayed() async throws {
        let number = Mutex(0)
        let kit = JobTestKit { jobs in
            jobs.registerJob(parameters: PayOut.self) { pay, context in
                let attempt = number.withLock { number in
                    number += 1
                    return number
                }
                try await context.effect("payout", key: "\(pay.order)-\(attempt)", policy: .sameKeyAgain) { _ in }
            }
        }
        let failure = await #expect(throws: JobExpectationFailure.self) { try await kit.runTwice(PayOut(order: "order-7")) }
        #expect(failure?.description.contains("payout delivered twice has other effects outside") == true)
        await kit.shutDown()
    }

    private static func register(_ rule: EffectRule, _ bank: Bank, _ receipts: Receipts, _ jobs: JobService) {
        jobs.registerJob(parameters: PayOut.self, retryStrategy: .fixed(.seconds(5), attemptsMax: 5)) { pay, context in
            receipts.add(try await context.effect("payout", key: pay.order, policy: bank.policy(rule)) { bank.transfer($0) })
        }
    }

    /// What handlers were given.
    private final class Receipts: Sendable {
        private let texts = Mutex<[String]>([])
        func add(_ text: String) { texts.withLock { $0.append(text) } }
        var all: [String] { texts.withLock { $0 } }
    }
}
