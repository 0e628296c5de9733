import Database
import Formats
import Money
import Plans
import Teams
import Usage

/// Teams as the API tells them, limits in the seed's words.
enum TeamAnswer {
    static func team(_ team: Team) -> JSONObject {
        [
            "id": .string(team.id), "name": .string(team.name), "owner": .string(team.owner), "language": .string(team.language),
            "created_at": PaymentAnswer.time(team.createdAtMs),
        ]
    }

    /// A team with everything it has, its plan, and the limits that are passed.
    static func whole(_ team: Team, nowMs: Int64, in connection: Connection) throws -> JSON {
        let plan = try Plan.of(team: team.id, nowMs: nowMs, in: connection)
        let subscription = try Subscription.of(team: team.id, in: connection)
        let uses = try ResourceLimits.Resource.allCases.compactMap { resource in
            try ResourceLimits.check(resource, adding: 0, team: team.id, nowMs: nowMs, in: connection).map { ResourceRoom.json($0, resource) }
        }
        var whole = Self.team(team)
        whole["plan"] = self.plan(plan)
        whole["subscription"] =
            try subscription.map { .object(self.subscription($0, next: try PlanChanges.next(of: team.id, in: connection))) } ?? .null
        whole["members"] = .array(try TeamStore.members(of: team.id, in: connection).map(member))
        whole["projects"] = .array(try TeamStore.projects(of: team.id, in: connection).map(project))
        whole["uses"] = .object(
            JSONObject(uses.map { use in (use["resource"]?.string ?? "", ["used": use["used"] ?? .null, "max": use["max"] ?? .null]) }))
        whole["over_limits"] = .array(uses.filter { $0["allowed"] == false }.map(JSON.object))
        return .object(whole)
    }

    static func member(_ member: TeamMember) -> JSON {
        [
            "team": .string(member.team), "email": .string(member.email), "name": .string(member.name), "language": .string(member.language),
            "role": .string(member.role.rawValue), "gets_alerts": .bool(member.getsAlerts),
            "created_at": PaymentAnswer.time(member.createdAtMs),
        ]
    }

    static func project(_ project: Project) -> JSON {
        [
            "id": .string(project.id), "team": .string(project.team), "name": .string(project.name),
            "cpu": .number(Thousandths.text(project.cpuMilli)), "memory_mb": .int(project.memoryMB),
            "custom_domains": .int(project.customDomains), "created_at": PaymentAnswer.time(project.createdAtMs),
        ]
    }

    /// -1 is unlimited; GB = 1024³ bytes, MB = 1024².
    static func plan(_ plan: Plan) -> JSON {
        [
            "id": .string(plan.id), "name": .string(plan.name), "version": .int(plan.version), "max_teams": .int(plan.maxTeams),
            "max_members": .int(plan.maxMembers), "max_projects": .int(plan.maxProjects), "max_cpu": .number(limit(plan.maxCPUMilli)),
            "max_memory_mb": .int(plan.maxMemoryMB),
            "max_traffic_gb_per_month": .number(bytes(plan.maxTrafficBytesPerMonth, per: ByteFigure.gb)),
            "max_storage_mb": .number(bytes(plan.maxStorageBytes, per: ByteFigure.mb)), "custom_domains": .bool(plan.customDomains),
            "price": .number(plan.price.decimalText), "currency": .string(plan.price.currency.code), "period_months": .int(plan.periodMonths),
        ]
    }

    /// - Parameter next: the plan after this period, where another one is wanted.
    static func subscription(_ subscription: Subscription, next: String?) -> JSONObject {
        [
            "plan": .string(subscription.plan), "version": .int(subscription.version), "status": .string(subscription.status),
            "period_start": PaymentAnswer.time(subscription.periodStartMs), "renews_at": PaymentAnswer.time(subscription.renewsAtMs),
            "grace_ends_at": subscription.status == "grace" ? PaymentAnswer.time(subscription.graceEndsAtMs) : .null, "next_plan": .optional(next),
        ]
    }

    private static func limit(_ milli: Int64) -> String { milli < 0 ? "-1" : Thousandths.text(milli) }

    /// A whole number where it is one.
    private static func bytes(_ bytes: Int64, per unit: Int64) -> String {
        if bytes < 0 { return "-1" }
        return bytes % unit == 0 ? String(bytes / unit) : ByteFigure.decimal(bytes, per: unit)
    }
}
