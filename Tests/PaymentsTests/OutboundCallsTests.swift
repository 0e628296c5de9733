import Formats
import JobQueue
import Money
import ProviderPort
import Synchronization
import TestSupport
import Testing

@testable import Payments

/// Asks by one call.
private struct CallingProvider: PaymentProvider {
    var name = "played"
    let capabilities = ProviderCapabilities(hasProof: false, proofCoversMoney: false, hasInitiate: false, hasStatus: true)
    let offer = ProviderOffer([])

    func verifyWebhook(_ webhook: IncomingWebhook, nowMs: Int64) -> WebhookVerdict { .refused(reason: "not played") }
    func parse(body: [UInt8], contentType: String) throws(ProviderError) -> ProviderNotice { throw ProviderError(.unreadable, "not played") }

    func status(of question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        let answer = try await transport.send(ProviderCall(method: "GET", url: "http://played/", headers: [:], body: []))
        switch answer.status {
        case 200: return ProviderNotice(references: [], claim: .pending)
        case 404: throw ProviderError(.notFound, "unknown")
        case 429: throw ProviderError(.throttled, "slow down", retryAfterSeconds: answer.retryAfterSeconds())
        case 500...: throw ProviderError(.unavailable, "status \(answer.status)")
        default: throw ProviderError(.rejected, "status \(answer.status)")
        }
    }
}

/// A provider as it is at the moment; calls can be made to wait.
private final class PlayedWay: ProviderTransport {
    enum Health: Sendable { case answers(Int), silent, hangs }
    private struct State {
        var health = Health.answers(200)
        var calls = 0
        var waiting: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())

    var calls: Int { state.withLock(\.calls) }
    var hanging: Int { state.withLock(\.waiting.count) }

    func set(_ health: Health) {
        let woken = state.withLock { state in
            state.health = health
            defer { state.waiting = [] }
            return state.waiting
        }
        for one in woken { one.resume() }
    }

    func send(_ call: ProviderCall) async throws(ProviderError) -> ProviderAnswer {
        let hangs = state.withLock { state in
            state.calls += 1
            if case .hangs = state.health { return true }
            return false
        }
        if hangs { await withCheckedContinuation { continuation in state.withLock { $0.waiting.append(continuation) } } }
        switch state.withLock(\.health) {
        case .answers(let status): return ProviderAnswer(status: status, headers: ["retry-after": "7"], body: [])
        case .silent, .hangs: throw ProviderError(.unavailable, "timed out", code: "timeout")
        }
    }
}

@Suite("Calls to providers: breaker, pace, bound")
struct OutboundCallsTests {
    private let clock = TurnedClock()
    private let way = PlayedWay()

    private func provider(_ name: String = "played", perSecond: Double? = nil, calls: OutboundCalls? = nil) -> any PaymentProvider {
        let mine = calls ?? self.calls()
        return mine.guarding(CallingProvider(name: name), callsPerSecond: perSecond)
    }

    private func calls(_ breakers: (any BreakerStore)? = nil) -> OutboundCalls {
        OutboundCalls(
            breakers: breakers ?? InMemoryBreakers(clock: clock.clock), turns: InMemoryCallTurns(clock: clock.clock), clock: clock.clock,
            random: { 0 })
    }

    /// What a question ends with: `ok`, or the kind of its error.
    private func ask(_ provider: any PaymentProvider) async -> (word: String, retryAfter: Int?) {
        let question = StatusQuestion(payment: "pay_1", attempt: "a", amount: Money(100, .xof), references: [])
        do throws(ProviderError) {
            _ = try await provider.status(of: question, over: way)
            return ("ok", nil)
        } catch {
            return (error.kind.rawValue, error.retryAfterSeconds)
        }
    }

