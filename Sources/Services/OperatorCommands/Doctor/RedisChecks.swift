import Formats
import JobQueueRedis
import RedisClient

/// Redis: reachable, durable, in time.
enum RedisChecks {
    private static let versionMin = [6, 2]
    /// Leases last three seconds by Redis' clock; records and logs go by ours.
    private static let offsetMaxMs: Int64 = 1000

    static func findings(_ context: CommandContext) async -> [Finding] {
        do {
            return try await context.withRedis { queues in
                let redis = queues.connection
                var findings = [try await version(redis), try await clock(redis, context)]
                for rule in rules { findings.append(await rule.finding(redis)) }
                return findings
            }
        } catch {
            return [.fail("Redis", "\(error); start it (deploy/redis), or correct REDIS_URL")]
        }
    }

    private static func version(_ redis: RedisConnection) async throws -> Finding {
        let text = try await redis.call("INFO", "server").string ?? ""
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("redis_version:") }
        let version = line.map { String($0.dropFirst("redis_version:".count)) } ?? "unknown"
        let numbers = version.split(separator: ".").compactMap { Int($0) }
        return numbers.lexicographicallyPrecedes(versionMin) ? .fail("Redis", "\(version) is too old: 6.2 is needed") : .ok("Redis", version)
    }

    /// Compared with the middle of the question and the answer.
    private static func clock(_ redis: RedisConnection, _ context: CommandContext) async throws -> Finding {
        let before = context.nowMs()
        let parts = try await redis.call("TIME").array ?? []
        let after = context.nowMs()
        guard parts.count == 2, let seconds = parts[0].int, let micros = parts[1].int else { return .warn("clock", "Redis does not tell its time") }
        let offset = seconds * 1000 + micros / 1000 - (before + after) / 2
        return abs(offset) > offsetMaxMs
            ? .warn("clock", "Redis is \(offset) ms off this machine: keep both by NTP") : .ok("clock", "Redis is \(offset) ms off this machine")
    }

    /// What a setting of Redis should be, and why.
    private struct Rule: Sendable {
        let name: String
        let wanted: String
        let level: Finding.Level
        let why: String

        func finding(_ redis: RedisConnection) async -> Finding {
            let value: String?
            do {
                let reply = try await redis.call("CONFIG", "GET", name).array ?? []
                value = reply.count == 2 ? reply[1].string : nil
            } catch {
                return .warn(name, "may not be read: ingest syncs its own journal instead")
            }
            guard let value else { return .warn(name, "is unknown to this Redis") }
            let shown = value.isEmpty ? "\"\"" : value
            if value == wanted { return .ok(name, shown) }
            return Finding(level: level, what: name, text: "\(shown), should be \(wanted.isEmpty ? "\"\"" : wanted): \(why)")
        }
    }

    private static let rules = [
        Rule(name: "maxmemory-policy", wanted: "noeviction", level: .fail, why: "another policy throws away jobs when memory is short"),
        Rule(name: "appendonly", wanted: "yes", level: .warn, why: "a restart of Redis empties the queues; `quittance rebuild-queues` fills them"),
        Rule(name: "appendfsync", wanted: "always", level: .warn, why: "ingest syncs its own journal before it answers, which is slower"),
        Rule(name: "no-appendfsync-on-rewrite", wanted: "no", level: .warn, why: "writes are not synced during a rewrite"),
        Rule(name: "save", wanted: "", level: .warn, why: "snapshots beside the append-only file cost disk and memory for nothing"),
    ]
}
