import Database
import EventLoop
import Formats
import JobQueue
import Outbox
import Synchronization
import Telemetry
import WorkerService

#if canImport(Glibc)
    import Glibc
#endif

/// `chaos producer RATE SEED LEDGER`: puts jobs in at a steady rate, half through the outbox, each row in a transaction, half straight
/// onto the queue, and keeps a ledger of what was acknowledged that outlives kill -9.
public enum ChaosProducer {
    public static let command = "producer"
    static let name = "chaos-producer"

    /// Produces until it is asked to stop; then waits for what is not acknowledged yet.
    public static func run(arguments: [String]) async -> Never {
        let numbers = arguments.compactMap { UInt64($0) }
        guard arguments.count == 3, numbers.count == 2 else { exit(64) }
        let program = await WorkerProgram.begin(name, migrations: ChaosEffects.everyMigration)
        guard let ledger = EnqueueLedger(path: arguments[2]) else { exit(73) }
        let load = SteadyLoad(program: program, rate: Double(numbers[0]), seed: numbers[1], ledger: ledger)
        await program.run([load])
    }
}

/// What a producer tried (`t <id>`) and what was acknowledged (`a <id>`), a line each, handed to the system before anything else is done:
/// a killed process loses none of it.
final class EnqueueLedger: Sendable {
    private let descriptor: Int32

    init?(path: String) {
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        if descriptor < 0 { return nil }
    }

    deinit { close(descriptor) }

    func note(_ mark: Character, _ ids: [String]) {
        let lines = Array(ids.map { "\(mark) \($0)\n" }.joined().utf8)
        // One write of an appending descriptor is one piece.
        let count = lines.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard count == lines.count else { exit(74) }
    }

    /// Ids by mark. A line that a full disk has cut is no line.
    static func read(_ path: String) -> (tried: Set<String>, acknowledged: Set<String>) {
        var found: (tried: Set<String>, acknowledged: Set<String>) = ([], [])
        for line in (TextFile.read(path) ?? "").split(separator: "\n") {
            if line.hasPrefix("t ") { found.tried.insert(String(line.dropFirst(2))) }
            if line.hasPrefix("a ") { found.acknowledged.insert(String(line.dropFirst(2))) }
        }
        return found
    }
}

private final class SteadyLoad: Service {
    let name = "steady load"

    private let program: WorkerProgram
    private let driver: any QueueDriver
    private let rate: Double
    private let ledger: EnqueueLedger
    private let state: Mutex<State>
    private let ticking = Mutex<Task<Void, Never>?>(nil)

    private struct State {
        var random: SeededRandom
        var number = 0
        var underWay = 0
        var isStopping = false
    }

    private static let tick = Duration.milliseconds(50)
    /// Jobs that wait for their acknowledgement; beyond it the load waits too.
    private static let underWayMax = 2000

    init(program: WorkerProgram, rate: Double, seed: UInt64, ledger: EnqueueLedger) {
        self.program = program
        self.rate = rate
        self.ledger = ledger
        driver = program.queues.driver(of: ChaosJob.queue)
        state = Mutex(State(random: SeededRandom(seed: seed)))
    }

    func start() async throws {
        let running = Task { await self.produce() }
        ticking.withLock { $0 = running }
    }

    func stop(by deadline: ContinuousClock.Instant) async {
        state.withLock { $0.isStopping = true }
        await ticking.withLock { $0 }?.value
        while ContinuousClock.now < deadline, state.withLock({ $0.underWay }) > 0 { try? await Task.sleep(for: .milliseconds(10)) }
    }

    private func produce() async {
        var owed = 0.0
        var due = ContinuousClock.now
        while !state.withLock({ $0.isStopping }) {
            owed += rate * Double(Self.tick / .milliseconds(1)) / 1000
            let count = Int(owed)
            owed -= Double(count)
            let jobs = (0..<count).map { _ in self.request() }
            let now = WallClock.nowMs
            await add(jobs.filter { !$0.isDirect }.map(\.request), nowMs: now)
            for job in jobs where job.isDirect {
                guard state.withLock({ $0.underWay }) < Self.underWayMax else { break }
                let envelope = job.request.envelope(id: JobRequest.makeID(nowMs: now), nowMs: now)
                ledger.note("t", [envelope.id])
                state.withLock { $0.underWay += 1 }
                // Unstructured: each waits for its own acknowledgement, and `stop` for all of them.
                Task { await self.enqueue(envelope, dueMs: job.request.runAtMs) }
            }
            due += Self.tick
            // What a standstill has cost is not made up for: the load is steady, not a flood.
            if due < .now { due = .now }
            try? await Task.sleep(until: due, clock: .continuous)
        }
    }

    /// Rows in one transaction: acknowledged by its commit.
    private func add(_ requests: [JobRequest], nowMs: Int64) async {
        guard !requests.isEmpty else { return }
        let outbox = program.outbox
        do {
            let ids = try await program.database.write { connection in
                try requests.compactMap { try outbox.add($0, nowMs: nowMs, in: connection) }
            }
            ledger.note("t", ids)
            ledger.note("a", ids)
        } catch {
            program.log.warning("rows could not be added", ["error": .string("\(error)")])
        }
    }

    /// The same job again and again until it is acknowledged: it may be there twice then, with one effect.
    private func enqueue(_ job: JobEnvelope, dueMs: Int64?) async {
        defer { state.withLock { $0.underWay -= 1 } }
        while true {
            do {
                try await driver.enqueue(job, dueMs: dueMs)
                return ledger.note("a", [job.id])
            } catch {
                if !error.isTransient {
                    return program.log.error("job refused for good", ["job": .string(job.id), "error": .string(error.message)])
                }
                try? await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    /// Most jobs are short; some are long, call outside, have keys, come later, or fail first.
    private func request() -> (request: JobRequest, isDirect: Bool) {
        state.withLock { state in
            let number = state.number
            state.number += 1
            let kind = Int.random(in: 0..<100, using: &state.random)
            let run = kind < 10 ? Int.random(in: 200...600, using: &state.random) : Int.random(in: 1...40, using: &state.random)
            let failures = kind >= 90 ? Int.random(in: 1...2, using: &state.random) : 0
            let isDirect = number.isMultiple(of: 2)
            let dueMs = (80..<90).contains(kind) ? WallClock.nowMs + Int64.random(in: 50...1500, using: &state.random) : nil
            guard
                var request = try? JobRequest(
                    ChaosJob(number: number, runMs: run, failures: failures, callsOutside: (40..<50).contains(kind)), runAtMs: dueMs)
            else {
                preconditionFailure("three integers are a JSON object")
            }
            if isDirect && (60..<70).contains(kind) { request.slots = JobSlots(key: "lane-\(number % 7)", max: 1) }
            if isDirect && (65..<75).contains(kind) { request.unique = "once-\(JobRequest.makeID(nowMs: WallClock.nowMs))" }
            return (request, isDirect)
        }
    }
}
