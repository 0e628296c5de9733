import Database
import Formats
import Plans
import Teams
import Usage

/// `quittance team …`: enough to run a small installation by hand. A product of its own tells the API instead.
enum TeamCommands {
    static let commands = [list, show, put, member, project]
    private static let team = CommandSyntax.Operand.needed("TEAM", "its id: letters, digits, '-', '_' and '.'")
    private static let languages = ["fr", "en"]

    /// Turns a room's refusal into the operator's.
    static func write<Value: Sendable>(
        _ context: CommandContext, _ body: @escaping @Sendable (Connection) throws -> Value
    ) async throws -> Value {
        try await context.withDatabase { database in
            do {
                return try await database.write(body)
            } catch let error as TeamError {
                switch error {
                case .invalid: throw UsageError(error.description)
                case .notFound: throw CommandFailure(.notFound, error.description)
                case .belongsToAnotherTeam: throw CommandFailure(.failed, error.description)
                }
            }
        }
    }

    // MARK: Looking

    private static let list = Command(
        CommandSyntax("team list", "the teams with their plans", options: [.value("--limit", "N", "how many, 1000 unless given"), .json])
    ) { invocation, context in
        let limit = try invocation.number("--limit", in: 1...100_000, standard: 1000)
        let nowMs = context.nowMs()
        let rows = try await context.withDatabase { database in
            try await database.read { connection in
                let plans = try TeamPlans(nowMs: nowMs, in: connection)
                var listing = Listing(
                    ["team", "name", "owner", "language", "plan", .number("members"), .number("projects"), .time("created_at")], none: "No teams.")
                for team in try TeamStore.list(limit: limit, in: connection) {
                    let counts = try TeamStore.counts(of: team.id, in: connection)
                    listing.add(
                        .string(team.id), .string(team.name), .string(team.owner), .string(team.language), .string(plans[team.id].name),
                        .int(counts?.members ?? 0), .int(counts?.projects ?? 0), .int(team.createdAtMs))
                }
                return listing
            }
        }
        context.output.listing(rows, asJSON: invocation.wantsJSON)
        return .ok
    }

    private static let show = Command(
        CommandSyntax(
            "team show", "a team with its plan, what it may use and what it uses, its people and projects", operands: [team], options: [.json])
    ) { invocation, context in
        let id = invocation.operands[0]
        let nowMs = context.nowMs()
        let life = try await context.withDatabase { database in try await database.read { try TeamLife(id, nowMs: nowMs, in: $0) } }
        guard let life else { throw CommandFailure(.notFound, "there is no team \(id)") }
        if invocation.wantsJSON { context.output.json(life.json) } else { context.output.text(life.text) }
        return .ok
    }

    // MARK: Entering

    private static let put = Command(
        CommandSyntax(
            "team put", "enter a team or change it", operands: [team],
            options: [
                .value("--name", "NAME", "as its people call it; the id unless given"),
                .value("--owner", "OWNER", "who has it: an id or an address; the team's id unless given"),
                .value("--language", "LANGUAGE", "fr or en; fr unless given"), .flag("--remove", "remove it with its people and projects"),
            ],
            notes: ["What is not given stays as it is. What a removed team used stays on record."])
    ) { invocation, context in
        let id = invocation.operands[0]
        let language = try invocation.choice("--language", of: languages)
        let (name, owner) = (invocation.value("--name"), invocation.value("--owner"))
        let nowMs = context.nowMs()
        if invocation.has("--remove") {
            guard name == nil, owner == nil, language == nil else { throw UsageError("--remove stands alone") }
            return try await removal(of: "team \(id)", context) { try TeamStore.remove(id, in: $0) }
        }
        let isNew = try await write(context) { connection in
            let known = try TeamStore.find(id, in: connection)
            return try TeamStore.put(
                Team(
                    id: id, name: name ?? known?.name ?? id, owner: owner ?? known?.owner ?? id, language: language ?? known?.language ?? "fr",
                    createdAtMs: nowMs), in: connection)
        }
        return entered("team \(id)", isNew, context)
    }

