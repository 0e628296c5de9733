import Access
import Database
import Formats
import HTTPServer
import Plans
import Teams
import Telemetry

/// `/api/teams/<team>/downgrade` and `/keep`: what a team's plan is to be when its period ends.
struct TeamPlanCalls: Sendable {
    let database: Database
    let nowMs: @Sendable () -> Int64

    var routes: [Route] {
        let scope = Route.Kind.api(scope: APIKey.teams)
        return [
            Route("POST", "/api/teams/{team}/downgrade", scope, bodyLimit: 4096) { try await change($0, to: Plan.free) },
            Route("POST", "/api/teams/{team}/keep", scope, bodyLimit: 4096) { try await change($0, to: nil) },
        ]
    }

    private func change(_ call: WebCall, to plan: String?) async throws -> HTTPResponse {
        let (id, now) = (call.value("team"), nowMs())
        // A token's subject may be an address, and moves are never changed.
        let actor = call.teams == .all ? call.actor : Redaction.text(call.actor)
        return try await database.write { connection in
            let team = try call.teams.team(id, in: connection)
            try Self.change(plan, of: team.id, actor: actor, nowMs: now, in: connection)
            return .json(200, try TeamAnswer.whole(team, nowMs: now, in: connection))
        }
    }

    /// Repeats change nothing.
    /// - Parameters:
    ///   - plan: after this period; nil for the same again.
    ///   - actor: no person's address.
    /// - Throws: ``WebProblem`` 409 when the team has no plan that could end.
    static func change(_ plan: String?, of team: String, actor: String, nowMs: Int64, in connection: Connection) throws {
        guard let plan else {
            _ = try PlanChanges.keep(team: team, actor: actor, nowMs: nowMs, in: connection)
            return
        }
        do {
            try PlanChanges.plan(plan, of: team, actor: actor, nowMs: nowMs, in: connection)
        } catch {
            guard case .nothingToEnd? = error as? PlanError else { throw error }
            throw WebProblem.conflict("team \(team) is on Free: there is no period to end")
        }
    }
}
