import JobQueue
import RedisClient

/// Turns on Redis: all processes that call a dependency keep one pace together.
public struct RedisCallTurns: CallTurnStore {
    private static let script = RedisScript(name: "turn", source: String(decoding: PackageResources.turn_lua, as: UTF8.self))
    private let connection: RedisConnection
    private let prefix: String

    /// - Parameter connection: started, and shared with whoever likes.
    public init(connection: RedisConnection, prefix: String = "quittance:") {
        QueueKeys.require(prefix: prefix)
        self.connection = connection
        self.prefix = prefix
    }

    public func take(_ dependency: String, _ rate: CallRate, within patience: Duration) async throws -> CallTurn {
        let reply = try await connection.run(
            RedisScriptCall(
                Self.script, keys: [prefix + "{breakers}:turn:" + dependency],
                arguments: ["\(rate.intervalMs)", "\(rate.earlyMs)", patience.wholeMilliseconds]))
        guard let isKept = reply[0]?.int, let waitMs = reply[1]?.int else { throw QueueDriverError.unexpected("turn") }
        return isKept == 1 ? .after(.milliseconds(waitMs)) : .refused(retryAfter: .milliseconds(waitMs))
    }
}
