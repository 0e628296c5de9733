import Database
import Money
import Outbox

/// Moves subscriptions on when their time has come: reminds of the end of paid periods, lets a plan go on for the days of grace, and ends what
/// nobody has paid or wants no longer. Every move with what it causes is one transaction and happens once, whoever looks and however often.
public struct PlanPeriods: Sendable {
    /// What a look came to.
    public struct Report: Sendable, Equatable, CustomStringConvertible {
        public var reminded = 0
        /// Went over into the days of grace.
        public var inGrace = 0
        public var ended = 0
        /// Messages that were added to the outbox.
        public var messages = 0
        /// Whether there may be more to do at once.
        public var isFull = false

        /// Whether nothing had to be done.
        public var isIdle: Bool { reminded == 0 && inGrace == 0 && ended == 0 }

        public init(isFull: Bool = false) { self.isFull = isFull }

        public var description: String { "\(reminded) reminded, \(inGrace) in grace, \(ended) ended, \(messages) messages" }

        /// Both together; whether there is more is for the later one to say.
        public static func + (one: Report, other: Report) -> Report {
            var sum = Report(isFull: other.isFull)
            sum.reminded = one.reminded + other.reminded
            sum.inGrace = one.inGrace + other.inGrace
            sum.ended = one.ended + other.ended
            sum.messages = one.messages + other.messages
            return sum
        }
    }

    private let outbox: Outbox

    public init(outbox: Outbox) { self.outbox = outbox }

    /// Looks and moves in one transaction.
    /// - Parameter limit: teams in it, so that the writer is not held for long.
    public func run(nowMs: Int64, limit: Int = batchMax, in connection: Connection) throws -> Report {
        let teams = try due(nowMs: nowMs, limit: limit, in: connection)
        var report = try move(teams, nowMs: nowMs, in: connection)
        report.isFull = teams.count >= limit
        return report
    }

    /// Teams that one transaction moves.
    public static let batchMax = 500

    /// Teams that something is due for: first those whose period is over, the oldest first, then those that are to be reminded. Only reads: of
    /// many teams, all those are looked at whose period ends within a week.
    public func due(nowMs: Int64, limit: Int = batchMax, in connection: Connection) throws -> [String] {
        var teams = try connection.query(
            Self.dueSQL, [.integer(nowMs), .integer(nowMs - PlanTerms.graceMs), .int(limit)]
        ).map { try $0.text("team") }
        for notice in [PlanNotice.day, .week] where teams.count < limit {
            let (fromMs, toMs) = notice == .day ? (0, PlanTerms.lastDayMs) : (PlanTerms.lastDayMs, PlanTerms.weekMs)
            teams += try connection.query(
                Self.reminderSQL,
                [.integer(nowMs + fromMs), .integer(nowMs + toMs), .text(notice.rawValue), .int(limit - teams.count)]
            ).map { try $0.text("team") }
        }
        return teams
    }

    /// Moves these teams on as far as it is time, and tells them. Nothing is done twice, whoever has listed them, and when.
    public func move(_ teams: [String], nowMs: Int64, in connection: Connection) throws -> Report {
        var report = Report()
        for team in teams {
            guard let subscription = try Subscription.of(team: team, in: connection), subscription.isRunning else { continue }
            if subscription.renewsAtMs <= nowMs {
                try move(subscription, nowMs: nowMs, &report, in: connection)
            } else {
                try remind(subscription, nowMs: nowMs, &report, in: connection)
            }
        }
        return report
    }

    // The condition is word for word that of the index plans_subscriptions_due.
    static let dueSQL = """
        SELECT s.team FROM plans_subscriptions s WHERE s.status <> 'ended' AND s.renews_at <= $1
          AND (s.status = 'active' OR s.renews_at <= $2 OR EXISTS (SELECT 1 FROM plans_next n WHERE n.team = s.team))
        ORDER BY s.renews_at LIMIT $3
        """

    static let reminderSQL = """
        SELECT s.team FROM plans_subscriptions s
        WHERE s.status <> 'ended' AND s.renews_at > $1 AND s.renews_at <= $2 AND s.status = 'active'
          AND EXISTS (SELECT 1 FROM plans_versions v WHERE v.plan = s.plan AND v.version = s.version AND v.price > 0)
          AND NOT EXISTS (SELECT 1 FROM plans_next n WHERE n.team = s.team)
          AND NOT EXISTS (SELECT 1 FROM plans_notices t WHERE t.team = s.team AND t.period_end = s.renews_at AND t.step = $3)
        ORDER BY s.renews_at LIMIT $4
        """

