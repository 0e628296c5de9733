import Synchronization
import Telemetry

/// What a server counts: every answer by status, its own refusals included, and the open connections.
final class ServerMetrics: Sendable {
    /// Connections counted towards the limit.
    let connections = Atomic<Int>(0)
    private let name: String
    /// By status, for those that are usual; the others are looked up in the registry, which takes a lock.
    private let usual: [Counter?]
    private let open: Gauge

    private static let usualStatuses = [200, 202, 204, 206, 303, 304, 400, 401, 403, 404, 405, 408, 409, 413, 422, 429, 431, 500, 501, 503]

    init(name: String) {
        self.name = name
        var table: [Counter?] = Array(repeating: nil, count: 504)
        for status in Self.usualStatuses { table[status] = Self.counter(name, status) }
        usual = table
        open = MetricRegistry.shared.gauge("http_connections", help: "Open connections.", labels: [("server", name)])
    }

    func count(_ status: Int) {
        if usual.indices.contains(status), let counter = usual[status] {
            counter.add()
        } else {
            Self.counter(name, status).add()
        }
    }

    func connectionOpened() {
        connections.wrappingAdd(1, ordering: .relaxed)
        open.add(1)
    }

    func connectionClosed() {
        connections.wrappingSubtract(1, ordering: .relaxed)
        open.add(-1)
    }

    private static func counter(_ name: String, _ status: Int) -> Counter {
        MetricRegistry.shared.counter(
            "http_requests_total", help: "Answers by status.", labels: [("server", name), ("status", "\(status)")])
    }
}
