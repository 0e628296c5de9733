import EventLoop
import Formats
import JobQueue
import JobQueueRedis
import RedisClient
import Synchronization
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// A Redis with TLS, and one with the users of `deploy/redis-users.acl`: the engine works there, and nobody may do what is not his.
@Suite("Access to Redis", .timeLimit(.minutes(3)))
struct RedisFaultAccessTests {
    @Test(
        "over TLS the queue comes through faults as it does without",
        arguments: [RedisFault.killed, .resets, .halfOpen, .answersVanish, .pathStandstill])
    func tls(_ fault: RedisFault) async throws {
        let authority = try await TestAuthority.make()
        let stage = try await RedisFaultStage(
            config: fault.config, tls: RedisServer.TLS(authority, certificate: try await authority.sign("server")))
        try await RedisFaultTests.run(fault, on: stage, named: "over TLS, ")
    }

    // MARK: Users

    /// A Redis with the users that the product ships.
    private final class Guarded: Sendable {
        static let roles = ["ingest", "worker", "scheduler", "web", "operator"]
        let server: RedisServer
        private let folder: TemporaryFolder
        private let users: String
        private let opened = Mutex<[RedisQueues]>([])

        init() async throws {
            folder = try TemporaryFolder("quittance-users")
            var text = try Self.text(of: Self.file)
            // As an operator does; in the clear, which Redis takes too.
            for role in Self.roles { text = text.replacing("#SHA256_OF_\(role.uppercased())", with: ">\(role)-password") }
            try #require(!text.contains("SHA256"))
            users = text
            let file = try folder.write(text, to: "users.acl")
            server = try await RedisServer.start(config: ["aclfile": file, "appendonly": "yes", "appendfsync": "always"])
        }

        /// One line for each user.
        static let file = "deploy/redis-users.acl"

        /// A file of the repository.
        static func text(of path: String) throws -> String {
            let stream = try #require(fopen("\(repositoryRoot)/\(path)", "r"))
            defer { fclose(stream) }
            var bytes = [UInt8](repeating: 0, count: 64 << 10)
            let count = fread(&bytes, 1, bytes.count, stream)
            return String(decoding: bytes[..<count], as: UTF8.self)
        }

        /// Starts it anew with the users as they are, or with another password for the worker.
        func restart(workersPassword: String = "worker-password") async throws {
            try folder.write(users.replacing(">worker-password", with: ">\(workersPassword)"), to: "users.acl")
            try await server.kill9()
            try await server.restart()
        }

        deinit { for queues in opened.withLock({ $0 }) { queues.close() } }

        func queues(_ role: String) async throws -> RedisQueues {
            var address = server.address
            address.username = role
            address.password = "\(role)-password"
            let queues = RedisQueues(loop: try EventLoop.started(name: role), address: address, name: role)
            opened.withLock { $0.append(queues) }
            _ = try await queues.connection.connected(within: .seconds(10))
            return queues
        }
    }

    private struct Draft: JobParameters {
        static let kind = "draft"
        static let queue = "drafts"
        let name: String
    }

