import Database
import Formats
import TestSupport
import Testing
import Usage
import UsageSamples

/// The same numbers every time.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }
}

@Suite("Counting samples")
struct UsageCountingTests {
    private static let now = UsageFixture.nowMs
    private static let dayMs: Int64 = 24 * 60 * 60_000

    /// What the counters must be, computed the plain way.
    private struct Model {
        struct Month: Hashable { let project: String, period: String }
        struct Day: Hashable { let project: String, day: Int64 }
        var months: [Month: Int64] = [:]
        var days: [Day: Int64] = [:]
        var rejected = 0

        mutating func add(_ batch: SampleBatch, nowMs: Int64) {
            for row in batch.rows {
                guard row.atMs <= nowMs + UsageCountingTests.dayMs, nowMs - row.atMs <= 75 * UsageCountingTests.dayMs else {
                    rejected += 1
                    continue
                }
                let project = batch.projects[Int(row.project)]
                months[Month(project: project, period: String(Timestamp.rfc3339(row.atMs).prefix(7))), default: 0] += row.bytes
                days[Day(project: project, day: row.atMs / UsageCountingTests.dayMs), default: 0] += row.bytes
            }
        }
    }

    private static func batches(_ random: inout SplitMix) -> [SampleBatch] {
        var batches: [SampleBatch] = []
        var samples = 0
        while samples < 100_000 {
            let count = Int.random(in: 1...1500, using: &random)
            // Forty sevens are less than three hundred: no name comes twice in a batch.
            let projects = (0..<Int.random(in: 1...40, using: &random)).map { "p\(($0 * 7 + batches.count) % 300)" }
            let rows = (0..<count).map { _ in
                // Mostly of today; some weeks or months late, some too late, a few ahead of the clock.
                let age =
                    switch Int.random(in: 0..<100, using: &random) {
                    case 0..<70: Int64.random(in: 0...dayMs, using: &random)
                    case 70..<95: Int64.random(in: 0...70 * dayMs, using: &random)
                    case 95..<98: Int64.random(in: 76 * dayMs...200 * dayMs, using: &random)
                    default: Int64.random(in: -2 * dayMs...0, using: &random)
                    }
                return SampleBatch.Row(
                    project: Int32.random(in: 0..<Int32(projects.count), using: &random), bytes: Int64.random(in: 0...1 << 30, using: &random),
                    atMs: now - age)
            }
            batches.append(SampleBatch(source: "gateway-\(batches.count % 3)", batch: "b\(batches.count / 3)", projects: projects, rows: rows))
            samples += count
        }
        return batches
    }

    @Test("100,000 random samples, each batch five times in any order and grouping, are the sums of a plain model", arguments: [1, 2, 3] as [UInt64])
    func property(seed: UInt64) async throws {
        var random = SplitMix(state: seed)
        let batches = Self.batches(&random)
        var model = Model()
        for batch in batches { model.add(batch, nowMs: Self.now) }
        let fixture = try UsageFixture()
        var deliveries = (0..<5).flatMap { _ in batches }
        deliveries.shuffle(using: &random)
        var outcomes: [UsageCounters.Outcome] = []
        while !deliveries.isEmpty {
            let group = Array(deliveries.suffix(Int.random(in: 1...40, using: &random)))
            deliveries.removeLast(group.count)
            // As on the list: written and read again.
            let tallies = try group.map { SampleTally(try SampleBatch(decoding: $0.encoded()), nowMs: Self.now) }
            outcomes += try await fixture.database.write { try UsageCounters.apply(tallies, nowMs: Self.now, in: $0) }
        }
        let total = batches.reduce(0) { $0 + $1.rows.count }
        #expect(outcomes.reduce(0) { $0 + $1.counted } == total - model.rejected)
        #expect(outcomes.reduce(0) { $0 + $1.rejected } == model.rejected)
        #expect(outcomes.reduce(0) { $0 + $1.repeated } == 4 * total)
        #expect(outcomes.allSatisfy { $0.conflicting == 0 })
        let (months, days) = try await fixture.database.read { connection in
            var months: [Model.Month: Int64] = [:]
            try connection.forEach("SELECT * FROM usage_project_months") { row in
                let month = try row.int("month")
                let period = "\(try row.int("year"))-\(month < 10 ? "0" : "")\(month)"
                months[Model.Month(project: try row.text("project"), period: period)] = try row.int("traffic_bytes")
            }
            var days: [Model.Day: Int64] = [:]
            try connection.forEach("SELECT * FROM usage_project_days") { row in
                days[Model.Day(project: try row.text("project"), day: try row.int("day"))] = try row.int("traffic_bytes")
            }
            return (months, days)
        }
        #expect(months == model.months)
        #expect(days == model.days)
        let refused = try await fixture.database.read { try $0.first("SELECT SUM(samples) AS n FROM usage_rejections")?.int("n") }
        #expect(refused == Int64(model.rejected))
    }

