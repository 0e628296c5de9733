import Database
import Formats
import TestSupport
import Testing
import Usage

@Suite("Storage gauges and readings of usage")
struct StorageGaugeTests {
    private static let hour = UsageFixture.hourMs

    private func gauge(_ project: String, _ fixture: UsageFixture) async throws -> StorageGauge {
        try await fixture.database.read { try UsageReading.gauge(of: project, in: $0) }
    }

    private func usage(_ team: String, _ fixture: UsageFixture, _ period: String? = nil) async throws -> TeamUsage {
        let nowMs = fixture.nowMs
        let month = try period.map { try #require(UsagePeriod($0)) } ?? UsagePeriod(containing: nowMs)
        return try #require(try await fixture.database.read { try UsageReading.team(team, month, nowMs: nowMs, in: $0) })
    }

    @Test("a measurement replaces its origin's figures; what it no longer finds is gone; another origin's stay")
    func replaces() async throws {
        let fixture = try UsageFixture()
        try await fixture.storage(["shop": 100, "blog": 50])
        _ = try await fixture.database.write {
            try StorageGauges.set(project: "shop", bytes: 7, origin: "api", measuredAtMs: UsageFixture.nowMs, in: $0)
        }
        #expect(try await gauge("shop", fixture) == StorageGauge(bytes: 107, unknownItems: 0, measuredAtMs: UsageFixture.nowMs))
        try await fixture.storage(["blog": 60], atMs: UsageFixture.nowMs + 1)
        #expect(try await gauge("shop", fixture).bytes == 7)
        #expect(try await gauge("blog", fixture).bytes == 60)
        // What comes late from a slower run does not turn the figures back.
        try await fixture.storage(["shop": 999], atMs: UsageFixture.nowMs - 1)
        #expect(try await gauge("shop", fixture).bytes == 7)
        let taken = try await fixture.database.write {
            try StorageGauges.set(project: "shop", bytes: 1, origin: "api", measuredAtMs: UsageFixture.nowMs - 1, in: $0)
        }
        #expect(!taken)
        #expect(try await gauge("shop", fixture).bytes == 7)
        let origins = try await fixture.database.read { try StorageGauges.origins(in: $0) }
        #expect(origins.map(\.measuredAtMs) == [UsageFixture.nowMs, UsageFixture.nowMs + 1])
    }

    @Test("a gauge is as old as the oldest of what it is made of, and never measured is stale")
    func age() async throws {
        let fixture = try UsageFixture()
        #expect(try await gauge("shop", fixture).isStale(nowMs: UsageFixture.nowMs))
        try await fixture.storage(["blog": 1])
        // Docker has looked and found nothing of shop: that is a figure.
        #expect(try await gauge("shop", fixture) == StorageGauge(bytes: 0, unknownItems: 0, measuredAtMs: UsageFixture.nowMs))
        try await fixture.storage(["blog": 1], unknown: 2, atMs: UsageFixture.nowMs + Self.hour)
        let blog = try await gauge("blog", fixture)
        #expect(
            blog == StorageGauge(bytes: 1, unknownItems: 2, measuredAtMs: UsageFixture.nowMs + Self.hour, knownAtMs: UsageFixture.nowMs))
        #expect(!blog.isStale(nowMs: UsageFixture.nowMs + 37 * Self.hour) && blog.isStale(nowMs: UsageFixture.nowMs + 37 * Self.hour + 1))
        #expect(!blog.isIncomplete(nowMs: UsageFixture.nowMs + 36 * Self.hour) && blog.isIncomplete(nowMs: UsageFixture.nowMs + 36 * Self.hour + 1))
    }