    @Test(
        "one that is down is left alone after five failures; one call finds out whether it is back, and then all pass",
        arguments: [PlayedWay.Health.silent, .answers(500), .answers(503)])
    fileprivate func down(_ health: PlayedWay.Health) async throws {
        let provider = provider()
        way.set(health)
        for _ in 0..<OutboundCalls.rule.failures { #expect(await ask(provider).word == "unavailable") }
        #expect(await ask(provider) == ("held", 10))
        #expect(way.calls == 5)
        clock.turn(by: .seconds(10))
        // Still ill: one call finds out, and it stays away for twice as long.
        #expect(await ask(provider).word == "unavailable")
        #expect(await ask(provider) == ("held", 20))
        clock.turn(by: .seconds(20))
        way.set(.hangs)
        let probe = Task { await ask(provider).word }
        try await eventually("one call is under way") { way.hanging == 1 }
        for _ in 0..<10 { #expect(await ask(provider).word == "held", "one probe at a time") }
        way.set(.answers(200))
        #expect(await probe.value == "ok")
        #expect(way.calls == 7)
        for _ in 0..<10 { #expect(await ask(provider).word == "ok") }
    }

    @Test("what a provider refuses for good reasons is no illness", arguments: [400, 401, 404, 422])
    func refusals(_ status: Int) async throws {
        let provider = provider()
        way.set(.answers(status))
        for _ in 0..<20 { #expect(await ask(provider).word != "held") }
        #expect(way.calls == 20)
    }

    @Test("one that asks for a rest gets it, for as long as it says; the others do not")
    func rest() async throws {
        let calls = calls()
        let (one, other) = (provider(calls: calls), provider("other", calls: calls))
        way.set(.answers(429))
        #expect(await ask(one) == ("throttled", 7))
        #expect(await ask(one) == ("held", 7))
        way.set(.answers(200))
        #expect(await ask(other).word == "ok")
        clock.turn(by: .seconds(7))
        #expect(await ask(one).word == "ok")
    }

    @Test("so many calls of one process are under way at a time, and no more, whatever they wait for")
    func bound() async throws {
        let calls = calls()
        let (one, other) = (provider(calls: calls), provider("other", calls: calls))
        way.set(.hangs)
        let words = await withTaskGroup(of: String.self) { group in
            for _ in 0..<50 { group.addTask { await ask(one).word } }
            var words: [String] = []
            // Those for which there is no place are told so at once.
            for _ in 0..<(50 - OutboundCalls.simultaneousMax) { if let word = await group.next() { words.append(word) } }
            try? await eventually("the others are under way") { way.calls == OutboundCalls.simultaneousMax }
            group.addTask { await ask(other).word }
            try? await eventually("another provider's call is under way") { way.calls == OutboundCalls.simultaneousMax + 1 }
            way.set(.answers(200))
            for await word in group { words.append(word) }
            return words
        }
        #expect(words.count { $0 == "held" } == 50 - OutboundCalls.simultaneousMax)
        #expect(words.count { $0 == "ok" } == OutboundCalls.simultaneousMax + 1)
        #expect(await ask(one).word == "ok")
    }

    @Test("the pace is kept: calls wait a little for their turn, and are held back when that would be long")
    func pace() async throws {
        let provider = provider(perSecond: 1)
        #expect(await ask(provider).word == "ok")
        let second = Task { await ask(provider).word }
        try await eventually("the second waits") { clock.sleepers == 1 }
        let third = Task { await ask(provider).word }
        try await eventually("the third waits") { clock.sleepers == 2 }
        #expect(way.calls == 1)
        #expect(await ask(provider) == ("held", 3))
        clock.turn(by: .seconds(1))
        #expect(await second.value == "ok")
        clock.turn(by: .seconds(1))
        #expect(await third.value == "ok")
        #expect(way.calls == 3)
    }

    @Test("a job that is held back waits without an attempt being spent, and a refund that is held back was not made")
    func held() async throws {
        let error = ProviderError(.held, "ill", retryAfterSeconds: 12)
        #expect(error.jobDisposition == .snooze(.seconds(12)))
        #expect(error.effectCannotHaveHappened && error.retryHelps)
    }

    @Test("breakers that cannot be asked keep no call away")
    func away() async throws {
        struct Away: BreakerStore {
            struct Gone: Error {}
            func admit(_ dependency: String, _ rule: BreakerRule) async throws -> BreakerVerdict { throw Gone() }
            func report(_ dependency: String, _ rule: BreakerRule, succeeded: Bool, isProbe: Bool) async throws -> BreakerState { throw Gone() }
            func list() async throws -> [BreakerStanding] { throw Gone() }
            func reset(_ dependency: String) async throws { throw Gone() }
        }
        #expect(await ask(provider(calls: calls(Away()))).word == "ok")
    }
}
