import Database
import Formats
import HTTPServer
import Payments
import Plans
import Staff
import Teams
import Usage

/// One team: its plan and how that came about, what it uses, who is in it, what it was told and what it paid.
struct TeamDetailPage: Sendable {
    let database: Database
    let frame: ConsoleFrame

    var entries: [ConsoleEntry] {
        [
            ConsoleEntry("GET", "/console/teams/{team}/", .viewer, show),
            ConsoleEntry("POST", "/console/teams/{team}/end", .operator, end),
            ConsoleEntry("POST", "/console/teams/{team}/keep", .operator, keep),
        ]
    }

    private func show(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let id = visit.call.value("team")
        guard let content = try await database.read({ try TeamContent.read(id, nowMs: visit.nowMs, in: $0) }) else {
            throw WebProblem.notFound("there is no such team")
        }
        return frame.page(visit, .teams, title: content.team.name, wide: true, TeamView(content: content, visit: visit).markup)
    }

    // MARK: Deeds

    /// At the end of what is paid the team goes back to Free.
    private func end(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        try await change(visit, "plan.end") { team, connection in
            do {
                try PlanChanges.plan(Plan.free, of: team, actor: visit.actor, nowMs: visit.nowMs, in: connection)
            } catch PlanError.nothingToEnd {
                throw WebProblem.conflict("the team is on Free")
            }
        }
    }

    /// Takes that back.
    private func keep(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        try await change(visit, "plan.keep") { team, connection in
            guard try PlanChanges.keep(team: team, actor: visit.actor, nowMs: visit.nowMs, in: connection) else {
                throw WebProblem.conflict("nothing is planned for the team")
            }
        }
    }

    private func change(
        _ visit: ConsoleVisit, _ action: String, _ body: @escaping @Sendable (String, Connection) throws -> Void
    ) async throws -> HTTPResponse {
        let (team, reason) = (visit.call.value("team"), try visit.required("reason"))
        try await database.write { connection in
            guard try TeamStore.find(team, in: connection) != nil else { throw WebProblem.notFound("there is no such team") }
            try body(team, connection)
            try visit.record(action, of: team, detail: reason, in: connection)
        }
        return visit.done(.changed, ConsolePath.team(team))
    }
}

/// Everything that the page of one team shows, read in one transaction.
struct TeamContent: Sendable {
    /// A project with what it uses and how old its gauge is.
    struct ProjectLine: Sendable {
        let usage: ProjectUsage
        let name: String
        let gauge: StorageGauge
    }

    static let projectsShown = 30
    static let membersShown = 30
    static let rowsShown = 20

    let team: Team
    let usage: TeamUsage
    let subscription: Subscription?
    /// The plan that takes the place of this one at the end of what is paid.
    let next: String?
    let moves: [PlanMove]
    let days: [TeamDay]
    /// The greatest.
    let projects: [ProjectLine]
    let members: [TeamMember]
    let allowances: [(resource: ResourceLimits.Resource, allowance: Allowance)]
    let alerts: [UsageAlert]
    let payments: [Payment]

    /// Nil when there is no such team.
    static func read(_ id: String, nowMs: Int64, in connection: Connection) throws -> TeamContent? {
        guard let team = try TeamStore.find(id, in: connection),
            let usage = try UsageReading.team(id, UsagePeriod(containing: nowMs), nowMs: nowMs, in: connection)
        else { return nil }
        let names = Dictionary(
            try TeamStore.projects(of: id, removedSinceMs: usage.period.startMs, in: connection).map { ($0.id, $0.name) }
        ) { first, _ in first }
        let greatest = usage.projects.sorted {
            ($0.trafficBytes, $0.storageBytes, $1.projectID) > ($1.trafficBytes, $1.storageBytes, $0.projectID)
        }
        let projects = try greatest.prefix(projectsShown).map { project in
            ProjectLine(
                usage: project, name: names[project.projectID] ?? project.projectID,
                gauge: try UsageReading.gauge(of: project.projectID, in: connection))
        }
        return TeamContent(
            team: team, usage: usage, subscription: try Subscription.of(team: id, in: connection),
            next: try PlanChanges.next(of: id, in: connection), moves: try PlanMove.list(team: id, limit: rowsShown, in: connection),
            days: try TeamDay.latest(of: id, nowMs: nowMs, in: connection), projects: projects,
            members: try TeamStore.members(of: id, in: connection),
            allowances: try ResourceLimits.Resource.allCases.compactMap { resource in
                try ResourceLimits.check(resource, adding: 0, team: id, nowMs: nowMs, in: connection).map { (resource, $0) }
            }, alerts: try UsageAlert.list(team: id, limit: rowsShown, in: connection),
            payments: try PaymentStore.history(purpose: PlanPurpose.name, subject: id, limit: rowsShown, in: connection))
    }
}