    @Test("what is of unknown size for once keeps its last figure; more than that figure is known to be there")
    func unknownForOnce() async throws {
        let fixture = try UsageFixture()
        try await fixture.team("baobab", projects: ["shop"])
        try await fixture.storage(["shop": 500])
        try await fixture.storage(["shop": 0], unknown: 1, atMs: UsageFixture.nowMs + 1)
        #expect(try await gauge("shop", fixture).bytes == 500)
        #expect(try await usage("baobab", fixture).storage.used == 500)
        try await fixture.storage(["shop": 700], unknown: 1, atMs: UsageFixture.nowMs + 2)
        #expect(try await gauge("shop", fixture).bytes == 700)
        try await fixture.storage(["shop": 20], atMs: UsageFixture.nowMs + 3)
        #expect(try await gauge("shop", fixture) == StorageGauge(bytes: 20, measuredAtMs: UsageFixture.nowMs + 3))
    }

    @Test("an origin that was never measured makes a gauge stale, however fresh the others are")
    func neverMeasured() async throws {
        let fixture = try UsageFixture()
        try await fixture.storage(["shop": 5])
        try await fixture.database.write {
            try StorageGauges.recordFailure(origin: "folders", error: "no disk", nowMs: UsageFixture.nowMs, in: $0)
        }
        #expect(try await gauge("shop", fixture) == StorageGauge(bytes: 5, measuredAtMs: nil))
    }

    @Test("a failure keeps the figures; an origin that is no longer measured is forgotten with its figures")
    func failure() async throws {
        let fixture = try UsageFixture()
        try await fixture.storage(["shop": 5])
        try await fixture.database.write { connection in
            try StorageGauges.recordFailure(origin: "docker", error: "no socket", nowMs: UsageFixture.nowMs + 1, in: connection)
            let origin = try #require(try StorageGauges.origins(in: connection).first)
            #expect(origin.error == "no socket" && origin.measuredAtMs == UsageFixture.nowMs && origin.failedAtMs == UsageFixture.nowMs + 1)
        }
        #expect(try await gauge("shop", fixture).bytes == 5)
        try await fixture.storage(["shop": 6], atMs: UsageFixture.nowMs + 2)
        try await fixture.database.write { connection in
            let origin = try #require(try StorageGauges.origins(in: connection).first)
            #expect(origin.error == nil)
            let known = try StorageGauges.forget(origin: "docker", nowMs: UsageFixture.nowMs, in: connection)
            let unknown = try StorageGauges.forget(origin: "docker", nowMs: UsageFixture.nowMs, in: connection)
            #expect((known, unknown) == (true, false))
        }
        let gone = try await gauge("shop", fixture)
        #expect(gone.bytes == 0 && gone.measuredAtMs == nil && !gone.hasOrigin)
    }

    @Test("over the month's end traffic begins anew and storage goes on; the month that is over keeps its last figure")
    func monthEnd() async throws {
        let fixture = try UsageFixture(nowMs: Timestamp.ms(year: 2026, month: 11, day: 30, hour: 4))
        try await fixture.team("baobab", projects: ["shop", "blog"])
        try await fixture.traffic("shop", 1000)
        try await fixture.storage(["shop": 300, "blog": 20])
        fixture.turn(to: Timestamp.ms(year: 2026, month: 12, day: 1))
        let december = try await usage("baobab", fixture)
        #expect(december.traffic.used == 0 && december.storage.used == 320)
        #expect(december.projects.map(\.id) == ["blog/2026-12", "shop/2026-12"])
        #expect(december.gauge?.measuredAtMs == Timestamp.ms(year: 2026, month: 11, day: 30, hour: 4))
        let november = try await usage("baobab", fixture, "2026-11")
        #expect(november.traffic.used == 1000 && november.storage.used == 320 && november.gauge == nil)
        try await fixture.storage(["shop": 500], atMs: Timestamp.ms(year: 2026, month: 12, day: 1, hour: 4))
        #expect(try await usage("baobab", fixture).storage.used == 500)
        #expect(try await usage("baobab", fixture, "2026-11").storage.used == 320)
        // On the 1st before the storage run the export has the gauge too, not nothing.
        fixture.turn(to: Timestamp.ms(year: 2027, month: 1, day: 1, hour: 2))
        let january = try #require(UsagePeriod("2027-01"))
        let export = try await fixture.database.read {
            try UsageReading.export(of: "baobab", from: january, through: january, nowMs: fixture.nowMs, in: $0)
        }
        #expect(export.map { "\($0.id) \($0.storageBytes)" } == ["shop/2027-01 500"])
        let october = try await usage("baobab", fixture, "2026-10")
        #expect(october.traffic.used == 0 && october.storage.used == 0)
    }

