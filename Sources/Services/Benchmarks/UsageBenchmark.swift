import Database
import EventLoop
import Formats
import RedisClient
import Subprocess
import UsageSamples

/// Samples from the list into SQL by worker-usage, and from `POST /usage` onto the list by ingest; both must add up exactly.
enum UsageBenchmark {
    static let title =
        "usage: batches of \(SampleStream.batchSize) samples counted by worker-usage, Redis with appendfsync always, SQLite with synchronous=FULL"

    /// Of a round, each counted once; one in ten is delivered a second time.
    private static let batches = 2000
    private static let projects = 500
    private static let rounds = 5
    /// Six megabytes come and go in one step, as a thread's heap is used and trimmed, and SQLite's page cache fills up to its two.
    /// A leak of one byte a sample would be beyond.
    private static let growthMax = 10.0
    private static let posts = 1000
    private static let connections = 8
    private static let list = "quittance:{samples}:ready"
    private static let key = "bench-key-of-the-gateway-0001"

    static func run(in arena: Arena) async throws -> BenchmarkResult {
        let redis = try await arena.startRedis()
        let database = try arena.migratedDatabase()
        var result = BenchmarkResult()
        result.figures.append(Figure("usage.decode_samples_per_s", try decoding(), "samples/s, one thread"))
        try await count(redis, database, arena, into: &result)
        try await post(redis, database, arena, into: &result)
        await database.close()
        return result
    }

    // MARK: Counting

    private static func count(
        _ redis: RedisServer, _ database: Database, _ arena: Arena, into result: inout BenchmarkResult
    ) async throws {
        var stream = SampleStream(source: "few", projects: projects, seed: 1, nowMs: WallClock.nowMs)
        let worker = try await arena.startUsageWorker(redis: redis)
        let idle = try resident(worker)
        var rates: [Double] = []
        var sizes: [Double] = []
        // Round 0 warms up.
        for round in 0...rounds {
            let seconds = try await self.round(&stream, batches, redis, database, arena)
            let rate = Double(batches * SampleStream.batchSize) / seconds
            sizes.append(try resident(worker))
            result.notes.append(
                "\(round == 0 ? "warm-up" : "round \(round)"): \(Number.text(rate)) samples/s, worker-usage \(Number.text(sizes[round])) MB resident")
            if round > 0 { rates.append(rate) }
        }
        try await verify(stream, database)
        let wide = try await countMany(worker, redis, database, arena, into: &result)
        await arena.stop(worker)
        result.figures.append(Figure("usage.samples_per_s", Statistics.median(rates), "samples/s", goal: .atLeast(200_000)))
        result.figures.append(Figure("usage.samples_per_s_20k_projects", wide, "samples/s"))
        result.figures.append(Figure("usage.worker_rss_start_mb", idle, "MB resident"))
        let samples = (rounds + 1) * batches * SampleStream.batchSize
        result.figures.append(Figure("usage.worker_rss_mb", sizes[rounds], "MB resident, after \(samples) samples"))
        result.figures.append(
            Figure("usage.worker_rss_growth_mb", sizes[rounds] - sizes[1], "MB, from round 1 to \(rounds)", goal: .atMost(growthMax)))
    }

    /// So many projects that hardly two samples of a transaction share a counter.
    /// - Returns: samples counted a second.
    private static func countMany(
        _ worker: ChildProcess, _ redis: RedisServer, _ database: Database, _ arena: Arena, into result: inout BenchmarkResult
    ) async throws -> Double {
        var stream = SampleStream(source: "many", projects: 20_000, seed: 4, nowMs: WallClock.nowMs)
        var rates: [Double] = []
        let before = Machine.processorSeconds(of: worker.pid) ?? 0
        for _ in 0...2 {
            let seconds = try await round(&stream, batches / 4, redis, database, arena)
            rates.append(Double(batches / 4 * SampleStream.batchSize) / seconds)
        }
        let cost = ((Machine.processorSeconds(of: worker.pid) ?? 0) - before) / Double(batches / 4 * rates.count * SampleStream.batchSize)
        try await verify(stream, database)
        result.notes.append(
            "of 20 000 projects: \(rates.map { Number.text($0) }.joined(separator: ", ")) samples/s, the first with new rows; "
                + "\(Number.text(cost * 1e6)) µs of worker-usage's processor time a sample")
        return Statistics.median(Array(rates.dropFirst()))
    }

    /// Fills a list under another name and gives it the name that the worker waits at, so that all of it is there at once.
    /// - Returns: seconds from then until the last sample is counted in SQL.
    private static func round(
        _ stream: inout SampleStream, _ batches: Int, _ redis: RedisServer, _ database: Database, _ arena: Arena
    ) async throws -> Double {
        let prepared = "quittance:{samples}:prepared"
        let before = try await total(database)
        let made = stream.total
        for number in 0..<batches {
            let body = stream.next().encoded()
            _ = try await redis.connection.call("LPUSH", prepared, body)
            if number % 10 == 0 { _ = try await redis.connection.call("LPUSH", prepared, body) }
        }
        let sum = stream.total - made
        let begun = ContinuousClock.now
        _ = try await redis.connection.call("RENAME", prepared, list)
        try await counted(before + sum, database, arena)
        let seconds = (ContinuousClock.now - begun).seconds
        try await drained(redis, arena)
        return seconds
    }

