import Database

/// One move of a team's subscription, with how the subscription stands afterwards. Append-only.
public struct PlanMove: Sendable, Equatable {
    public enum Cause: String, Sendable, CaseIterable {
        /// A payment has begun a first period, or a new one after a pause.
        case bought
        /// A payment has added a period to the running one.
        case renewed
        /// The period is over and nobody has paid for the next.
        case grace
        /// Nobody has paid in the days of grace either.
        case ended
        /// The period is over, and the team had wanted no other.
        case downgraded
        /// Somebody wants Free after this period.
        case planned
        /// Somebody has thought better of it.
        case kept
        /// The money of a period has gone back, and the period with it.
        case takenBack = "taken_back"
    }

    public let id: Int64
    public let team: String
    public let plan: String
    public let version: Int64
    /// `active`, `grace` or `ended`.
    public let status: String
    public let cause: Cause
    /// Of what a payment has moved.
    public let payment: String?
    /// Who: `payment`, `period`, `staff:…`; a caller of the API as `api:…` (a key) or `jwt:…` (a token's subject, an address masked);
    /// `link:page` and `link:mail` for whoever held a link to the team's page.
    public let actor: String
    /// The end of the period.
    public let renewsAtMs: Int64
    public let atMs: Int64

    init(_ row: Row) throws {
        guard let known = Cause(rawValue: try row.text("cause")) else {
            throw DatabaseError(kind: .column, message: "a plan's move has a cause that is none of ours")
        }
        id = try row.int("id")
        team = try row.text("team")
        plan = try row.text("plan")
        version = try row.int("version")
        status = try row.text("status")
        cause = known
        payment = try row.textOrNil("payment")
        actor = try row.text("actor")
        renewsAtMs = try row.int("renews_at")
        atMs = try row.int("at")
    }

    /// The latest first.
    /// - Parameter team: nil for all teams.
    public static func list(team: String? = nil, limit: Int, in connection: Connection) throws -> [PlanMove] {
        guard let team else {
            return try connection.query("SELECT * FROM plans_moves ORDER BY id DESC LIMIT $1", [.int(limit)]).map(PlanMove.init)
        }
        return try connection.query("SELECT * FROM plans_moves WHERE team = $1 ORDER BY id DESC LIMIT $2", [.text(team), .int(limit)])
            .map(PlanMove.init)
    }

    /// What a payment has moved, the earliest first.
    public static func list(payment: String, in connection: Connection) throws -> [PlanMove] {
        try connection.query("SELECT * FROM plans_moves WHERE payment = $1 ORDER BY id", [.text(payment)]).map(PlanMove.init)
    }

    /// Enters a move of a subscription.
    /// - Parameter subscription: as it stands afterwards.
    static func record(
        _ cause: Cause, _ subscription: Subscription, payment: String? = nil, actor: String, nowMs: Int64, in connection: Connection
    ) throws {
        try connection.execute(
            """
            INSERT INTO plans_moves (team, plan, version, status, cause, payment, actor, renews_at, at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            """,
            [
                .text(subscription.team), .text(subscription.plan), .integer(subscription.version), .text(subscription.status),
                .text(cause.rawValue), .optional(payment), .text(actor), .integer(subscription.renewsAtMs), .integer(nowMs),
            ])
    }
}
