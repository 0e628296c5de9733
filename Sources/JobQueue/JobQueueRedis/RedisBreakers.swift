import JobQueue
import RedisClient

/// Breakers on Redis: every process that calls a dependency sees the same one.
public struct RedisBreakers: BreakerStore {
    private static let script = RedisScript(name: "breaker", source: String(decoding: PackageResources.breaker_lua, as: UTF8.self))
    private let connection: RedisConnection
    private let prefix: String

    /// - Parameter connection: started, and shared with whoever likes.
    public init(connection: RedisConnection, prefix: String = "quittance:") {
        QueueKeys.require(prefix: prefix)
        self.connection = connection
        self.prefix = prefix
    }

    private var known: String { prefix + "{breakers}:known" }
    private func key(_ dependency: String) -> String { prefix + "{breakers}:of:" + dependency }

    public func admit(_ dependency: String, _ rule: BreakerRule) async throws -> BreakerVerdict {
        let (word, waitMs) = try await call("admit", dependency, rule)
        switch word {
        case "pass": return .pass
        case "probe": return .probe
        case "refused": return .refused(retryAfter: .milliseconds(waitMs))
        default: throw QueueDriverError.unexpected("breaker")
        }
    }

    @discardableResult
    public func report(_ dependency: String, _ rule: BreakerRule, succeeded: Bool, isProbe: Bool) async throws -> BreakerState {
        let (word, _) = try await call(succeeded ? "success" : "failure", dependency, rule, isProbe: isProbe)
        guard let state = BreakerState(rawValue: word) else { throw QueueDriverError.unexpected("breaker") }
        return state
    }

    public func list() async throws -> [BreakerStanding] {
        let time = try await connection.call("TIME")
        guard let seconds = time[0]?.int, let micros = time[1]?.int else { throw QueueDriverError.unexpected("TIME") }
        let nowMs = seconds * 1000 + micros / 1000
        let names = try await connection.call("ZRANGE", known, 0, -1).array?.compactMap(\.string) ?? []
        var standings: [BreakerStanding] = []
        for name in names.sorted() {
            let fields = try await connection.call("HMGET", key(name), "failures", "open", "probe").array ?? []
            let numbers = fields.map { $0.string.flatMap { Int64($0) } ?? 0 }
            guard numbers.count == 3 else { throw QueueDriverError.unexpected("HMGET") }
            let open = numbers[1]
            standings.append(
                BreakerStanding(
                    dependency: name, state: open == 0 ? .closed : nowMs < open ? .open : .halfOpen, failures: Int(numbers[0]),
                    retryAtMs: open == 0 ? nil : max(open, numbers[2])))
        }
        return standings
    }

    public func reset(_ dependency: String) async throws { _ = try await call("reset", dependency, BreakerRule()) }

    private func call(
        _ word: String, _ dependency: String, _ rule: BreakerRule, isProbe: Bool = false
    ) async throws -> (word: String, waitMs: Int64) {
        let reply = try await connection.run(
            RedisScriptCall(
                Self.script, keys: [key(dependency), known],
                arguments: [
                    word, dependency, isProbe ? "1" : "0", rule.failures, rule.within.wholeMilliseconds, rule.openFor.wholeMilliseconds,
                    rule.openMax.wholeMilliseconds, rule.probeFor.wholeMilliseconds,
                ]))
        guard let answer = reply[0]?.string, let waitMs = reply[1]?.int else { throw QueueDriverError.unexpected("breaker") }
        return (answer, waitMs)
    }
}
