import Database
import Formats
import JobQueue
import Notifications
import ProviderPort
import TestSupport
import Testing

@testable import Plans

/// One story of a team from 31 January 2026, 10:00 UTC on, with the messages that each look at the periods must send.
struct PlanSituation: Sendable, CustomTestStringConvertible {
    enum Step: Sendable {
        /// This moment, UTC.
        case at(String)
        /// Pays for Pro, and has it: the customer is told.
        case buy
        /// Pays, and worker-plans has not come by yet.
        case pay
        /// worker-plans comes by.
        case activate
        /// All the money of a payment goes back, or a part of it, or by the customer's bank.
        case refund(Int)
        case refundPart(Int)
        case chargeBack(Int)
        /// The money of a payment comes by its other attempt.
        case payAgain(Int)
        /// Free is wanted at the end, or no longer.
        case plan
        case keep
        /// A subscription that nobody has paid.
        case free(until: String)
        /// A tick; it must send exactly these.
        case look([String])
        /// The same without a tick.
        case told([String])
        /// The status, the plan that counts, and the period's end.
        case stands(String)
        case moves([String])
    }

    let name: String
    let steps: [Step]
    init(_ name: String, _ steps: Step...) {
        self.name = name
        self.steps = steps
    }
    var testDescription: String { name }
}

@Suite("The periods of a paid plan")
struct PlanPeriodTests {
    private static let february = "2026-02-28T10:00:00.000Z"
    private static let march = "2026-03-31T10:00:00.000Z"