    private func apply(_ batches: [SampleBatch], nowMs: Int64 = UsageCountingTests.now, _ fixture: UsageFixture) async throws -> [UsageCounters
        .Outcome]
    {
        let tallies = batches.map { SampleTally($0, nowMs: nowMs) }
        return try await fixture.database.write { try UsageCounters.apply(tallies, nowMs: nowMs, in: $0) }
    }

    private func traffic(_ project: String, _ fixture: UsageFixture) async throws -> Int64 {
        try await fixture.database.read { connection in
            try connection.first("SELECT SUM(traffic_bytes) AS n FROM usage_project_months WHERE project = $1", [.text(project)])?.intOrNil("n") ?? 0
        }
    }

    private static func batch(_ name: String?, _ bytes: [Int64], source: String = "gw", atMs: Int64 = now, ids: [String] = []) -> SampleBatch {
        SampleBatch(source: source, batch: name, projects: ["shop"], rows: bytes.map { SampleBatch.Row(project: 0, bytes: $0, atMs: atMs) }, ids: ids)
    }

    @Test("the same name of another source is another unit; the same name with other samples is a conflict on record, not counted")
    func conflicts() async throws {
        let fixture = try UsageFixture()
        let outcomes = try await apply(
            [Self.batch("a", [1, 2]), Self.batch("a", [10], source: "gw-2"), Self.batch("a", [100]), Self.batch("a", [1, 2])], fixture)
        #expect(outcomes.map(\.counted) == [2, 1, 0, 0])
        #expect(outcomes.map(\.conflicting) == [0, 0, 1, 0])
        #expect(outcomes.map(\.repeated) == [0, 0, 0, 2])
        #expect(try await traffic("shop", fixture) == 13)
        let row = try await fixture.database.read { try $0.first("SELECT * FROM usage_rejections") }
        #expect(try row?.text("reason") == "conflict" && row?.int("bytes") == 100)
    }

    @Test("samples with ids of their own count once each, however they are grouped")
    func ids() async throws {
        let fixture = try UsageFixture()
        let first = try await apply([Self.batch(nil, [1, 2, 4], ids: ["s 1", "s 2", "s 3"])], fixture)
        let second = try await apply([Self.batch(nil, [4, 8], ids: ["s 3", "s 4"]), Self.batch(nil, [1], ids: ["s 1"])], fixture)
        #expect(first.map(\.counted) == [3])
        #expect(second.map(\.counted) == [1, 0] && second.map(\.repeated) == [1, 1])
        #expect(try await traffic("shop", fixture) == 15)
    }

    @Test("a unit whose name was purged can not count again: its samples are too old by then")
    func replayAfterPurge() async throws {
        let fixture = try UsageFixture()
        // Ahead of the clock as far as is allowed: the youngest that a replay can find.
        let batch = Self.batch("a", [7], atMs: Self.now + SampleWindow.applyFutureMaxMs)
        #expect(try await apply([batch], fixture).map(\.counted) == [1])
        let later = Self.now + SampleWindow.batchKeepMs + 1
        let removed = try await fixture.database.write { try UsageStore.purge(nowMs: later, limit: 100, in: $0) }
        #expect(removed == 1)
        #expect(try await apply([batch], nowMs: later, fixture).map(\.rejected) == [1])
        #expect(try await traffic("shop", fixture) == 7)
    }

    @Test("late samples are told apart: an hour late, a month late")
    func late() async throws {
        let fixture = try UsageFixture()
        let outcomes = try await apply(
            [
                Self.batch("fresh", [1]), Self.batch("hour", [1], atMs: Self.now - SampleTally.lateMs - 1),
                Self.batch("month", [1, 1], atMs: Self.now - 30 * Self.dayMs),
                // Of several months in one batch only those of past ones.
                SampleBatch(
                    source: "gateway-1", batch: "both", projects: ["shop"],
                    rows: [0, 30, 0].map { SampleBatch.Row(project: 0, bytes: 1, atMs: Self.now - $0 * Self.dayMs) }),
            ], fixture)
        #expect(outcomes.map(\.late) == [0, 1, 2, 1])
        #expect(outcomes.map(\.pastMonth) == [0, 0, 2, 1])
    }

    @Test("traffic that the product measured itself counts once by its unit's name")
    func recordTraffic() async throws {
        let fixture = try UsageFixture()
        func record(_ unit: String, _ bytes: Int64) async throws -> Bool {
            try await fixture.database.write {
                try UsageCounters.recordTraffic(project: "shop", bytes: bytes, atMs: Self.now, unit: unit, nowMs: Self.now, in: $0)
            }
        }
        #expect(try await [record("a", 5), record("a", 5), record("b", 7)] == [true, false, true])
        #expect(try await traffic("shop", fixture) == 12)
    }

    @Test("a counter that is full stays full")
    func saturation() async throws {
        let fixture = try UsageFixture()
        for number in 0..<3 { _ = try await apply([Self.batch("\(number)", [1 << 50, ByteFigure.counterMax])], fixture) }
        #expect(try await traffic("shop", fixture) == ByteFigure.counterMax)
    }
}
