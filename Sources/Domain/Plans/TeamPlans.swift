import Database

extension Plan {
    /// The plan that every team has that has no other.
    public static let free = "free"
    /// Sold as Pro.
    public static let pro = "pay_as_you_go"
    /// Stands for "as much as one likes" in every limit.
    public static let unlimited: Int64 = -1

    /// The plan a team is on: that of its subscription while it is active or in its grace, else Free as on sale now.
    /// - Throws: ``PlanError/notOnSale(_:)`` when there is no Free plan.
    public static func of(team: String, nowMs: Int64, in connection: Connection) throws -> Plan {
        if let subscription = try Subscription.of(team: team, in: connection), subscription.isRunning,
            let plan = try find(subscription.plan, version: subscription.version, in: connection)
        {
            return plan
        }
        return try requireFree(nowMs: nowMs, in: connection)
    }

    static func requireFree(nowMs: Int64, in connection: Connection) throws -> Plan {
        guard let plan = try onSale(free, atMs: nowMs, in: connection) else { throw PlanError.notOnSale(free) }
        return plan
    }
}

/// The plans of all teams at one moment, for work over all of them.
public struct TeamPlans: Sendable {
    private let free: Plan
    private let others: [String: Plan]

    public init(nowMs: Int64, in connection: Connection) throws {
        free = try Plan.requireFree(nowMs: nowMs, in: connection)
        var versions: [String: Plan] = [:]
        var others: [String: Plan] = [:]
        for row in try connection.query("SELECT team, plan, version FROM plans_subscriptions WHERE status <> 'ended'") {
            let (id, version) = (try row.text("plan"), try row.int("version"))
            let name = "\(id) \(version)"
            if versions[name] == nil { versions[name] = try Plan.find(id, version: version, in: connection) }
            others[try row.text("team")] = versions[name]
        }
        self.others = others
    }

    /// The plan of a team.
    public subscript(team: String) -> Plan { others[team] ?? free }
}

/// What is wrong with the plans themselves, or with what is wanted of them. No retry helps.
public enum PlanError: Error, Equatable, CustomStringConvertible {
    /// An installation's fault where it is Free.
    case notOnSale(String)
    /// The team has no plan that could end.
    case nothingToEnd(team: String)
    /// It begins with its payment, and with nothing else.
    case costs(String)

    public var description: String {
        switch self {
        case .notOnSale(let plan): "no version of the plan '\(plan)' is on sale"
        case .nothingToEnd(let team): "team \(team) has no paid plan that could end"
        case .costs(let plan): "the plan '\(plan)' costs money: it begins when it is paid"
        }
    }
}