    static let situations: [PlanSituation] = [
        PlanSituation(
            "reminded a week and a day before, then the days of grace, then Free, each to the millisecond",
            .buy, .stands("active Pro \(february)"), .look([]), .at("2026-02-21T09:59:59.999Z"), .look([]), .at("2026-02-21T10:00:00Z"),
            .look(["renewal"]), .look([]), .at("2026-02-27T09:59:59.999Z"), .look([]), .at("2026-02-27T10:00:00Z"), .look(["renewal"]), .look([]),
            .at("2026-02-28T09:59:59.999Z"), .look([]), .stands("active Pro \(february)"), .at(february), .look(["grace"]), .look([]),
            .stands("grace Pro \(february)"), .at("2026-03-07T09:59:59.999Z"), .look([]), .stands("grace Pro \(february)"),
            .at("2026-03-07T10:00:00Z"), .look(["ended"]), .look([]), .stands("ended Free \(february)"), .moves(["bought", "grace", "ended"])),
        PlanSituation(
            "paid early: the next period begins where this one ends, and is reminded of in its turn", .buy, .at("2026-02-10T00:00:00Z"), .buy,
            .stands("active Pro \(march)"), .at("2026-02-21T10:00:00Z"), .look([]), .at(february), .look([]), .at("2026-03-24T10:00:00Z"),
            .look(["renewal"]), .moves(["bought", "renewed"])),
        PlanSituation(
            "paid in the grace: no day is given away", .buy, .at("2026-03-03T00:00:00Z"), .look(["grace"]), .buy, .stands("active Pro \(march)"),
            .look([]), .at("2026-03-24T10:00:00Z"), .look(["renewal"]), .moves(["bought", "grace", "renewed"])),
        PlanSituation(
            "paid in the grace before any look", .buy, .at("2026-03-07T09:59:59.999Z"), .buy, .stands("active Pro \(march)"), .look([]),
            .moves(["bought", "grace", "renewed"])),
        PlanSituation(
            "paid after the grace: a new start", .buy, .at("2026-03-08T12:00:00Z"), .look(["ended"]), .buy,
            .stands("active Pro 2026-04-08T12:00:00.000Z"), .moves(["bought", "grace", "ended", "bought"])),
        PlanSituation(
            "paid after the grace before any look: a new start too, and nobody is told of an end", .buy, .at("2026-03-07T10:00:00Z"), .buy,
            .stands("active Pro 2026-04-07T10:00:00.000Z"), .look([]), .moves(["bought", "grace", "ended", "bought"])),
        PlanSituation(
            "the 31st comes back: February, March, April", .buy, .stands("active Pro \(february)"), .buy, .stands("active Pro \(march)"), .buy,
            .stands("active Pro 2026-04-30T10:00:00.000Z")),
        PlanSituation("a jump over both reminders sends one", .buy, .at("2026-02-27T22:00:00Z"), .look(["renewal"]), .look([])),
        PlanSituation(
            "ten days without a scheduler: one message, the last", .buy, .at("2026-03-10T00:00:00Z"), .look(["ended"]), .look([]),
            .moves(["bought", "grace", "ended"])),
        PlanSituation(
            "Free at the period's end: no reminder, and no grace", .buy, .plan, .at("2026-02-21T10:00:00Z"), .look([]),
            .at("2026-02-28T09:59:59.999Z"), .look([]), .stands("active Pro \(february)"), .at(february), .look(["ended"]),
            .stands("ended Free \(february)"), .look([]), .moves(["bought", "planned", "downgraded"])),
        PlanSituation(
            "Free at the period's end, taken back", .buy, .plan, .plan, .at("2026-02-21T10:00:00Z"), .look([]), .keep, .look(["renewal"]),
            .at(february),
            .look(["grace"]), .moves(["bought", "planned", "kept", "grace"])),
        PlanSituation(
            "a payment beats what was planned", .buy, .plan, .at("2026-02-20T00:00:00Z"), .buy, .at("2026-03-24T10:00:00Z"), .look(["renewal"]),
            .at(march), .look(["grace"]), .moves(["bought", "planned", "renewed", "grace"])),
        PlanSituation(
            "Free wanted in the grace", .buy, .at("2026-03-01T00:00:00Z"), .look(["grace"]), .plan, .look(["ended"]),
            .stands("ended Free \(february)")),
        PlanSituation(
            "ended as it was wanted, and bought three days later: those days are not paid for", .buy, .plan, .at("2026-03-03T10:00:00Z"), .buy,
            .stands("active Pro 2026-04-03T10:00:00.000Z"), .moves(["bought", "planned", "downgraded", "bought"])),
        PlanSituation(
            "what nobody has paid ends in silence", .free(until: "2026-02-10T00:00:00Z"), .at("2026-02-09T00:00:00Z"), .look([]),
            .at("2026-02-10T00:00:00Z"), .look([]), .stands("ended Free 2026-02-10T00:00:00.000Z"), .moves(["ended"])),

        // Money that goes back.
        PlanSituation(
            "the only payment refunded: the plan ends at once", .buy, .at("2026-02-03T00:00:00Z"), .refund(1), .told(["ended"]),
            .stands("ended Free 2026-02-03T00:00:00.000Z"), .look([]), .at(february), .look([]), .moves(["bought", "taken_back"])),
        PlanSituation(
            "the only payment charged back", .buy, .at("2026-02-03T00:00:00Z"), .chargeBack(1), .told(["ended"]),
            .stands("ended Free 2026-02-03T00:00:00.000Z"), .chargeBack(1), .refund(1), .told([]), .moves(["bought", "taken_back"])),
        PlanSituation(
            "a part of the money takes nothing", .buy, .refundPart(1), .told([]), .stands("active Pro \(february)"), .refund(1), .told(["ended"])),
        PlanSituation(
            "the second of two payments refunded: what the first has bought is left", .buy, .at("2026-02-10T00:00:00Z"), .buy, .refund(2),
            .told([]), .stands("active Pro \(february)"), .at("2026-02-21T10:00:00Z"), .look(["renewal"]),
            .moves(["bought", "renewed", "taken_back"])),
        PlanSituation(
            "the first of two payments refunded: the second counts from when it was paid", .buy, .at("2026-02-10T08:00:00Z"), .buy, .refund(1),
            .stands("active Pro 2026-03-10T08:00:00.000Z")),
        PlanSituation(
            "the middle of three payments charged back", .buy, .buy, .buy, .stands("active Pro 2026-04-30T10:00:00.000Z"), .chargeBack(2),
            .stands("active Pro \(march)")),
        PlanSituation(
            "refunded back into a grace that was told of", .buy, .at("2026-03-02T00:00:00Z"), .look(["grace"]), .buy, .at("2026-03-05T00:00:00Z"),
            .refund(2), .look([]), .stands("grace Pro \(february)"), .at("2026-03-07T10:00:00Z"), .look(["ended"])),
        PlanSituation(
            "refunded back beyond the grace", .buy, .at("2026-03-02T00:00:00Z"), .look(["grace"]), .buy, .at("2026-03-15T00:00:00Z"), .refund(2),
            .stands("active Pro \(february)"), .look(["ended"]), .stands("ended Free \(february)")),
        PlanSituation(
            "refunded after the end: nothing comes back to life", .buy, .at("2026-03-10T00:00:00Z"), .look(["ended"]), .refund(1), .told([]),
            .stands("ended Free \(february)"), .look([])),
        PlanSituation(
            "an old payment refunded while a later one runs", .buy, .at("2026-03-10T00:00:00Z"), .look(["ended"]), .buy, .refund(1), .told([]),
            .stands("active Pro 2026-04-10T00:00:00.000Z")),
        PlanSituation(
            "what was planned goes with the plan", .buy, .plan, .refund(1), .told(["ended"]), .at("2026-02-02T00:00:00Z"), .buy,
            .at("2026-02-23T00:00:00Z"),
            .look(["renewal"])),
        PlanSituation(
            "refunded before it was activated: it buys nothing", .pay, .refund(1), .activate, .told([]), .stands("none Free"), .moves([])),
        PlanSituation(
            "refunded before it was activated, and paid after all", .pay, .refund(1), .activate, .at("2026-02-05T00:00:00Z"), .payAgain(1), .activate,
            .told(["confirmed"]), .stands("active Pro 2026-03-05T00:00:00.000Z"), .moves(["bought"])),
        PlanSituation(
            "taken back, and paid after all: bought anew from then on", .buy, .refund(1), .told(["ended"]), .at("2026-02-05T00:00:00Z"), .payAgain(1),
            .activate, .stands("active Pro 2026-03-05T00:00:00.000Z"), .activate, .moves(["bought", "taken_back", "bought"])),
    ]

