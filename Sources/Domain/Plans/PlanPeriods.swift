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
        /// Left as they are: they have paid, and their payment is not applied yet.
        public var waiting = 0
        /// What kept a team from being moved.
        public var faults: [String: String] = [:]

        public init() {}

        public var description: String {
            let parts = ["\(reminded) reminded", "\(inGrace) in grace", "\(ended) ended", "\(messages) messages"]
            let rest = [(waiting, "paid and waiting"), (faults.count, "failed")].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
            return (parts + rest).joined(separator: ", ")
        }

        fileprivate mutating func add(_ other: Report) {
            reminded += other.reminded
            inGrace += other.inGrace
            ended += other.ended
            messages += other.messages
            waiting += other.waiting
            faults.merge(other.faults) { _, later in later }
        }
    }

    /// Some teams could not be moved; the others were.
    public struct Failure: Error, CustomStringConvertible {
        public let report: Report

        /// With three of the faults: the rest comes again with the next look.
        public var description: String {
            let faults = report.faults.sorted { $0.key < $1.key }.prefix(3).map { "\($0.key): \($0.value)" }
            return "\(report): \(faults.joined(separator: "; "))"
        }
    }

    private let outbox: Outbox

    public init(outbox: Outbox) { self.outbox = outbox }

    /// Teams that one transaction moves.
    public static let batchMax = 500

    /// Moves everything on that is due. What is due is read beside the writers; after a downtime it may be more than one transaction should hold.
    /// - Parameter batch: teams in a transaction, so that the writer is not held for long.
    /// - Throws: ``Failure`` after all others were moved.
    public func run(on database: Database, nowMs: Int64, batch: Int = batchMax) async throws -> Report {
        var report = Report()
        // These are due as before.
        var left: Set<String> = []
        var isFull = true
        while isFull {
            let known = left
            let teams = try await database.read { try due(nowMs: nowMs, limit: batch, but: known, in: $0) }
            let looked = try await database.write { try move(teams, nowMs: nowMs, in: $0) }
            report.add(looked.report)
            left.formUnion(looked.left)
            isFull = teams.count >= batch
        }
        guard report.faults.isEmpty else { throw Failure(report: report) }
        return report
    }

    /// Teams that something is due for: first those whose period is over, the oldest first, then those that are to be reminded. Only reads: of
    /// many teams, all those are looked at whose period ends within a week.
    private func due(nowMs: Int64, limit: Int, but left: Set<String>, in connection: Connection) throws -> [String] {
        func teams(_ rows: [Row]) throws -> [String] { try rows.map { try $0.text("team") }.filter { !left.contains($0) } }
        var found = try teams(
            connection.query(Self.dueSQL, [.integer(nowMs), .integer(nowMs - PlanTerms.graceMs), .int(limit + left.count)]))
        for notice in [PlanNotice.day, .week] where found.count < limit {
            let (fromMs, toMs) = notice == .day ? (0, PlanTerms.lastDayMs) : (PlanTerms.lastDayMs, PlanTerms.weekMs)
            found += try teams(
                connection.query(
                    Self.reminderSQL,
                    [.integer(nowMs + fromMs), .integer(nowMs + toMs), .text(notice.rawValue), .int(limit + left.count)]))
        }
        return Array(found.prefix(limit))
    }

    /// Moves these teams on as far as it is time, and tells them. Nothing is done twice, whoever has listed them, and when. What is wrong with
    /// one team keeps no other waiting.
    /// - Returns: with those that were left as they were.
    private func move(_ teams: [String], nowMs: Int64, in connection: Connection) throws -> (report: Report, left: Set<String>) {
        var (report, left) = (Report(), Set<String>())
        for team in teams {
            let one: Report
            do {
                one = try connection.savepoint { try move(team, nowMs: nowMs, in: connection) }
            } catch let error as DatabaseError where error.isTransient || error.isFull {
                throw error
            } catch {
                report.faults[team] = "\(error)"
                left.insert(team)
                continue
            }
            report.add(one)
            if one == Report() || one.waiting > 0 { left.insert(team) }
        }
        return (report, left)
    }

    private func move(_ team: String, nowMs: Int64, in connection: Connection) throws -> Report {
        var report = Report()
        guard let subscription = try Subscription.of(team: team, in: connection), subscription.isRunning else { return report }
        // They have paid in time: that nobody has applied it yet is not theirs to bear.
        guard try !PlanActivation.isWaitedFor(by: team, in: connection) else {
            report.waiting = 1
            return report
        }
        if subscription.renewsAtMs <= nowMs {
            try move(subscription, nowMs: nowMs, &report, in: connection)
        } else {
            try remind(subscription, nowMs: nowMs, &report, in: connection)
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
