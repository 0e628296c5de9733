import JobQueue
import Testing

@testable import JobQueueRedis

@Suite("Claim ledger and lease rule")
struct LedgerTests {
    private func result(_ tokens: [ClaimToken]) -> StepResult {
        var result = StepResult()
        result.claimed = tokens.map { ClaimedJob(token: $0, body: []) }
        return result
    }

    private func stepped(_ ledger: inout ClaimLedger, _ operations: [StepOperation] = [], claiming tokens: [ClaimToken], generation: Int = 1) {
        ledger.begin()
        ledger.succeeded(operations, result(tokens), generation: generation)
    }

    @Test("what was told and answered needs no comparing")
    func quiet() {
        var ledger = ClaimLedger()
        #expect(ledger.needsComparing(generation: 1) == false)
        stepped(&ledger, claiming: [1, 2])
        stepped(&ledger, [.ack(1)], claiming: [3])
        #expect(ledger.held == [2, 3])
        #expect(ledger.needsComparing(generation: 1) == false)
        #expect(ledger.needsComparing(generation: 2))
    }

    @Test("an unanswered step is compared: what was done is not told again, what was claimed unseen goes back")
    func unanswered() {
        var ledger = ClaimLedger()
        stepped(&ledger, claiming: [1, 2, 3])
        let operations: [StepOperation] = [.ack(1), .giveBack(2)]
        ledger.begin()
        ledger.failed(operations, mayHaveHappened: true)
        #expect(ledger.needsComparing(generation: 1))
        var done = ledger
        let still = done.compare([3, 600], operations, generation: 1)
        #expect(still == [.giveBack(600)])
        #expect(done.held == [3])
        let repeated = ledger.compare([1, 2, 3], operations, generation: 1)
        #expect(repeated == operations)
        #expect(ledger.needsComparing(generation: 1) == false)
    }

    @Test("a step that was surely not carried out is simply repeated")
    func notHappened() {
        var ledger = ClaimLedger()
        stepped(&ledger, claiming: [1])
        ledger.begin()
        ledger.failed([.ack(1)], mayHaveHappened: false)
        #expect(ledger.needsComparing(generation: 1) == false)
    }

    @Test("after a server that went back in time, lost claims are forgotten and old ones given back")
    func rewound() {
        var ledger = ClaimLedger()
        stepped(&ledger, claiming: [1, 2])
        stepped(&ledger, [.ack(1)], claiming: [])
        // The ack of 1 and the claim of 2 were lost.
        let operations = ledger.compare([1], [.ack(2)], generation: 2)
        #expect(operations == [.ack(2), .giveBack(1)])
        #expect(ledger.held == [])
    }

    @Test("counts that differ twice in a row between steps ask for comparing")
    func counts() {
        var ledger = ClaimLedger()
        stepped(&ledger, claiming: [1])
        let steps = ledger.steps
        let answers = [(1, steps), (2, steps), (1, steps), (2, steps), (2, steps - 1), (2, steps)].map { count, askedAt in
            ledger.counted(count, askedAtStep: askedAt)
        }
        // The last but one was asked before the last step: it says nothing.
        #expect(answers == [false, false, false, false, false, true])
        #expect(ledger.needsComparing(generation: 1))
    }

    @Test("peers may be swept only by one who could have seen their signs of life")
    func leaseRule() {
        let start = ContinuousClock.now
        var rule = LeaseRule()
        #expect(rule.maySweep(now: start) == false, "not connected yet")
        rule.connected(isFirst: true, serverAge: .seconds(60), now: start)
        #expect(rule.maySweep(now: start), "a fresh process on an old server")
        for (age, quiet) in [(0, 3), (1, 3), (2, 3), (3, 2), (4, 1)] {
            rule.connected(isFirst: true, serverAge: .seconds(age), now: start)
            #expect(rule.maySweep(now: start + .seconds(quiet) - .milliseconds(1)) == false, "a server of \(age) s")
            #expect(rule.quietLeft(now: start) == .seconds(quiet))
            #expect(rule.maySweep(now: start + .seconds(quiet)))
            #expect(rule.quietLeft(now: start + .seconds(quiet)) == nil)
        }
        rule.disconnected()
        #expect(rule.maySweep(now: start + .seconds(30)) == false)
        rule.connected(isFirst: false, serverAge: nil, now: start + .seconds(30))
        #expect(rule.maySweep(now: start + .seconds(32)) == false, "after a lost connection")
        #expect(rule.maySweep(now: start + .seconds(33)))
        rule.renewed(took: .milliseconds(5), hadRunOut: false, now: start + .seconds(34))
        #expect(rule.maySweep(now: start + .seconds(34)))
        rule.renewed(took: .milliseconds(1500), hadRunOut: false, now: start + .seconds(40))
        #expect(rule.maySweep(now: start + .seconds(42)) == false, "the server stood still")
        rule.renewed(took: .milliseconds(5), hadRunOut: true, now: start + .seconds(50))
        #expect(rule.maySweep(now: start + .seconds(52)) == false, "our own lease had run out")
        rule.renewalFailed(now: start + .seconds(60))
        #expect(rule.maySweep(now: start + .seconds(62)) == false)
    }
}
