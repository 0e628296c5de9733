import Telemetry

/// What the room counts, for all connections of the process.
enum RedisMetrics {
    private static let commands = MetricRegistry.shared.counter("redis_commands_total", help: "Commands handed to Redis connections.")
    private static let reconnects = MetricRegistry.shared.counter("redis_reconnects_total", help: "Connections to Redis made after the first.")
    /// Made beforehand, so that each kind is shown from the start and none but these can appear.
    private static let errors: [String: Counter] = Dictionary(
        uniqueKeysWithValues: kinds.map { kind in
            (kind, MetricRegistry.shared.counter("redis_errors_total", help: "Commands to Redis that failed, by kind.", labels: [("kind", kind)]))
        })
    private static let kinds = [
        "connection", "timeout", "protocol", "overloaded", "cancelled", "closed", "unsupported", "tls", "server", "OOM", "READONLY", "MISCONF",
        "LOADING", "BUSY", "NOSCRIPT", "NOAUTH", "WRONGPASS", "NOPERM",
    ]

    static func countCommand() { commands.add() }
    static func countReconnect() { reconnects.add() }

    static func countError(_ kind: RedisError.Kind) {
        let name =
            switch kind {
            case .connection: "connection"
            case .timeout: "timeout"
            case .protocolError: "protocol"
            case .overloaded: "overloaded"
            case .cancelled: "cancelled"
            case .closed: "closed"
            case .unsupported: "unsupported"
            case .tls: "tls"
            case .server(let code): code
            }
        (errors[name] ?? errors["server"])?.add()
    }
}