    @Test("with the shipped users, each role does its work, from the push to the listing")
    func roles() async throws {
        let guarded = try await Guarded()
        // Ingest: plain pushes of events, a refusal kept for staff, and the look at the server's durability.
        let ingest = try await guarded.queues("ingest").connection
        #expect(try await ingest.call("LPUSH", "quittance:{events}:ready", "{}").int == 1)
        #expect(try await ingest.call("SET", "quittance:{events}:ready:probe", "1", "PX", "1000").string == "OK")
        _ = try await ingest.call("LPUSH", "quittance:{refused}:usage", "{}")
        _ = try await ingest.call("LTRIM", "quittance:{refused}:usage", 0, 99)
        #expect(try await ingest.call("CONFIG", "GET", "appendfsync").array?.last?.string == "always")
        #expect(ingest.runID != nil)

        // The scheduler: ticks, beside a job that is still at work and not, an extra run, and the sweep of the outbox.
        let scheduler = try await guarded.queues("scheduler")
        let store = scheduler.cronStore(of: Draft.queue)
        let first = try await store.look(at: [CronEntryKey(name: "nightly", schedule: "* * * * *")]).nowMs
        let tick = JobEnvelope(
            id: "job_tick", kind: Draft.kind, queue: Draft.queue, args: ["name": "tick"], payment: nil, attempt: 0, enqueuedAtMs: 0)
        for (overlap, atMs) in [(CronOverlap.allow, first + 1), (.queueOne, first + 2), (.skip, first + 3)] {
            try await eventually("the tick's time has come") { try await scheduler.serverNowMs() > atMs }
            let firing = CronFiring(entry: "nightly", ticks: [CronFiring.Tick(atMs: atMs, job: tick.id, body: tick.encoded())], overlap: overlap)
            _ = try await store.fire(firing)
        }
        #expect(try await store.runNow(entry: "nightly", name: "extra", body: tick.encoded()))
        #expect(try await store.setPaused(true, entry: "nightly"))
        #expect(try await scheduler.driver(of: Draft.queue).publish(slot: "s", items: [PublishItem(sequence: 1, body: tick.encoded())]) == 1)

        // The worker: jobs with keys, retries, delays, burials, breakers; its own publishing.
        let queues = try await guarded.queues("worker")
        let driver = queues.redisDriver(of: Draft.queue)
        let done = Diary()
        let worker = jobWorker(driver)
        worker.register(Draft.self, retry: .fixed(.milliseconds(10), attemptsMax: 2)) { parameters, context in
            done.write(parameters.name)
            if parameters.name == "bad" { throw Unlucky() }
            return .done
        }
        try await worker.start()
        for name in ["a", "b"] {
            var job = driver.job(name, kind: Draft.kind)
            (job.unique, job.slots, job.rate) = (name, JobSlots(key: "s", max: 1), JobRate(key: "r", count: 100, perMs: 1000, burst: 10))
            _ = try await driver.enqueue(job)
        }
        try await driver.enqueue([
            EnqueueItem(driver.job("bad", kind: Draft.kind)), EnqueueItem(driver.job("later", kind: Draft.kind), dueMs: WallClock.nowMs + 300),
        ])
        _ = try await driver.publish(slot: "w", items: [PublishItem(sequence: 1, body: driver.job("out", kind: Draft.kind).encoded())])
        try await eventually("all are done") {
            Set(done.all) == ["tick", "a", "b", "bad", "later", "out"] && done.all.count { $0 == "bad" } == 2
        }
        let breakers = RedisBreakers(connection: queues.connection)
        _ = try await breakers.admit("smtp", BreakerRule())
        _ = try await breakers.report("smtp", BreakerRule(), succeeded: false, isProbe: false)
        try await eventually("one is buried") { try await driver.counts() == QueueCounts(dead: 1, workers: 1) }

        // Web and operator: listings, pause and resume, a replay.
        for (number, role) in ["web", "operator"].enumerated() {
            let looking = try await guarded.queues(role)
            let driver = looking.redisDriver(of: Draft.queue)
            #expect(try await driver.counts().dead == 1)
            let dead = try #require(try await driver.dead(offset: 0, limit: 10).first)
            #expect(dead.history.count == 2 * (number + 1))
            try await driver.pause(kind: nil)
            try await driver.resume(kind: nil)
            _ = try await driver.setConcurrency(nil)
            #expect(try await driver.replayDead(dead.record))
            try await eventually("it is buried again") { try await driver.counts() == QueueCounts(dead: 1, workers: 1) }
            #expect(try await RedisBreakers(connection: looking.connection).list().map(\.dependency) == ["smtp"])
            try await looking.require(.fsync)
        }
        await worker.stopped()
        #expect(try await driver.counts().workers == 0)
    }

    @Test("every command of every script is among the rights of those who run it", arguments: ["worker", "scheduler"])
    func rights(_ role: String) throws {
        let all = QueueScriptListing.all.map(\.name) + ["cron_look", "cron_fire", "cron_extra", "cron_pause", "breaker", "turn"]
        try Self.check(role, may: all)
    }

    @Test("web may ask and tell the breakers, take turns, and do for the console what it does to jobs") func rightsOfWeb() throws {
        try Self.check("web", may: ["breaker", "turn", "replay", "forget"])
    }

    private static func check(_ role: String, may scripts: [String]) throws {
        let line = try #require(try Guarded.text(of: Guarded.file).split(separator: "\n").first { $0.hasPrefix("user \(role) ") })
        let granted = Set(line.split(separator: " ").filter { $0.hasPrefix("+") }.map { $0.dropFirst().uppercased() })
        for name in scripts {
            let source = try Guarded.text(of: "Sources/JobQueue/JobQueueRedis/Scripts/\(name).lua")
            for piece in source.split(separator: "redis.call('").dropFirst() {
                let command = String(piece.prefix { $0 != "'" })
                #expect(granted.contains(command), "\(name) calls \(command)")
            }
        }
    }

