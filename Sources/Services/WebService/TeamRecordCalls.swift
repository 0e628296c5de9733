import Access
import Database
import Drafts
import Formats
import HTTPServer
import Plans
import Teams
import Usage

/// `/api/teams/…`: teams with their members and projects, as the back end of the product that owns them tells us; users' tokens read them.
/// What would pass a limit of the team's plan is refused in the transaction that would enter it; `?enforce=false` enters what is so elsewhere
/// already.
struct TeamRecordCalls: Sendable {
    static let pageMax: Int64 = 200

    let database: Database
    let nowMs: @Sendable () -> Int64

    var routes: [Route] {
        let (reading, entering) = (Route.Kind.api(scope: APIKey.teams), Route.Kind.backEnd(scope: APIKey.teams))
        return [
            Route("GET", "/api/teams", reading, bodyLimit: 0, list), Route("GET", "/api/teams/{team}", reading, bodyLimit: 0, show),
            Route("PUT", "/api/teams/{team}", entering, putTeam), Route("DELETE", "/api/teams/{team}", entering, bodyLimit: 0, removeTeam),
            Route("PUT", "/api/teams/{team}/members/{email}", entering, putMember),
            Route("DELETE", "/api/teams/{team}/members/{email}", entering, bodyLimit: 0, removeMember),
            Route("PUT", "/api/teams/{team}/projects/{project}", entering, putProject),
            Route("DELETE", "/api/teams/{team}/projects/{project}", entering, bodyLimit: 0, removeProject),
        ]
    }

    // MARK: Looking

    private func list(_ call: WebCall) async throws -> HTTPResponse {
        let limit = Int(try call.whole("limit", in: 1...Self.pageMax, else: 50))
        let after = call.request.queryValue("after")
        return try await database.read { connection in
            // One more than asked for tells whether there is a next page.
            let teams = try call.teams.list(after: after, limit: limit + 1, in: connection)
            let page = teams.prefix(limit)
            return .json(
                200,
                [
                    "teams": .array(page.map { .object(TeamAnswer.team($0)) }),
                    "next": .optional(teams.count > limit ? page.last?.id : nil),
                ])
        }
    }

    private func show(_ call: WebCall) async throws -> HTTPResponse {
        let id = call.value("team")
        let now = nowMs()
        return try await database.read { connection in
            .json(200, try TeamAnswer.whole(try call.teams.team(id, in: connection), nowMs: now, in: connection))
        }
    }

    // MARK: Teams

    private func putTeam(_ call: WebCall) async throws -> HTTPResponse {
        let enforces = try call.flag("enforce", else: true)
        let now = nowMs()
        let team = try TeamFields.team(try RequestBody.json(call.request), id: call.value("team"), nowMs: now)
        return try await database.write { connection in
            let known = try TeamStore.find(team.id, in: connection)
            if enforces, known?.owner != team.owner { try ResourceRoom.requireTeam(of: team.owner, nowMs: now, in: connection) }
            let isNew = try TeamStore.put(team, in: connection)
            return .json(isNew ? 201 : 200, try TeamAnswer.whole(try TeamStore.find(team.id, in: connection) ?? team, nowMs: now, in: connection))
        }
    }

    private func removeTeam(_ call: WebCall) async throws -> HTTPResponse {
        let id = call.value("team")
        return try await removal("team \(id.prefix(80))") { try TeamStore.remove(id, in: $0) }
    }

    // MARK: Members

    private func putMember(_ call: WebCall) async throws -> HTTPResponse {
        let enforces = try call.flag("enforce", else: true)
        let now = nowMs()
        let (id, email) = (call.value("team"), call.value("email"))
        let body = try RequestBody.json(call.request)
        return try await database.write { connection in
            let team = try call.teams.team(id, in: connection)
            let member = try TeamFields.member(body, email: email, of: team, nowMs: now)
            let members = try TeamStore.members(of: id, in: connection)
            if enforces, !members.contains(where: { $0.email == email }) {
                try ResourceRoom.require([.init(resource: .members, amount: 1)], team: id, nowMs: now, in: connection)
            }
            let isNew = try TeamStore.put(member, in: connection)
            let kept = try TeamStore.members(of: id, in: connection).first { $0.email == email } ?? member
            return .json(isNew ? 201 : 200, TeamAnswer.member(kept))
        }
    }

    private func removeMember(_ call: WebCall) async throws -> HTTPResponse {
        let (id, email) = (call.value("team"), call.value("email"))
        return try await removal("member \(email.prefix(80)) of team \(id.prefix(80))") {
            try TeamStore.removeMember(email, of: id, in: $0)
        }
    }

