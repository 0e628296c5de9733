import Database
import EventLoop
import Formats
import RedisClient
import Subprocess
import Synchronization
import Telemetry

#if canImport(Glibc)
    import Glibc
#endif

/// The first play: workers, a producer and a Redis under faults at random, as many rounds as the time allows.
final class EnginePlay: Sendable {
    let field: ChaosField
    let database: Database
    let options: ChaosOptions
    let outside: Outside
    private let links: [FaultyProxy]
    private let found = Mutex(Found())

    struct Found: Sendable {
        var rounds: [String: Int] = [:]
        /// From a fault to the effect of each job that was in the victim's hands.
        var recovery: [String: Distribution] = [:]
        /// From a fault of the network to the next effect that the cut-off worker itself began.
        var workingAgain: [String: Distribution] = [:]
        var fencedRequired = 0
        /// Freezes that caught the victim inside of a SQL transaction.
        var frozenInTransaction = 0
    }

    static let workerNames = (0..<FaultPlan.workers).map { "worker-\($0)" }
    static let producerName = "producer"
    /// Jobs at a time, of each worker.
    private static let concurrency = 8
    /// After so long a job that was in the hands of a victim counts as stuck.
    private var stuckAfter: Duration { options.losesEffects ? .seconds(2) : .seconds(30) }
    static let fencedLine = "lease lost, work in hand dropped"

    init(field: ChaosField, options: ChaosOptions) throws {
        self.field = field
        self.options = options
        outside = Outside(folder: field.folder + "/outside")
        links = try (0...FaultPlan.producerLink).map { _ in try FaultyProxy(to: field.redisPort) }
        database = try Database.open(.sqlite(path: field.folder + "/quittance.db"), log: Log("chaos"))
        _ = try database.migrate(ChaosEffects.everyMigration)
    }

    var results: Found { found.withLock { $0 } }

    func close() async {
        for link in links { link.end() }
        await database.close()
    }

    // MARK: Processes

    private func environment(link: Int, slot: Int) -> [String: String] {
        [
            "REDIS_URL": "redis://127.0.0.1:\(links[link].port)/0", "DATABASE_URL": "sqlite:\(field.folder)/quittance.db",
            "VAR_DIRECTORY": field.folder + "/var", "LOG_LEVEL": "warning", "SLOT": "\(slot)", "SHUTDOWN_GRACE": "8",
            "WORKER_CONCURRENCY": "\(Self.concurrency)", "SWIFT_BACKTRACE": "enable=no",
        ]
    }

    private func startWorker(_ slot: Int) async throws {
        let arguments = [ChaosWorker.command, outside.folder] + (options.losesEffects ? [ChaosWorker.losing] : [])
        try await field.start(
            Self.workerNames[slot], try ChaosField.program("chaos"), arguments, environment: environment(link: slot, slot: slot))
    }

    private func startProducer() async throws {
        // Another seed at each start: the same jobs again would be no new load.
        let seed = options.seed &+ UInt64(bitPattern: Monotonic.nowNs)
        try await field.start(
            Self.producerName, try ChaosField.program("chaos"), [ChaosProducer.command, "\(options.rate)", "\(seed)", field.folder + "/ledger"],
            environment: environment(link: FaultPlan.producerLink, slot: 0))
    }

    // MARK: The play

    /// Plays rounds until the time is over.
    func run(for duration: Duration) async throws {
        for slot in 0..<FaultPlan.workers { try await startWorker(slot) }
        try await startProducer()
        guard await field.eventually(within: .seconds(30), { try await effects() > options.rate / 2 }) else {
            throw ChaosError("no load gets through: see the logs in \(field.folder)")
        }
        var plan = FaultPlan(seed: options.seed)
        let deadline = ContinuousClock.now.advanced(by: duration)
        var round = 0
        while ContinuousClock.now < deadline, field.violations.isEmpty {
            round += 1
            try await Task.sleep(for: plan.nextCalm())
            let fault = plan.next()
            field.note("round \(round): \(fault)")
            try await play(fault, as: fault.kind, alone: true)
            found.withLock { $0.rounds[fault.kind, default: 0] += 1 }
            if round.isMultiple(of: 10) { options.say("  \(Number.fixed(field.clock, 0)) s: \(round) rounds, \(try await effects()) effects") }
        }
    }