    @Test(
        "with the shipped users, nobody may do what is not his",
        arguments: [
            ("ingest", ["LRANGE", "quittance:{events}:ready", "0", "-1"]), ("ingest", ["LPUSH", "quittance:{drafts}:ready", "x"]),
            ("ingest", ["EVAL", "return 1", "0"]), ("ingest", ["CONFIG", "SET", "appendfsync", "no"]),
            ("worker", ["FLUSHALL"]), ("worker", ["KEYS", "*"]), ("worker", ["SET", "another", "x"]),
            ("worker", ["CONFIG", "SET", "maxmemory", "1"]),
            ("worker", ["EVAL", "return redis.call('FLUSHALL')", "0"]), ("worker", ["EVAL", "return redis.call('GET', 'another')", "0"]),
            ("worker", ["SUBSCRIBE", "channel"]), ("worker", ["SCRIPT", "FLUSH"]),
            ("scheduler", ["FLUSHDB"]), ("scheduler", ["CLIENT", "KILL", "TYPE", "normal"]), ("scheduler", ["REPLICAOF", "NO", "ONE"]),
            ("web", ["RPOP", "quittance:{drafts}:ready"]), ("web", ["BLMOVE", "quittance:{a}:x", "quittance:{a}:y", "LEFT", "LEFT", "1"]),
            ("web", ["EVAL", "return redis.call('RPOP', KEYS[1])", "1", "quittance:{drafts}:ready"]),
            ("web", ["UNLINK", "quittance:{drafts}:ready"]),
            ("operator", ["FLUSHALL"]), ("operator", ["CONFIG", "SET", "requirepass", "x"]), ("operator", ["ACL", "SETUSER", "worker", "nopass"]),
            ("operator", ["SHUTDOWN", "NOSAVE"]), ("operator", ["KEYS", "*"]), ("operator", ["GET", "another"]),
        ] as [(String, [String])])
    func refused(_ role: String, _ command: [String]) async throws {
        let guarded = try await Self.shared.value
        let connection = try await guarded.queues(role).connection
        do {
            let reply = try await connection.perform(RedisCommand(command[0], arguments: command.dropFirst().map { $0 as any RedisArgument }))
            Issue.record("\(role) may \(command.joined(separator: " ")): \(reply)")
        } catch {
            #expect(error.serverCode == "NOPERM", "\(error)")
            #expect(error.isAccessRefusal && !error.isTransient)
        }
    }

    private static let shared = Task { try await Guarded() }

    @Test("without a user, or with a wrong password, nobody comes in, and nothing tells the password")
    func strangers() async throws {
        let guarded = try await Self.shared.value
        for (user, password) in [(nil, nil), ("worker", "hunter2"), ("nobody", "hunter2"), ("default", "hunter2")] as [(String?, String?)] {
            var address = guarded.server.address
            address.username = user
            address.password = password
            let loop = try EventLoop.started(name: "stranger")
            let connection = RedisConnection(loop: loop, address: address, name: "stranger", timeout: .milliseconds(500), waitsForConnection: true)
            connection.start()
            defer { connection.close() }
            let driver = RedisDriver(connection: connection, queue: "drafts")
            let error = await #expect(throws: QueueDriverError.self) { try await driver.counts() }
            #expect(error?.code == .refused && error?.mayHaveHappened == false, "\(String(describing: error))")
            #expect(error?.message.contains(user == nil ? "NOAUTH" : "WRONGPASS") == true && error?.message.contains("hunter2") == false)
        }
    }

    @Test("a password that is changed is used at the next connection: once the user has the old one again, work goes on")
    func changed() async throws {
        let guarded = try await Guarded()
        let queues = try await guarded.queues("worker")
        let driver = queues.redisDriver(of: Draft.queue)
        let done = Diary()
        let worker = jobWorker(driver)
        worker.register(Draft.self, retry: once) { parameters, _ in
            done.write(parameters.name)
            return .done
        }
        try await worker.start()
        try await driver.enqueue([EnqueueItem(driver.job("a", kind: Draft.kind))])
        try await eventually("it is done") { done.all == ["a"] }
        // The server comes up with other users, as after a mistake in its file. It replays its log by the rights of its default user: were
        // that one without rights, though off, Redis would leave out each transaction of the log, and with it what scripts have done.
        try await guarded.restart(workersPassword: "another")
        try await eventually("the refusal is told") { queues.connection.lastError?.serverCode == "WRONGPASS" }
        try await guarded.restart()
        let began = ContinuousClock.now
        try await driver.enqueue([EnqueueItem(driver.job("b", kind: Draft.kind))])
        try await eventually("work goes on, and what was done stays done") { done.all == ["a", "b"] }
        print("recovery, WRONGPASS mended: \(began.duration(to: .now))")
        await worker.stopped()
    }
}
