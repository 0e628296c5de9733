import Synchronization
import Telemetry

/// One worker's line to its queue: its identity, its doorbell, and the patience with a queue that does not answer.
///
/// A step is repeated until it is answered: outcomes are never dropped because the queue was away. It gives up only when the lease is
/// lost or the worker has no time left.
final class QueueLine: Sendable {
    enum Answer {
        case result(StepResult)
        /// Nothing that the worker holds is its own any more.
        case fenced
        /// The worker has no time left.
        case abandoned
    }

    private struct State {
        var identity: WorkerIdentity
        /// The worker stops: nothing new is asked for, but outcomes are still told.
        var closing = false
        var abandoned = false
        /// Played dead: not even the farewell is said.
        var vanished = false
    }

    let driver: any QueueDriver
    let bell = Doorbell()
    let metrics: QueueMetrics
    private let name: String
    private let clock: JobClock
    private let random: @Sendable () -> Double
    private let log: Log
    private let state: Mutex<State>
    private let onSignal: @Sendable (WorkerSignal) -> Void

    /// Pauses after the first failed step, and at most.
    private static let pauseMinMs = 50.0
    private static let pauseMaxMs = 1000.0

    init(
        driver: any QueueDriver, name: String, clock: JobClock, random: @escaping @Sendable () -> Double, log: Log,
        onSignal: @escaping @Sendable (WorkerSignal) -> Void
    ) {
        self.driver = driver
        self.name = name
        self.clock = clock
        self.random = random
        self.log = log
        self.onSignal = onSignal
        metrics = QueueMetrics(queue: driver.queue)
        state = Mutex(State(identity: WorkerIdentity(name: name)))
    }

    var identity: WorkerIdentity { state.withLock { $0.identity } }
    private var isAbandoned: Bool { state.withLock { $0.abandoned } }
    private var isClosing: Bool { state.withLock { $0.closing } }

    /// Registers under a new identity.
    /// - Returns: false when the worker stops meanwhile: it has nothing in hand to be told.
    func open() async -> Bool {
        var failures = 0
        while !isAbandoned && !isClosing {
            let identity = WorkerIdentity(name: name)
            do {
                let onSignal = onSignal
                try await driver.register(identity) { signal in onSignal(signal) }
                state.withLock { $0.identity = identity }
                return true
            } catch {
                await pause(after: &failures, error, "queue cannot register the worker")
            }
        }
        return false
    }

    func step(_ operations: [StepOperation], claimMax: Int) async -> Answer {
        var failures = 0
        while !isAbandoned {
            if isClosing && operations.isEmpty && failures > 0 { return .result(StepResult()) }
            do {
                let began = ContinuousClock.now
                let result = try await driver.step(StepRequest(worker: identity, operations: operations, claimMax: claimMax))
                metrics.step.observe(began.duration(to: .now))
                if result.fenced {
                    metrics.fenced.add()
                    log.warning("lease lost, work in hand dropped", fields())
                    await driver.retire(identity)
                    return .fenced
                }
                if result.staleTokens > 0 { metrics.stale.add(Int64(result.staleTokens)) }
                metrics.claimed.add(Int64(result.claimed.count))
                metrics.depth.set(Double(result.readyDepth))
                return .result(result)
            } catch {
                await pause(after: &failures, error, "queue does not answer a step")
            }
        }
        return .abandoned
    }

    func listen() { driver.awaitWork(identity) }

    func retire() async {
        if state.withLock({ $0.vanished }) { return }
        await driver.retire(identity)
    }

    /// Nothing new is asked for any more: a queue that is away is not waited for without an outcome to tell.
    func close() {
        state.withLock { $0.closing = true }
        bell.ring()
    }

    /// No further step is tried. The lease runs out by itself.
    func abandon() {
        state.withLock { $0.abandoned = true }
        bell.ring()
    }

    /// Nothing is said any more, as by a process that was killed.
    func vanish() {
        state.withLock { state in
            state.vanished = true
            state.abandoned = true
        }
        bell.ring()
    }

    private func pause(after failures: inout Int, _ error: QueueDriverError, _ message: StaticString) async {
        let longest = min(Self.pauseMaxMs, Self.pauseMinMs * Double(1 << min(failures, 10)))
        // The first failures are what a restart of the server looks like.
        if failures == 3 { log.warning(message, fields(["error": .string(error.message)])) }
        if failures > 0 && failures % 60 == 0 { log.error(message, fields(["error": .string(error.message)])) }
        failures += 1
        try? await clock.sleep(.milliseconds(longest / 2 + longest / 2 * random()))
    }

    private func fields(_ more: [String: Log.Value] = [:]) -> [String: Log.Value] {
        ["queue": .string(driver.queue), "worker": .string(identity.description)].merging(more) { $1 }
    }
}
