import JobQueue
import Testing

@Suite("Retry policy")
struct RetryPolicyTests {
    @Test("delays grow by the factor up to the cap, and end with the attempts")
    func exponential() {
        let policy = RetryPolicy.exponential(base: .seconds(2), factor: 3, cap: .seconds(60), jitter: .none, attemptsMax: 6)
        let delays = (1...7).map { policy.delay(afterAttempt: $0, random: 0.5) }
        #expect(delays == [.seconds(2), .seconds(6), .seconds(18), .seconds(54), .seconds(60), nil, nil])
    }

    @Test("a hundred thousand attempts do not overflow")
    func farOut() {
        let policy = RetryPolicy.exponential(jitter: .none, attemptsMax: .max)
        #expect(policy.delay(afterAttempt: 100_000, random: 0) == .seconds(900))
    }

    @Test(
        "jitter takes its part of the delay",
        arguments: [
            (RetryPolicy.Jitter.full, 0.0, Duration.zero), (.full, 0.25, .seconds(1)), (.equal, 0.0, .seconds(2)), (.equal, 0.5, .seconds(3)),
            (.none, 0.9, .seconds(4)),
        ])
    func jitter(_ jitter: RetryPolicy.Jitter, random: Double, expected: Duration) {
        let policy = RetryPolicy.exponential(base: .seconds(4), jitter: jitter, attemptsMax: 3)
        #expect(policy.delay(afterAttempt: 1, random: random) == expected)
    }

    @Test("what the error asks for replaces the delay, not the limits")
    func asked() {
        let policy = RetryPolicy.exponential(cap: .seconds(10), attemptsMax: 2, maxAge: .seconds(100))
        #expect(policy.delay(afterAttempt: 1, random: 0, asked: .seconds(30)) == .seconds(30))
        #expect(policy.delay(afterAttempt: 1, random: 0, asked: .seconds(-1)) == .zero)
        #expect(policy.delay(afterAttempt: 2, random: 0, asked: .seconds(30)) == nil)
        #expect(policy.delay(afterAttempt: 1, random: 0, age: .seconds(100), asked: .seconds(30)) == nil)
    }

    @Test("fixed and none are what they say")
    func simple() {
        #expect(RetryPolicy.fixed(.seconds(5), attemptsMax: 3).delay(afterAttempt: 2, random: 0.9) == .seconds(5))
        #expect(RetryPolicy.none.delay(afterAttempt: 1, random: 0) == nil)
    }
}
