import Telemetry

/// Keeps calls away from a dependency that is ill: after some failures in a row nobody calls it for a while, then one call finds out
/// whether it is well again. Jobs that are kept away come back later without an attempt being spent.
///
/// How it stands is shared through a ``BreakerStore``. While that cannot be reached calls pass: a breaker must not become an outage.
public struct CircuitBreaker: Sendable {
    /// Such as `smtp`: letters, digits, `.`, `_` and `-`.
    public let dependency: String
    private let store: any BreakerStore
    private let rule: BreakerRule
    private let isIllness: @Sendable (any Error) -> Bool
    private let random: @Sendable () -> Double
    private let log: Log

    /// - Parameter isIllness: whether an error says that the dependency is ill. Unless given: what a retry helps against. Any other error
    ///   shows that it answers.
    public init(
        dependency: String, store: any BreakerStore, rule: BreakerRule = BreakerRule(), log: Log = Log(),
        random: @escaping @Sendable () -> Double = { .random(in: 0..<1) }, isIllness: @escaping @Sendable (any Error) -> Bool = Self.retryHelps
    ) {
        precondition(JobEnvelope.isQueueName(dependency), "a dependency's name is made of letters, digits, '.', '_' and '-'")
        self.dependency = dependency
        self.store = store
        self.rule = rule
        self.log = log
        self.random = random
        self.isIllness = isIllness
    }

    /// Whether an error of a call would be retried.
    public static func retryHelps(_ error: any Error) -> Bool {
        if case .retry = JobOutcome(thrown: error) { return true }
        return false
    }

    /// Calls, unless the dependency is ill.
    /// - Throws: ``BreakerOpen``, and what `call` throws.
    public func run<Value: Sendable>(_ call: @Sendable () async throws -> Value) async throws -> Value {
        let isProbe: Bool
        switch await verdict() {
        case .pass: isProbe = false
        case .probe: isProbe = true
        case .refused(let delay):
            count("breaker_rejections_total", "Calls that were not made because their dependency is ill.")
            // Spread, so that all that waited do not come back at once.
            throw BreakerOpen(dependency: dependency, retryAfter: delay + rule.openFor * (0.25 * random()))
        }
        do {
            let value = try await call()
            await report(succeeded: true, isProbe: isProbe)
            return value
        } catch {
            // A call that was called off says nothing; a probe's place is given to another one all the same.
            if !(error is CancellationError) || isProbe { await report(succeeded: !isIllness(error), isProbe: isProbe) }
            throw error
        }
    }

    private func verdict() async -> BreakerVerdict {
        do { return try await store.admit(dependency, rule) } catch {
            log.warning("breaker cannot be asked, the call passes", ["dependency": .string(dependency), "error": .string("\(error)")])
            return .pass
        }
    }

    private func report(succeeded: Bool, isProbe: Bool) async {
        let (store, dependency, rule) = (store, dependency, rule)
        do {
            // In a task of its own: the call's own may be cancelled.
            let state = try await Task { try await store.report(dependency, rule, succeeded: succeeded, isProbe: isProbe) }.value
            MetricRegistry.shared.gauge(
                "breaker_state", help: "0 calls pass, 1 one call is tried, 2 no call passes; as this process saw it last.",
                labels: [("dependency", dependency)]
            ).set(state.figure)
            if state == .open && !succeeded {
                log.warning("dependency is ill, calls are kept away", ["dependency": .string(dependency)])
                count("breaker_openings_total", "Failures that opened a breaker, or kept it open.")
            }
        } catch {
            log.warning("breaker cannot be told", ["dependency": .string(dependency), "error": .string("\(error)")])
        }
    }

    private func count(_ name: String, _ help: String) {
        MetricRegistry.shared.counter(name, help: help, labels: [("dependency", dependency)]).add()
    }
}

/// The dependency is ill; nothing was called, no attempt is spent.
public struct BreakerOpen: JobErrorClassifying, EffectErrorClassifying, Equatable, CustomStringConvertible {
    public let dependency: String
    public let retryAfter: Duration

    public init(dependency: String, retryAfter: Duration) {
        self.dependency = dependency
        self.retryAfter = retryAfter
    }

    public var jobDisposition: JobDisposition { .snooze(retryAfter) }
    public var effectCannotHaveHappened: Bool { true }
    public var description: String { "\(dependency) is ill, not called" }
}
