import Database
import Formats
import TestSupport
import Testing

@Suite("Schedulers whose clocks cannot be trusted", .timeLimit(.minutes(4)), .enabled(if: Sanitizer.leavesClocks))
struct SchedulerClockTests {
    private static let perMinute = ["outbox-sweep", "purge"]

    private static let proofTicks = 1000

    @Test("three scheduler processes, one killed at random and restarted, their clocks jumping: each of 1,000 ticks fires once, counted in SQL")
    func thousandTicks() async throws {
        try await Stage.run([]) { stage in
            // The entry has been known for a thousand minutes in which nobody scheduled; the ticks of this minute and of those to come join.
            let begunMs = WallClock.nowMs
            let firstMs = begunMs / 60_000 * 60_000 - Int64(Self.proofTicks - 1) * 60_000
            try await stage.database.write { connection in
                try connection.execute("CREATE TABLE proof_fired (tick TEXT NOT NULL, runner TEXT NOT NULL, clock_ms INTEGER NOT NULL)", [])
                try connection.execute(
                    "INSERT INTO scheduling_entries (name, expression, catch_up, created_at) VALUES ('proof', '* * * * *', 'all(1440)', $1)",
                    [.integer(firstMs + 60_000)])
            }
            let clocks = try TemporaryFolder("quittance-clocks")
            func jump(_ slot: Int) throws { try clocks.write(FakeTime.jumps.randomElement() ?? "+0", to: "clock-\(slot)") }
            func start(_ slot: Int) async throws {
                try await stage.instance.start(
                    "cron-runner", slot: slot, with: FakeTime.environment(file: clocks.file("clock-\(slot)")), arguments: ["product"], waits: false)
            }
            for slot in 0..<3 {
                try jump(slot)
                try await start(slot)
            }
            let deadline = ContinuousClock.now + .seconds(150)
            var kills = 0
            var fired = 0
            while fired < Self.proofTicks {
                guard ContinuousClock.now < deadline else { throw FixtureError("after \(kills) kills only \(fired) ticks fired") }
                for slot in 0..<3 { try jump(slot) }
                try await Task.sleep(for: .milliseconds(.random(in: 100...500)))
                let victim = Int.random(in: 0..<3)
                try await stage.instance.kill9("cron-runner", slot: victim)
                fired = try await stage.count("SELECT COUNT(*) FROM proof_fired")
                if fired < Self.proofTicks { kills += 1 }
                try await start(victim)
            }
            #expect(kills >= 5, "too quick to prove anything")
            let wanted = (0..<Int64(Self.proofTicks)).map { String(Timestamp.rfc3339(firstMs + $0 * 60_000).prefix(16)) + "Z" }
            let ticks = try await stage.texts("SELECT tick FROM proof_fired ORDER BY tick")
            #expect(Array(ticks.prefix(Self.proofTicks)) == wanted, "each once, none left out")
            #expect(Set(ticks).count == ticks.count, "those of the minutes since then too")
            #expect(try await stage.count("SELECT COUNT(*) FROM scheduling_ticks WHERE outcome <> 'done' OR due_at > started_at") == 0)
            let runners = try await stage.count("SELECT COUNT(DISTINCT runner) FROM proof_fired")
            let day: Int64 = 86_400_000
            let strayed = try await stage.count(
                "SELECT COUNT(*) FROM proof_fired WHERE ABS(clock_ms - $1) > $2", [.integer(begunMs), .integer(day)])
            #expect(runners >= 3 && strayed > 0, "several took part, and their clocks did jump: \(runners), \(strayed)")

            // Each tick's job is on its queue, once: what a killed scheduler had not published its next start does.
            let jobs = try await stage.texts("SELECT id FROM outbox_jobs WHERE kind = 'proof'")
            #expect(jobs.count == ticks.count)
            try await eventually(within: .seconds(60), "every job is on its queue") {
                try await stage.waiting(on: "proof").count >= jobs.count
            }
            let waiting = try await stage.waiting(on: "proof").map { try JSON(parsing: $0)["id"]?.string ?? "" }
            #expect(waiting.sorted() == jobs.sorted())
        }
    }

    @Test("three schedulers, one killed at random, their clocks jumping by years: every tick fires once, at its time by Redis' clock")
    func jumpingClocks() async throws {
        try await Stage.run([]) { stage in
            let clocks = try TemporaryFolder("quittance-clocks")
            func jump(_ slot: Int) throws { try clocks.write(FakeTime.jumps.randomElement() ?? "+0", to: "clock-\(slot)") }
            func start(_ slot: Int) async throws {
                try await stage.instance.start("scheduler", slot: slot, with: FakeTime.environment(file: clocks.file("clock-\(slot)")))
            }
            for slot in 0..<3 {
                try jump(slot)
                try await start(slot)
            }
            let begunMs = WallClock.nowMs
            // Two turns of the minute lie between, whenever it begins.
            while WallClock.nowMs < begunMs / 60_000 * 60_000 + 123_000 {
                for slot in 0..<3 { try jump(slot) }
                try await Task.sleep(for: .milliseconds(.random(in: 300...900)))
                let victim = Int.random(in: 0..<3)
                try await stage.instance.kill9("scheduler", slot: victim)
                try await start(victim)
            }
            let first = begunMs / 60_000 + 1
            let wanted = (first...first + 1).map { String(Timestamp.rfc3339($0 * 60_000).prefix(16)) + "Z" }
            for entry in Self.perMinute {
                let ticks = try await stage.texts(
                    "SELECT tick FROM scheduling_ticks WHERE entry = $1 AND outcome = 'done' AND due_at >= $2 ORDER BY due_at",
                    [.text(entry), .integer(first * 60_000)])
                #expect(Array(ticks.prefix(2)) == wanted && ticks.count <= 3, "\(entry): \(ticks)")
            }
            let nowMs = WallClock.nowMs
            #expect(try await stage.count("SELECT COUNT(*) FROM scheduling_ticks WHERE due_at > $1", [.integer(nowMs)]) == 0)
            #expect(
                try await stage.count("SELECT COUNT(*) FROM scheduling_ticks WHERE started_at < due_at OR started_at > $1", [.integer(nowMs)]) == 0)
            #expect(try await stage.count("SELECT COUNT(*) FROM scheduling_ticks WHERE due_at < $1", [.integer(begunMs - 6 * 60_000)]) == 0)
        }
    }
}