    @Test("the messages and moves of a situation", arguments: situations)
    func situation(_ situation: PlanSituation) async throws {
        let stage = try await PlanStage()
        for (place, step) in situation.steps.enumerated() {
            let context = Comment(rawValue: "step \(place + 1) of “\(situation.name)”")
            switch step {
            case .at(let text): try stage.turn(to: text)
            case .buy:
                try await stage.owe()
                try await stage.tell(.captured, stage.payments)
                #expect(try await stage.activate() == [.done], context)
                #expect(try await Self.words(stage) == ["confirmed"], context)
            case .pay:
                try await stage.owe()
                try await stage.tell(.captured, stage.payments)
            case .activate: _ = try await stage.activate()
            case .refund(let number): try await stage.tell(.refunded, number)
            case .refundPart(let number): try await stage.tell(.refunded, number, units: 100)
            case .chargeBack(let number): try await stage.tell(.chargedBack, number)
            case .payAgain(let number): try await stage.tell(.captured, number, attempt: 1)
            case .plan: try await Self.plan(stage)
            case .keep:
                let nowMs = stage.nowMs
                #expect(
                    try await stage.database.write {
                        try PlanChanges.keep(team: PlanStage.team, actor: "staff:ana", nowMs: nowMs, in: $0)
                    }, context)
            case .free(let until):
                let endMs = try #require(Timestamp.parse(until))
                try await stage.database.write { connection in
                    try connection.execute(
                        "INSERT INTO plans_subscriptions VALUES ($1, 'free', 1, 'active', 0, $2, 1, 0)", [.text(PlanStage.team), .integer(endMs)])
                }
            case .look(let wanted):
                let report = try await stage.look()
                #expect(try await Self.words(stage) == wanted, context)
                #expect(report.messages == wanted.count && !report.isFull, context)
            case .told(let wanted): #expect(try await Self.words(stage) == wanted, context)
            case .stands(let wanted): #expect(try await stage.standing() == wanted, context)
            case .moves(let wanted): #expect(try await stage.causes() == wanted, context)
            }
        }
    }

    private static func words(_ stage: PlanStage) async throws -> [String] {
        try await stage.told().map { String($0.template.rawValue.dropFirst("plan_".count)) }
    }

    private static func plan(_ stage: PlanStage) async throws {
        let nowMs = stage.nowMs
        try await stage.database.write {
            try PlanChanges.plan(Plan.free, of: PlanStage.team, actor: "team:baobab", nowMs: nowMs, in: $0)
            #expect(try PlanChanges.next(of: PlanStage.team, in: $0) == Plan.free)
        }
    }

    // MARK: Beside the situations

    @Test("four schedulers at once tell of each step once")
    func manySchedulers() async throws {
        let stage = try await PlanStage()
        try await stage.owe()
        try await stage.tell(.captured, 1)
        #expect(try await stage.activate() == [.done])
        _ = try await stage.told()
        let databases = try (0..<4).map { _ in try stage.fixture.another() }
        for moment in ["2026-02-21T10:00:00Z", "2026-02-27T10:00:00Z", "2026-02-28T10:00:00Z", "2026-03-07T10:00:00Z"] {
            let nowMs = try #require(Timestamp.parse(moment))
            try await withThrowingTaskGroup(of: Int.self) { group in
                for database in databases {
                    group.addTask {
                        try await database.write { try PlanPeriods(outbox: PlanStage.outbox).run(nowMs: nowMs, in: $0) }.messages
                    }
                }
                var messages = 0
                for try await count in group { messages += count }
                #expect(messages == 1, "\(moment)")
            }
            #expect(try await stage.told().count == 1, "\(moment)")
        }
    }

    @Test("more than one transaction should hold is done in several, the oldest first, and nothing twice")
    func manyTeams() async throws {
        let stage = try await PlanStage()
        let dayMs: Int64 = 86_400_000
        let start = DomainFixture.nowMs
        try await stage.database.write { connection in
            for number in 0..<120 {
                // A third each: the grace is over, the period is over, the end is near.
                let ends = start + [-8 * dayMs, -dayMs, 3 * dayMs][number % 3] + Int64(number)
                try connection.execute(
                    "INSERT INTO plans_subscriptions VALUES ($1, 'pay_as_you_go', 1, 'active', 0, $2, 1, 0)", [.text("t\(number)"), .integer(ends)])
            }
        }
        var sum = PlanPeriods.Report(isFull: true)
        var looks = 0
        while sum.isFull && looks < 20 {
            sum = sum + (try await stage.look(limit: 25))
            looks += 1
        }
        #expect(sum.ended == 40 && sum.inGrace == 40 && sum.reminded == 40, "\(sum)")
        // They are no teams of ours: nobody is there to be told.
        #expect(sum.messages == 0 && looks == 5)
        let again = try await stage.look()
        #expect(again == PlanPeriods.Report())
    }

    @Test("what is due is found by its index, whatever else there is")
    func plans() async throws {
        let stage = try await PlanStage()
        let plans = try await stage.database.read { connection in
            try [PlanPeriods.dueSQL, PlanPeriods.reminderSQL].map { sql in
                try connection.query("EXPLAIN QUERY PLAN " + sql, sql == PlanPeriods.dueSQL ? [0, 0, 1] : [0, 0, "week", 1]).map {
                    try $0.text("detail")
                }
            }
        }
        for details in plans {
            #expect(details.contains { $0.contains("SEARCH s USING INDEX plans_subscriptions_due (renews_at") }, "\(details)")
            #expect(!details.contains { $0.contains("SCAN") || $0.contains("TEMP B-TREE") }, "\(details)")
        }
    }

    @Test("what had ended before there were periods is not cut off at once: it ends with the migration, and has its grace")
    func migration() async throws {
        let folder = try TemporaryFolder("quittance-plans")
        let database = try Database.open(.sqlite(path: folder.file("plans.db")))
        let all = PlanPurpose.migrations
        _ = try database.migrate([MigrationSet(room: all.room, migrations: Array(all.migrations.prefix(1)))])
        let far: Int64 = 9_999_999_999_999
        let rows: [(team: String, plan: String, status: String, endMs: Int64)] = [
            ("over", Plan.pro, "active", 5), ("runs", Plan.pro, "active", far), ("free", Plan.free, "active", 5), ("ended", Plan.pro, "ended", 5),
        ]
        try await database.write { connection in
            for (team, plan, status, endMs) in rows {
                try connection.execute(
                    "INSERT INTO plans_subscriptions VALUES ($1, $2, 1, $3, 0, $4, 1, 0)",
                    [.text(team), .text(plan), .text(status), .integer(endMs)])
            }
        }
        let before = WallClock.nowMs
        _ = try database.migrate([all])
        let after = WallClock.nowMs
        let ends = try await database.read { connection in
            try rows.map { try Subscription.of(team: $0.team, in: connection)?.renewsAtMs ?? -1 }
        }
        #expect((before / 1000 * 1000...after).contains(ends[0]) && ends[1...] == [far, 5, 5], "\(ends)")
    }

    @Test("moves are append-only, and listed with the latest first, of a team or of all")
    func moves() async throws {
        let stage = try await PlanStage()
        try await stage.owe()
        try await stage.tell(.captured, 1)
        _ = try await stage.activate()
        try await Self.plan(stage)
        for sql in ["UPDATE plans_moves SET actor = 'x'", "DELETE FROM plans_moves"] {
            await #expect(throws: DatabaseError.self) { try await stage.database.write { try $0.execute(sql) } }
        }
        let payment = stage.payment(1)
        try await stage.database.read { connection in
            let moves = try PlanMove.list(team: PlanStage.team, limit: 10, in: connection)
            #expect(moves.map(\.cause) == [.planned, .bought] && moves.map(\.actor) == ["team:baobab", "payment"])
            #expect(moves.map(\.payment) == [nil, payment] && moves.map(\.status) == ["active", "active"])
            #expect(moves.allSatisfy { $0.plan == Plan.pro && $0.version == 1 && $0.atMs == DomainFixture.nowMs })
            #expect(try PlanMove.list(limit: 1, in: connection) == [moves[0]])
            #expect(try PlanMove.list(team: "other", limit: 10, in: connection).isEmpty)
        }
    }

    @Test("only what is there can be ended, and only for what costs nothing")
    func refusals() async throws {
        let stage = try await PlanStage()
        let nowMs = stage.nowMs
        func plan(_ plan: String) async throws {
            try await stage.database.write { try PlanChanges.plan(plan, of: PlanStage.team, actor: "staff:ana", nowMs: nowMs, in: $0) }
        }
        await #expect(throws: PlanError.nothingToEnd(team: PlanStage.team)) { try await plan(Plan.free) }
        try await stage.owe()
        try await stage.tell(.captured, 1)
        _ = try await stage.activate()
        await #expect(throws: PlanError.costs(Plan.pro)) { try await plan(Plan.pro) }
        await #expect(throws: PlanError.notOnSale("platinum")) { try await plan("platinum") }
        let kept = try await stage.database.write { try PlanChanges.keep(team: PlanStage.team, actor: "staff:ana", nowMs: nowMs, in: $0) }
        #expect(!kept)
        #expect(try await stage.causes() == ["bought"])
    }
}