    private static let member = Command(
        CommandSyntax(
            "team member", "enter a person of a team, or change one", operands: [team, .needed("EMAIL", "where alerts are written to")],
            options: [
                .value("--name", "NAME", "the address unless given"), .value("--language", "LANGUAGE", "fr or en; the team's unless given"),
                .value("--role", "ROLE", "owner or member; member unless given"),
                .value("--alerts", "WORD", "on or off: whether this person is written to when a limit comes near; on unless given"),
                .flag("--remove", "remove this person"),
            ], notes: ["What is not given stays as it is."])
    ) { invocation, context in
        let (id, email) = (invocation.operands[0], invocation.operands[1])
        let name = invocation.value("--name")
        let language = try invocation.choice("--language", of: languages)
        let role = try invocation.choice("--role", of: TeamMember.Role.allCases.map(\.rawValue)).flatMap(TeamMember.Role.init(rawValue:))
        let alerts = try invocation.choice("--alerts", of: ["on", "off"]).map { $0 == "on" }
        let nowMs = context.nowMs()
        if invocation.has("--remove") {
            guard name == nil, language == nil, role == nil, alerts == nil else { throw UsageError("--remove stands alone") }
            return try await removal(of: "member \(email) of team \(id)", context) { try TeamStore.removeMember(email, of: id, in: $0) }
        }
        let isNew = try await write(context) { connection in
            let known = try TeamStore.members(of: id, in: connection).first { $0.email == email }
            let own = try TeamStore.find(id, in: connection)?.language
            return try TeamStore.put(
                TeamMember(
                    team: id, email: email, name: name ?? known?.name ?? email, language: language ?? known?.language ?? own ?? "fr",
                    role: role ?? known?.role ?? .member, getsAlerts: alerts ?? known?.getsAlerts ?? true, createdAtMs: nowMs), in: connection)
        }
        return entered("member \(email) of team \(id)", isNew, context)
    }

    private static let project = Command(
        CommandSyntax(
            "team project", "enter a project of a team, or change one",
            operands: [team, .needed("PROJECT", "its id, as samples and storage name it: letters, digits, '-', '_' and '.'")],
            options: [
                .value("--name", "NAME", "the id unless given"), .value("--cpu", "CPUS", "such as 0.3"), .value("--memory", "MB", "in MB of 1024²"),
                .value("--domains", "N", "how many domains of its own it has"), .flag("--remove", "remove it"),
            ],
            notes: [
                "What is not given stays as it is. An operator's word counts: limits are not checked here; `quittance team show` tells what is over them.",
                "What a removed project used stays on record.",
            ])
    ) { invocation, context in
        let (id, project) = (invocation.operands[0], invocation.operands[1])
        let name = invocation.value("--name")
        let cpu = try invocation.value("--cpu").map(milli)
        let memory = invocation.has("--memory") ? Int64(try invocation.number("--memory", in: 0...1_000_000_000, standard: 0)) : nil
        let domains = invocation.has("--domains") ? Int64(try invocation.number("--domains", in: 0...1_000_000, standard: 0)) : nil
        let nowMs = context.nowMs()
        if invocation.has("--remove") {
            guard name == nil, cpu == nil, memory == nil, domains == nil else { throw UsageError("--remove stands alone") }
            return try await removal(of: "project \(project) of team \(id)", context) {
                try TeamStore.removeProject(project, of: id, nowMs: nowMs, in: $0)
            }
        }
        let isNew = try await write(context) { connection in
            let known = try TeamStore.project(project, in: connection)
            return try TeamStore.put(
                Project(
                    id: project, team: id, name: name ?? known?.name ?? project, cpuMilli: cpu ?? known?.cpuMilli ?? 0,
                    memoryMB: memory ?? known?.memoryMB ?? 0, customDomains: domains ?? known?.customDomains ?? 0, createdAtMs: nowMs),
                in: connection)
        }
        return entered("project \(project) of team \(id)", isNew, context)
    }

    // MARK: Parts

    private static func entered(_ what: String, _ isNew: Bool, _ context: CommandContext) -> ExitCode {
        context.output.line("\(what) \(isNew ? "entered" : "changed")")
        return .ok
    }

    private static func removal(
        of what: String, _ context: CommandContext, _ body: @escaping @Sendable (Connection) throws -> Bool
    ) async throws -> ExitCode {
        guard try await write(context, body) else { throw CommandFailure(.notFound, "there is no \(what)") }
        context.output.line("\(what) removed")
        return .ok
    }

    /// `0.3` is 300 thousandths; more than three decimals are refused.
    static func milli(_ text: String) throws(UsageError) -> Int64 {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let fraction = parts.count == 2 ? parts[1] : "0"
        guard (1...6).contains(parts[0].utf8.count), (1...3).contains(fraction.utf8.count), (parts[0] + fraction).utf8.allSatisfy(ASCII.isDigit),
            let whole = Int64(parts[0]), let rest = Int64(fraction + String(repeating: "0", count: 3 - fraction.utf8.count))
        else { throw UsageError("--cpu takes a number such as 0.3, with at most three decimals, not '\(text)'") }
        return whole * 1000 + rest
    }
}
