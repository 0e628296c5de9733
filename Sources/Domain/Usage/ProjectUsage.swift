import Database

/// What one project used in one month: Servelink's `ProjectUsage`.
public struct ProjectUsage: Sendable, Equatable {
    public let projectID: String
    public let year: Int
    /// 1 to 12.
    public let month: Int
    public let trafficBytes: Int64
    /// Of a month that is over: as last measured in it. Of this month: the gauge as it stands.
    public let storageBytes: Int64
    /// Whether storage was measured at all; otherwise ``storageBytes`` is zero for want of a figure.
    public let isStorageMeasured: Bool
    /// Nil while there is nothing of the month on record.
    public let createdAtMs: Int64?
    public let updatedAtMs: Int64?

    /// One project has one usage per month, so this names it: `shop/2026-11`.
    public var id: String { "\(projectID)/\(period)" }
    public var period: UsagePeriod { UsagePeriod(year: Int64(year), month: Int64(month)) }

    init(_ row: Row) throws {
        projectID = try row.text("project")
        year = Int(try row.int("year"))
        month = Int(try row.int("month"))
        trafficBytes = try row.int("traffic_bytes")
        let storage = try row.intOrNil("storage_bytes")
        storageBytes = storage ?? 0
        isStorageMeasured = storage != nil
        createdAtMs = try row.int("created_at")
        updatedAtMs = try row.int("updated_at")
    }

    /// - Parameters:
    ///   - row: what is on record, if anything is.
    ///   - gauge: of the current month; nil for one that is over.
    init(project: String, period: UsagePeriod, row: ProjectUsage?, gauge: StorageGauge?) {
        projectID = project
        year = period.year
        month = period.month
        trafficBytes = row?.trafficBytes ?? 0
        storageBytes = gauge?.bytes ?? row?.storageBytes ?? 0
        isStorageMeasured = gauge.map(\.hasOrigin) ?? row?.isStorageMeasured ?? false
        createdAtMs = row?.createdAtMs
        updatedAtMs = row?.updatedAtMs
    }

    static func find(_ project: String, _ period: UsagePeriod, in connection: Connection) throws -> ProjectUsage? {
        try connection.first(
            "SELECT * FROM usage_project_months WHERE project = $1 AND year = $2 AND month = $3",
            [.text(project), .int(period.year), .int(period.month)]
        ).map(ProjectUsage.init)
    }
}
