import Database
import Formats
import Money
import Plans
import Teams
import Usage

/// Everything about one team, for `quittance team show`.
struct TeamLife: Sendable {
    private let team: Team
    private let usage: TeamUsage
    /// The paid period; nil on a plan that costs nothing.
    private let subscription: Subscription?
    /// What it falls back to after the period; nil while it is to go on.
    private let nextPlan: String?
    private let resources: [Allowance]
    private let members: [TeamMember]
    private let projects: [Project]

    /// Nil when there is no such team.
    init?(_ id: String, nowMs: Int64, in connection: Connection) throws {
        guard let team = try TeamStore.find(id, in: connection),
            let usage = try UsageReading.team(id, UsagePeriod(containing: nowMs), nowMs: nowMs, in: connection)
        else { return nil }
        self.team = team
        self.usage = usage
        subscription = try Subscription.of(team: id, in: connection).flatMap { $0.isRunning && usage.plan.price.minorUnits > 0 ? $0 : nil }
        nextPlan = try PlanChanges.next(of: id, in: connection)
        resources = try ResourceLimits.Resource.allCases.compactMap {
            try ResourceLimits.check($0, adding: 0, team: id, nowMs: nowMs, in: connection)
        }
        members = try TeamStore.members(of: id, in: connection)
        projects = try TeamStore.projects(of: id, in: connection)
    }

    /// Each limit in its own unit.
    private var limits: Listing {
        var listing = Listing(["limit", .number("used"), .number("allowed"), "unit", "level"], none: "")
        for check in resources {
            listing.add(
                .string(check.limit), .int(check.used), .int(check.allowed), .string(check.unit), .string(check.isAllowed ? "ok" : "exceeded"))
        }
        for use in [usage.traffic, usage.storage] {
            listing.add(.string(use.limitName), .int(use.used), .int(use.limit), "bytes", .string(use.level.rawValue))
        }
        return listing
    }

    private var memberListing: Listing {
        var listing = Listing(
            ["email", "name", "language", "role", "gets_alerts", .time("created_at")], none: "No members: nobody is told of limits.")
        for member in members {
            listing.add(
                .string(member.email), .string(member.name), .string(member.language), .string(member.role.rawValue), .bool(member.getsAlerts),
                .int(member.createdAtMs))
        }
        return listing
    }

    private var projectListing: Listing {
        let used = Dictionary(usage.projects.map { ($0.projectID, $0) }, uniquingKeysWith: { first, _ in first })
        var listing = Listing(
            [
                "project", "name", .number("cpu"), .number("memory_mb"), .number("custom_domains"), .number("traffic_bytes"),
                .number("storage_bytes"), .time("created_at"),
            ], none: "No projects.")
        for project in projects {
            listing.add(
                .string(project.id), .string(project.name), .string(ByteFigure.decimal(project.cpuMilli, per: 1000)), .int(project.memoryMB),
                .int(project.customDomains), .int(used[project.id]?.trafficBytes ?? 0), .int(used[project.id]?.storageBytes ?? 0),
                .int(project.createdAtMs))
        }
        return listing
    }

    var json: JSON {
        [
            "team": .string(team.id), "name": .string(team.name), "owner": .string(team.owner), "language": .string(team.language),
            "created_at": .string(Timestamp.rfc3339(team.createdAtMs)),
            "plan": ["id": .string(usage.plan.id), "name": .string(usage.plan.name), "version": .int(usage.plan.version)],
            "paid_until": .optional(subscription.map { Timestamp.rfc3339($0.renewsAtMs) }), "plan_status": .optional(subscription?.status),
            "next_plan": .optional(nextPlan),
            "period": .string("\(usage.period)"), "limits": limits.json, "members": memberListing.json, "projects": projectListing.json,
        ]
    }

    var text: String {
        var head = [
            ("team", team.id), ("name", team.name), ("owner", team.owner), ("language", team.language),
            ("plan", "\(usage.plan.name), version \(usage.plan.version)"), ("period", "\(usage.period)"),
        ]
        if let subscription { head.insert(("paid until", paidUntil(subscription)), at: 5) }
        return Columns.lines(head).map { $0.dropFirst(2) + "\n" }.joined()
            + "\nLimits\n\(limits.text)\nMembers\n\(memberListing.text)\nProjects\n\(projectListing.text)"
    }

    private func paidUntil(_ subscription: Subscription) -> String {
        let end = PlainTime.text(subscription.renewsAtMs)
        if let nextPlan { return "\(end), then \(nextPlan)" }
        return subscription.status == "grace" ? "\(end); goes on unpaid until \(PlainTime.text(subscription.graceEndsAtMs))" : end
    }
}