    @Test("history has every month, days have those on record, the export has a row per project and month")
    func history() async throws {
        let fixture = try UsageFixture()
        try await fixture.team("baobab", projects: ["shop", "blog"])
        try await fixture.traffic("shop", 10, atMs: Timestamp.ms(year: 2026, month: 10, day: 3))
        try await fixture.traffic("blog", 5, atMs: Timestamp.ms(year: 2026, month: 10, day: 3, hour: 23))
        try await fixture.traffic("shop", 1)
        try await fixture.storage(["shop": 40])
        let nowMs = fixture.nowMs
        try await fixture.database.read { connection in
            let months = try UsageReading.months(of: "baobab", count: 3, nowMs: nowMs, in: connection)
            #expect(
                months.map { "\($0.period) \($0.point.trafficBytes) \($0.point.storageBytes ?? -1)" } == [
                    "2026-09 0 -1", "2026-10 15 -1", "2026-11 1 40",
                ])
            let day = Timestamp.ms(year: 2026, month: 10, day: 3) / 86_400_000
            let days = try UsageReading.days(of: "baobab", day..<day + 60, in: connection)
            #expect(days.map { "\($0.day - day) \($0.point.trafficBytes) \($0.point.storageBytes ?? -1)" } == ["0 15 -1", "49 1 40"])
            let export = try UsageReading.export(
                of: "baobab", from: try #require(UsagePeriod("2026-10")), through: try #require(UsagePeriod("2026-11")), nowMs: nowMs, in: connection)
            #expect(
                export.map { "\($0.id) \($0.trafficBytes) \($0.storageBytes)" } == ["blog/2026-10 5 0", "shop/2026-10 10 0", "shop/2026-11 1 40"])
            let project = try UsageReading.project("shop", UsagePeriod(containing: nowMs), nowMs: nowMs, in: connection)
            #expect((project.projectID, project.year, project.month, project.trafficBytes, project.storageBytes) == ("shop", 2026, 11, 1, 40))
            #expect(project.createdAtMs == nowMs && project.updatedAtMs == nowMs)
        }
    }

    @Test("bytes in MB and GB are powers of 1024, with two decimals rounded half up")
    func figures() {
        #expect(ByteFigure.decimal(5 << 30, per: ByteFigure.gb) == "5.00")
        #expect(ByteFigure.decimal(1_048_576_000, per: ByteFigure.gb) == "0.98")
        #expect(ByteFigure.decimal(52_428_800, per: ByteFigure.mb) == "50.00")
        #expect(ByteFigure.text(4_563_402_752, language: "en") == "4.25 GB")
        #expect(ByteFigure.text(4_563_402_752, language: "fr") == "4,25 Go")
        #expect(ByteFigure.text(1023, language: "fr") == "0,00 Mo")
        #expect(ByteFigure.decimal(.max, per: ByteFigure.gb) == "8589934592.00")
    }

    @Test(
        "periods are read strictly and know their days",
        arguments: [
            ("2026-11", true), ("2026-13", false), ("2026-00", false), ("26-11", false), ("2026-1", false), ("1969-12", false), ("2026-1１", false),
        ])
    func periods(text: String, isPeriod: Bool) {
        #expect((UsagePeriod(text) != nil) == isPeriod)
    }

    @Test("February of a leap year has 29 days, December is followed by January")
    func calendar() throws {
        #expect(try #require(UsagePeriod("2028-02")).days.count == 29)
        #expect("\(try #require(UsagePeriod("2026-12")).adding(months: 1))" == "2027-01")
        #expect("\(try #require(UsagePeriod("2026-01")).adding(months: -13))" == "2024-12")
        #expect(UsagePeriod(containing: Timestamp.ms(year: 2026, month: 12, day: 1) - 1).description == "2026-11")
    }
}
