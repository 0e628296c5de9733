import Cryptography
import Database
import Formats
import Payments
import Plans
import Teams
import Usage

/// Where a team's page is, with the token that opens it.
struct TeamPageAddress: Sendable {
    let team: String
    let token: String

    private func path(_ rest: String) -> String {
        "/teams/\(PercentEncoding.encodePathSegment(team))/settings\(rest)?t=\(PercentEncoding.encodePathSegment(token))"
    }

    var path: String { path("") }
    func path(_ tab: TeamPageTab) -> String { "\(path)&tab=\(tab.rawValue)" }
    func path(_ tab: TeamPageTab, telling note: TeamPageNote) -> String { "\(path(tab))&note=\(note.rawValue)" }
    var upgradePath: String { path("/upgrade") }
    var cancelPath: String { path("/cancel") }
    var planPath: String { path("/plan") }
    var eventsPath: String { path("/events") }

    /// When the token runs out, once it was found genuine.
    var expiresAtMs: Int64 { (Int64(token.prefix { $0 != "." }) ?? 0) * 1000 }
}

enum TeamPageTab: String, CaseIterable { case plan, usage, payments }

/// What a page says of what was just done by it.
enum TeamPageNote: String {
    /// The provider agreed that the payment is over, did not, or could not be asked.
    case cancelled, refused, unasked
    /// There was nothing to cancel any more.
    case over
    case ending, kept
}

/// All that a team's page shows, of one moment.
struct TeamPageContent: Sendable {
    struct PaymentLine: Sendable {
        let payment: Payment
        let attempt: PaymentAttempt?
    }

    /// What was used on one day.
    struct Day: Sendable {
        /// Its first moment, UTC.
        let startMs: Int64
        let trafficBytes: Int64
        /// Nil when storage was not measured then.
        let storageBytes: Int64?
    }

    /// Days in the chart, today included.
    static let daysShown: Int64 = 31

    let nowMs: Int64
    let team: Team
    let plan: Plan
    /// What is on sale; nil when nothing is.
    let offer: Plan?
    let subscription: Subscription?
    /// The plan that was chosen for after this period.
    let next: String?
    let usage: TeamUsage
    let uses: [(resource: ResourceLimits.Resource, allowance: Allowance)]
    let projectNames: [String: String]
    let months: [(period: UsagePeriod, point: UsagePoint)]
    /// The last ``daysShown`` days, oldest first; those without a record are there with zeros.
    let days: [Day]
    let payments: [PaymentLine]
    let mark: TeamMark

    /// Nil when there is no such team.
    init?(of id: String, nowMs: Int64, in connection: Connection) throws {
        guard let team = try TeamStore.find(id, in: connection),
            let usage = try UsageReading.team(id, UsagePeriod(containing: nowMs), nowMs: nowMs, in: connection)
        else { return nil }
        self.nowMs = nowMs
        self.team = team
        self.usage = usage
        plan = usage.plan
        offer = try Plan.onSale(Plan.pro, atMs: nowMs, in: connection)
        subscription = try Subscription.of(team: id, in: connection)
        next = try PlanChanges.next(of: id, in: connection)
        uses = try ResourceLimits.Resource.allCases.compactMap { resource in
            try ResourceLimits.check(resource, adding: 0, team: id, nowMs: nowMs, in: connection).map { (resource, $0) }
        }
        projectNames = Dictionary(
            try TeamStore.projects(of: id, in: connection).map { ($0.id, $0.name) }, uniquingKeysWith: { first, _ in first })
        months = try UsageReading.months(of: id, count: 6, nowMs: nowMs, in: connection)
        days = try Self.days(of: id, nowMs: nowMs, in: connection)
        payments = try PaymentStore.history(purpose: PlanPurpose.name, subject: id, limit: TeamCalls.historyMax, in: connection).map {
            PaymentLine(payment: $0, attempt: try PaymentStore.attempts(of: $0.id, in: connection).last)
        }
        mark = try TeamMark(team, usage, subscription, next: next, nowMs: nowMs, in: connection)
    }

    private static func days(of team: String, nowMs: Int64, in connection: Connection) throws -> [Day] {
        let today = nowMs / UsagePeriod.dayMs
        let range = today - daysShown + 1..<today + 1
        let known = Dictionary(
            try UsageReading.days(of: team, range, in: connection).map { ($0.day, $0.point) }, uniquingKeysWith: { first, _ in first })
        return range.map { day in
            Day(startMs: day * UsagePeriod.dayMs, trafficBytes: known[day]?.trafficBytes ?? 0, storageBytes: known[day]?.storageBytes)
        }
    }

    var isPro: Bool { plan.id == Plan.pro }
    /// The payment that the team can go on with; the newest counts.
    var underway: PaymentLine? { payments.first { $0.payment.state.isOpen } }
    /// Limits that are passed: after a fall to Free nothing is taken away, but nothing can be added.
    var passed: [(resource: ResourceLimits.Resource, allowance: Allowance)] { uses.filter { !$0.allowance.isAllowed } }
}

/// Stands for all that a team's page shows: as long as it is the same, so is the page.
struct TeamMark: Sendable, Equatable {
    let text: String

    init(_ team: Team, _ usage: TeamUsage, _ subscription: Subscription?, next: String?, nowMs: Int64, in connection: Connection) throws {
        let payments = try PaymentTransactions.mark(purpose: PlanPurpose.name, subject: team.id, in: connection)
        let told: [String] = [
            "\(payments.move) \(payments.attempts)", "\(usage.plan.id) \(usage.plan.version) \(usage.traffic.used) \(usage.storage.used)",
            "\(usage.gauge?.measuredAtMs ?? 0) \(usage.gauge?.isStale(nowMs: nowMs) == true) \(usage.projects.count)",
            subscription.map { "\($0.plan) \($0.version) \($0.status) \($0.renewsAtMs) \($0.updatedAtMs)" } ?? "", next ?? "", team.name,
            team.language,
            // With the day the chart moves on.
            "\(nowMs / UsagePeriod.dayMs)",
        ]
        text = String(Digest.sha256Hex(Array(told.joined(separator: "\u{0}").utf8)).prefix(20))
    }

    /// Nil when there is no such team any more.
    init?(of id: String, nowMs: Int64, in connection: Connection) throws {
        guard let team = try TeamStore.find(id, in: connection),
            let usage = try UsageReading.team(id, UsagePeriod(containing: nowMs), nowMs: nowMs, in: connection)
        else { return nil }
        try self.init(
            team, usage, try Subscription.of(team: id, in: connection), next: try PlanChanges.next(of: id, in: connection), nowMs: nowMs,
            in: connection)
    }
}
