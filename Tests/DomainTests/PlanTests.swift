import Database
import Formats
import Money
import Testing

@testable import Plans

@Suite("The plans on sale")
struct PlanTests {
    private func plan(_ id: String) async throws -> Plan {
        let fixture = try DomainFixture()
        return try #require(try await fixture.database.read { try Plan.onSale(id, atMs: DomainFixture.nowMs, in: $0) })
    }

    @Test("Free has the limits that Servelink gives away")
    func free() async throws {
        let free = try await plan("free")
        #expect(free.name == "Free" && free.version == 1 && free.price == Money(0, .eur))
        #expect(free.maxTeams == 1 && free.maxMembers == 1 && free.maxProjects == 2)
        #expect(free.maxCPUMilli == 300 && free.maxMemoryMB == 100)
        #expect(free.maxTrafficBytesPerMonth == 5 * 1024 * 1024 * 1024)
        #expect(free.maxStorageBytes == 100 * 1024 * 1024)
        #expect(!free.customDomains)
    }

    @Test("Pro costs 3.00 EUR a month and has the limits that are paid for")
    func pro() async throws {
        let pro = try await plan("pay_as_you_go")
        #expect(pro.name == "Pro" && pro.version == 1 && pro.periodMonths == 1)
        #expect(pro.price.decimalText == "3.00" && pro.price.currency == .eur)
        #expect(pro.maxTeams == -1 && pro.maxMembers == -1 && pro.maxProjects == -1)
        #expect(pro.maxCPUMilli == 4000 && pro.maxMemoryMB == 6144)
        #expect(pro.maxTrafficBytesPerMonth == 10 * 1024 * 1024 * 1024)
        #expect(pro.maxStorageBytes == 10_240 * 1024 * 1024)
        #expect(pro.customDomains)
    }

    @Test("a plan that nobody sells is not found")
    func unknown() async throws {
        let fixture = try DomainFixture()
        #expect(try await fixture.database.read { try Plan.onSale("platinum", atMs: DomainFixture.nowMs, in: $0) } == nil)
        #expect(try await fixture.database.read { try Plan.onSale("free", atMs: -1, in: $0) } == nil)
    }
}

@Suite("Months of a subscription")
struct BillingCalendarTests {
    @Test(
        "the next period ends on the anchor's day, or on the month's last one, at the same time of day",
        arguments: [
            ("2026-01-31T10:11:12Z", 1, 31, "2026-02-28T10:11:12Z"), ("2026-02-28T10:11:12Z", 1, 31, "2026-03-31T10:11:12Z"),
            ("2028-01-31T00:00:00Z", 1, 31, "2028-02-29T00:00:00Z"), ("2028-02-29T00:00:00Z", 1, 31, "2028-03-31T00:00:00Z"),
            ("2028-02-29T00:00:00Z", 12, 29, "2029-02-28T00:00:00Z"), ("2029-02-28T00:00:00Z", 36, 29, "2032-02-29T00:00:00Z"),
            ("2100-01-30T23:59:59Z", 1, 30, "2100-02-28T23:59:59Z"), ("2000-01-30T23:59:59Z", 1, 30, "2000-02-29T23:59:59Z"),
            ("2026-03-31T05:00:00Z", 1, 31, "2026-04-30T05:00:00Z"), ("2026-04-30T05:00:00Z", 1, 31, "2026-05-31T05:00:00Z"),
            ("2026-11-30T05:00:00Z", 1, 30, "2026-12-30T05:00:00Z"), ("2026-12-31T23:00:00Z", 1, 31, "2027-01-31T23:00:00Z"),
            ("2026-12-15T12:00:00Z", 13, 15, "2028-01-15T12:00:00Z"), ("2026-06-15T12:00:00Z", 1, 15, "2026-07-15T12:00:00Z"),
        ] as [(String, Int64, Int64, String)])
    func adding(from: String, months: Int64, anchor: Int64, to: String) throws {
        let start = try #require(Timestamp.parse(from))
        #expect(BillingCalendar.adding(months: months, to: start, anchorDay: anchor) == Timestamp.parse(to))
    }

    @Test("twelve single months are one year, from every day of a year", arguments: 1...31)
    func twelveMonths(day: Int) {
        let start = Timestamp.ms(year: 2027, month: 1, day: day, hour: 8)
        var reached = start
        for _ in 0..<12 { reached = BillingCalendar.adding(months: 1, to: reached, anchorDay: Int64(day)) }
        #expect(reached == BillingCalendar.adding(months: 12, to: start, anchorDay: Int64(day)))
        #expect(reached == Timestamp.ms(year: 2028, month: 1, day: day, hour: 8))
    }
}
