import JobQueue
import RedisClient

/// What redis.conf must say for a level of durability, asked by CONFIG GET.
extension RedisQueues: DurabilityChecking {
    private struct Rule {
        let setting: String
        let wanted: String
        let why: String
    }

    private static func rules(of level: Durability) -> [Rule] {
        var rules = [
            Rule(setting: "maxmemory-policy", wanted: "noeviction", why: "any other policy throws jobs away when memory is short")
        ]
        if level >= .fsync {
            rules += [
                Rule(setting: "appendonly", wanted: "yes", why: "without it nothing is on disk"),
                Rule(setting: "appendfsync", wanted: "always", why: "otherwise the last second is lost with the machine"),
                Rule(setting: "no-appendfsync-on-rewrite", wanted: "no", why: "otherwise nothing is synced while the file is rewritten"),
            ]
        }
        return rules
    }

    public func require(_ level: Durability) async throws(DurabilityError) {
        var problems: [String] = []
        for rule in Self.rules(of: level) {
            let reply: RedisValue
            do {
                reply = try await connection.call("CONFIG", "GET", rule.setting)
            } catch {
                throw DurabilityError(
                    level: level,
                    problems: ["Redis does not say what \(rule.setting) is (\(error)): it must answer, and its user be allowed +config|get"],
                    isTransient: error.isTransient)
            }
            let found = Self.value(reply)
            guard found != rule.wanted else { continue }
            problems.append("\(rule.setting) is \(found ?? "unknown"), set it to \(rule.wanted) in redis.conf: \(rule.why)")
        }
        if !problems.isEmpty { throw DurabilityError(level: level, problems: problems) }
    }

    /// The answer's one value: `[name, value]`.
    private static func value(_ reply: RedisValue) -> String? {
        guard let parts = reply.array, parts.count >= 2 else { return nil }
        return parts[1].string
    }
}
