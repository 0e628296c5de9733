import EventLoop

/// The same open loop several times, after a short one that warms up: what is told is the median of the rounds.
struct OpenLoopRounds: Sendable {
    private var outcomes: [OpenLoop.Outcome] = []

    private static let warmUpSeconds = 2.0

    var perSecond: Double { Statistics.median(outcomes.map(\.perSecond)) }

    /// Milliseconds that so many percent of the requests took at most.
    func median(_ percent: Double) -> Double { Statistics.median(outcomes.map { Statistics.percentile($0.latencies, percent) }) }

    /// - Parameters:
    ///   - result: gets a note of each round and what went wrong.
    ///   - lagMax: milliseconds; a generator that is later is itself what is measured.
    ///   - prepare: called before each round; round 0 warms up.
    ///   - after: called after each round.
    static func run(
        _ loop: OpenLoop, rounds: Int, in arena: Arena, into result: inout BenchmarkResult, lagMax: Double = 0.5,
        preparing prepare: (_ round: Int, inout OpenLoop) -> Void = { _, _ in }, after: (_ round: Int) -> Void = { _ in }
    ) async throws -> OpenLoopRounds {
        var run = OpenLoopRounds()
        var lags: [Double] = []
        for round in 0...rounds {
            var turn = loop
            if round == 0 { turn.seconds = warmUpSeconds }
            prepare(round, &turn)
            let outcome = try await arena.pool.run { [turn] in try turn.run() }
            after(round)
            if outcome.failures > 0 { result.problems.append("\(outcome.failures) requests of round \(round) were not answered 200") }
            guard round > 0 else { continue }
            run.outcomes.append(outcome)
            let lag = Statistics.percentile(outcome.lags, 99)
            lags.append(lag)
            result.notes.append(
                "round \(round): \(Number.text(outcome.perSecond))/s, p50 \(time(outcome, 50)), p99 \(time(outcome, 99)), "
                    + "p999 \(time(outcome, 99.9)), most \(time(outcome, 100)) ms; generator late p99 \(Number.text(lag)) ms")
        }
        let lag = Statistics.median(lags)
        if lag > lagMax { result.problems.append("the generator itself was late, p99 \(Number.text(lag)) ms: the machine is too busy") }
        return run
    }

    private static func time(_ outcome: OpenLoop.Outcome, _ percent: Double) -> String {
        Number.text(Statistics.percentile(outcome.latencies, percent))
    }
}