    // MARK: Projects

    private func putProject(_ call: WebCall) async throws -> HTTPResponse {
        let enforces = try call.flag("enforce", else: true)
        let now = nowMs()
        let project = try TeamFields.project(
            try RequestBody.json(call.request), id: call.value("project"), team: call.value("team"), nowMs: now)
        return try await database.write { connection in
            _ = try call.teams.team(project.team, in: connection)
            let known = try TeamStore.project(project.id, in: connection)
            // Another team's project is refused below for what it is.
            if enforces, known == nil || known?.team == project.team {
                let additions: [ResourceRoom.Addition] = [
                    .init(resource: .projects, amount: known == nil ? 1 : 0),
                    .init(resource: .cpu, amount: project.cpuMilli - (known?.cpuMilli ?? 0)),
                    .init(resource: .memoryMB, amount: project.memoryMB - (known?.memoryMB ?? 0)),
                    .init(resource: .customDomains, amount: project.customDomains - (known?.customDomains ?? 0)),
                ]
                try ResourceRoom.require(additions, team: project.team, nowMs: now, in: connection)
            }
            let isNew = try TeamStore.put(project, in: connection)
            return .json(isNew ? 201 : 200, TeamAnswer.project(try TeamStore.project(project.id, in: connection) ?? project))
        }
    }

    private func removeProject(_ call: WebCall) async throws -> HTTPResponse {
        let (id, project, now) = (call.value("team"), call.value("project"), nowMs())
        return try await removal("project \(project.prefix(100)) of team \(id.prefix(80))") {
            try TeamStore.removeProject(project, of: id, nowMs: now, in: $0)
        }
    }

    // MARK: Parts

    private func removal(_ what: String, _ body: @escaping @Sendable (Connection) throws -> Bool) async throws -> HTTPResponse {
        guard try await database.write(body) else { throw WebProblem.notFound("there is no \(what)") }
        return HTTPResponse(status: 204)
    }
}

/// Teams, members and projects as callers tell them.
enum TeamFields {
    private static let countMost: Int64 = 1_000_000_000

    /// - Throws: ``WebProblem`` 422 with every field that breaks a rule.
    static func team(_ json: JSON, id: String, nowMs: Int64) throws(WebProblem) -> Team {
        var fields = FieldReader(json)
        if !Slug.isValid(id, most: Team.idLengthMax) { fields.fault("team", Slug.rule(most: Team.idLengthMax)) }
        let name = fields.text("name", required: true)
        let owner = fields.text("owner", required: true)
        let language = fields.word("language", of: ["fr", "en"])
        try fields.check()
        return Team(id: id, name: name ?? "", owner: owner ?? "", language: language ?? "fr", createdAtMs: nowMs)
    }

    /// - Throws: ``WebProblem`` 422.
    static func member(_ json: JSON, email: String, of team: Team, nowMs: Int64) throws(WebProblem) -> TeamMember {
        var fields = FieldReader(json)
        let name = fields.text("name", required: true)
        let language = fields.word("language", of: ["fr", "en"])
        let role = fields.word("role", of: TeamMember.Role.allCases.map(\.rawValue))
        let getsAlerts = fields.flag("gets_alerts")
        if !EmailAddress.isPlausible(email) { fields.fault("email", "must be an e-mail address") }
        try fields.check()
        return TeamMember(
            team: team.id, email: email, name: name ?? "", language: language ?? team.language,
            role: role.flatMap(TeamMember.Role.init) ?? .member, getsAlerts: getsAlerts ?? true, createdAtMs: nowMs)
    }

    /// - Throws: ``WebProblem`` 422.
    static func project(_ json: JSON, id: String, team: String, nowMs: Int64) throws(WebProblem) -> Project {
        var fields = FieldReader(json)
        if !Slug.isValid(id, most: Project.idLengthMax) { fields.fault("project", Slug.rule(most: Project.idLengthMax)) }
        let name = fields.text("name")
        let cpu = fields.thousandths("cpu", most: countMost)
        let memory = fields.whole("memory_mb", in: 0...countMost)
        let domains = fields.whole("custom_domains", in: 0...countMost)
        try fields.check()
        return Project(
            id: id, team: team, name: name ?? id, cpuMilli: cpu ?? 0, memoryMB: memory ?? 0, customDomains: domains ?? 0, createdAtMs: nowMs)
    }
}
