import EventLoop
import Formats
import JobQueue
import TestSupport
import Testing

@Suite("Cron where clocks are turned")
struct CronZoneTests {
    private static func ms(_ text: String) -> Int64 { Timestamp.parse(text) ?? 0 }

    /// Ticks by the zone's clock, from a moment on.
    static let cases: [(what: String, zone: String, expression: String, after: String, ticks: [String])] = [
        (
            "a time in the gap runs when the clock has jumped over it", "Europe/Paris", "30 2 * * *", "2026-03-28T00:00:00Z",
            ["2026-03-28T02:30:00.000+01:00", "2026-03-29T03:00:00.000+02:00", "2026-03-30T02:30:00.000+02:00"]
        ),
        (
            "several times in the gap are one run", "Europe/Paris", "0,20,40 2-3 * * *", "2026-03-29T00:59:00Z",
            ["2026-03-29T03:00:00.000+02:00", "2026-03-29T03:20:00.000+02:00", "2026-03-29T03:40:00.000+02:00"]
        ),
        (
            "a time in the fold runs at its first coming", "Europe/Paris", "30 2 * * *", "2026-10-24T12:00:00Z",
            ["2026-10-25T02:30:00.000+02:00", "2026-10-26T02:30:00.000+01:00"]
        ),
        (
            "what runs every hour runs in both hours of the fold", "Europe/Paris", "30 * * * *", "2026-10-24T23:00:00Z",
            ["2026-10-25T01:30:00.000+02:00", "2026-10-25T02:30:00.000+02:00", "2026-10-25T02:30:00.000+01:00", "2026-10-25T03:30:00.000+01:00"]
        ),
        (
            "what runs every hour runs through the gap", "Europe/Paris", "30 * * * *", "2026-03-29T00:00:00Z",
            ["2026-03-29T01:30:00.000+01:00", "2026-03-29T03:30:00.000+02:00"]
        ),
        (
            "what runs every minute runs through the gap", "Europe/Paris", "* * * * *", "2026-03-29T00:58:00Z",
            ["2026-03-29T01:59:00.000+01:00", "2026-03-29T03:00:00.000+02:00", "2026-03-29T03:01:00.000+02:00"]
        ),
        (
            "half an hour's gap", "Australia/Lord_Howe", "15 2 * * *", "2026-10-03T00:00:00Z",
            ["2026-10-04T02:30:00.000+11:00", "2026-10-05T02:15:00.000+11:00"]
        ),
        (
            "half an hour's fold", "Australia/Lord_Howe", "45 1 * * *", "2026-04-04T00:00:00Z",
            ["2026-04-05T01:45:00.000+11:00", "2026-04-06T01:45:00.000+10:30"]
        ),
        (
            "a day that was left out: its time of day runs when the next day begins", "Pacific/Apia", "0 9 * * *", "2011-12-29T00:00:00Z",
            ["2011-12-29T09:00:00.000-10:00", "2011-12-31T00:00:00.000+14:00", "2011-12-31T09:00:00.000+14:00"]
        ),
        (
            "midnight that is left out", "America/Santiago", "0 0 * * *", "2026-09-05T12:00:00Z",
            ["2026-09-06T01:00:00.000-03:00", "2026-09-07T00:00:00.000-03:00"]
        ),
        (
            "midnight that comes twice", "America/Havana", "0 0 * * *", "2026-10-31T12:00:00Z",
            ["2026-11-01T00:00:00.000-04:00", "2026-11-02T00:00:00.000-05:00"]
        ),
        (
            "Ramadan: back and forth within weeks", "Africa/Casablanca", "30 2 * * *", "2026-02-14T12:00:00Z",
            ["2026-02-15T02:30:00.000+01:00", "2026-02-16T02:30:00.000Z"]
        ),
        (
            "two hours at once", "Antarctica/Troll", "0 2 * * *", "2026-03-28T12:00:00Z",
            ["2026-03-29T03:00:00.000+02:00", "2026-03-30T02:00:00.000+02:00"]
        ),
        (
            "long after the table", "Europe/Paris", "30 2 * * *", "2100-03-27T12:00:00Z",
            ["2100-03-28T03:00:00.000+02:00", "2100-03-29T02:30:00.000+02:00"]
        ),
        (
            "a distance of seconds", "Africa/Monrovia", "0 12 * * *", "1972-01-05T00:00:00Z",
            ["1972-01-05T12:00:00.000-00:44", "1972-01-06T12:00:00.000-00:44", "1972-01-07T12:00:00.000Z"]
        ),
        (
            "weekdays are those of the zone", "Asia/Tokyo", "0 6 * * mon", "2026-11-21T00:00:00Z", ["2026-11-23T06:00:00.000+09:00"]
        ),
    ]

