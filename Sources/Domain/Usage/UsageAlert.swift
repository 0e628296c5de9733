import Database
import Formats

/// A team was told, or would have been, that a share of a limit is used.
public struct UsageAlert: Sendable, Equatable {
    public enum State: String, Sendable {
        case sent
        /// A higher threshold was reached in the same look, and only that one was told.
        case superseded
        /// The team had nobody to tell: told as soon as it has.
        case untold
    }

    public let team: String
    public let metric: UsageMetric
    public let period: UsagePeriod
    public let threshold: AlertThreshold
    public let limitBytes: Int64
    public let usedBytes: Int64
    /// The plan's shown name then.
    public let plan: String
    public let state: State
    public let createdAtMs: Int64

    init(_ row: Row) throws {
        guard let metric = UsageMetric(rawValue: try row.text("metric")), let period = UsagePeriod(try row.text("period")),
            let threshold = AlertThreshold(rawValue: try row.int("threshold")), let state = State(rawValue: try row.text("state"))
        else { throw DatabaseError(kind: .column, message: "an alert's row holds a word that is none of ours") }
        team = try row.text("team")
        self.metric = metric
        self.period = period
        self.threshold = threshold
        limitBytes = try row.int("limit_bytes")
        usedBytes = try row.int("used_bytes")
        plan = try row.text("plan")
        self.state = state
        createdAtMs = try row.int("created_at")
    }

    /// The latest alerts first.
    /// - Parameter team: nil for all teams.
    public static func list(team: String? = nil, limit: Int, in connection: Connection) throws -> [UsageAlert] {
        let order = "ORDER BY created_at DESC, team, metric, threshold DESC"
        guard let team else {
            return try connection.query("SELECT * FROM usage_alerts \(order) LIMIT $1", [.int(limit)]).map(UsageAlert.init)
        }
        return try connection.query("SELECT * FROM usage_alerts WHERE team = $1 \(order) LIMIT $2", [.text(team), .int(limit)]).map(UsageAlert.init)
    }
}
