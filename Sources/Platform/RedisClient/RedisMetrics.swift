import Synchronization
import Telemetry

/// What the room counts, for all connections of the process.
enum RedisMetrics {
    private static let commands = Atomic<Int64>(0)
    private static let reconnects = Atomic<Int64>(0)
    private static let errors = Atomic<Int64>(0)

    static func countCommand() { commands.wrappingAdd(1, ordering: .relaxed) }
    static func countReconnect() { reconnects.wrappingAdd(1, ordering: .relaxed) }
    static func countError(_ kind: RedisError.Kind) { errors.wrappingAdd(1, ordering: .relaxed) }
}
