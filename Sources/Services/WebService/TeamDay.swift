import Database
import Usage

/// What a team used on one day; a day without a record is one of nothing.
struct TeamDay: Sendable {
    /// Its first moment, UTC.
    let startMs: Int64
    let trafficBytes: Int64
    /// Nil when storage was not measured then.
    let storageBytes: Int64?

    /// Days in a chart, today included.
    static let shown: Int64 = 31

    /// The last ``shown`` days, today last.
    static func latest(of team: String, nowMs: Int64, in connection: Connection) throws -> [TeamDay] {
        let today = nowMs / UsagePeriod.dayMs
        let range = today + 1 - shown..<today + 1
        let known = Dictionary(try UsageReading.days(of: team, range, in: connection).map { ($0.day, $0.point) }) { first, _ in first }
        return range.map { day in
            TeamDay(startMs: day * UsagePeriod.dayMs, trafficBytes: known[day]?.trafficBytes ?? 0, storageBytes: known[day]?.storageBytes)
        }
    }
}