    private static func counted(_ sum: Int64, _ database: Database, _ arena: Arena) async throws {
        try await arena.wait("all samples are counted", within: .seconds(60), pause: .milliseconds(5)) { try await total(database) >= sum }
    }

    /// Bytes in the months of all projects.
    private static func total(_ database: Database) async throws -> Int64 {
        try await database.read { try $0.first("SELECT SUM(traffic_bytes) AS bytes FROM usage_project_months")?.intOrNil("bytes") ?? 0 }
    }

    /// Second deliveries included, and all of them told to Redis.
    private static func drained(_ redis: RedisServer, _ arena: Arena) async throws {
        try await arena.wait("the list is empty") {
            let keys = try await redis.connection.call("KEYS", "quittance:{samples}:inflight:*").array ?? []
            return try await redis.length(of: list) == 0 && keys.isEmpty
        }
    }

    /// Each project's days, to the byte.
    private static func verify(_ stream: SampleStream, _ database: Database) async throws {
        let rows = try await database.read { connection in
            try connection.query(
                "SELECT project, day, traffic_bytes FROM usage_project_days WHERE project LIKE $1", [.text(stream.source + "-%")]
            ).map { row in
                ("\(try row.text("project")) \(try row.int("day"))", try row.int("traffic_bytes"))
            }
        }
        let found = Dictionary(rows) { $0 + $1 }.filter { $0.value > 0 }
        guard found == stream.expected else {
            throw BenchmarkError("the days' counters add up to \(found.values.reduce(0, +)) bytes; \(stream.total) were sent")
        }
    }

    private static func resident(_ process: ChildProcess) throws(BenchmarkError) -> Double {
        guard let resident = Machine.residentMB(of: process.pid) else { throw BenchmarkError("a process is gone") }
        return resident
    }

    /// Reading alone, without Redis and SQL: the ceiling of a core.
    private static func decoding() throws -> Double {
        var stream = SampleStream(source: "bench", projects: projects, seed: 3, nowMs: WallClock.nowMs)
        let bodies = (0..<100).map { _ in stream.next().encoded() }
        var samples = 0
        let begun = ContinuousClock.now
        for _ in 0..<10 {
            for body in bodies { samples += try SampleBatch(decoding: body).rows.count }
        }
        return Double(samples) / (ContinuousClock.now - begun).seconds
    }

    // MARK: Posting

    /// Posts distinct batches while nobody takes them off the list, then has a fresh worker count them.
    private static func post(_ redis: RedisServer, _ database: Database, _ arena: Arena, into result: inout BenchmarkResult) async throws {
        let (ingest, port) = try await arena.startIngest(redis: redis, ["USAGE_SOURCE_KEYS": "gateway:\(key)"])
        let idle = try resident(ingest)
        let before = try await total(database)
        var stream = SampleStream(source: "gateway", projects: projects, seed: 2, nowMs: WallClock.nowMs)
        let requests = (0..<posts).map { number in request(stream.next(), number) }
        let begun = ContinuousClock.now
        let posting = try await Poster.post(requests, port: port, connections: connections, pool: arena.pool)
        let seconds = (ContinuousClock.now - begun).seconds
        guard posting.accepted == posts else { throw BenchmarkError("only \(posting.accepted) of \(posts) posts of samples were answered 200") }
        let depth = try await redis.length(of: list)
        if depth != posts { result.problems.append("\(depth) batches are on the list after \(posts) posts: the others took the way over the spool") }
        let samples = Double(posts * SampleStream.batchSize)
        result.figures.append(Figure("usage.posts_samples_per_s", samples / seconds, "samples/s posted to ingest, \(connections) connections"))
        result.figures.append(Figure("usage.post_batches_per_s", Double(posts) / seconds, "posts/s"))
        result.figures.append(Figure("usage.ingest_rss_start_mb", idle, "MB resident"))
        result.figures.append(Figure("usage.ingest_rss_mb", try resident(ingest), "MB resident, after \(posts) posts"))
        let started = ContinuousClock.now
        let worker = try await arena.startUsageWorker(redis: redis)
        try await counted(before + stream.total, database, arena)
        result.notes.append("what was posted was counted \(Number.text((ContinuousClock.now - started).seconds)) s after the start of worker-usage")
        try await drained(redis, arena)
        let after = try await total(database)
        guard after == before + stream.total else { throw BenchmarkError("\(after - before) bytes were counted; \(stream.total) were posted") }
        await arena.stop(worker)
    }

    private static func request(_ batch: SampleBatch, _ number: Int) -> [UInt8] {
        let body = SampleStream.lines(batch)
        let head = """
            POST /usage HTTP/1.1\r
            Host: 127.0.0.1\r
            Authorization: Bearer \(key)\r
            Content-Type: application/x-ndjson\r
            Idempotency-Key: posted-\(number)\r
            Content-Length: \(body.count)\r
            \r

            """
        return Array(head.utf8) + body
    }
}
