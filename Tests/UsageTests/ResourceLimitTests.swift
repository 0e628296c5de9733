import Database
import Formats
import Money
import Plans
import Teams
import TestSupport
import Testing
import Usage

@Suite("Limits that are not metered, and whether a project may go on")
struct ResourceLimitTests {
    typealias Resource = ResourceLimits.Resource

    struct Case: Sendable, CustomTestStringConvertible {
        let resource: Resource
        let plan: String
        /// What the team has of it already.
        let has: Int64
        let adding: Int64
        let fits: Bool
        var testDescription: String { "\(plan): \(has) + \(adding) \(resource.rawValue)" }
    }

    /// The seed's table: Free 1 team, 1 member, 2 projects, 0.3 CPU, 100 MB, no custom domains; Pro unlimited, 4.0 CPU, 6144 MB.
    static let cases: [Case] = [
        Case(resource: .members, plan: Plan.free, has: 0, adding: 1, fits: true),
        Case(resource: .members, plan: Plan.free, has: 1, adding: 1, fits: false),
        Case(resource: .members, plan: Plan.pro, has: 40, adding: 1000, fits: true),
        Case(resource: .projects, plan: Plan.free, has: 1, adding: 1, fits: true),
        Case(resource: .projects, plan: Plan.free, has: 2, adding: 1, fits: false),
        Case(resource: .projects, plan: Plan.free, has: 0, adding: 3, fits: false),
        Case(resource: .projects, plan: Plan.pro, has: 40, adding: 1, fits: true),
        Case(resource: .cpu, plan: Plan.free, has: 200, adding: 100, fits: true),
        Case(resource: .cpu, plan: Plan.free, has: 200, adding: 101, fits: false),
        Case(resource: .cpu, plan: Plan.pro, has: 3900, adding: 100, fits: true),
        Case(resource: .cpu, plan: Plan.pro, has: 3901, adding: 100, fits: false),
        Case(resource: .memoryMB, plan: Plan.free, has: 99, adding: 1, fits: true),
        Case(resource: .memoryMB, plan: Plan.free, has: 100, adding: 1, fits: false),
        Case(resource: .memoryMB, plan: Plan.pro, has: 6143, adding: 1, fits: true),
        Case(resource: .memoryMB, plan: Plan.pro, has: 6144, adding: 1, fits: false),
        Case(resource: .customDomains, plan: Plan.free, has: 0, adding: 1, fits: false),
        Case(resource: .customDomains, plan: Plan.pro, has: 9, adding: 1, fits: true),
        Case(resource: .teams, plan: Plan.free, has: 1, adding: 1, fits: false),
        Case(resource: .teams, plan: Plan.free, has: 1, adding: 0, fits: true),
        Case(resource: .teams, plan: Plan.pro, has: 5, adding: 1, fits: true),
        Case(resource: .members, plan: Plan.free, has: 1, adding: .max, fits: false),
    ]

