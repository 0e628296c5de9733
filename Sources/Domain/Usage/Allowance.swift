import Database
import Plans
import Teams

/// Whether something more fits under a limit.
public struct Allowance: Sendable, Equatable {
    /// The seed's name, such as `max_members`.
    public let limit: String
    public let team: String
    /// The project that was asked for, if one was.
    public let project: String?
    public let used: Int64
    public let adding: Int64
    /// What the plan allows, in the same unit; -1 is unlimited.
    public let allowed: Int64
    /// `bytes`, `members`, `projects`, `thousandths of a CPU`, `MB`, `domains`, `teams`.
    public let unit: String

    public var isAllowed: Bool { allowed < 0 || Int128(used) + Int128(adding) <= Int128(allowed) }

    /// What a refusal says: limit, team or project, used, allowed.
    public var sentence: String {
        let whose = project.map { "project \($0) of team \(team)" } ?? "team \(team)"
        let most = allowed < 0 ? "without a limit" : "of \(allowed)"
        return "\(limit): \(whose) uses \(used) \(most) \(unit)" + (isAllowed ? "" : ", \(adding) more \(adding == 1 ? "does" : "do") not fit")
    }
}

/// Whether a project may go on sending and keeping: asked by gateways.
public struct ProjectAllowance: Sendable, Equatable {
    public let project: String
    public let team: String
    /// One per metric.
    public let checks: [Allowance]
    /// Of the team, as far as it was measured.
    public let gauge: StorageGauge

    /// Whether the gauge is too old to refuse anything by.
    public let hasStaleStorage: Bool

    public var isAllowed: Bool { refusals.isEmpty }
    public var refusals: [Allowance] {
        checks.filter { !$0.isAllowed && !(hasStaleStorage && $0.limit == UsageMetric.storage.limitName) }
    }
}

public enum UsageAllowance {
    /// The limits of a project's team, and whether one more byte fits: a limit is used up once as much is used.
    /// - Returns: nil when no team has such a project.
    public static func ofProject(_ id: String, nowMs: Int64, in connection: Connection) throws -> ProjectAllowance? {
        guard let project = try TeamStore.project(id, in: connection),
            let usage = try UsageReading.team(project.team, UsagePeriod(containing: nowMs), nowMs: nowMs, in: connection)
        else { return nil }
        let checks = [usage.traffic, usage.storage].map { use in
            Allowance(
                limit: use.limitName, team: project.team, project: id, used: use.used, adding: 1, allowed: use.limit, unit: "bytes")
        }
        let gauge = usage.gauge ?? .nothing
        return ProjectAllowance(
            project: id, team: project.team, checks: checks, gauge: gauge, hasStaleStorage: gauge.bytes > 0 && gauge.isStale(nowMs: nowMs))
    }
}
