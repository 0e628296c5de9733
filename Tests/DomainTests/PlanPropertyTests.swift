import Database
import Formats
import Money
import Payments
import Testing

@testable import Plans

/// What a team has, told plainly: the payments that are left in their order, and until when they reach.
private struct PlainPlan {
    struct Period {
        let payment: String
        let paidAtMs: Int64
        var continues: Bool
    }
    static let graceMs: Int64 = 7 * 86_400_000

    var periods: [Period] = []
    var endMs: Int64 = 0
    var isRunning = false
    var isUnwanted = false

    mutating func look(_ nowMs: Int64) {
        guard isRunning, endMs <= nowMs, isUnwanted || endMs + Self.graceMs <= nowMs else { return }
        (isRunning, isUnwanted) = (false, false)
    }

    mutating func pay(_ payment: String, _ nowMs: Int64) {
        look(nowMs)
        periods.append(Period(payment: payment, paidAtMs: nowMs, continues: isRunning))
        (isRunning, isUnwanted) = (true, false)
        endMs = Self.end(of: &periods) ?? nowMs
    }

    mutating func takeBack(_ payment: String, _ nowMs: Int64) {
        guard let place = periods.firstIndex(where: { $0.payment == payment }) else { return }
        let beganAnew = !periods.remove(at: place).continues
        let isLast = place == periods.count
        // What was before it had ended.
        if beganAnew && !isLast { periods[place].continues = false }
        let left = Self.end(of: &periods)
        guard isRunning else { return }
        if let left, left > nowMs || !(beganAnew && isLast) {
            endMs = left
        } else {
            (endMs, isRunning, isUnwanted) = (left ?? min(endMs, nowMs), false, false)
        }
    }

    /// A month after another; one whose forerunner is gone begins where it was paid.
    private static func end(of periods: inout [Period]) -> Int64? {
        var end: Int64?
        var anchorDay: Int64 = 1
        for place in periods.indices {
            let paidAtMs = periods[place].paidAtMs
            periods[place].continues = periods[place].continues && end.map { $0 + graceMs > paidAtMs } ?? false
            if !periods[place].continues { anchorDay = Int64(Timestamp.civil(paidAtMs).day) }
            let start = periods[place].continues ? end ?? paidAtMs : paidAtMs
            end = BillingCalendar.adding(months: 1, to: start, anchorDay: anchorDay)
        }
        return end
    }

    func standing(_ nowMs: Int64) -> String {
        isRunning ? "\(endMs <= nowMs ? "grace" : "active") until \(Timestamp.rfc3339(endMs))" : periods.isEmpty && endMs == 0 ? "none" : "ended"
    }
}

@Suite("Plans, payments and time in any order")
struct PlanPropertyTests {
    /// SplitMix64: the same stories on every run.
    private struct Dice: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
    }

    private static func settle(_ team: String, _ nowMs: Int64, in connection: Connection) throws {
        _ = try Subscription.of(team: team, in: connection)?.settle(nowMs: nowMs, in: connection)
    }

    private static func standing(_ team: String, in connection: Connection) throws -> String {
        guard let subscription = try Subscription.of(team: team, in: connection) else { return "none" }
        return subscription.isRunning ? "\(subscription.status) until \(Timestamp.rfc3339(subscription.renewsAtMs))" : "ended"
    }

    @Test("a plan stands where a plain model says, and whether ticks came in time makes no difference", arguments: 0..<8)
    func anyOrder(batch: Int) async throws {
        let fixture = try DomainFixture()
        for story in 0..<6 {
            let teams = ["punctual-\(story)", "late-\(story)"]
            var dice = Dice(state: UInt64(batch * 1000 + story))
            var model = PlainPlan()
            var payments: [[Payment]] = []
            var nowMs = DomainFixture.nowMs
            var diary: [String] = []
            for _ in 0..<30 {
                nowMs += Int64.random(in: 0...12 * 86_400, using: &dice) * 1000
                let (now, deed) = (nowMs, Int.random(in: 0..<10, using: &dice))
                switch deed {
                case 0..<4:
                    var pair: [Payment] = []
                    for team in teams {
                        pair.append(try await fixture.payment(PlanPurpose.name, subject: team, amount: Money(300, .eur), nowMs: now))
                    }
                    let paid = pair
                    try await fixture.database.write { connection in
                        for payment in paid {
                            let parameters = ActivatePlan(team: payment.subject, plan: Plan.pro)
                            _ = try PlanActivation.apply(parameters, payment: payment, paidAtMs: now, nowMs: now, in: connection)
                        }
                    }
                    payments.append(pair)
                    model.pay(pair[0].id, now)
                    diary.append("pay")
                case 4..<6:
                    guard !payments.isEmpty else { continue }
                    let taken = payments.remove(at: Int.random(in: 0..<payments.count, using: &dice))
                    try await fixture.database.write { connection in
                        for payment in taken { _ = try PlanTakeBack.apply(payment, nowMs: now, in: connection) }
                    }
                    model.takeBack(taken[0].id, now)
                    diary.append("take back")
                case 6:
                    // What is wanted is wanted of what there is: a tick that is late does not come between.
                    try await fixture.database.write { connection in
                        for team in teams {
                            try Self.settle(team, now, in: connection)
                            guard try Subscription.of(team: team, in: connection)?.isRunning == true else { continue }
                            try PlanChanges.plan(Plan.free, of: team, actor: "test", nowMs: now, in: connection)
                        }
                    }
                    model.look(now)
                    model.isUnwanted = model.isRunning
                    diary.append("Free")
                case 7:
                    try await fixture.database.write { connection in
                        for team in teams {
                            try Self.settle(team, now, in: connection)
                            try PlanChanges.keep(team: team, actor: "test", nowMs: now, in: connection)
                        }
                    }
                    model.look(now)
                    model.isUnwanted = false
                    diary.append("keep")
                default:
                    try await fixture.database.write { try Self.settle(teams[0], now, in: $0) }
                    model.look(now)
                    diary.append("tick")
                }
                diary[diary.count - 1] += " " + Timestamp.rfc3339(now).prefix(16)
            }
            let end = nowMs
            model.look(end)
            let found = try await fixture.database.write { connection in
                try teams.map { team in
                    try Self.settle(team, end, in: connection)
                    return try Self.standing(team, in: connection)
                }
            }
            #expect(found == [model.standing(end), model.standing(end)], "story \(story) of \(batch): \(diary.joined(separator: ", "))")
            // What the books of activations say is what is in force.
            let left = try await fixture.database.read { connection in
                try teams.map { try PaidActivation.list(team: $0, in: connection).count }
            }
            #expect(left == [payments.count, payments.count])
        }
    }
}
