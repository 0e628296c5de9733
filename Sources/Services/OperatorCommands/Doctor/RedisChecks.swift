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
                findings += await replay(redis, prefix: queues.prefix)
                return findings
            }
        } catch {
            return [.fail("Redis", "\(error); start it (deploy/redis), or correct REDIS_URL")]
        }
    }

    private static func version(_ redis: RedisConnection) async throws -> Finding {
        let version = try await release(redis)
        return numbers(version).lexicographicallyPrecedes(versionMin)
            ? .fail("Redis", "\(version) is too old: 6.2 is needed") : .ok("Redis", version)
    }

    private static func release(_ redis: RedisConnection) async throws(RedisError) -> String {
        let text = try await redis.call("INFO", "server").string ?? ""
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("redis_version:") }
        return line.map { String($0.dropFirst("redis_version:".count)) } ?? "unknown"
    }

    private static func numbers(_ version: String) -> [Int] { version.split(separator: ".").compactMap { Int($0) } }

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

    /// Redis 8.4 and before check what a transaction may do once more when they load their log, by the rights of `default`, whoever wrote
    /// it: what a script did is left out, silently, where `default` has none. (redis/redis#14541)
    private static let loadsWithoutChecking = [8, 5]

    /// - Returns: nothing where Redis keeps no log, or does not say what `default` may do.
    private static func replay(_ redis: RedisConnection, prefix: String) async -> [Finding] {
        let what = "log and default"
        do throws(RedisError) {
            guard try await redis.call("CONFIG", "GET", "appendonly").array?.last?.string == "yes" else { return [] }
            guard numbers(try await release(redis)).lexicographicallyPrecedes(loadsWithoutChecking) else { return [] }
            let answer = try await redis.call("ACL", "DRYRUN", "default", "HSET", "\(prefix){doctor}:any", "field", "value").string
            guard let answer, answer != "OK" else { return [.ok(what, "the log is loaded by the rights of default, which has them")] }
            return [
                .fail(
                    what,
                    "the user default may not write (\(answer.lowercased())), and this Redis loads its log by default's rights: at its next start "
                        + "everything that scripts did is missing. Let it keep them: ACL SETUSER default off resetpass ~* +@all, as "
                        + "deploy/redis-users.acl has it")
            ]
        } catch {
            return []
        }
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
