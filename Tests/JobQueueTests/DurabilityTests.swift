import EventLoop
import JobQueue
import JobQueueRedis
import TestSupport
import Testing

private struct Note: JobParameters {
    static let kind = "note"
    static let queue = "notes"
}

@Suite("Durability levels")
struct DurabilityTests {
    private static let synced = ["appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "no"]

    private func queues(_ server: RedisServer) throws -> RedisQueues {
        RedisQueues(loop: try EventLoop.started(name: "durability"), address: server.address, prefix: "d:", name: "test")
    }

    @Test(
        "the start is refused unless Redis is configured for the level, with every setting and its remedy",
        arguments: [
            ([:], .memory, []), (["maxmemory-policy": "allkeys-lru"], .memory, ["maxmemory-policy"]), (synced, .fsync, []),
            ([:], .fsync, ["appendonly", "appendfsync"]),
            (["appendonly": "yes", "no-appendfsync-on-rewrite": "yes", "appendfsync": "always"], .fsync, ["no-appendfsync-on-rewrite"]),
            (synced.merging(["maxmemory-policy": "volatile-ttl"]) { $1 }, .fsync, ["maxmemory-policy"]),
        ] as [([String: String], Durability, [String])])
    func start(_ config: [String: String], _ level: Durability, _ wrong: [String]) async throws {
        let server = try await RedisServer.start(config: config)
        let queues = try queues(server)
        defer { queues.close() }
        let service = JobService(queues: queues, configuration: .init(durability: level))
        service.registerJob(parameters: Note.self) { _, _ in }
        do {
            try await service.start()
            #expect(wrong.isEmpty)
        } catch let error as DurabilityError {
            #expect(error.problems.count == wrong.count)
            for (problem, setting) in zip(error.problems, wrong) { #expect(problem.hasPrefix("\(setting) is ")) }
            #expect(!error.isTransient)
        }
        await service.stop(by: .now + .seconds(5))
    }

    @Test("a push may ask for a level: what is not kept is not sent")
    func push() async throws {
        let server = try await RedisServer.start()
        let queues = try queues(server)
        defer { queues.close() }
        let service = JobService(queues: queues)
        await #expect(throws: DurabilityError.self) { try await service.push(Note(), options: .init(durability: .fsync)) }
        #expect(try await queues.driver(of: Note.queue).counts() == QueueCounts())
        try await service.push(Note(), options: .init(durability: .memory))
        #expect(try await queues.driver(of: Note.queue).counts() == QueueCounts(ready: 1))
    }

    @Test("what was pushed with .fsync is there after the server was killed")
    func survives() async throws {
        let server = try await RedisServer.start(config: Self.synced)
        let queues = try queues(server)
        defer { queues.close() }
        let service = JobService(queues: queues)
        for _ in 0..<20 { try await service.push(Note(), options: .init(durability: .fsync)) }
        try await server.kill9()
        try await server.restart()
        try await eventually("all are there") { try await queues.driver(of: Note.queue).counts() == QueueCounts(ready: 20) }
    }

    @Test("a server that will not say counts as one that does not keep")
    func silent() async throws {
        let server = try await RedisServer.start(config: ["rename-command": "CONFIG \"\""])
        let queues = try queues(server)
        defer { queues.close() }
        await #expect(throws: DurabilityError.self) { try await queues.require(.memory) }
    }

    @Test("queues in memory promise memory, and no more")
    func memory() async throws {
        try await InMemoryQueues().require(.memory)
        await #expect(throws: DurabilityError.self) { try await InMemoryQueues().require(.fsync) }
    }
}
