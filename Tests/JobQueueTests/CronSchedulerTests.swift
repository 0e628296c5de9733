import EventLoop
import Formats
import JobQueue
import JobQueueRedis
import RedisClient
import Synchronization
import TestSupport
import Testing

/// What the tests of schedulers run against: one queue with its cron entries.
private struct CronBench: Sendable {
    let store: any CronStore
    /// Lets time pass: the server's.
    let pass: @Sendable (Duration) async throws -> Void
    let bodies: @Sendable () async throws -> [JobEnvelope]
    let driver: any QueueDriver
    /// All jobs come to their end.
    let end: @Sendable () async throws -> Void
    /// The queue forgets the entries.
    let forget: @Sendable () async throws -> Void

    static func make(_ backend: Backend) async throws -> CronBench {
        backend == .memory ? memory() : try await redis(SharedRedis.server())
    }

    private static func memory() -> CronBench {
        let clock = TurnedClock()
        let driver = InMemoryDriver(queue: Beat.queue, clock: clock.clock)
        return CronBench(
            store: InMemoryCronStore(driver: driver, clock: clock.clock), pass: { clock.turn(by: $0) }, bodies: { try await decoded(driver) },
            driver: driver, end: { try await work(off: driver) }, forget: {})
    }

    static func redis(_ server: RedisServer) async throws -> CronBench {
        let process = try RedisProcess(server, Beat.queue, prefix: uniqueQueue() + ":")
        _ = try await process.connection.connected(within: .seconds(10))
        return CronBench(
            store: RedisCronStore(driver: process.driver), pass: { try await Task.sleep(for: $0) }, bodies: { try await decoded(process.driver) },
            driver: process.driver, end: { try await work(off: process.driver) },
            forget: { _ = try await process.connection.call("DEL", process.driver.keys.cron("beat")) })
    }

    private static func decoded(_ driver: any QueueDriver) async throws -> [JobEnvelope] {
        try await driver.peek(limit: 10_000).map { try JobEnvelope(decoding: $0) }
    }

    private static func work(off driver: any QueueDriver) async throws {
        let worker = try await driver.worker()
        let claimed = try await driver.claim(worker)
        let ends = try claimed.map { StepOperation.ack($0.token, flow: try JobEnvelope(decoding: $0.body).flow) }
        _ = try await driver.step(StepRequest(worker: worker, operations: ends, claimMax: 0))
        await driver.retire(worker)
    }

    func scheduler(_ jobs: [CronJob]) -> CronScheduler { CronScheduler(jobs: jobs) { _ in store } }
}

private struct Beat: JobParameters {
    static let kind = "beat"
    static let queue = "cron"
    let at: Int64

    static func entry(
        _ name: String = "beat", every interval: Duration = .milliseconds(100), catchUp: CronCatchUp = .latest, overlap: CronOverlap = .allow
    ) -> CronJob {
        CronJob(name, .every(interval), queue: queue, catchUp: catchUp, overlap: overlap) { try JobRequest(Beat(at: $0.atMs)) }
    }
}

