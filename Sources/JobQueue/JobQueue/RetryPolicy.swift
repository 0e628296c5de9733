/// When a job that failed is tried again. A pure value: time and chance are passed in.
public struct RetryPolicy: Sendable, Equatable {
    /// How much of the computed delay is left to chance, so that jobs that failed together do not come back together.
    public enum Jitter: Sendable, Equatable {
        /// Exactly the computed delay.
        case none
        /// Anything from nothing to the computed delay.
        case full
        /// Half of the computed delay, and anything up to the other half.
        case equal
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

    private init(base: Duration, factor: Double, cap: Duration, jitter: Jitter, attemptsMax: Int, maxAge: Duration?) {
        precondition(base >= .zero && cap >= base && factor >= 1 && attemptsMax >= 1, "a retry policy that cannot be followed")
        self.base = base
        self.factor = factor
        self.cap = cap
        self.jitter = jitter
        self.attemptsMax = attemptsMax
        self.maxAge = maxAge
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

    /// One attempt only.
    public static let none = fixed(.zero, attemptsMax: 1)

    /// How long to wait after the `n`th attempt (1 is the first) has failed; nil when the job is to be buried.
    /// - Parameters:
    ///   - random: from 0 up to, not including, 1.
    ///   - age: since the job was enqueued.
    ///   - asked: what the error asked for, such as a `Retry-After`. It replaces the computed delay (a server that says when to come
    ///     back knows better than we do, even beyond the cap), not the limits on attempts and age.
    public func delay(afterAttempt n: Int, random: Double, age: Duration = .zero, asked: Duration? = nil) -> Duration? {
        precondition(n >= 1, "attempts are counted from 1")
        guard n < attemptsMax else { return nil }
        if let maxAge, age >= maxAge { return nil }
        if let asked { return max(asked, .zero) }
        let computed = undisturbedDelay(afterAttempt: n)
        switch jitter {
        case .none: return computed
        case .full: return computed * random
        case .equal: return computed / 2 + (computed / 2) * random
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
}
