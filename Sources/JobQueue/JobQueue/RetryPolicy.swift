/// When a job that failed is tried again. A pure value: time and chance are passed in.
///
/// Said with a dot where a kind is registered: `.exponential(attemptsMax: 8)`, `.fixed(.seconds(5), attemptsMax: 3)`, `.none`,
/// `.custom(attemptsMax: 5) { failure in … }`.
public struct RetryPolicy: Sendable {
    /// How much of the computed delay is left to chance, so that jobs that failed together do not come back together.
    public enum Jitter: Sendable, Equatable, CaseIterable {
        /// Exactly the computed delay.
        case none
        /// Anything from nothing to the computed delay.
        case full
        /// Half of the computed delay, and anything up to the other half.
        case equal
        /// Anything from the base to `factor` times the delay before, up to the cap. Each delay is drawn from the one before, which is
        /// found again from the job's id: nothing is kept.
        case decorrelated
    }

    /// What a policy of one's own decides by.
    public struct Failure: Sendable {
        /// Which attempt has failed, from 1.
        public let attempt: Int
        /// Since the job was enqueued.
        public let age: Duration
        /// From 0 up to, not including, 1.
        public let random: Double
        /// What went wrong, as the history has it.
        public let reason: String
    }

    /// The delay after the first attempt.
    public let base: Duration
    /// What each further delay is multiplied by.
    public let factor: Double
    /// The longest delay.
    public let cap: Duration
    public let jitter: Jitter
    /// Attempts in all, the first included. When they are spent the job is buried.
    public let attemptsMax: Int
    /// A job older than this is buried instead of being tried again.
    public let maxAge: Duration?
    private let decide: (@Sendable (Failure) -> Duration?)?

    private init(
        base: Duration, factor: Double, cap: Duration, jitter: Jitter, attemptsMax: Int, maxAge: Duration?,
        decide: (@Sendable (Failure) -> Duration?)? = nil
    ) {
        precondition(base >= .zero && cap >= base && factor >= 1 && attemptsMax >= 1, "a retry policy that cannot be followed")
        self.base = base
        self.factor = factor
        self.cap = cap
        self.jitter = jitter
        self.attemptsMax = attemptsMax
        self.maxAge = maxAge
        self.decide = decide
    }

    /// `base`, `base × factor`, `base × factor²`… but never more than `cap`.
    public static func exponential(
        base: Duration = .seconds(1), factor: Double = 2, cap: Duration = .seconds(900), jitter: Jitter = .full, attemptsMax: Int,
        maxAge: Duration? = nil
    ) -> RetryPolicy {
        RetryPolicy(base: base, factor: factor, cap: cap, jitter: jitter, attemptsMax: attemptsMax, maxAge: maxAge)
    }

    /// The same delay after every attempt.
    public static func fixed(_ delay: Duration, attemptsMax: Int, maxAge: Duration? = nil) -> RetryPolicy {
        RetryPolicy(base: delay, factor: 1, cap: delay, jitter: .none, attemptsMax: attemptsMax, maxAge: maxAge)
    }

    /// A rule of one's own within the limits on attempts and age.
    /// - Parameter delay: how long to wait; nil buries the job.
    public static func custom(
        attemptsMax: Int, maxAge: Duration? = nil, delay: @escaping @Sendable (Failure) -> Duration?
    ) -> RetryPolicy {
        RetryPolicy(base: .zero, factor: 1, cap: .zero, jitter: .none, attemptsMax: attemptsMax, maxAge: maxAge, decide: delay)
    }

    /// One attempt only.
    public static let none = fixed(.zero, attemptsMax: 1)

    /// How long to wait after the `n`th attempt (1 is the first) has failed; nil when the job is to be buried.
    /// - Parameters:
    ///   - random: from 0 up to, not including, 1.
    ///   - age: since the job was enqueued.
    ///   - asked: what the error asked for, such as a `Retry-After`. It replaces the computed delay (a server that says when to come
    ///     back knows better than we do, even beyond the cap), not the limits on attempts and age.
    ///   - seed: where decorrelated delays begin, see ``seed(of:)``.
    ///   - reason: what went wrong, for a policy of one's own.
    public func delay(
        afterAttempt n: Int, random: Double, age: Duration = .zero, asked: Duration? = nil, seed: UInt64 = 0, reason: String = ""
    ) -> Duration? {
        precondition(n >= 1, "attempts are counted from 1")
        guard n < attemptsMax else { return nil }
        if let maxAge, age >= maxAge { return nil }
        if let asked { return max(asked, .zero) }
        if let decide { return decide(Failure(attempt: n, age: age, random: random, reason: reason)).map { max($0, .zero) } }
        switch jitter {
        case .none: return undisturbedDelay(afterAttempt: n)
        case .full: return undisturbedDelay(afterAttempt: n) * random
        case .equal:
            let half = undisturbedDelay(afterAttempt: n) / 2
            return half + half * random
        case .decorrelated: return decorrelatedDelay(afterAttempt: n, seed: seed)
        }
    }

    /// The delay before chance has its part: doubling stops at the cap, long before a Double could overflow.
    private func undisturbedDelay(afterAttempt n: Int) -> Duration {
        guard factor > 1 else { return base }
        var delay = base
        for _ in 1..<n {
            if delay >= cap { return cap }
            delay = delay * factor
        }
        return min(delay, cap)
    }

    /// Draws looked back at. Where a draw began hardly matters after so many.
    private static let drawsMax = 64

    private func decorrelatedDelay(afterAttempt n: Int, seed: UInt64) -> Duration {
        var delay = base
        for draw in max(1, n - Self.drawsMax)...n {
            let longest = max(base, delay * factor)
            delay = min(cap, base + (longest - base) * Self.chance(seed &+ UInt64(draw)))
        }
        return delay
    }

    /// From 0 up to, not including, 1; the same for the same number (SplitMix64).
    private static func chance(_ number: UInt64) -> Double {
        var mixed = number &* 0x9e37_79b9_7f4a_7c15
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return Double((mixed ^ (mixed >> 31)) >> 11) / 9_007_199_254_740_992
    }

    /// Where the decorrelated delays of one job begin (FNV-1a).
    public static func seed(of job: String) -> UInt64 {
        job.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
    }
}
