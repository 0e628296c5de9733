import Database
import Formats
import Plans
import Teams
import Usage

/// Whether more fits under the limits of a plan that are not metered, in the transaction that is about to add it.
enum ResourceRoom {
    /// An answer about one resource, in the seed's words.
    static func json(_ allowance: Allowance, _ resource: ResourceLimits.Resource) -> JSONObject {
        func figure(_ value: Int64) -> JSON { resource == .cpu ? .number(Thousandths.text(value)) : .int(value) }
        return [
            "allowed": .bool(allowance.isAllowed), "resource": .string(resource.rawValue), "limit": .string(allowance.limit),
            "team": .string(allowance.team), "used": figure(allowance.used), "adding": figure(allowance.adding),
            "max": figure(allowance.allowed), "unit": .string(resource == .cpu ? "cpus" : allowance.unit),
            "detail": .string(detail(allowance, resource)),
        ]
    }

    private static func detail(_ allowance: Allowance, _ resource: ResourceLimits.Resource) -> String {
        func text(_ value: Int64) -> String { resource == .cpu ? Thousandths.text(value) : String(value) }
        let unit = resource == .cpu ? "CPUs" : allowance.unit
        let state = "team \(allowance.team) uses \(text(allowance.used))"
        guard allowance.allowed >= 0 else { return "\(allowance.limit): \(state) \(unit), without a limit" }
        let most = "\(allowance.limit): \(state) of \(text(allowance.allowed)) \(unit)"
        if allowance.isAllowed { return most }
        return allowance.adding == 0 ? "\(most), which is too much" : "\(most); \(text(allowance.adding)) more would be too much"
    }

    /// What one call would add.
    struct Addition: Sendable {
        let resource: ResourceLimits.Resource
        /// In the resource's unit.
        let amount: Int64
    }

    /// Refuses what does not fit; what adds nothing always fits, also where a limit is passed already.
    /// - Throws: ``WebProblem`` 403.
    static func require(_ additions: [Addition], team: String, nowMs: Int64, in connection: Connection) throws {
        let refused = try additions.filter { $0.amount > 0 }.compactMap { addition in
            try ResourceLimits.check(addition.resource, adding: addition.amount, team: team, nowMs: nowMs, in: connection)
                .flatMap { $0.isAllowed ? nil : json($0, addition.resource) }
        }
        try refuse(refused)
    }

    /// Refuses one more team of an owner, unless the plan of one of the teams that the owner has leaves room for it. The first
    /// team is held against the Free plan.
    /// - Throws: ``WebProblem`` 403.
    static func requireTeam(of owner: String, nowMs: Int64, in connection: Connection) throws {
        var refused: JSONObject?
        var widest: Int64 = -1
        for team in try TeamStore.teams(ofOwner: owner, in: connection) {
            guard let allowance = try ResourceLimits.check(.teams, adding: 1, team: team.id, nowMs: nowMs, in: connection) else { continue }
            if allowance.isAllowed { return }
            guard allowance.allowed > widest else { continue }
            widest = allowance.allowed
            refused = json(allowance, .teams)
        }
        if let refused { try refuse([refused]) }
    }

    private static func refuse(_ refused: [JSONObject]) throws {
        guard let first = refused.first else { return }
        let members = first.filter { $0.key != "detail" }.map { ($0.key, $0.value) }
        throw WebProblem(
            status: 403, title: "Over the plan's limit", detail: refused.compactMap { $0["detail"]?.string }.joined(separator: "; "),
            extra: members + [("refusals", .array(refused.map(JSON.object)))])
    }
}
