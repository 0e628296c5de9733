import Database
import Formats
import OperatorCommands
import TestSupport
import Testing

/// One thing that can be wrong.
struct DoctorFault: Sendable, CustomTestStringConvertible {
    enum Level: String, Sendable { case warn, fail }
    let what: String
    let level: Level
    let remedy: String
    let isFar: Bool
    let cause: @Sendable (CommandStage) async throws -> Void

    init(_ what: String, _ level: Level, _ remedy: String, isFar: Bool = false, cause: @escaping @Sendable (CommandStage) async throws -> Void) {
        (self.what, self.level, self.remedy, self.isFar, self.cause) = (what, level, remedy, isFar, cause)
    }

    var testDescription: String { "\(what): \(remedy)" }

    /// What is wrong, who says so, and what to do about it.
    static let all: [DoctorFault] = [
        DoctorFault("maxmemory-policy", .fail, "should be noeviction") { try await $0.redis("CONFIG", "SET", "maxmemory-policy", "allkeys-lru") },
        DoctorFault("appendonly", .warn, "should be yes: a restart of Redis empties the queues; `quittance rebuild-queues` fills them") {
            try await $0.redis("CONFIG", "SET", "appendonly", "no")
        },
        DoctorFault("log and default", .fail, "at its next start everything that scripts did is missing. Let it keep them: ACL SETUSER default") {
            try await $0.redis("ACL", "SETUSER", "default", "-hset")
        },
        DoctorFault("appendfsync", .warn, "should be always") { try await $0.redis("CONFIG", "SET", "appendfsync", "everysec") },
        DoctorFault("no-appendfsync-on-rewrite", .warn, "should be no") { try await $0.redis("CONFIG", "SET", "no-appendfsync-on-rewrite", "yes") },
        DoctorFault("save", .warn, "should be \"\"") { try await $0.redis("CONFIG", "SET", "save", "60 1") },
        DoctorFault("clock", .warn, "off this machine: keep both by NTP") { $0.turn(byMs: -5 * 60_000) },
        DoctorFault("queue scripts", .fail, "1 workers are registered and never called this release's: they are of another release, restart them") {
            try await $0.redis("ZADD", "quittance:{plans}:leases", WallClock.nowMs + 60_000, "old:1")
        },
        DoctorFault("queue plans", .warn, "1 bodies wait and no worker is registered: start it") { try await $0.put("plan.activate", on: "plans") },
        DoctorFault("queue drafts", .warn, "1 bodies wait and no worker is registered: start it") {
            try await $0.put("draft.generate", on: "drafts", dueMs: WallClock.nowMs + 60_000)
        },
        DoctorFault("handlers", .warn, "no worker of this release knows: plan.foretell; deploy their worker, or delete them") {
            try await $0.put("plan.foretell", on: "plans")
        },
        DoctorFault("handlers", .warn, "invoices has jobs of kinds that no worker of this release knows: invoice.burn; deploy") {
            try await $0.put("invoice.burn", on: "invoices", dueMs: WallClock.nowMs + 60_000)
        },
        DoctorFault("dead on usage", .warn, "1 bodies are dead: `quittance dead --by-error`") {
            try await $0.redis("ZADD", "quittance:{usage}:dead", 1, "{}")
        },
        DoctorFault("cron purge", .warn, "is paused: `quittance cron resume purge`") { _ = await $0.run("cron", "pause", "purge") },
        DoctorFault("cron outbox-sweep", .warn, "the shelf is empty; cure the cause, then `quittance cron run outbox-sweep --now`") { stage in
            _ = await stage.run("cron", "run", "outbox-sweep", "--now")
            try await stage.write {
                _ = try $0.execute("UPDATE scheduling_ticks SET outcome = 'failed', detail = 'the shelf is empty'", [])
            }
        },
        DoctorFault("scheduler", .warn, "nothing scheduled has run for 3 h: is the scheduler running?") { stage in
            _ = await stage.run("cron", "resume", "purge")
            stage.turn(byMs: 2 * 60_000)
            _ = await stage.run("cron", "run", "purge")
            stage.turn(byMs: 3 * 60 * 60_000)
        },
        DoctorFault("Redis' latency", .warn, "put it nearer, or look for slow commands (SLOWLOG GET)", isFar: true) { _ in },
    ]
}

@Suite("quittance doctor finds faults")
struct CommandDoctorFaultTests {
    /// Lets every byte through ten milliseconds late.
    private static let far = """
        import asyncio, sys
        async def carry(reader, writer):
            while data := await reader.read(65536):
                await asyncio.sleep(0.01)
                writer.write(data)
            writer.close()
        async def serve(reader, writer):
            there, back = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
            await asyncio.gather(carry(reader, back), carry(there, writer))
        async def main():
            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            print("port", server.sockets[0].getsockname()[1], flush=True)
            await server.serve_forever()
        asyncio.run(main())
        """

    private func findings(_ stage: CommandStage) async throws -> (levels: [String: String], texts: [String: String]) {
        let json = try JSON(parsing: Array(await stage.run("doctor", "--json").out.utf8))
        var levels: [String: String] = [:]
        var texts: [String: String] = [:]
        for finding in json["findings"]?.array ?? [] {
            guard let what = finding["what"]?.string else { continue }
            levels[what] = finding["level"]?.string
            texts[what] = finding["text"]?.string
        }
        return (levels, texts)
    }

    @Test("each fault is found, with what to do about it, and was not there before", arguments: DoctorFault.all)
    func fault(_ fault: DoctorFault) async throws {
        let durable = ["appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"]
        let server = try await RedisServer.start(config: durable)
        var url = server.url
        let folder = try TemporaryFolder()
        var way: ProcessFixture?
        if fault.isFar {
            let process = try await ProcessFixture.start("/usr/bin/python3", [try folder.write(Self.far, to: "far.py"), "\(server.port)"])
            let line = try await process.waitForLine(containing: "port ", within: .seconds(30))
            url = "redis://127.0.0.1:\(line.dropFirst(5))/0"
            way = process
        }
        let stage = try await CommandStage.make(["REDIS_URL": url])
        stage.turn(byMs: WallClock.nowMs - stage.nowMs)
        if !fault.isFar {
            let (before, texts) = try await findings(stage)
            let said = texts[fault.what] ?? ""
            // The stage has no scheduler yet, and its clock stands still while a slow machine's Redis goes on.
            let isWell = before[fault.what] == nil || before[fault.what] == "ok"
            #expect(isWell || ["scheduler", "clock"].contains(fault.what), "\(said)")
        }
        try await fault.cause(stage)
        let (levels, texts) = try await findings(stage)
        #expect(levels[fault.what] == fault.level.rawValue, "\(texts)")
        #expect(texts[fault.what]?.contains(fault.remedy) == true, "\(texts[fault.what] ?? "")")
        withExtendedLifetime((server, way)) {}
    }
}
