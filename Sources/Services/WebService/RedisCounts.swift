import Cryptography
import Formats
import RedisClient

/// The counts of calls in Redis: a number per caller and minute, gone by itself two minutes later.
struct RedisCounts: SharedCounts {
    static let keptSeconds = 180

    let connection: RedisConnection
    /// Of every key.
    let prefix: String

    /// KEYS: for each caller the key of its minute and that of the minute before. ARGV: how many seconds a key is kept, then for each caller
    /// what is new. Returns for each caller both counts.
    static let script = RedisScript(
        name: "calls",
        source: """
            local counts = {}
            for i = 1, #KEYS, 2 do
              local count = tonumber(redis.call('GET', KEYS[i]) or '0') + tonumber(ARGV[(i + 1) / 2 + 1])
              redis.call('SET', KEYS[i], string.format('%d', count), 'EX', ARGV[1])
              counts[i] = count
              counts[i + 1] = tonumber(redis.call('GET', KEYS[i + 1]) or '0')
            end
            return counts
            """)

    func add(_ counts: [SharedCount]) async throws -> [(this: Int, before: Int)] {
        guard connection.isConnected else { throw RedisError(.closed, "there is no connection", mayHaveBeenExecuted: false) }
        let keys = counts.flatMap { [key($0, $0.minute), key($0, $0.minute - 1)] }
        let arguments: [any RedisArgument] = [Self.keptSeconds] + counts.map(\.new)
        let reply = try await connection.run(Self.script, keys: keys, arguments: arguments)
        let known = (reply.array ?? []).map { Int($0.int ?? 0) }
        return stride(from: 0, to: known.count - 1, by: 2).map { (known[$0], known[$0 + 1]) }
    }

    /// Callers are named by a digest: a token's subject may be anybody's address. One tag, so that one script reaches all in a cluster.
    private func key(_ count: SharedCount, _ minute: Int64) -> String {
        "\(prefix){calls}:\(count.kind.rawValue):\(Digest.sha256Hex(Array(count.caller.utf8)).prefix(32)):\(minute)"
    }
}
