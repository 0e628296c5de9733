import Cryptography
import Database
import Formats
import Payments
import Plans
import Teams

/// Which teams a caller may ask about and act for. It is asked first, in the transaction that reads or changes something of a team; a team out
/// of reach is answered as one that there is not, so that nobody learns which teams and payments there are.
enum TeamReach: Sendable, Equatable {
    /// A key is the product's own back end, which knows its users itself.
    case all
    /// A user's token: those that it names.
    case claimed(Set<String>)
    /// A user's token that names none: those that the user owns or is a member of.
    case person(Person)

    init(_ token: JSONWebToken) {
        guard let claim = token.claims["teams"] else {
            // An address that is said to be unproved might be anybody's.
            let isProved = token.claims["email_verified"]?.bool != false
            self = .person(Person(subject: token.subject, email: isProved ? token.claims["email"]?.string : nil))
            return
        }
        let words = claim.string?.split(separator: " ").map(String.init) ?? claim.array?.compactMap(\.string) ?? []
        self = .claimed(Set(words))
    }

    func allows(_ team: String, in connection: Connection) throws -> Bool {
        switch self {
        case .all: true
        case .claimed(let teams): teams.contains(team)
        case .person(let person): try TeamStore.has(team, person, in: connection)
        }
    }

    /// - Throws: ``WebProblem`` 404, in the words for a team that there is not.
    func require(_ team: String, in connection: Connection) throws {
        guard try allows(team, in: connection) else { throw Self.missing(team) }
    }

    /// A team that there is.
    /// - Throws: ``WebProblem`` 404.
    func team(_ id: String, in connection: Connection) throws -> Team {
        guard try allows(id, in: connection), let team = try TeamStore.find(id, in: connection) else { throw Self.missing(id) }
        return team
    }

    /// The teams within reach, in the order of their ids.
    func list(after: String?, limit: Int, in connection: Connection) throws -> [Team] {
        switch self {
        case .all: try TeamStore.list(after: after, limit: limit, in: connection)
        case .claimed(let teams): try TeamStore.list(among: teams, after: after, limit: limit, in: connection)
        case .person(let person): try TeamStore.list(of: person, after: after, limit: limit, in: connection)
        }
    }

    /// A project of a team within reach; nil for any other.
    func project(_ id: String, in connection: Connection) throws -> Project? {
        guard let project = try TeamStore.project(id, in: connection), try allows(project.team, in: connection) else { return nil }
        return project
    }

    // MARK: Payments

    /// What is no team's is not held back here.
    func allows(_ payment: Payment, in connection: Connection) throws -> Bool {
        guard self != .all, payment.purpose == PlanPurpose.name else { return true }
        return try allows(payment.subject, in: connection)
    }

    /// - Parameter name: what the caller calls it by, where that is not its id.
    /// - Throws: ``PaymentError/notFound(_:)``, for a payment that there is not and for one of a team out of reach.
    func payment(_ id: String, asked name: String? = nil, in connection: Connection) throws -> Payment {
        guard let payment = try PaymentStore.find(id, in: connection), try allows(payment, in: connection) else {
            throw PaymentError.notFound(name ?? id)
        }
        return payment
    }

    static func missing(_ team: String) -> WebProblem { .notFound("there is no team \(team.prefix(80))") }
}

extension WebCall {
    /// What nobody is known to call reaches no team.
    var teams: TeamReach { caller?.teams ?? .claimed([]) }

    /// Throws where a payment is out of reach.
    func reaching(_ payment: String) -> @Sendable (Connection) throws -> Void {
        { [teams] in _ = try teams.payment(payment, in: $0) }
    }
}
