import Database
import Formats
import TestSupport
import Testing

@Suite("Schedulers whose clocks cannot be trusted", .timeLimit(.minutes(4)))
struct SchedulerClockTests {
    private static let perMinute = ["outbox-sweep", "purge"]

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
