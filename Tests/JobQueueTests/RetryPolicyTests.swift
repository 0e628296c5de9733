import Formats
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

    @Test("decorrelated delays lie between the base and three times the one before, stay the same for a job, and differ between jobs")
    func decorrelated() {
        let policy = RetryPolicy.exponential(base: .seconds(2), factor: 3, cap: .seconds(60), jitter: .decorrelated, attemptsMax: .max)
        func delays(_ job: String) -> [Duration] {
            (1...40).compactMap { policy.delay(afterAttempt: $0, random: .random(in: 0..<1), seed: RetryPolicy.seed(of: job)) }
        }
        var reachedCap = false
        for job in (0..<50).map({ "job_\($0)" }) {
            let chain = delays(job)
            #expect(chain.count == 40 && chain == delays(job))
            for (before, delay) in zip([.seconds(2)] + chain, chain) {
                #expect(delay >= .seconds(2) && delay <= min(.seconds(60), before * 3))
            }
            reachedCap = reachedCap || chain.contains { $0 > .seconds(40) }
        }
        #expect(reachedCap)
        #expect(delays("a") != delays("b"))
        #expect(policy.delay(afterAttempt: 1_000_000, random: 0) != nil)
    }

    @Test("a rule of one's own decides within the limits, by attempt, age and reason")
    func custom() {
        let policy = RetryPolicy.custom(attemptsMax: 4, maxAge: .seconds(100)) { failure in
            failure.reason.contains("locked") ? nil : .seconds(failure.attempt * 10) - failure.age
        }
        #expect(policy.delay(afterAttempt: 2, random: 0, age: .seconds(5)) == .seconds(15))
        #expect(policy.delay(afterAttempt: 1, random: 0, age: .seconds(50)) == .zero)
        #expect(policy.delay(afterAttempt: 1, random: 0, reason: "account locked") == nil)
        #expect(policy.delay(afterAttempt: 1, random: 0, asked: .seconds(7)) == .seconds(7))
        #expect(policy.delay(afterAttempt: 4, random: 0) == nil)
        #expect(policy.delay(afterAttempt: 1, random: 0, age: .seconds(100)) == nil)
    }

    @Test(
        "Retry-After is read in seconds and in HTTP's three forms of a date",
        arguments: [
            ("120", 120), (" 0 ", 0), ("Sun, 06 Nov 1994 08:50:07 GMT", 30), ("Sunday, 06-Nov-94 08:50:07 GMT", 30),
            ("Sun Nov  6 08:50:07 1994", 30), ("Sun, 06 Nov 1994 08:49:00 GMT", 0), ("Sun, 06 Nov 1994 08:50:07 CET", nil), ("-1", nil),
            ("1.5", nil), ("soon", nil), ("", nil), ("Sun, 31 Feb 1994 08:50:07 GMT", nil), ("99999999999999999999", nil),
        ] as [(String, Int64?)])
    func retryAfter(text: String, seconds: Int64?) {
        #expect(RetryAfter.seconds(text, nowMs: 784_111_777_000) == seconds)
    }
}
