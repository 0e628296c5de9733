import Access
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
    let way: TeamLink.Way

    /// Who plans, in the plan's moves: nobody is known but by the link.
    var actor: String {
        switch way {
        case .given: "link:page"
        case .mailed: "link:mail"
        }
    }

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

    /// For how long the page says how a payment has ended.
    static let newsMs: Int64 = 30 * 60_000

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
    let days: [TeamDay]
    /// The newest, ``TeamCalls/historyMax`` of them at most.
    let payments: [PaymentLine]
    /// Whether there are older ones.
    let hasOlderPayments: Bool
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
        days = try TeamDay.latest(of: id, nowMs: nowMs, in: connection)
        let history = try PaymentStore.history(purpose: PlanPurpose.name, subject: id, limit: TeamCalls.historyMax + 1, in: connection)
        hasOlderPayments = history.count > TeamCalls.historyMax
        payments = try history.prefix(TeamCalls.historyMax).map {
            PaymentLine(payment: $0, attempt: try PaymentStore.attempts(of: $0.id, in: connection).last)
        }
        mark = try TeamMark(team, usage, nowMs: nowMs, in: connection)
    }

    var isPro: Bool { plan.id == Plan.pro }
    /// The payment that the team can go on with; the newest counts.
    var underway: PaymentLine? { payments.first { $0.payment.state.isOpen } }
    /// Limits that are passed: after a fall to Free nothing is taken away, but nothing can be added.
    var passed: [(resource: ResourceLimits.Resource, allowance: Allowance)] { uses.filter { !$0.allowance.isAllowed } }
}
