import Access
import Database
import EventLoop
import Formats
import HTTPServer
import Plans
import Teams
import TestSupport
import Testing
import Usage

@testable import WebService

@Suite("Following a team's page by server-sent events")
struct WebTeamStreamTests {
    private static var quick: TeamStreamLimits {
        var limits = TeamStreamLimits()
        (limits.tick, limits.usageRest) = (.milliseconds(50), .milliseconds(50))
        return limits
    }

    /// Runs with a loop that reads for listeners.
    private func listening(_ limits: TeamStreamLimits = quick, _ body: (WebStage, EventLoop) async throws -> Void) async throws {
        let loop = try EventLoop.started(name: "listeners")
        let outcome: Result<Void, any Error>
        do {
            try await WebStage.with(teamStreams: limits) { stage in try await body(stage, loop) }
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        let ending = BlockingPool(name: "listeners end", threads: 1)
        try? await ending.run { loop.stop() }
        ending.close()
        try outcome.get()
    }

    private func events(_ page: String) -> String { page.replacing("/settings?", with: "/settings/events?") }

    /// What the page says that it shows.
    private func mark(_ stage: WebStage, _ page: String) async throws -> String {
        let text = try await stage.send("GET", page).text
        let start = try #require(text.firstRange(of: "data-mark=\""))
        return String(text[start.upperBound...].prefix { $0 != "\"" })
    }

    @Test("each change is told once, with the mark that the page then has: traffic, storage, a payment's moves, the plan and what is to come")
    func changes() async throws {
        try await listening { stage, loop in
            try await stage.team("acme", projects: ["shop"])
            try await stage.team("other", projects: ["lamp"])
            let page = try await stage.teamLink()
            let shown = try await mark(stage, page)
            let follower = try EventListener(stage.address, "\(events(page))&mark=\(shown)", on: loop)
            let second = try EventListener(stage.address, "\(events(page))&mark=\(shown)", on: loop)
            let elsewhere = try await stage.teamLink("other")
            let other = try EventListener(stage.address, "\(events(elsewhere))&mark=\(try await mark(stage, elsewhere))", on: loop)
            try await eventually("the streams are open") { [follower, second, other].allSatisfy { $0.text.contains("retry: ") } }
            #expect(follower.text.contains("text/event-stream"))

            var count = 0
            func told(_ what: String) async throws {
                count += 1
                // More than one look may fall into a change.
                let now = try await mark(stage, page)
                try await eventually("\(what) is told") { follower.events.last?.id == now && second.events.last?.id == now }
                #expect(follower.events.count >= count, "\(what)")
                #expect(Set(follower.events.map(\.id)).count == follower.events.count, "\(what) is told once")
            }
            try await stage.traffic("shop", 7)
            try await told("traffic")
            try await stage.storage("shop", 9)
            try await told("storage")
            let payment = try await stage.beginUpgrade()
            try await told("a payment")
            try await stage.pay(payment)
            try await told("money")
            try await stage.activate()
            try await told("the plan")
            #expect(try await stage.post("/api/teams/acme/downgrade", [:]).status == 200)
            try await told("the end of the plan")
            #expect(try await stage.post("/api/teams/acme/keep", [:]).status == 200)
            try await told("that it goes on")
            #expect(other.events.isEmpty && !other.isOver)
        }
    }

    @Test("what else the page shows is told too: people, names, what is on sale, an address that can be paid no longer, news that is old")
    func others() async throws {
        try await listening { stage, loop in
            try await stage.team("acme", projects: ["shop"])
            let page = try await stage.teamLink()
            let follower = try EventListener(stage.address, "\(events(page))&mark=\(try await mark(stage, page))", on: loop)
            try await eventually("the stream is open") { follower.text.contains("retry: ") }
            var before = try await mark(stage, page)
            func told(_ what: String) async throws {
                let now = try await mark(stage, page)
                #expect(now != before, "\(what)")
                before = now
                try await eventually("\(what) is told") { follower.events.last?.id == now }
            }
            _ = try await stage.put("/api/teams/acme/members/awa%40example.org", ["name": "Awa", "role": "owner"])
            try await told("a member")
            let now = stage.nowMs
            try await stage.database.write { connection in
                try TeamStore.put(Project(id: "shop", team: "acme", name: "Boutique", createdAtMs: now), in: connection)
            }
            try await told("a name")
            _ = try await stage.beginUpgrade()
            try await told("a payment")
            try await stage.database.write { try $0.execute("UPDATE payments_attempts SET expires_at = $1", [.integer(now + 1000)]) }
            stage.turnClock(by: 2000)
            try await told("that it can be paid no longer")
            stage.turnClock(by: TeamPageContent.newsMs)
            try await told("that news is old")
            try await stage.database.write { connection in
                try connection.execute(
                    "INSERT INTO plans_versions VALUES ('pay_as_you_go', 9, 'Pro', 400, 'EUR', 1, -1, -1, -1, 4000, 6144, -1, -1, 1, $1)",
                    [.integer(now)])
            }
            try await told("another price")
        }
    }

    @Test("usage alone is told again only after a rest, a payment at once")
    func spacing() async throws {
        var limits = Self.quick
        limits.usageRest = .seconds(4).stretched
        try await listening(limits) { stage, loop in
            try await stage.team("acme", projects: ["shop"])
            let page = try await stage.teamLink()
            let follower = try EventListener(stage.address, "\(events(page))&mark=\(try await mark(stage, page))", on: loop)
            try await eventually("the stream is open") { follower.text.contains("retry: ") }
            try await stage.traffic("shop", 7)
            try await eventually("the first is told") { follower.events.count == 1 }
            let toldAt = ContinuousClock.now
            try await stage.traffic("shop", 7)
            let second = try await mark(stage, page)
            try await eventually("the second is told") { follower.events.last?.id == second }
            // It was told some time before we saw it.
            #expect(ContinuousClock.now - toldAt > limits.usageRest / 2)
            #expect(follower.events.count == 2)
            try await stage.traffic("shop", 7)
            let began = ContinuousClock.now
            _ = try await stage.beginUpgrade()
            let third = try await mark(stage, page)
            try await eventually("the payment is told") { follower.events.last?.id == third }
            #expect(ContinuousClock.now - began < limits.usageRest)
        }
    }

    @Test("who shows something old is told at once, who shows what there is hears nothing")
    func resuming() async throws {
        try await listening { stage, loop in
            try await stage.team("acme", projects: ["shop"])
            let page = try await stage.teamLink()
            let old = try await mark(stage, page)
            try await stage.traffic("shop", 5)
            let now = try await mark(stage, page)
            #expect(old != now)
            let late = try EventListener(stage.address, "\(events(page))&mark=\(old)", on: loop)
            try await eventually("what was missed is told") { late.events.map(\.id) == [now] }
            // A browser that comes back names the last event that it heard.
            let back = try EventListener(stage.address, "\(events(page))&mark=\(old)", headers: ["last-event-id": now], on: loop)
            try await eventually("it is open") { back.text.contains("retry: ") }
            try await stage.traffic("shop", 5)
            let next = try await mark(stage, page)
            try await eventually("only what came after is told") { back.events.map(\.id) == [next] }
        }
    }

    @Test("there is room for so many of a team, of an address and in all; who leaves makes room")
    func room() async throws {
        var limits = Self.quick
        (limits.total, limits.perTeam, limits.perCaller) = (5, 3, 4)
        try await listening(limits) { stage, loop in
            for team in ["one", "two", "three"] { try await stage.team(team) }
            let paths = [
                events(try await stage.teamLink("one")), events(try await stage.teamLink("two")), events(try await stage.teamLink("three")),
            ]
            func listen(_ place: Int, from address: String) throws -> EventListener {
                try EventListener(stage.address, paths[place], headers: ["x-forwarded-for": address], on: loop)
            }
            var open: [EventListener] = []
            for _ in 0..<3 { open.append(try listen(0, from: "203.0.113.1")) }
            try await eventually("three follow one team") { open.allSatisfy { $0.status == 200 } }
            let fourth = try listen(0, from: "203.0.113.2")
            try await eventually("a fourth is refused") { fourth.status == 429 }
            #expect(fourth.text.lowercased().contains("retry-after: 60"))
            open.append(try listen(1, from: "203.0.113.1"))
            try await eventually("another team is followed") { open[3].status == 200 }
            let fifth = try listen(2, from: "203.0.113.1")
            try await eventually("the address has had its share") { fifth.status == 429 }
            open.append(try listen(1, from: "203.0.113.2"))
            try await eventually("five follow") { open.allSatisfy { $0.status == 200 } }
            let sixth = try listen(2, from: "203.0.113.3")
            try await eventually("there is no room for a sixth") { sixth.status == 429 }
            open[0].leave()
            try await eventually("who leaves makes room") {
                let next = try listen(2, from: "203.0.113.3")
                try await eventually(within: .seconds(2), "an answer") { next.status != 0 }
                defer { open.append(next) }
                return next.status == 200
            }
        }
    }

    @Test("a link that leads nowhere, and one that has run out, are told to stop; a stream ends with its token")
    func expiry() async throws {
        try await listening { stage, loop in
            try await stage.team("acme")
            let page = try await stage.teamLink()
            for path in [
                "/teams/acme/settings/events", "/teams/acme/settings/events?t=x", "/teams/none/settings/events?t=1.x",
                events(page).replacing("/teams/acme/", with: "/teams/other/"), events(page) + "x",
            ] {
                let answer = try await stage.send("GET", path)
                #expect(answer.status == 204 && answer.body.isEmpty, "\(path)")
            }
            stage.turnClock(by: TeamLink.lifeMs / 2)
            let listener = try EventListener(stage.address, events(page), on: loop)
            try await eventually("it is open") { listener.status == 200 }
            stage.turnClock(by: TeamLink.lifeMs / 2)
            try await eventually("it has ended with its token") { listener.isOver }
            #expect(try await stage.send("GET", events(page)).status == 204)
            #expect(try await stage.send("GET", page).status == 404)
        }
    }

    @Test("a stream is kept alive while nothing happens, ends when it has lasted long enough, and when its team is gone")
    func lifetime() async throws {
        var limits = Self.quick
        (limits.heartbeat, limits.lifetime) = (.milliseconds(100), .seconds(3).stretched)
        try await listening(limits) { stage, loop in
            try await stage.team("acme")
            try await stage.team("gone")
            let listener = try EventListener(stage.address, events(try await stage.teamLink()), on: loop)
            let left = try EventListener(stage.address, events(try await stage.teamLink("gone")), on: loop)
            try await eventually("both are open") { listener.status == 200 && left.status == 200 }
            #expect(try await stage.delete("/api/teams/gone").status == 204)
            try await eventually("the team that is gone ends its stream") { left.isOver }
            try await eventually("its time is over") { listener.isOver }
            #expect(listener.text.split(separator: ": \n\n").count > 1)
        }
    }

    @Test("five hundred followers of fifty teams leave the API quick, hear of their own team alone, and are gone when the server stops")
    func many() async throws {
        var limits = Self.quick
        (limits.total, limits.perCaller) = (1000, 1000)
        try await listening(limits) { stage, loop in
            var followers: [[EventListener]] = []
            for number in 0..<50 {
                let team = "team-\(number)"
                try await stage.team(team, projects: ["project-\(number)"])
                let page = try await stage.teamLink(team)
                let path = "\(events(page))&mark=\(try await mark(stage, page))"
                followers.append(try (0..<10).map { _ in try EventListener(stage.address, path, on: loop) })
            }
            try await eventually(within: .seconds(60), "five hundred follow") { followers.joined().allSatisfy { $0.status == 200 } }
            let began = ContinuousClock.now
            for number in 0..<50 { #expect(try await stage.get("/api/usage/team-\(number)").status == 200) }
            #expect(ContinuousClock.now - began < Duration.seconds(15).stretched)
            try await stage.traffic("project-7", 1)
            try await eventually("all who follow it are told") { followers[7].allSatisfy { $0.events.count == 1 } }
            #expect(followers.enumerated().allSatisfy { place, them in place == 7 || them.allSatisfy(\.events.isEmpty) })
            let stopping = ContinuousClock.now
            await stage.web.stop(by: stopping.advanced(by: .seconds(10)))
            #expect(ContinuousClock.now - stopping < Duration.seconds(5).stretched)
            try await eventually("every stream has ended") { followers.joined().allSatisfy(\.isOver) }
        }
    }
}
