import Database
import Formats
import JobQueue
import Notifications
import ProviderPort
import TestSupport
import Testing

@testable import Plans

@Suite("The periods of a paid plan")
struct PlanPeriodTests {
    private static let february = "2026-02-28T10:00:00.000Z"
    private static let march = "2026-03-31T10:00:00.000Z"

    @Test("the messages and moves of a situation", arguments: PlanSituation.all)
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
                #expect(report.messages == wanted.count, context)
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
                        try await PlanPeriods(outbox: PlanStage.outbox).run(on: database, nowMs: nowMs).messages
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
        // They are no teams of ours: nobody is there to be told.
        #expect("\(try await stage.look(batch: 25))" == "40 reminded, 40 in grace, 40 ended, 0 messages")
        let order = try await stage.database.read { connection in
            try connection.query("SELECT team FROM plans_moves GROUP BY team ORDER BY MAX(id)").map { try $0.text("team") }
        }
        let oldest = stride(from: 0, to: 120, by: 3).map { "t\($0)" } + stride(from: 1, to: 120, by: 3).map { "t\($0)" }
        #expect(order == oldest)
        let again = try await stage.look()
        #expect(again == PlanPeriods.Report())
    }

    @Test("what is wrong with some teams keeps no other waiting, even where they fill a transaction, and fails the look at its end")
    func faults() async throws {
        let stage = try await PlanStage()
        try await stage.owe()
        try await stage.tell(.captured, 1)
        #expect(try await stage.activate() == [.done])
        _ = try await stage.told()
        try await stage.database.write { connection in
            try connection.execute(
                """
                INSERT INTO plans_versions SELECT 'odd', 1, name, price, 'no money', period_months, max_teams, max_members, max_projects,
                  max_cpu_milli, max_memory_mb, max_traffic_bytes_per_month, max_storage_bytes, custom_domains, 0 FROM plans_versions WHERE plan = $1
                """, [.text(Plan.pro)])
            for number in 0..<5 {
                try connection.execute(
                    "INSERT INTO plans_subscriptions VALUES ($1, 'odd', 1, 'active', 0, $2, 1, 0)", [.text("odd-\(number)"), .int(number)])
            }
        }
        try stage.turn(to: Self.february)
        for wanted in ["0 reminded, 1 in grace, 0 ended, 1 messages, 5 failed: odd-0: ", "0 reminded, 0 in grace, 0 ended, 0 messages, 5 failed: "] {
            let failure = await #expect(throws: PlanPeriods.Failure.self) { try await stage.look(batch: 2) }
            #expect(failure?.description.hasPrefix(wanted) == true, "\(failure?.description ?? "none")")
        }
        #expect(try await Self.words(stage) == ["grace"])
        #expect(try await stage.standing() == "grace Pro \(Self.february)")
        let untouched = try await stage.database.read { connection in
            try connection.query("SELECT team FROM plans_subscriptions WHERE plan = 'odd' AND status = 'active'").count
        }
        #expect(untouched == 5)
    }

    @Test("a look says of whom the payment is not applied yet, and goes on to the others")
    func waiting() async throws {
        let stage = try await PlanStage()
        try await stage.owe()
        try await stage.tell(.captured, 1)
        _ = try await stage.activate()
        try stage.turn(to: "2026-02-28T09:00:00Z")
        try await stage.owe()
        try await stage.tell(.captured, 2)
        try stage.turn(to: "2026-03-07T10:00:00Z")
        let endMs = stage.nowMs - 1
        try await stage.database.write { connection in
            _ = try connection.execute(
                "INSERT INTO plans_subscriptions VALUES ('other', 'pay_as_you_go', 1, 'active', 0, $1, 1, 0)", [.integer(endMs)])
        }
        #expect("\(try await stage.look(batch: 1))" == "0 reminded, 1 in grace, 0 ended, 0 messages, 1 paid and waiting")
        _ = try await stage.activate()
        #expect(try await stage.look() == PlanPeriods.Report())
        #expect(try await stage.standing() == "active Pro \(Self.march)")
    }

    @Test("a team that ever bought a plan is a buyer for good: its money back, or bought before there were moves")
    func buyers() async throws {
        let stage = try await PlanStage()
        func figures() async throws -> PlanFigures {
            let nowMs = stage.nowMs
            return try await stage.database.read { try PlanFigures.read(nowMs: nowMs, in: $0) }
        }
        #expect(try await figures().buyers.isEmpty)
        try await stage.owe()
        try await stage.tell(.captured, 1)
        #expect(try await figures().buyers.isEmpty)
        _ = try await stage.activate()
        #expect(try await figures().buyers == [PlanStage.team])
        try await stage.tell(.refunded, 1)
        #expect(try await stage.causes() == ["bought", "taken_back"])
        let after = try await figures()
        #expect(after.buyers == [PlanStage.team] && after.conversionRatio(among: [PlanStage.team, "acacia"]) == 0.5)
        try await stage.database.write { connection in
            _ = try connection.execute("INSERT INTO plans_activations VALUES ('pay_old', 'old', 'pay_as_you_go', 1, 0, 0, 0, 0)")
        }
        #expect(try await figures().buyers == [PlanStage.team, "old"])
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
