import JobQueue
import RedisClient

/// The cron entries of one queue on Redis: a hash for each entry, under the queue's tag, moved by the scripts `cron_*.lua`.
public final class RedisCronStore: CronStore {
    private let driver: RedisDriver

    /// How long the names of extra runs are remembered.
    private static let extrasKeptMs: Int64 = 7 * 24 * 60 * 60_000

    /// How long an entry is remembered that no scheduler declares any more.
    private static let undeclaredKept = Duration.seconds(90 * 86_400)

    public init(driver: RedisDriver) { self.driver = driver }

    public var queue: String { driver.queue }

    public func look(at entries: [CronEntryKey]) async throws(QueueDriverError) -> CronLook {
        var call = RedisScriptCall(
            CronScripts.look, keys: entries.map { driver.keys.cron($0.name) }, arguments: entries.map(\.schedule))
        call.append(Self.undeclaredKept.wholeMilliseconds)
        let reply = try await driver.run(call)
        let numbers = (reply.array ?? []).compactMap(\.int)
        guard numbers.count == 1 + 3 * entries.count, let nowMs = numbers.first else { throw .unexpected("cron_look") }
        let states = entries.indices.map { index in
            let fired = numbers[3 * index + 3]
            return CronState(lastMs: numbers[3 * index + 1], isPaused: numbers[3 * index + 2] == 1, firedMs: fired < 0 ? nil : fired)
        }
        return CronLook(nowMs: nowMs, states: states)
    }

    public func fire(_ firing: CronFiring) async throws(QueueDriverError) -> CronFired {
        let keys = driver.keys
        var call = RedisScriptCall(CronScripts.fire, keys: [keys.cron(firing.entry), keys.ready, keys.unique])
        call.append(firing.overlap.rawValue)
        for tick in firing.ticks {
            call.append(tick.atMs)
            call.append(tick.job)
            call.append(tick.unique)
            call.append(tick.body)
        }
        let reply = try await driver.run(call)
        guard let parts = reply.array, parts.count == 4, let nowMs = parts[0].int, let waiting = parts[1].int, let fired = parts[2].array,
            let skipped = parts[3].array
        else { throw .unexpected("cron_fire") }
        return CronFired(firedMs: fired.compactMap(\.int), skippedMs: skipped.compactMap(\.int), isWaiting: waiting == 1, nowMs: nowMs)
    }

    public func runNow(entry: String, name: String, body: [UInt8]) async throws(QueueDriverError) -> Bool {
        var call = RedisScriptCall(CronScripts.extra, keys: [driver.keys.cronExtras, driver.keys.ready])
        call.append("\(entry):\(name)")
        call.append(body)
        call.append(Self.extrasKeptMs)
        return try await driver.run(call).int == 1
    }

    public func setPaused(_ isPaused: Bool, entry: String) async throws(QueueDriverError) -> Bool {
        try await driver.run(
            RedisScriptCall(CronScripts.pause, keys: [driver.keys.cron(entry)], arguments: [isPaused ? "1" : "0"])
        ).int == 1
    }
}

extension QueueKeys {
    /// Hash: where a cron entry stands.
    public func cron(_ entry: String) -> String { "\(prefix){\(queue)}:cron:\(entry)" }
    /// Sorted set: `<entry>:<name>` of an extra run → when it was asked for, unix ms.
    public var cronExtras: String { "\(prefix){\(queue)}:cron-extras" }
}

extension RedisQueues: ServerTime, CronDirectory {
    /// The cron entries of a queue.
    public func cronStore(of queue: String) -> RedisCronStore { RedisCronStore(driver: redisDriver(of: queue)) }

    public func serverNowMs() async throws(QueueDriverError) -> Int64 {
        let time: RedisValue
        do { time = try await connection.call("TIME") } catch { throw QueueDriverError(error) }
        guard let seconds = time[0]?.int, let micros = time[1]?.int else { throw .unexpected("TIME") }
        return seconds * 1000 + micros / 1000
    }
}

/// The scripts of `Scripts/cron_*.lua`, each under the contract written above it.
enum CronScripts {
    static let look = script("cron_look", PackageResources.cron_look_lua)
    static let fire = script("cron_fire", PackageResources.cron_fire_lua)
    static let extra = script("cron_extra", PackageResources.cron_extra_lua)
    static let pause = script("cron_pause", PackageResources.cron_pause_lua)

    private static func script(_ name: String, _ source: [UInt8]) -> RedisScript {
        RedisScript(name: name, source: String(decoding: source, as: UTF8.self))
    }
}
