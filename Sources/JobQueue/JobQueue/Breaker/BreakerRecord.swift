/// When a dependency counts as ill, and how often it is tried while it is.
public struct BreakerRule: Sendable, Equatable {
    /// Failures in a row, within ``within``, that open the breaker.
    public let failures: Int
    public let within: Duration
    /// How long it stays open at first; doubled each time the probe fails, up to ``openMax``.
    public let openFor: Duration
    public let openMax: Duration
    /// A probe that has said nothing after this long is taken for lost, and another one is let through.
    public let probeFor: Duration

    public init(
        failures: Int = 5, within: Duration = .seconds(60), openFor: Duration = .seconds(10), openMax: Duration = .seconds(300),
        probeFor: Duration = .seconds(180)
    ) {
        precondition(failures >= 1 && openFor > .zero && openMax >= openFor && probeFor > .zero, "a breaker that cannot be followed")
        self.failures = failures
        self.within = within
        self.openFor = openFor
        self.openMax = openMax
        self.probeFor = probeFor
    }
}

public enum BreakerState: String, Sendable, CaseIterable {
    /// Calls pass.
    case closed
    /// No call passes.
    case open
    /// One call passes, to see whether the dependency is well again.
    case halfOpen = "half_open"

    /// As the metric `breaker_state` has it.
    var figure: Double {
        switch self {
        case .closed: 0
        case .halfOpen: 1
        case .open: 2
        }
    }
}

/// What a breaker says to a call.
public enum BreakerVerdict: Sendable, Equatable {
    case pass
    /// This one call finds out whether the dependency is well again.
    case probe
    case refused(retryAfter: Duration)
}

/// How a breaker stands.
public struct BreakerStanding: Sendable, Equatable {
    public let dependency: String
    public let state: BreakerState
    /// In a row.
    public let failures: Int
    /// When the next call is let through; nil while closed.
    public let retryAtMs: Int64?

    public init(dependency: String, state: BreakerState, failures: Int, retryAtMs: Int64?) {
        self.dependency = dependency
        self.state = state
        self.failures = failures
        self.retryAtMs = retryAtMs
    }
}

/// One breaker as a pure value. The script of the Redis store is held to the same by the contract tests.
struct BreakerRecord: Equatable {
    var failures = 0
    var firstFailureAtMs: Int64 = 0
    /// 0 while closed.
    var openUntilMs: Int64 = 0
    /// Openings in a row.
    var openings = 0
    var probeUntilMs: Int64 = 0

    mutating func admit(_ rule: BreakerRule, nowMs: Int64) -> BreakerVerdict {
        guard openUntilMs > 0 else { return .pass }
        if nowMs < openUntilMs { return .refused(retryAfter: .milliseconds(openUntilMs - nowMs)) }
        if nowMs < probeUntilMs {
            return .refused(retryAfter: min(.milliseconds(probeUntilMs - nowMs), rule.openFor))
        }
        probeUntilMs = nowMs + rule.probeFor.wholeMilliseconds
        return .probe
    }

    mutating func report(_ rule: BreakerRule, succeeded: Bool, isProbe: Bool, nowMs: Int64) -> BreakerState {
        // What began before it opened says nothing about how it is now.
        guard openUntilMs == 0 || isProbe else { return state(nowMs: nowMs) }
        if succeeded {
            self = BreakerRecord()
            return .closed
        }
        if openUntilMs == 0 && (failures == 0 || nowMs - firstFailureAtMs > rule.within.wholeMilliseconds) {
            failures = 0
            firstFailureAtMs = nowMs
        }
        failures += 1
        if openUntilMs > 0 || failures >= rule.failures {
            let doublings = min(openings, 20)
            openUntilMs = nowMs + min(rule.openFor.wholeMilliseconds << Int64(doublings), rule.openMax.wholeMilliseconds)
            openings += 1
            probeUntilMs = 0
        }
        return state(nowMs: nowMs)
    }

    func state(nowMs: Int64) -> BreakerState {
        if openUntilMs == 0 { return .closed }
        return nowMs < openUntilMs ? .open : .halfOpen
    }

    func standing(_ dependency: String, nowMs: Int64) -> BreakerStanding {
        BreakerStanding(
            dependency: dependency, state: state(nowMs: nowMs), failures: failures,
            retryAtMs: openUntilMs == 0 ? nil : max(openUntilMs, probeUntilMs))
    }
}
