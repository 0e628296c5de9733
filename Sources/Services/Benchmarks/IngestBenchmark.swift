import EventLoop
import Formats
import HTTPClient
import RedisClient
import Subprocess

/// Signed webhooks through ingest, verified and on stable storage before each 200, beside nginx that only says 200: the same
/// requests from the same wrk, in turns, so that a slower minute of the machine is slower for both.
enum IngestBenchmark {
    static let title = "ingest: HMAC verified and fsynced by Redis (appendfsync always) before 200, beside nginx's `return 200`"

    private static let rounds: [(connections: Int, rounds: Int)] = [(64, 5), (256, 3)]
    private static let seconds = 4
    /// Distinct deliveries, posted round and round; ingest keeps a second delivery like the first.
    private static let posts = 20_000
    private static let list = "quittance:{events}:ready"

    static func run(in arena: Arena) async throws -> BenchmarkResult {
        let redis = try await arena.startRedis()
        let nginx = try await arena.startNginx(template: "Benchmarks/nginx.conf")
        let (ingest, port) = try await arena.startIngest(redis: redis)
        var result = BenchmarkResult()
        var residentMB = Machine.residentMB(of: ingest.pid) ?? 0
        result.notes.append("ingest right after its start: \(Number.text(residentMB)) MB resident")

        // Nobody takes the events here, and no installation lets them pile up: what a worker would have taken is cut off.
        let connection = redis.connection
        let consumer = arena.loop.repeating(every: .milliseconds(100)) {
            Task { try? await connection.call("LTRIM", list, 0, 9_999) }
        }
        defer { consumer.cancel() }

        var failures = 0
        for (connections, rounds) in rounds {
            var ours: [Wrk] = []
            var theirs: [Wrk] = []
            for round in 0...rounds {
                let file = "\(arena.folder)/requests"
                try Machine.write(SignedPosts.file(try SignedPosts.make(posts)), to: file)
                let mine = try await Wrk.run(in: arena, requests: file, port: port, connections: connections, seconds: round == 0 ? 1 : seconds)
                let other = try await Wrk.run(in: arena, requests: file, port: nginx, connections: connections, seconds: round == 0 ? 1 : seconds)
                failures += mine.failures + other.failures
                // Round 0 warms both up.
                guard round > 0 else { continue }
                ours.append(mine)
                theirs.append(other)
                result.notes.append(
                    "c\(connections) round \(round): ingest \(Number.text(mine.requestsPerSecond))/s (p50 \(Number.text(mine.p50)) ms, "
                        + "p99 \(Number.text(mine.p99)) ms), nginx \(Number.text(other.requestsPerSecond))/s, "
                        + "ratio \(Number.text(mine.requestsPerSecond / other.requestsPerSecond))")
                residentMB = max(residentMB, Machine.residentMB(of: ingest.pid) ?? 0)
            }
            let ratio = Statistics.median(zip(ours, theirs).map { $0.requestsPerSecond / $1.requestsPerSecond })
            result.figures.append(
                Figure("ingest.requests_per_s_c\(connections)", Statistics.median(ours.map(\.requestsPerSecond)), "requests/s"))
            result.figures.append(Figure("ingest.nginx_per_s_c\(connections)", Statistics.median(theirs.map(\.requestsPerSecond)), "requests/s"))
            result.figures.append(
                Figure("ingest.ratio_to_nginx_c\(connections)", ratio, "of nginx", goal: .atLeast(connections == 64 ? 0.35 : 0.4)))
            result.figures.append(Figure("ingest.latency_p99_ms_c\(connections)", Statistics.median(ours.map(\.p99)), "ms"))
        }
        if failures > 0 { result.problems.append("\(failures) requests were not answered 200 within two seconds") }
        let spooled = try await spooledEvents(in: arena, port: port)
        if spooled > 0 { result.problems.append("\(spooled) events went into the local spool: Redis did not answer within two seconds") }
        result.figures.append(Figure("ingest.rss_mb", residentMB, "MB resident, the most under load", goal: .atMost(20)))
        return result
    }

    /// Events that took the way over the local disk because Redis was too slow, by ingest's own count.
    private static func spooledEvents(in arena: Arena, port: Int) async throws -> Int {
        let page = try await arena.http.send(HTTPClient.Request(url: "http://127.0.0.1:\(port)/metrics"))
        for line in String(decoding: page.body, as: UTF8.self).split(separator: "\n") where line.hasPrefix("ingest_events_spooled_total ") {
            return Int(Double(line.split(separator: " ").last ?? "0") ?? 0)
        }
        return 0
    }
}
