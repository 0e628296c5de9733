import Database
import Plans
import Teams

/// The limits of a plan on what is not metered.
///
/// The seed names the limits and not what they are counted over. Here, in one place: CPU, memory and domains are those of all
/// projects of the team together; teams are those of the team's owner.
public enum ResourceLimits {
    public enum Resource: String, Sendable, CaseIterable {
        case members, projects
        /// In thousandths of a CPU.
        case cpu
        case memoryMB = "memory_mb"
        case customDomains = "custom_domains"
        case teams

        /// The seed's name of the limit.
        public var limitName: String { self == .customDomains ? rawValue : "max_\(rawValue)" }

        public var unit: String {
            switch self {
            case .members, .projects, .teams: rawValue
            case .cpu: "thousandths of a CPU"
            case .memoryMB: "MB"
            case .customDomains: "domains"
            }
        }
    }

    /// Whether a team may have so much more of something.
    /// - Parameter adding: in the resource's unit; 0 asks whether what is there fits.
    /// - Returns: nil when there is no such team.
    public static func check(
        _ resource: Resource, adding: Int64, team: String, nowMs: Int64, in connection: Connection
    ) throws -> Allowance? {
        guard let counts = try TeamStore.counts(of: team, in: connection) else { return nil }
        let plan = try Plan.of(team: team, nowMs: nowMs, in: connection)
        return Allowance(
            limit: resource.limitName, team: team, project: nil, used: used(resource, counts), adding: adding, allowed: allowed(resource, plan),
            unit: resource.unit)
    }

    private static func used(_ resource: Resource, _ counts: TeamCounts) -> Int64 {
        switch resource {
        case .members: counts.members
        case .projects: counts.projects
        case .cpu: counts.cpuMilli
        case .memoryMB: counts.memoryMB
        case .customDomains: counts.customDomains
        case .teams: counts.teamsOfOwner
        }
    }

    private static func allowed(_ resource: Resource, _ plan: Plan) -> Int64 {
        switch resource {
        case .members: plan.maxMembers
        case .projects: plan.maxProjects
        case .cpu: plan.maxCPUMilli
        case .memoryMB: plan.maxMemoryMB
        // The plan says whether, not how many.
        case .customDomains: plan.customDomains ? Plan.unlimited : 0
        case .teams: plan.maxTeams
        }
    }
}
