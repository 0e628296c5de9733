import Database
import Formats
import Teams
import TestSupport
import Testing
import Usage

@Suite("Teams, their people and projects")
struct TeamTests {
    private static let team = Team(id: "baobab", name: "Baobab", owner: "awa", language: "fr", createdAtMs: 1)

    private static func member(_ email: String, name: String = "Awa", language: String = "fr") -> TeamMember {
        TeamMember(team: "baobab", email: email, name: name, language: language, role: .owner, getsAlerts: true, createdAtMs: 1)
    }

    @Test("what is put is found, changed by putting again, and counted")
    func putAndCount() async throws {
        let fixture = try UsageFixture()
        try await fixture.database.write { connection in
            #expect(try TeamStore.put(Self.team, in: connection))
            #expect(try TeamStore.put(Team(id: "baobab", name: "Baobab 2", owner: "awa", language: "en", createdAtMs: 9), in: connection) == false)
            #expect(
                try TeamStore.find("baobab", in: connection) == Team(id: "baobab", name: "Baobab 2", owner: "awa", language: "en", createdAtMs: 1))
            try TeamStore.put(Team(id: "acacia", name: "Acacia", owner: "awa", language: "fr", createdAtMs: 2), in: connection)
            #expect(try TeamStore.put(Self.member("awa@example.org"), in: connection))
            #expect(try TeamStore.put(Self.member("awa@example.org", name: "Awa K."), in: connection) == false)
            #expect(try TeamStore.members(of: "baobab", in: connection).map(\.name) == ["Awa K."])
            try TeamStore.put(Project(id: "shop", team: "baobab", name: "Shop", cpuMilli: 100, memoryMB: 64, createdAtMs: 1), in: connection)
            try TeamStore.put(
                Project(id: "blog", team: "baobab", name: "Blog", cpuMilli: 150, memoryMB: 32, customDomains: 2, createdAtMs: 1), in: connection)
            let counts = try #require(try TeamStore.counts(of: "baobab", in: connection))
            #expect((counts.members, counts.projects, counts.teamsOfOwner) == (1, 2, 2))
            #expect((counts.cpuMilli, counts.memoryMB, counts.customDomains) == (250, 96, 2))
            #expect(try TeamStore.counts(of: "nobody", in: connection) == nil)
            #expect(try TeamStore.list(limit: 1, in: connection).map(\.id) == ["acacia"])
            #expect(try TeamStore.list(after: "acacia", limit: 9, in: connection).map(\.id) == ["baobab"])
            #expect(try TeamStore.remove("baobab", in: connection))
            #expect(try TeamStore.remove("baobab", in: connection) == false)
            #expect(try TeamStore.project("shop", in: connection) == nil)
            #expect(try TeamStore.members(of: "baobab", in: connection).isEmpty)
        }
    }

    @Test("a project stays its team's until that team gives it up")
    func otherTeamsProject() async throws {
        let fixture = try UsageFixture()
        try await fixture.team("baobab", projects: ["shop"])
        try await fixture.team("acacia", projects: [], people: [])
        let taken = Project(id: "shop", team: "acacia", name: "Shop", createdAtMs: 1)
        await #expect(throws: TeamError.belongsToAnotherTeam(project: "shop")) {
            try await fixture.database.write { try TeamStore.put(taken, in: $0) }
        }
        try await fixture.database.write { connection in
            let byStranger = try TeamStore.removeProject("shop", of: "acacia", nowMs: 5, in: connection)
            let byOwner = try TeamStore.removeProject("shop", of: "baobab", nowMs: 5, in: connection)
            let isNew = try TeamStore.put(taken, in: connection)
            #expect((byStranger, byOwner, isNew) == (false, true, true))
            let teams = try TeamStore.teamsByProject(removedSinceMs: 0, in: connection)
            #expect(teams == ["shop": "acacia"])
        }
    }

    @Test("what breaks a rule names its field", arguments: ["", "has blank", "a/b", "é", String(repeating: "x", count: 65)])
    func badSlugs(id: String) async throws {
        let fixture = try UsageFixture()
        await #expect(throws: TeamError.invalid(field: "team", rule: Slug.rule(most: 64))) {
            try await fixture.database.write { try TeamStore.put(Team(id: id, name: "n", owner: "o", language: "fr", createdAtMs: 1), in: $0) }
        }
    }

    @Test("no address that is none", arguments: ["", "awa", "@x", "a@", "a b@x", "a@b@c", "a@x\nBcc: b@x", "<a@x>"])
    func badAddresses(email: String) async throws {
        let fixture = try UsageFixture()
        try await fixture.team("baobab", projects: [], people: [])
        await #expect(throws: TeamError.invalid(field: "email", rule: "must be a mail address")) {
            try await fixture.database.write { try TeamStore.put(Self.member(email), in: $0) }
        }
    }
}