    /// - Parameters:
    ///   - kind: what its times are counted under.
    ///   - alone: no other fault is played meanwhile.
    private func play(_ fault: Fault, as kind: String, alone: Bool) async throws {
        switch fault {
        case .killWorker(let slot, let downMs): try await kill([slot], downMs: downMs, kind)
        case .killAllWorkers(let downMs): try await kill(Array(0..<FaultPlan.workers), downMs: downMs, kind)
        case .killProducer(let downMs):
            let child = try field.process(Self.producerName)
            child.kill9()
            await child.waitForExit()
            try await Task.sleep(for: .milliseconds(downMs))
            try await startProducer()
        case .stopWorker(let slot): try await stop(slot, kind, alone: alone)
        case .freezeWorker(let slot, let ms): try await freeze([slot], ms: ms, kind, alone: alone)
        case .freezeAllWorkers(let ms): try await freeze(Array(0..<FaultPlan.workers), ms: ms, kind, alone: alone)
        case .shutDownRedis(let ms), .killRedis(let ms), .freezeRedis(let ms): try await loseRedis(fault, ms: ms, kind)
        case .cutEveryConnection:
            try await disturb(Array(0...FaultPlan.producerLink), kind) {
                _ = try? await self.field.redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            }
        case .cutLink(let link): try await disturb([link], kind) { self.links[link].cut() }
        case .halfOpen(let link, let silence, let ms):
            try await disturb([link], kind) { self.links[link].fallSilent(silence, for: .milliseconds(ms)) }
        case .loseReply(let link): try await disturb([link], kind) { self.links[link].loseReply() }
        case .both(let first, let second):
            async let one: Void = play(first, as: kind, alone: false)
            async let other: Void = play(second, as: kind, alone: false)
            _ = try await (one, other)
        }
    }

    private func kill(_ slots: [Int], downMs: Int, _ kind: String) async throws {
        let atNs = Monotonic.nowNs
        for slot in slots { try field.process(Self.workerNames[slot]).kill9() }
        for slot in slots { await (try field.process(Self.workerNames[slot])).waitForExit() }
        let jobs = try await hands(of: slots)
        async let recovered: Void = recover(jobs, faultNs: atNs, kind)
        try await Task.sleep(for: .milliseconds(downMs))
        for slot in slots { try await startWorker(slot) }
        try await recovered
    }

    private func stop(_ slot: Int, _ kind: String, alone: Bool) async throws {
        let child = try field.process(Self.workerNames[slot])
        let atNs = Monotonic.nowNs
        let jobs = try await hands(of: [slot])
        child.terminate()
        guard let status = await child.waitForExit(within: .seconds(20)) else {
            return field.violate("worker \(slot) does not end within 20 s of SIGTERM")
        }
        if !status.isSuccess { field.violate("worker \(slot) ended with \(status) after SIGTERM") }
        if alone {
            let left = try await hands(of: [slot])
            if !left.isEmpty { field.violate("worker \(slot) stopped and still has \(left.count) jobs in hand") }
        }
        try await startWorker(slot)
        try await recover(jobs, faultNs: atNs, kind)
    }

