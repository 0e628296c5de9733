import Database
import Formats
import OperatorCommands
import Plans
import Staff
import TestSupport
import Testing

@Suite("quittance team plans, end and keep")
struct CommandPlanTests {
    private static let dayMs: Int64 = 86_400_000

    /// A team on Pro for ten days more.
    private static func stage() async throws -> CommandStage {
        let stage = try await CommandStage.make()
        await CommandUsageTests.team(stage)
        let nowMs = stage.nowMs
        try await stage.write { connection in
            _ = try connection.execute(
                "INSERT INTO plans_subscriptions VALUES ('baobab', 'pay_as_you_go', 1, 'active', $1, $2, 1, $1)",
                [.integer(nowMs - 20 * dayMs), .integer(nowMs + 10 * dayMs)])
        }
        return stage
    }

    @Test("a plan is to end with its period, and goes on after all; both are listed with who wanted them")
    func endAndKeep() async throws {
        let stage = try await Self.stage()
        #expect(await stage.run("team", "plans", "baobab").out == "The plan has never moved.\n")
        #expect(await stage.run("team", "end", "baobab").out == "team baobab is on Free from 2026-12-01T08:00:00.000Z on\n")
        #expect(await stage.run("team", "end", "baobab").code == .ok)
        #expect(try await stage.write { try PlanChanges.next(of: "baobab", in: $0) } == Plan.free)
        stage.turn(byMs: 60_000)
        #expect(await stage.run("team", "keep", "baobab").out == "team baobab keeps its plan, if it is paid\n")
        #expect(await stage.run("team", "keep", "baobab").code == .notFound)
        #expect(
            await stage.run("team", "plans", "baobab").out == """
                at                   cause    plan           version  status  renews at            payment  actor
                2026-11-21 08:01:00  kept     pay_as_you_go        1  active  2026-12-01 08:00:00  -        staff:command-line
                2026-11-21 08:00:00  planned  pay_as_you_go        1  active  2026-12-01 08:00:00  -        staff:command-line

                """)
        let audit = try await stage.write { try StaffAudit.list(limit: 10, in: $0) }
        #expect(audit.map(\.action) == ["plan.keep", "plan.end"] && audit.allSatisfy { $0.subject == "baobab" })
        let json = try await stage.json("team", "plans", "baobab", "--limit", "1", "--json")
        #expect(
            json == [
                [
                    "at": "2026-11-21T08:01:00.000Z", "cause": "kept", "plan": "pay_as_you_go", "version": 1, "status": "active",
                    "renews_at": "2026-12-01T08:00:00.000Z", "payment": nil, "actor": "staff:command-line",
                ]
            ])
    }

    @Test("the team's own page of the command line says how long it is paid for, and what comes then")
    func paidUntil() async throws {
        let stage = try await Self.stage()
        func shown() async -> String? {
            await stage.run("team", "show", "baobab").out.split(separator: "\n").first { $0.hasPrefix("paid until") }.map(String.init)
        }
        #expect(await shown() == "paid until  2026-12-01 08:00:00")
        #expect(await stage.run("team", "end", "baobab").code == .ok)
        #expect(await shown() == "paid until  2026-12-01 08:00:00, then free")
        #expect(await stage.run("team", "keep", "baobab").code == .ok)
        stage.turn(byMs: 10 * Self.dayMs)
        #expect(try await Self.run(stage) == "0 reminded, 1 in grace, 0 ended, 1 messages")
        #expect(await shown() == "paid until  2026-12-01 08:00:00; goes on unpaid until 2026-12-08 08:00:00")
        let json = try await stage.json("team", "show", "baobab", "--json")
        #expect(json["paid_until"] == "2026-12-01T08:00:00.000Z" && json["plan_status"] == "grace" && json["next_plan"] == .null)
        stage.turn(byMs: 7 * Self.dayMs)
        #expect(try await Self.run(stage) == "0 reminded, 0 in grace, 1 ended, 1 messages")
        #expect(await shown() == nil)
    }

    @Test("the entry moves what is due, once, and says what it did")
    func entry() async throws {
        let stage = try await Self.stage()
        stage.turn(byMs: 4 * Self.dayMs)
        #expect(try await Self.run(stage) == "1 reminded, 0 in grace, 0 ended, 1 messages")
        #expect(try await Self.run(stage) == "0 reminded, 0 in grace, 0 ended, 0 messages")
        stage.turn(byMs: 6 * Self.dayMs)
        #expect(try await Self.run(stage) == "0 reminded, 1 in grace, 0 ended, 1 messages")
        stage.turn(byMs: 7 * Self.dayMs)
        #expect(try await Self.run(stage) == "0 reminded, 0 in grace, 1 ended, 1 messages")
        #expect(try await stage.json("team", "show", "baobab", "--json")["plan"]?["id"] == "free")
        #expect(await stage.run("team", "end", "baobab").code == .notFound)
    }

    private static func run(_ stage: CommandStage) async throws -> String {
        stage.turn(byMs: 60_000)
        let result = await stage.run("cron", "run", "plans-renewal", "--now")
        #expect(result.code == .ok, "\(result.err)")
        return try #require(try JSON(parsing: result.out)["detail"]?.string)
    }

    @Test(
        "what cannot be is said",
        arguments: [
            (["end", "nobody"], "team nobody has no paid plan that could end"), (["keep", "nobody"], "nothing was planned for team nobody"),
            (["plans", "nobody"], "there is no team nobody"),
        ])
    func faults(arguments: [String], fault: String) async throws {
        let stage = try await CommandStage.make()
        let result = await stage.run(["team"] + arguments)
        #expect(result.code == .notFound && result.err.contains(fault), "\(result)")
    }
}