@Suite("Cron scheduler", .timeLimit(.minutes(2)))
struct CronSchedulerTests {
    @Test("many schedulers fire each tick once, with its job in the same step", arguments: Backend.allCases)
    func once(_ backend: Backend) async throws {
        let bench = try await CronBench.make(backend)
        let schedulers = (0..<4).map { _ in bench.scheduler([Beat.entry(catchUp: .all(max: 100))]) }
        _ = try await schedulers[0].look()
        for _ in 0..<12 {
            try await bench.pass(.milliseconds(50))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for scheduler in schedulers { for _ in 0..<3 { group.addTask { _ = try await scheduler.look() } } }
                try await group.waitForAll()
            }
        }
        let ticks = try await bench.bodies().compactMap { $0.args["at"]?.int }.sorted()
        #expect(ticks.count >= 5)
        #expect(zip(ticks.dropFirst(), ticks).allSatisfy { $0 - $1 == 100 }, "\(ticks)")
        #expect(Set(try await bench.bodies().map(\.id)).count == ticks.count)
    }

    @Test("a tick that has not come by the server's clock, and one that has been, change nothing", arguments: Backend.allCases)
    func earlyAndLate(_ backend: Backend) async throws {
        let bench = try await CronBench.make(backend)
        let key = CronEntryKey(name: "e", schedule: "* * * * *")
        let first = try await bench.store.look(at: [key])
        let last = try #require(first.states.first).lastMs
        func fire(_ ticks: Int64...) async throws -> [Int64] {
            let body = JobEnvelope(id: "j", kind: "k", queue: bench.store.queue, args: [:], enqueuedAtMs: 0).encoded()
            return try await bench.store.fire(
                CronFiring(entry: "e", ticks: ticks.map { CronFiring.Tick(atMs: $0, job: "j", body: body) })
            ).firedMs
        }
        try await bench.pass(.milliseconds(40))
        #expect(try await fire(last - 1, last).isEmpty)
        #expect(try await fire(last + 60_000).isEmpty)
        #expect(try await fire(last + 10, last + 20, last + 100_000) == [last + 10, last + 20])
        #expect(try await fire(last + 10, last + 20).isEmpty)
        #expect(try await fire(last + 15).isEmpty)
        #expect(try await bench.store.look(at: [key]).states == [CronState(lastMs: last + 20, firedMs: last + 20)])
        #expect(try await bench.bodies().count == 2)
    }

    @Test("after a downtime: none, the latest, or all up to a number", arguments: Backend.allCases)
    func catchUp(_ backend: Backend) async throws {
        let bench = try await CronBench.make(backend)
        let scheduler = bench.scheduler([
            Beat.entry("latest"), Beat.entry("all", catchUp: .all(max: 3)), Beat.entry("none", every: .milliseconds(100), catchUp: .none),
        ])
        _ = try await scheduler.look()
        try await bench.pass(.milliseconds(850))
        _ = try await scheduler.look()
        let fired = Dictionary(grouping: try await bench.bodies(), by: { String($0.id.split(separator: ":")[1]) })
        #expect(fired["latest"]?.count == 1 && fired["all"]?.count == 3)
        // Less than a minute late is not missed.
        #expect(fired["none"]?.count == 1)
    }

    @Test("a job that has not come to its end: the next tick is passed over, or waits and is one", arguments: Backend.allCases)
    func overlap(_ backend: Backend) async throws {
        for policy in [CronOverlap.skip, .queueOne] {
            let bench = try await CronBench.make(backend)
            let scheduler = bench.scheduler([Beat.entry(overlap: policy)])
            _ = try await scheduler.look()
            for _ in 0..<4 {
                try await bench.pass(.milliseconds(150))
                _ = try await scheduler.look()
            }
            let job = try #require(try await bench.bodies().first)
            #expect(try await bench.bodies().count == 1, "\(policy)")
            try await bench.end()
            if policy == .queueOne {
                _ = try await scheduler.look()
                #expect(try await bench.bodies().count == 1, "the one that waited")
            } else {
                try await bench.pass(.milliseconds(150))
                _ = try await scheduler.look()
                #expect(try await bench.bodies().count == 1)
            }
            let next = try #require(try await bench.bodies().first)
            #expect((next.args["at"]?.int ?? 0) > (job.args["at"]?.int ?? 0))
        }
    }

    @Test("a job is at work while it is claimed, and while it waits for another attempt; not when it is buried", arguments: Backend.allCases)
    func atWork(_ backend: Backend) async throws {
        let bench = try await CronBench.make(backend)
        let scheduler = bench.scheduler([Beat.entry(overlap: .skip)])
        _ = try await scheduler.look()
        var job: JobEnvelope?
        /// How many other jobs of the entry there are, some ticks later.
        func pass() async throws -> Int {
            try await bench.pass(.milliseconds(150))
            _ = try await scheduler.look()
            return try await bench.bodies().count { $0.id != job?.id }
        }
        #expect(try await pass() == 1)
        let worker = try await bench.driver.worker()
        for attempt in 1...3 {
            var claimed: [ClaimedJob] = []
            try await eventually("the job is delivered") {
                try await bench.pass(.milliseconds(20))
                claimed = try await bench.driver.claim(worker)
                return !claimed.isEmpty
            }
            let held = try #require(claimed.first)
            let delivered = try JobEnvelope(decoding: held.body)
            job = delivered
            #expect(try await pass() == 0, "claimed for attempt \(attempt)")
            let entry = HistoryEntry(job: delivered.id, attempt: attempt, atMs: 1, worker: "w", reason: #"it said {"attempt":7}"#)
            if attempt < 3 {
                let again = delivered.afterAttempt().encoded()
                try await bench.driver.tell(worker, .retry(held.token, delay: .milliseconds(300), body: again, history: entry))
                #expect(try await pass() == 0, "waits for attempt \(attempt + 1)")
            } else {
                let dead = record(held, worker, job: delivered.id)
                try await bench.driver.tell(worker, .bury(held.token, record: dead, history: entry, flow: delivered.flow))
                #expect(try await pass() == 1, "buried")
            }
        }
        await bench.driver.retire(worker)
    }

    @Test("a job is at work while it is put aside with its kind, and while it waits for a slot of its key", arguments: Backend.allCases)
    func atWorkAside(_ backend: Backend) async throws {
        let bench = try await CronBench.make(backend)
        let slots = JobSlots(key: "press", max: 1)
        let entry = CronJob("beat", .every(.milliseconds(100)), queue: Beat.queue, overlap: .skip) { tick in
            var request = try JobRequest(Beat(at: tick.atMs))
            request.slots = slots
            return request
        }
        let scheduler = bench.scheduler([entry])
        _ = try await scheduler.look()
        /// Some ticks later no job was added.
        func rests(_ comment: Comment) async throws {
            for _ in 0..<2 {
                try await bench.pass(.milliseconds(150))
                _ = try await scheduler.look()
            }
            let ready = try await bench.bodies().count
            #expect(ready == 0, comment)
        }
        let other = JobEnvelope(id: "other", kind: "press", queue: Beat.queue, args: [:], enqueuedAtMs: 1, slots: slots)
        try await bench.driver.enqueue(other)
        let worker = try await bench.driver.worker()
        let holder = try #require(try await bench.driver.claim(worker).first)
        try await bench.pass(.milliseconds(150))
        _ = try await scheduler.look()

        let waits = try #require(try await bench.driver.claim(worker).first)
        let job = try JobEnvelope(decoding: waits.body)
        #expect(job.unique == "cron:beat" && job.admitted == .uniquely)
        #expect(try await bench.driver.admit(try #require(FlowItem(job)), claimed: waits.token, by: worker) == .waiting)
        try await rests("it waits for its slot")

        try await bench.driver.tell(worker, .ack(holder.token, flow: other.flow))
        let admitted = try #require(try await bench.driver.claim(worker).first)
        try await bench.driver.pause(kind: Beat.kind)
        try await bench.driver.tell(worker, .park(admitted.token, kind: Beat.kind))
        #expect(try await bench.driver.counts().parked == 1)
        try await rests("it is put aside")

        try await bench.driver.resume(kind: Beat.kind)
        let last = try #require(try await bench.driver.claim(worker).first)
        try await bench.driver.tell(worker, .ack(last.token, flow: try JobEnvelope(decoding: last.body).flow))
        try await bench.pass(.milliseconds(150))
        _ = try await scheduler.look()
        #expect(try await bench.bodies().count == 1, "its end lets the next tick run")
        await bench.driver.retire(worker)
    }

    @Test("a paused entry rests, and its ticks do not come back", arguments: Backend.allCases)
    func paused(_ backend: Backend) async throws {
        let bench = try await CronBench.make(backend)
        let scheduler = bench.scheduler([Beat.entry(catchUp: .all(max: 100))])
        #expect(try await scheduler.setPaused(true, "beat"))
        #expect(try await scheduler.setPaused(true, "beat") == false)
        try await bench.pass(.milliseconds(300))
        _ = try await scheduler.look()
        #expect(try await bench.bodies().isEmpty)
        #expect(try await scheduler.standing().first?.state.isPaused == true)
        #expect(try await scheduler.setPaused(false, "beat"))
        let resumedMs = try #require(try await scheduler.standing().first).state.lastMs
        try await bench.pass(.milliseconds(220))
        _ = try await scheduler.look()
        let ticks = try await bench.bodies().compactMap { $0.args["at"]?.int }
        #expect(!ticks.isEmpty && ticks.allSatisfy { $0 > resumedMs })
        await #expect(throws: CronError.self) { try await scheduler.setPaused(true, "nobody") }
    }

    @Test("an extra run is one for its name, and leaves the ticks alone", arguments: Backend.allCases)
    func extra(_ backend: Backend) async throws {
        let bench = try await CronBench.make(backend)
        let scheduler = bench.scheduler([Beat.entry(every: .seconds(3600))])
        let before = try await scheduler.standing().map(\.state)
        #expect(try await scheduler.runNow("beat", name: "by-hand")?.name == "by-hand")
        #expect(try await scheduler.runNow("beat", name: "by-hand") == nil)
        #expect(try await scheduler.runNow("beat")?.name.hasPrefix("extra-") == true)
        #expect(try await bench.bodies().map(\.id).first == "cron:beat:by-hand")
        #expect(try await bench.bodies().count == 2)
        #expect(try await scheduler.standing().map(\.state) == before)
        #expect(try await scheduler.standing(next: 10).first?.nextMs.count == 10)
    }

    @Test("a schedule that is new to the queue counts from then on", arguments: Backend.allCases)
    func changedSchedule(_ backend: Backend) async throws {
        let bench = try await CronBench.make(backend)
        _ = try await bench.scheduler([Beat.entry(every: .seconds(3600), catchUp: .all(max: 100))]).look()
        try await bench.pass(.milliseconds(500))
        let changed = bench.scheduler([Beat.entry(every: .milliseconds(100), catchUp: .all(max: 100))])
        let changedMs = try #require(try await changed.standing().first).state.lastMs
        try await bench.pass(.milliseconds(150))
        _ = try await changed.look()
        let ticks = try await bench.bodies().compactMap { $0.args["at"]?.int }
        #expect(!ticks.isEmpty && ticks.allSatisfy { $0 > changedMs })
    }

    @Test("a Redis that was emptied has no missed ticks")
    func emptied() async throws {
        let bench = try await CronBench.make(.redis)
        let scheduler = bench.scheduler([Beat.entry(catchUp: .all(max: 1000))])
        _ = try await scheduler.look()
        try await bench.pass(.milliseconds(250))
        try await bench.forget()
        _ = try await scheduler.look()
        #expect(try await bench.bodies().isEmpty)
    }

    @Test("it runs until it is cancelled, on time, and waits for a Redis that is away")
    func running() async throws {
        let server = try await RedisServer.start()
        let bench = try await CronBench.redis(server)
        let scheduler = bench.scheduler([Beat.entry(every: .milliseconds(50), catchUp: .all(max: 1000))])
        let task = Task { await scheduler.run() }
        try await eventually("ticks come") { try await bench.bodies().count > 5 }
        server.process.pause()
        try await Task.sleep(for: .milliseconds(300))
        server.process.resume()
        let before = try await bench.bodies().count
        try await eventually("ticks go on") { try await bench.bodies().count > before + 5 }
        task.cancel()
        await task.value
        let ticks = try await bench.bodies().map { $0.args["at"]?.int ?? 0 }.sorted()
        #expect(zip(ticks.dropFirst(), ticks).allSatisfy { $0 - $1 == 50 })
    }
}

@Suite("The time of a server")
struct ServerClockTests {
    private final class Server: ServerTime {
        let answers: Mutex<[Int64?]>
        init(_ answers: [Int64?]) { self.answers = Mutex(answers) }

        func serverNowMs() async throws(QueueDriverError) -> Int64 {
            let answer = answers.withLock { $0.isEmpty ? nil : $0.removeFirst() }
            guard let answer else { throw QueueDriverError(.unavailable, "away") }
            return answer
        }
    }

    @Test("it is the server's, goes on while the server is away, and is unknown before the first answer")
    func serverTime() async throws {
        let away = ServerClock(server: Server([]))
        await #expect(throws: QueueDriverError.self) { try await away.nowMs() }
        let clock = ServerClock(server: Server([1000, 900_000]), freshness: .zero)
        #expect(try await clock.nowMs() == 1000)
        #expect(try await clock.nowMs() == 900_000)
        let first = try await clock.nowMs()
        #expect((900_000..<960_000).contains(first))
        try await eventually("it goes on") { try await clock.nowMs() > first }
    }
}