    private func freeze(_ slots: [Int], ms: Int, _ kind: String, alone: Bool) async throws {
        let fencedBefore = slots.map(fenced(_:))
        let redisIsOld = Monotonic.nowNs - field.lastReturnNs > 4_000_000_000
        let frozen = try slots.map { try field.process(Self.workerNames[$0]) }
        let atNs = Monotonic.nowNs
        for child in frozen { child.signal(SIGSTOP) }
        let isInTransaction = await writesAreBlocked()
        let jobs = try await hands(of: slots)
        if isInTransaction {
            field.note("frozen inside of a SQL transaction: nobody else can write until it goes on")
            found.withLock { $0.frozenInTransaction += 1 }
        }
        try await Task.sleep(for: .nanoseconds(max(0, atNs + Int64(ms) * 1_000_000 - Monotonic.nowNs)))
        // Where all stand still, or SQL does, nobody can recover anything before.
        if slots.count == FaultPlan.workers || isInTransaction { field.stoodStill(fromNs: atNs, untilNs: Monotonic.nowNs) }
        for child in frozen { child.signal(SIGCONT) }
        try await recover(jobs, faultNs: atNs, kind)
        guard alone, slots.count == 1, redisIsOld else { return }
        found.withLock { $0.fencedRequired += 1 }
        let wasFenced = await field.eventually(within: .seconds(10)) { fenced(slots[0]) > fencedBefore[0] }
        if !wasFenced { field.violate("worker \(slots[0]) stood still for \(ms) ms and was not fenced when it woke") }
    }

    private func loseRedis(_ fault: Fault, ms: Int, _ kind: String) async throws {
        let jobs = (try? await hands(of: Array(0..<FaultPlan.workers))) ?? [:]
        try await field.takeRedisAway(by: fault, for: ms)
        let backNs = field.lastReturnNs
        var firstNs: Int64?
        let works = await field.eventually(within: stuckAfter) {
            firstNs = try await self.number("SELECT MIN(at_ns) FROM chaos_effects WHERE began_ns > $1", [.integer(backNs)])
            return firstNs != nil
        }
        guard works, let firstNs else { return field.violate("nothing is done \(stuckAfter) after Redis is back") }
        note(seconds: Double(firstNs - field.since(backNs, atNs: firstNs)) / 1e9, kind)
        try await recover(jobs, faultNs: backNs, kind, counts: false)
    }

    /// A fault of the network: the workers live, and go on by themselves.
    private func disturb(_ concerned: [Int], _ kind: String, _ fault: @Sendable () async -> Void) async throws {
        let slots = concerned.filter { $0 != FaultPlan.producerLink }
        let atNs = Monotonic.nowNs
        var jobs = try await hands(of: slots)
        await fault()
        // What was claimed by an answer that never arrived is in their hands too.
        for _ in 0..<3 {
            try await Task.sleep(for: .milliseconds(100))
            jobs.merge(try await hands(of: slots)) { $1 }
        }
        try await recover(jobs, faultNs: atNs, kind)
        for slot in slots {
            var firstNs: Int64?
            let works = await field.eventually(within: stuckAfter) {
                firstNs = try await self.number(
                    "SELECT MIN(at_ns) FROM chaos_effects WHERE began_ns > $1 AND worker LIKE $2",
                    [.integer(atNs + 50_000_000), .text("\(ChaosWorker.name)-\(slot):%")])
                return firstNs != nil
            }
            guard works, let firstNs else {
                field.violate("worker \(slot) does nothing \(stuckAfter) after: \(kind)")
                continue
            }
            let seconds = Double(firstNs - field.since(atNs, atNs: firstNs)) / 1e9
            found.withLock { $0.workingAgain[kind, default: Distribution()].add(max(0, seconds)) }
        }
    }

    // MARK: Readings

    /// A job in somebody's hands, by id.
    struct Held: Sendable {
        /// It fails on purpose before it succeeds: its pauses say nothing of recovery.
        let willFail: Bool
    }

    /// What Redis says that workers hold, claimed or set aside.
    private func hands(of slots: [Int]) async throws -> [String: Held] {
        var held: [String: Held] = [:]
        for slot in slots {
            let worker = "\(ChaosWorker.name)-\(slot):*"
            for name in try await keys("inflight:" + worker) { held.merge(Self.jobs(try await ask("HVALS", name))) { $1 } }
            for name in try await keys("woken:" + worker) { held.merge(Self.jobs(try await ask("LRANGE", name, "0", "-1"))) { $1 } }
        }
        return held
    }

