import Database
import Formats
import Money

/// One version of a plan: its price and limits. -1 means unlimited.
public struct Plan: Sendable {
    /// `free` or `pay_as_you_go` (shown as Pro).
    public let id: String
    public let version: Int64
    public let name: String
    /// Per period.
    public let price: Money
    public let periodMonths: Int64
    public let maxTeams: Int64
    public let maxMembers: Int64
    public let maxProjects: Int64
    /// Thousandths of a CPU: 300 is 0.3.
    public let maxCPUMilli: Int64
    public let maxMemoryMB: Int64
    public let maxTrafficBytesPerMonth: Int64
    public let maxStorageBytes: Int64
    public let customDomains: Bool
    public let validFromMs: Int64

    init(_ row: Row) throws {
        id = try row.text("plan")
        version = try row.int("version")
        name = try row.text("name")
        price = Money(try row.int("price"), try Currency(code: try row.text("currency")))
        periodMonths = try row.int("period_months")
        maxTeams = try row.int("max_teams")
        maxMembers = try row.int("max_members")
        maxProjects = try row.int("max_projects")
        maxCPUMilli = try row.int("max_cpu_milli")
        maxMemoryMB = try row.int("max_memory_mb")
        maxTrafficBytesPerMonth = try row.int("max_traffic_bytes_per_month")
        maxStorageBytes = try row.int("max_storage_bytes")
        customDomains = try row.int("custom_domains") == 1
        validFromMs = try row.int("valid_from")
    }

    /// The version on sale at a moment.
    public static func onSale(_ id: String, atMs: Int64, in connection: Connection) throws -> Plan? {
        try connection.first(
            "SELECT * FROM plans_versions WHERE plan = $1 AND valid_from <= $2 ORDER BY version DESC LIMIT 1", [.text(id), .integer(atMs)]
        ).map(Plan.init)
    }

    public static func find(_ id: String, version: Int64, in connection: Connection) throws -> Plan? {
        try connection.first("SELECT * FROM plans_versions WHERE plan = $1 AND version = $2", [.text(id), .integer(version)]).map(Plan.init)
    }
}

/// What a team has.
public struct Subscription: Sendable, Equatable {
    public let team: String
    public let plan: String
    public let version: Int64
    /// `active`, `grace` or `ended`.
    public let status: String
    public let periodStartMs: Int64
    public let renewsAtMs: Int64
    /// The day of the month that periods start on, kept so that 31 January renews on 28 February and then on 31 March.
    public let anchorDay: Int64
    /// When anything about it has changed last.
    public let updatedAtMs: Int64

    public static func of(team: String, in connection: Connection) throws -> Subscription? {
        try connection.first("SELECT * FROM plans_subscriptions WHERE team = $1", [.text(team)]).map(Subscription.init)
    }
}

extension Subscription {
    init(_ row: Row) throws {
        self.init(
            team: try row.text("team"), plan: try row.text("plan"), version: try row.int("version"), status: try row.text("status"),
            periodStartMs: try row.int("period_start"), renewsAtMs: try row.int("renews_at"), anchorDay: try row.int("anchor_day"),
            updatedAtMs: try row.int("updated_at"))
    }
}

/// Months in the calendar, in UTC.
enum BillingCalendar {
    /// The moment `months` later, on `anchorDay` or the month's last day, at the same time of day.
    static func adding(months: Int64, to ms: Int64, anchorDay: Int64) -> Int64 {
        let from = Timestamp.civil(ms)
        let index = Int64(from.year) * 12 + Int64(from.month - 1) + months
        let year = Int(index / 12)
        let month = Int(index % 12) + 1
        let day = min(Int(anchorDay), daysIn(month: month, year: year))
        return Timestamp.ms(year: year, month: month, day: day, hour: from.hour, minute: from.minute, second: from.second)
    }

    private static func daysIn(month: Int, year: Int) -> Int {
        switch month {
        case 2: (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}