    @Test("what fits a plan and what does not", arguments: cases)
    func table(_ test: Case) async throws {
        let fixture = try UsageFixture()
        try await fixture.team("baobab", projects: [], people: [])
        if test.plan != Plan.free { try await fixture.subscribe("baobab", to: test.plan) }
        try await fixture.database.write { connection in
            switch test.resource {
            case .members:
                for number in 0..<test.has {
                    try TeamStore.put(
                        TeamMember(
                            team: "baobab", email: "m\(number)@example.org", name: "M", language: "fr", role: .member, getsAlerts: false,
                            createdAtMs: 1),
                        in: connection)
                }
            case .projects:
                for number in 0..<test.has { try TeamStore.put(Project(id: "p\(number)", team: "baobab", name: "P", createdAtMs: 1), in: connection) }
            case .cpu: try TeamStore.put(Project(id: "p", team: "baobab", name: "P", cpuMilli: test.has, createdAtMs: 1), in: connection)
            case .memoryMB: try TeamStore.put(Project(id: "p", team: "baobab", name: "P", memoryMB: test.has, createdAtMs: 1), in: connection)
            case .customDomains:
                try TeamStore.put(Project(id: "p", team: "baobab", name: "P", customDomains: test.has, createdAtMs: 1), in: connection)
            case .teams:
                for number in 1..<test.has {
                    try TeamStore.put(Team(id: "t\(number)", name: "T", owner: "owner-baobab", language: "fr", createdAtMs: 1), in: connection)
                }
            }
        }
        let nowMs = fixture.nowMs
        let found = try await fixture.database.read {
            try ResourceLimits.check(test.resource, adding: test.adding, team: "baobab", nowMs: nowMs, in: $0)
        }
        let allowance = try #require(found)
        #expect(allowance.isAllowed == test.fits)
        #expect(allowance.used == test.has && allowance.team == "baobab" && allowance.project == nil)
        if !test.fits {
            // A refusal names limit, team, used and allowed.
            for word in [test.resource.limitName, "team baobab", "\(test.has)", "\(allowance.allowed)"] { #expect(allowance.sentence.contains(word)) }
        }
    }

    @Test("the limits of both plans are the seed's")
    func seedLimits() async throws {
        let fixture = try UsageFixture()
        try await fixture.database.read { connection in
            let free = try #require(try Plan.onSale(Plan.free, atMs: UsageFixture.nowMs, in: connection))
            #expect((free.maxTeams, free.maxMembers, free.maxProjects) == (1, 1, 2))
            #expect((free.maxCPUMilli, free.maxMemoryMB) == (300, 100))
            #expect((free.maxTrafficBytesPerMonth, free.maxStorageBytes) == (5 << 30, 100 << 20))
            #expect(!free.customDomains)
            let pro = try #require(try Plan.onSale(Plan.pro, atMs: UsageFixture.nowMs, in: connection))
            #expect((pro.maxTeams, pro.maxMembers, pro.maxProjects) == (-1, -1, -1))
            #expect((pro.maxCPUMilli, pro.maxMemoryMB) == (4000, 6144))
            #expect((pro.maxTrafficBytesPerMonth, pro.maxStorageBytes) == (10 << 30, 10_240 << 20))
            #expect(pro.customDomains && pro.name == "Pro")
            #expect(pro.price.decimalText == "3.00" && pro.price.currency.code == "EUR")
        }
    }

    @Test("a project may go on until its team's limit is used up; the refusal names limit, project, team, used, allowed")
    func projectAllowance() async throws {
        let fixture = try UsageFixture()
        try await fixture.team("baobab", projects: ["shop", "blog"])
        func ask(_ project: String) async throws -> ProjectAllowance? {
            let nowMs = fixture.nowMs
            return try await fixture.database.read { try UsageAllowance.ofProject(project, nowMs: nowMs, in: $0) }
        }
        #expect(try await ask("nobody's") == nil)
        #expect(try await ask("shop")?.isAllowed == true)
        try await fixture.traffic("blog", 5 << 30 - 1)
        #expect(try await ask("shop")?.isAllowed == true)
        try await fixture.traffic("blog", 1)
        let refused = try #require(try await ask("shop"))
        #expect(!refused.isAllowed && refused.refusals.map(\.limit) == ["max_traffic_gb_per_month"])
        #expect(
            refused.refusals.first?.sentence
                == "max_traffic_gb_per_month: project shop of team baobab uses 5368709120 of 5368709120 bytes, 1 more does not fit")
        try await fixture.storage(["shop": 100 << 20])
        #expect(try await ask("shop")?.refusals.map(\.limit) == ["max_traffic_gb_per_month", "max_storage_mb"])
        // Nothing is refused by a gauge that nobody has looked at for long.
        fixture.turn(to: fixture.nowMs + StorageGauge.staleAfterMs + 1)
        #expect(try await ask("shop")?.refusals.map(\.limit) == ["max_traffic_gb_per_month"])
        #expect(try await ask("shop")?.hasStaleStorage == true)
        fixture.turn(to: UsageFixture.nowMs)
        try await fixture.version(3, traffic: -1, storage: -1)
        try await fixture.subscribe("baobab", version: 3)
        #expect(try await ask("shop")?.isAllowed == true)
    }
}