    /// After a downtime several moves are due at once; only the last one is told.
    private func move(_ subscription: Subscription, nowMs: Int64, _ report: inout Report, in connection: Connection) throws {
        let moves = try subscription.settle(nowMs: nowMs, in: connection)
        guard let last = moves.last else { return }
        if last.isEnd { report.ended += 1 } else { report.inGrace += 1 }
        // Who never paid has nothing to be told.
        guard last.isOfPaidPlan else { return }
        _ = try tell(last.isEnd ? .ended : .grace, subscription, nowMs: nowMs, &report, in: connection)
    }

    /// A jump over both reminders is one, the later.
    private func remind(_ subscription: Subscription, nowMs: Int64, _ report: inout Report, in connection: Connection) throws {
        let leftMs = subscription.renewsAtMs - nowMs
        guard subscription.status == "active", leftMs <= PlanTerms.weekMs, try subscription.isPaidPlan(in: connection),
            try PlanChanges.next(of: subscription.team, in: connection) == nil
        else { return }
        let notice = leftMs <= PlanTerms.lastDayMs ? PlanNotice.day : .week
        if try tell(notice, subscription, nowMs: nowMs, &report, in: connection) { report.reminded += 1 }
    }

    /// - Returns: false when it was told before.
    private func tell(
        _ notice: PlanNotice, _ subscription: Subscription, nowMs: Int64, _ report: inout Report, in connection: Connection
    ) throws -> Bool {
        guard let requests = try PlanNotices.requests(notice, subscription, nowMs: nowMs, in: connection) else { return false }
        for request in requests where try outbox.add(request, nowMs: nowMs, in: connection) != nil { report.messages += 1 }
        return true
    }
}

/// A move that time alone has caused.
struct PeriodMove: Sendable {
    let isEnd: Bool
    let isOfPaidPlan: Bool
}

extension Subscription {
    /// Brings it to where it stands now, telling nobody: what was wanted is done at the period's end, what was not paid goes into its grace and
    /// then ends. Never before its time.
    func settle(nowMs: Int64, in connection: Connection) throws -> [PeriodMove] {
        guard isRunning, renewsAtMs <= nowMs else { return [] }
        let isPaidPlan = try isPaidPlan(in: connection)
        let isUnwanted = try PlanChanges.next(of: team, in: connection) != nil
        var current = self
        var moves: [PeriodMove] = []
        while let (status, cause) = current.due(isPaidPlan: isPaidPlan, isUnwanted: isUnwanted, nowMs: nowMs) {
            guard let moved = try current.enter(status, cause, nowMs: nowMs, in: connection) else { break }
            current = moved
            moves.append(PeriodMove(isEnd: !moved.isRunning, isOfPaidPlan: isPaidPlan))
        }
        return moves
    }

    /// Whether the plan costs anything.
    fileprivate func isPaidPlan(in connection: Connection) throws -> Bool {
        try Plan.find(plan, version: version, in: connection).map { $0.price.minorUnits > 0 } ?? false
    }

    private func due(isPaidPlan: Bool, isUnwanted: Bool, nowMs: Int64) -> (status: String, cause: PlanMove.Cause)? {
        guard isRunning, renewsAtMs <= nowMs else { return nil }
        if isUnwanted { return ("ended", .downgraded) }
        if !isPaidPlan || (status == "grace" && graceEndsAtMs <= nowMs) { return ("ended", .ended) }
        return status == "active" ? ("grace", .grace) : nil
    }

    /// - Returns: as it stands afterwards; nil when somebody else has moved it.
    private func enter(_ next: String, _ cause: PlanMove.Cause, nowMs: Int64, in connection: Connection) throws -> Subscription? {
        let row = try connection.first(
            """
            UPDATE plans_subscriptions SET status = $4, updated_at = $5 WHERE team = $1 AND status = $2 AND renews_at = $3 RETURNING *
            """, [.text(team), .text(status), .integer(renewsAtMs), .text(next), .integer(nowMs)])
        guard let moved = try row.map(Subscription.init) else { return nil }
        if !moved.isRunning { try connection.execute("DELETE FROM plans_next WHERE team = $1", [.text(team)]) }
        try PlanMove.record(cause, moved, actor: "period", nowMs: nowMs, in: connection)
        return moved
    }
}