    @Test("the ticks are those of the rules", arguments: cases.indices)
    func ticks(_ index: Int) throws {
        let example = Self.cases[index]
        let schedule = try CronSchedule.cron(example.expression, zone: example.zone)
        let ticks = schedule.next(example.ticks.count, after: Self.ms(example.after))
        #expect(ticks.map(schedule.zone.rfc3339) == example.ticks, "\(example.what)")
        for (tick, before) in zip(ticks.dropFirst(), ticks) { #expect(schedule.previousOrAt(tick - 1) == before) }
    }

    @Test("around the turns of clocks from 1970 to 2100, in 51 zones, ticks are those of a walk minute by minute with Python's zones")
    func oracle() async throws {
        let folder = try TemporaryFolder("quittance-oracle")
        try await ZoneOracle.ask(in: folder)
        // A long walk: not on a thread that other tests wait for.
        let pool = BlockingPool(name: "oracle", threads: 1)
        defer { pool.close() }
        let (counts, mistakes) = try await pool.run {
            let (windows, readings) = ZoneOracle.answers(in: folder)
            let counts = (windows: windows.count, zones: Set(windows.map(\.zone)).count, readings: readings.count)
            return (counts, try Self.mistakes(windows, readings))
        }
        #expect(counts.windows > 8000 && counts.zones >= 40 && counts.readings > 20_000)
        #expect(mistakes.isEmpty, "\(mistakes.count): \(mistakes.prefix(5).joined(separator: "\n"))")
    }

    private static func mistakes(_ windows: [ZoneOracle.Window], _ readings: [ZoneOracle.Reading]) throws -> [String] {
        var schedules: [String: CronSchedule] = [:]
        var mistakes: [String] = []
        for window in windows {
            let key = "\(window.expression) \(window.zone)"
            let schedule = try schedules[key] ?? .cron(window.expression, zone: window.zone)
            schedules[key] = schedule
            var forth: [Int64] = []
            while let tick = schedule.next(after: forth.last ?? window.startMs - 1), tick <= window.endMs { forth.append(tick) }
            let back = schedule.last(10_000, after: window.startMs - 1, upTo: window.endMs)
            if forth != window.ticksMs || back != window.ticksMs {
                mistakes.append("\(key) from \(Timestamp.rfc3339(window.startMs)): \(forth), back \(back), wanted \(window.ticksMs)")
            }
        }
        for reading in readings {
            let zone = try TimeZoneFolder.system.zone(reading.zone)
            if zone.secondsFromUTC(atMs: reading.atMs) != reading.seconds {
                mistakes.append("\(reading.zone) at \(reading.atMs): \(zone.secondsFromUTC(atMs: reading.atMs)), wanted \(reading.seconds)")
            }
        }
        return mistakes
    }

    @Test("a zone that is not there is named as the field at fault")
    func noZone() {
        #expect { try CronSchedule.cron("0 6 * * *", zone: "Europe/Atlantis") } throws: { ($0 as? CronError)?.field == "zone" }
        #expect { try CronSchedule.cron("0 6 * *", zone: "Europe/Paris") } throws: { ($0 as? CronError)?.field == "" }
    }

    @Test("an interval ticks at its multiples since 1970")
    func intervals() {
        let schedule = CronSchedule.every(.seconds(10))
        #expect(schedule.next(3, after: 25_000) == [30_000, 40_000, 50_000])
        #expect(schedule.previousOrAt(30_000) == 30_000 && schedule.previousOrAt(29_999) == 20_000)
        #expect(schedule.next(after: -1) == 0 && schedule.previousOrAt(-1) == -10_000)
        #expect(schedule.last(2, after: 0, upTo: 45_000) == [30_000, 40_000])
    }

    @Test("catch-up takes none, the latest, or all of what was missed")
    func catchUp() throws {
        let schedule = try CronSchedule.cron("*/10 * * * *")
        let last = Self.ms("2026-11-21T08:00:00Z")
        func due(_ policy: CronCatchUp, at now: String) -> [String] {
            policy.due(schedule, after: last, nowMs: Self.ms(now)).map { String(Timestamp.rfc3339($0).dropFirst(11).prefix(5)) }
        }
        #expect(due(.none, at: "2026-11-21T08:35:00Z").isEmpty)
        #expect(due(.none, at: "2026-11-21T08:30:59Z") == ["08:30"])
        #expect(due(.latest, at: "2026-11-21T08:35:00Z") == ["08:30"])
        #expect(due(.all(max: 2), at: "2026-11-21T08:35:00Z") == ["08:20", "08:30"])
        #expect(due(.all(max: 9), at: "2026-11-21T08:35:00Z") == ["08:10", "08:20", "08:30"])
        for policy in [CronCatchUp.none, .latest, .all(max: 9)] { #expect(due(policy, at: "2026-11-21T08:09:59Z").isEmpty) }
    }
}
