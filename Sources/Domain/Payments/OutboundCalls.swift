import JobQueue
import ProviderPort
import Synchronization
import Telemetry

/// What every call to a provider passes, of whichever program: a breaker that keeps calls from a provider that is ill, a pace, and a bound
/// on how many are under way at a time. Breakers and paces are shared by all programs through their stores.
///
/// A call that is kept back was not sent: ``ProviderError`` of kind `held` says so, with the time after which it may be tried again.
public final class OutboundCalls: Sendable {
    /// Calls of one process to one provider at a time.
    public static let simultaneousMax = 8
    /// How long a call waits for its turn before it is kept back.
    public static let patience = Duration.seconds(2)
    /// A call is over after 20 s: a probe that has said nothing for longer is lost.
    public static let rule = BreakerRule(failures: 5, within: .seconds(60), openFor: .seconds(10), openMax: .seconds(300), probeFor: .seconds(30))

    private struct Line {
        var underWay = 0
        /// As the provider has asked for.
        var restsUntilMs: Int64 = 0
    }

    private let breakers: any BreakerStore
    private let turns: any CallTurnStore
    private let rule: BreakerRule
    private let simultaneousMax: Int
    private let clock: JobClock
    private let random: @Sendable () -> Double
    private let log: Log
    private let lines = Mutex<[String: Line]>([:])

    public init(
        breakers: any BreakerStore, turns: any CallTurnStore, rule: BreakerRule = OutboundCalls.rule,
        simultaneousMax: Int = OutboundCalls.simultaneousMax, clock: JobClock = .system,
        random: @escaping @Sendable () -> Double = { .random(in: 0..<1) }, log: Log = Log("outbound")
    ) {
        self.breakers = breakers
        self.turns = turns
        self.rule = rule
        self.simultaneousMax = simultaneousMax
        self.clock = clock
        self.random = random
        self.log = log
    }

    /// The adapter, all of whose calls pass here.
    /// - Parameter callsPerSecond: nil for any number.
    public func guarding(_ adapter: any PaymentProvider, callsPerSecond: Double?) -> any PaymentProvider {
        let line = OutboundLine(provider: adapter.name, rate: callsPerSecond.map { CallRate(perSecond: $0) }, calls: self)
        return GatedProvider(adapter, gate: line)
    }

    /// The breaker's name of a provider, as `quittance breakers` lists it.
    public static func dependency(_ provider: String) -> String { "provider.\(provider)" }

    // MARK: One call

    fileprivate func pass(
        to provider: String, _ rate: CallRate?, _ call: @escaping @Sendable () async throws(ProviderError) -> ProviderAnswer
    ) async throws(ProviderError) -> ProviderAnswer {
        try enter(provider)
        defer { leave(provider) }
        if let rate { try await takeTurn(provider, rate) }
        let breaker = CircuitBreaker(
            dependency: Self.dependency(provider), store: breakers, rule: rule, log: log, random: random,
            isIllness: { $0 is IllAnswer || ($0 as? ProviderError)?.kind == .unavailable })
        do {
            let answer = try await breaker.run { () async throws -> ProviderAnswer in
                let answer = try await call()
                if answer.status >= 500 { throw IllAnswer(answer: answer) }
                return answer
            }
            Self.count(provider, "answered")
            if answer.status == 429 { rest(provider, answer) }
            return answer
        } catch let open as BreakerOpen {
            throw held(provider, "ill", "\(provider) is ill and not called for now", after: open.retryAfter)
        } catch let ill as IllAnswer {
            Self.count(provider, "ill")
            return ill.answer
        } catch let error as ProviderError {
            Self.count(provider, "unanswered")
            throw error
        } catch {
            Self.count(provider, "unanswered")
            throw ProviderError(.unavailable, "\(error)")
        }
    }

    /// The answer of a provider that is ill: what it means is for the adapter to say.
    private struct IllAnswer: Error { let answer: ProviderAnswer }

    private func enter(_ provider: String) throws(ProviderError) {
        let now = clock.now()
        let (refusal, underWay) = lines.withLock { lines -> ((why: String, waitMs: Int64)?, Int) in
            let line = lines[provider] ?? Line()
            if line.restsUntilMs > now { return (("resting", line.restsUntilMs - now), line.underWay) }
            guard line.underWay < simultaneousMax else { return (("crowded", 1000), line.underWay) }
            lines[provider, default: Line()].underWay += 1
            return (nil, line.underWay + 1)
        }
        Self.gauge(provider).set(Double(underWay))
        guard let refusal else { return }
        let words = refusal.why == "resting" ? "\(provider) has asked for a rest" : "\(underWay) calls to \(provider) are under way"
        throw held(provider, refusal.why, words, after: .milliseconds(refusal.waitMs))
    }

    private func leave(_ provider: String) {
        let underWay = lines.withLock { lines -> Int in
            lines[provider, default: Line()].underWay -= 1
            return lines[provider]?.underWay ?? 0
        }
        Self.gauge(provider).set(Double(underWay))
    }

    /// A store of turns that is away keeps no call from its provider.
    private func takeTurn(_ provider: String, _ rate: CallRate) async throws(ProviderError) {
        let turn: CallTurn
        do { turn = try await turns.take(Self.dependency(provider), rate, within: Self.patience) } catch {
            log.warning("turns cannot be asked, the call passes", ["provider": .string(provider), "error": .string("\(error)")])
            return
        }
        switch turn {
        case .refused(let delay): throw held(provider, "pace", "\(provider) is called often enough", after: delay)
        case .after(let wait):
            guard wait > .zero else { return }
            do { try await clock.sleep(wait) } catch { throw held(provider, "pace", "the call was given up before its turn", after: wait) }
        }
    }

    /// Who says when to come back is obeyed, within reason.
    private func rest(_ provider: String, _ answer: ProviderAnswer) {
        guard let seconds = answer.retryAfterSeconds(), seconds > 0 else { return }
        let until = clock.now() + Int64(min(seconds, 300)) * 1000
        lines.withLock { lines in lines[provider, default: Line()].restsUntilMs = max(until, lines[provider]?.restsUntilMs ?? 0) }
    }

    private func held(_ provider: String, _ why: String, _ message: String, after delay: Duration) -> ProviderError {
        MetricRegistry.shared.counter(
            "provider_calls_held_total", help: "Calls to providers that were not sent, by the reason.",
            labels: [("provider", provider), ("why", why)]
        ).add()
        let seconds = Int((delay + .milliseconds(999)).components.seconds)
        return ProviderError(.held, message, code: "calls_held", retryAfterSeconds: max(1, seconds))
    }

    private static func count(_ provider: String, _ outcome: String) {
        MetricRegistry.shared.counter(
            "provider_calls_total", help: "Calls to providers, by what came back.", labels: [("provider", provider), ("outcome", outcome)]
        ).add()
    }

    private static func gauge(_ provider: String) -> Gauge {
        MetricRegistry.shared.gauge("provider_calls_under_way", help: "Calls to providers that are under way.", labels: [("provider", provider)])
    }
}

/// The way to one provider.
private struct OutboundLine: CallGate {
    let provider: String
    let rate: CallRate?
    let calls: OutboundCalls

    func pass(_ call: @escaping @Sendable () async throws(ProviderError) -> ProviderAnswer) async throws(ProviderError) -> ProviderAnswer {
        try await calls.pass(to: provider, rate, call)
    }
}
