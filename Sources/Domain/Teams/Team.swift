import Database
import Formats

/// A group of people who share projects and a plan.
public struct Team: Sendable, Equatable {
    public static let idLengthMax = 64

    /// A slug of at most ``idLengthMax`` characters.
    public let id: String
    public let name: String
    /// Who has it: an id or an address of the product that the team comes from.
    public let owner: String
    /// `fr` or `en`.
    public let language: String
    public let createdAtMs: Int64

    public init(id: String, name: String, owner: String, language: String, createdAtMs: Int64) {
        self.id = id
        self.name = name
        self.owner = owner
        self.language = language
        self.createdAtMs = createdAtMs
    }

    init(_ row: Row) throws {
        self.init(
            id: try row.text("id"), name: try row.text("name"), owner: try row.text("owner"), language: try row.text("language"),
            createdAtMs: try row.int("created_at"))
    }
}

/// A person of a team.
public struct TeamMember: Sendable, Equatable {
    public enum Role: String, Sendable, CaseIterable { case owner, member }

    public let team: String
    public let email: String
    public let name: String
    /// `fr` or `en`.
    public let language: String
    public let role: Role
    /// Whether this person is written to when a limit comes near.
    public let getsAlerts: Bool
    public let createdAtMs: Int64

    public init(team: String, email: String, name: String, language: String, role: Role, getsAlerts: Bool, createdAtMs: Int64) {
        self.team = team
        self.email = email
        self.name = name
        self.language = language
        self.role = role
        self.getsAlerts = getsAlerts
        self.createdAtMs = createdAtMs
    }

    init(_ row: Row) throws {
        self.init(
            team: try row.text("team"), email: try row.text("email"), name: try row.text("name"), language: try row.text("language"),
            role: Role(rawValue: try row.text("role")) ?? .member, getsAlerts: try row.bool("gets_alerts"), createdAtMs: try row.int("created_at"))
    }
}

/// What a team runs, and what it was given to run on.
public struct Project: Sendable, Equatable {
    public static let idLengthMax = 100

    /// A slug of at most ``idLengthMax`` characters.
    public let id: String
    public let team: String
    public let name: String
    /// Thousandths of a CPU: 300 is 0.3.
    public let cpuMilli: Int64
    public let memoryMB: Int64
    /// How many domains of its own it has.
    public let customDomains: Int64
    public let createdAtMs: Int64

    public init(
        id: String, team: String, name: String, cpuMilli: Int64 = 0, memoryMB: Int64 = 0, customDomains: Int64 = 0, createdAtMs: Int64
    ) {
        self.id = id
        self.team = team
        self.name = name
        self.cpuMilli = cpuMilli
        self.memoryMB = memoryMB
        self.customDomains = customDomains
        self.createdAtMs = createdAtMs
    }

    init(_ row: Row) throws {
        self.init(
            id: try row.text("id"), team: try row.text("team"), name: try row.text("name"), cpuMilli: try row.int("cpu_milli"),
            memoryMB: try row.int("memory_mb"), customDomains: try row.int("custom_domains"), createdAtMs: try row.int("created_at"))
    }
}

/// What a team has of everything that is limited but not metered.
public struct TeamCounts: Sendable, Equatable {
    public let members: Int64
    public let projects: Int64
    /// Of all its projects together.
    public let cpuMilli: Int64
    public let memoryMB: Int64
    public let customDomains: Int64
    /// Teams of the same owner, this one included.
    public let teamsOfOwner: Int64
}

/// Why a team's record cannot be kept. A retry never helps.
public enum TeamError: Error, Equatable, CustomStringConvertible {
    case invalid(field: String, rule: String)
    case notFound(String)
    /// The project is another team's.
    case belongsToAnotherTeam(project: String)

    public var description: String {
        switch self {
        case .invalid(let field, let rule): "\(field) \(rule)"
        case .notFound(let what): "there is no \(what)"
        case .belongsToAnotherTeam(let project): "project \(project) belongs to another team"
        }
    }
}
