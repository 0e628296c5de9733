import Cryptography
import Database
import Payments
import Plans
import Teams
import Usage

/// Stands for what a team's page shows: a page with the same mark need not be read again.
///
/// It does not know of days and months that are over (what a late batch counts there), of the age of one project's gauge, nor of what was
/// renamed in a plan without a new version: these come with the next change.
struct TeamMark: Sendable, Equatable {
    let text: String
    /// The same without the counters, which go on all day.
    let unmetered: String

    init(_ team: Team, _ usage: TeamUsage, nowMs: Int64, in connection: Connection) throws {
        let subscription = try Subscription.of(team: team.id, in: connection)
        let payments = try PaymentTransactions.mark(purpose: PlanPurpose.name, subject: team.id, nowMs: nowMs, in: connection)
        let newest = try PaymentStore.latest(purpose: PlanPurpose.name, subject: team.id, in: connection)
        let offer = try Plan.onSale(Plan.pro, atMs: nowMs, in: connection)
        let told: [String] = [
            "\(payments.move) \(payments.attempts) \(newest.map { nowMs - $0.updatedAtMs < TeamPageContent.newsMs } == true)",
            "\(usage.plan.id) \(usage.plan.version) \(usage.traffic.level) \(usage.storage.level) \(usage.gauge?.isStale(nowMs: nowMs) == true)",
            subscription.map { "\($0.plan) \($0.version) \($0.status) \($0.renewsAtMs) \($0.updatedAtMs)" } ?? "",
            try PlanChanges.next(of: team.id, in: connection) ?? "", offer.map { "\($0.id) \($0.version)" } ?? "",
            try TeamStore.counts(of: team.id, in: connection).map { "\($0)" } ?? "", team.name, team.language,
            // With the day the chart moves on.
            "\(nowMs / UsagePeriod.dayMs)",
        ]
        let names = try TeamStore.projects(of: team.id, in: connection).map(\.name)
        unmetered = Self.digest(told + names)
        let counters = usage.projects.map { "\($0.projectID) \($0.trafficBytes) \($0.storageBytes)" }
        text = Self.digest([unmetered, "\(usage.gauge?.measuredAtMs ?? 0)"] + counters)
    }

    private static func digest(_ told: [String]) -> String {
        String(Digest.sha256Hex(Array(told.joined(separator: "\u{0}").utf8)).prefix(20))
    }

    /// Nil when there is no such team any more.
    init?(of id: String, nowMs: Int64, in connection: Connection) throws {
        guard let team = try TeamStore.find(id, in: connection),
            let usage = try UsageReading.team(id, UsagePeriod(containing: nowMs), nowMs: nowMs, in: connection)
        else { return nil }
        try self.init(team, usage, nowMs: nowMs, in: connection)
    }
}