    func keys(_ pattern: String) async throws -> [String] {
        (try await ask("KEYS", "quittance:{\(ChaosJob.queue)}:\(pattern)").array ?? []).compactMap(\.string)
    }

    /// Asks Redis, however long it is away.
    func ask(_ words: String...) async throws -> RedisValue {
        let deadline = ContinuousClock.now.advanced(by: stuckAfter)
        while true {
            do {
                var command = RedisCommand(words[0])
                for word in words.dropFirst() { command.append(word) }
                return try await field.redis.perform(command)
            } catch {
                guard error.isTransient, ContinuousClock.now < deadline else { throw error }
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    private static func jobs(_ bodies: RedisValue) -> [String: Held] {
        var held: [String: Held] = [:]
        for body in (bodies.array ?? []).compactMap(\.bytes) {
            guard let json = try? JSON(parsing: body), let id = json["id"]?.string else { continue }
            held[id] = Held(willFail: (json["args"]?["failures"]?.int ?? 0) > (json["attempt"]?.int ?? 0))
        }
        return held
    }

    private func fenced(_ slot: Int) -> Int {
        TextFile.lines(of: field.log(of: Self.workerNames[slot]), containing: Self.fencedLine).count
    }

    /// Whether a write of our own does not get through: the frozen one has the file.
    private func writesAreBlocked() async -> Bool {
        let (database, flag) = (database, SharedFlag())
        // Unstructured: when it is blocked it gets through after the thaw.
        Task {
            _ = try? await database.write { try $0.execute("INSERT INTO chaos_probes VALUES ($1)", [.integer(Monotonic.nowNs)]) }
            flag.raise()
        }
        return !(await field.eventually(within: .milliseconds(700)) { flag.isRaised })
    }

    func number(_ sql: String, _ bindings: [SQLValue] = []) async throws -> Int64? {
        try await database.read { try $0.first("SELECT (\(sql)) AS n", bindings)?.intOrNil("n") }
    }

    func effects() async throws -> Int { Int(try await number("SELECT COUNT(*) FROM chaos_effects") ?? 0) }

    // MARK: Recovery

    private func note(seconds: Double, _ kind: String) {
        found.withLock { $0.recovery[kind, default: Distribution()].add(max(0, seconds)) }
        if seconds > options.recoveryLimit { field.note("slow: \(Number.fixed(seconds, 2)) s") }
    }

    /// Waits until each of the jobs has had its effect, and takes the times.
    private func recover(_ jobs: [String: Held], faultNs: Int64, _ kind: String, counts: Bool = true) async throws {
        var open = jobs
        let deadline = ContinuousClock.now.advanced(by: stuckAfter)
        while !open.isEmpty {
            let ids = open.keys.sorted()
            let done = try await database.read { connection in
                let places = ids.indices.map { "$\($0 + 1)" }.joined(separator: ", ")
                return try connection.query("SELECT job, at_ns FROM chaos_effects WHERE job IN (\(places))", ids.map { .text($0) }).map {
                    (try $0.text("job"), try $0.int("at_ns"))
                }
            }
            for (id, atNs) in done {
                guard let held = open.removeValue(forKey: id), counts, !held.willFail, atNs > faultNs else { continue }
                let seconds = Double(atNs - field.since(faultNs, atNs: atNs)) / 1e9
                if seconds > options.recoveryLimit { field.note("slow: \(id)") }
                note(seconds: seconds, kind)
            }
            guard ContinuousClock.now < deadline else {
                if !options.losesEffects {
                    field.violate("\(open.count) jobs that were in the victim's hands are not done after \(stuckAfter), such as \(ids[0])")
                }
                return
            }
            if !open.isEmpty { try await Task.sleep(for: .milliseconds(10)) }
        }
    }
}

final class SharedFlag: Sendable {
    private let value = Atomic<Bool>(false)
    func raise() { value.store(true, ordering: .releasing) }
    var isRaised: Bool { value.load(ordering: .acquiring) }
}
