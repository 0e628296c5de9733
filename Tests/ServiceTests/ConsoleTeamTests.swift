import Database
import Formats
import Payments
import Plans
import Staff
import Teams
import TestSupport
import Testing
import Usage

@testable import WebService

@Suite("Teams in the console")
struct ConsoleTeamTests {
    private static let gb = ByteFigure.gb
    private static let teams = "/console/teams/"

    private func member(_ email: String, of team: String, _ stage: WebStage, role: TeamMember.Role = .owner) async throws {
        let now = stage.nowMs
        _ = try await stage.database.write {
            try TeamStore.put(
                TeamMember(team: team, email: email, name: "Awa Diop", language: "fr", role: role, getsAlerts: true, createdAtMs: now), in: $0)
        }
    }

    /// What stands in the cells of the first row that has a text.
    private func row(_ text: String, in page: String) -> [String]? {
        page.split(separator: "<tr>").first { $0.contains(text) }?.split(separator: "</tr>").first.map { row in
            row.split(separator: "<td").map { Self.words(of: "<td" + $0) }
        }
    }

    private static func words(of markup: String) -> String {
        var (words, isTag) = ("", false)
        for letter in markup {
            if letter == "<" { isTag = true }
            if !isTag { words.append(letter) }
            if letter == ">" { isTag = false }
        }
        return words
    }

    // MARK: List

    @Test("teams come page by page in the order of their ids, each once, and a full page stays under 60 KB")
    func pages() async throws {
        try await WebStage.with { stage in
            let viewer = try await ConsoleClient.signedIn(stage, .viewer)
            for number in 100..<220 {
                try await stage.team("team-\(number)", plan: number % 3 == 0 ? Plan.pro : Plan.free, projects: ["p-\(number)"])
            }
            var seen: [String] = []
            var path: String? = Self.teams
            while let next = path {
                let page = try await viewer.get(next)
                #expect(page.status == 200 && page.body.count < 60 * 1024, "\(page.body.count)")
                try HTMLCheck.wellFormed(page.text)
                seen += page.text.split(separator: "href=\"\(Self.teams)team-").dropFirst().map { "team-\($0.prefix { $0 != "/" })" }
                path = page.text.between("<a href=\"\(Self.teams)?after=", "\"").map { "\(Self.teams)?after=\($0)" }
            }
            #expect(seen.count == 120 && seen == seen.sorted() && Set(seen).count == 120)
            let first = try await viewer.get("\(Self.teams)?status=active")
            #expect(first.text.split(separator: "<tr>").count == 42, "forty are on Pro")
            #expect(try await viewer.get("\(Self.teams)?status=late").status == 422)
        }
    }

    @Test("a team is found by id, name or owner, and its line tells plan, period, members, projects and what it uses")
    func search() async throws {
        try await WebStage.with { stage in
            let (viewer, staff) = (try await ConsoleClient.signedIn(stage, .viewer), try await ConsoleClient.signedIn(stage, .staff))
            try await stage.team("acme", owner: "awa.diop@example.org", plan: Plan.pro, projects: ["shop", "blog"])
            try await stage.team("baobab", projects: ["forge"])
            try await member("awa.diop@example.org", of: "acme", stage)
            try await stage.traffic("shop", 9 * Self.gb)
            try await stage.storage("shop", Self.gb)
            try await eventually("it is counted") { try await viewer.get(Self.teams).text.contains("9.00\u{A0}GB") }
            for word in ["ACME", "team%20ac", "diop", "acme"] {
                let page = try await viewer.get("\(Self.teams)?q=\(word)").text
                #expect(page.contains("/console/teams/acme/") && !page.contains("/console/teams/baobab/"), "\(word)")
            }
            #expect(try await viewer.get("\(Self.teams)?q=nobody").text.contains("No teams."))
            let page = try await viewer.get(Self.teams).text
            let cells = try #require(row("/console/teams/acme/", in: page))
            #expect(cells[1] == "Team acme" && cells[3] == "Pro" && cells[4] == "active", "\(cells)")
            #expect(cells[6] == "1" && cells[7] == "2" && cells[8] == "9.00\u{A0}GB, 90\u{A0}% Warning" && cells[9] == "1.00\u{A0}GB, 10\u{A0}%")
            #expect(row("/console/teams/baobab/", in: page)?[3...9].joined(separator: "|") == "Free|–|–|0|1|–|–")
            #expect(!page.contains("awa.diop@example.org"), "viewers see no whole addresses")
            #expect(try await staff.get(Self.teams).text.contains("awa.diop@example.org"))
        }
    }

    // MARK: One team

    @Test("one team's page has plan, limits, days, projects, people, alerts, payments and moves; addresses are masked for viewers")
    func team() async throws {
        try await WebStage.with { stage in
            let (viewer, staff) = (try await ConsoleClient.signedIn(stage, .viewer), try await ConsoleClient.signedIn(stage, .staff))
            try await stage.team("acme", plan: Plan.pro, projects: ["shop"])
            try await member("awa@example.org", of: "acme", stage)
            try await stage.traffic("shop", Self.gb, atMs: stage.nowMs)
            try await stage.traffic("shop", Self.gb, atMs: stage.nowMs - 40 * UsagePeriod.dayMs)
            try await stage.storage("shop", 9 * Self.gb, atMs: stage.nowMs - 40 * 3_600_000)
            let started = try await stage.post("/api/payments/acme/initiate", ["payment_method": "mobile_money", "metadata": ["new_plan": "pro"]])
            let payment = try #require(started.string("id"))
            let now = stage.nowMs
            try await stage.database.write { connection in
                try connection.execute(
                    "INSERT INTO usage_alerts VALUES ('acme', 'storage', '2026-11', 80, $1, $2, 'Pro', 'sent', $3)",
                    [.integer(10 * Self.gb), .integer(9 * Self.gb), .integer(now)])
                try PlanChanges.plan(Plan.free, of: "acme", actor: "team:acme", nowMs: now, in: connection)
            }
            let page = try await viewer.get(ConsolePath.team("acme"))
            #expect(page.status == 200 && page.body.count < 60 * 1024)
            let text = page.text
            for words in [
                "1.00\u{A0}GB", "10\u{A0}GB", "90\u{A0}%", "stale", "Awa Diop", "Traffic of 31 days: 1.00\u{A0}GB", "<code>free</code>",
                "change planned",
                "team:acme", ConsolePath.payment(payment), "<code>shop</code>", "80\u{A0}%",
            ] { #expect(text.contains(words), "\(words)") }
            #expect(text.split(separator: "<rect").count == 2, "one day of traffic within 31 days")
            #expect(!text.contains("awa@example.org") && !text.contains("<form method=\"post\" action=\"/console/teams/"))
            #expect(try await staff.get(ConsolePath.team("acme")).text.contains("awa@example.org"))
            #expect(try await viewer.get(ConsolePath.team("nobody")).status == 404)
        }
    }

    @Test("a team that has more than its plan allows is told so on its page, and nothing of it is taken away")
    func exceeded() async throws {
        try await WebStage.with { stage in
            let viewer = try await ConsoleClient.signedIn(stage, .viewer)
            try await stage.team("acme", projects: ["one", "two", "three"])
            let text = try await viewer.get(ConsolePath.team("acme")).text
            #expect(text.contains("The team has more than its plan allows:") && text.contains("<li>Projects: 3, allowed: 2</li>"), "\(text)")
            #expect(try await stage.database.read { try TeamStore.projects(of: "acme", in: $0).count } == 3)
        }
    }

    @Test("an operator has a team go back to Free at the end of its period, with a reason, and takes that back; each is in the audit, once")
    func deeds() async throws {
        try await WebStage.with { stage in
            let (staff, clerk) = (try await ConsoleClient.signedIn(stage, .staff), try await ConsoleClient.signedIn(stage, .operator))
            try await stage.team("acme", plan: Plan.pro)
            try await stage.team("free")
            let path = ConsolePath.team("acme")
            func next() async throws -> String? { try await stage.database.read { try PlanChanges.next(of: "acme", in: $0) } }
            #expect(!(try await staff.get(path).text.contains("action=\"\(path)end\"")))
            #expect(try await staff.post("\(path)end", [("reason", "they asked")]).status == 403)
            #expect(try await clerk.get(path).text.contains("action=\"\(path)end\""))
            #expect(try await clerk.post("\(path)end").status == 422)
            #expect(try await clerk.post("\(path)end", [("reason", "they asked")], token: "another").status == 403)
            #expect(try await next() == nil)

            #expect(try await clerk.post("\(path)end", [("reason", "they asked")]).headers["location"] == "\(path)?done=changed")
            #expect(try await next() == Plan.free)
            let page = try await clerk.get(path).text
            #expect(page.contains("action=\"\(path)keep\"") && !page.contains("action=\"\(path)end\""))
            #expect(try await clerk.post("\(path)keep", [("reason", "they stay")]).status == 303)
            #expect(try await clerk.post("\(path)keep", [("reason", "once more")]).status == 409)
            #expect(try await next() == nil)
            #expect(try await clerk.post("\(ConsolePath.team("free"))end", [("reason", "why")]).status == 409)
            #expect(try await clerk.post("\(ConsolePath.team("nobody"))end", [("reason", "why")]).status == 404)

            let audit = try await stage.database.read { try StaffAudit.list(limit: 100, in: $0) }.filter { $0.action.hasPrefix("plan.") }
            #expect(audit.map(\.action) == ["plan.keep", "plan.end"] && audit.allSatisfy { $0.subject == "acme" })
            #expect(audit.map(\.detail) == ["they stay", "they asked"])
            let moves = try await stage.database.read { try PlanMove.list(team: "acme", limit: 10, in: $0) }
            #expect(moves.map(\.cause) == [.kept, .planned] && moves.allSatisfy { $0.actor == "staff:operator" })
        }
    }

    // MARK: Consumers

    @Test("the top consumers, those near a limit, stale gauges with their error and the alerts that went out stand on one page")
    func consumers() async throws {
        try await WebStage.with { stage in
            let viewer = try await ConsoleClient.signedIn(stage, .viewer)
            for (team, traffic, storage) in [("acme", 4, 0.05), ("baobab", 6, 0.02), ("cedar", 1, 0.09), ("idle", 0, 0)] {
                try await stage.team(team, projects: ["p-\(team)"])
                if traffic > 0 { try await stage.traffic("p-\(team)", Int64(traffic) * Self.gb) }
                if storage > 0 { try await stage.storage("p-\(team)", Int64(storage * Double(Self.gb)), atMs: stage.nowMs - 40 * 3_600_000) }
            }
            let now = stage.nowMs
            try await stage.database.write { connection in
                try StorageGauges.recordFailure(origin: "docker", error: "connection refused", nowMs: now, in: connection)
                for (number, team) in ["acme", "baobab"].enumerated() {
                    try connection.execute(
                        "INSERT INTO usage_alerts VALUES ($1, 'traffic', '2026-11', 80, 5, 4, 'Free', 'sent', $2)",
                        [.text(team), .integer(now + Int64(number))])
                }
            }
            let path = ConsumersPage.path
            try await eventually("it is counted") { try await viewer.get(path).text.contains("6.00\u{A0}GB") }
            func order(_ query: String) async throws -> [String] {
                let page = try await viewer.get(path + query).text
                let table = page.between("At most 50", "</table>") ?? ""
                return table.split(separator: "/console/teams/").dropFirst().map { String($0.prefix { $0 != "/" }) }
            }
            #expect(try await order("") == ["baobab", "acme", "cedar"])
            #expect(try await order("?by=storage") == ["cedar", "acme", "baobab"])
            #expect(try await order("?level=warning") == ["baobab", "acme"])
            #expect(try await order("?level=exceeded") == ["baobab"])
            #expect(try await order("?by=storage&level=critical") == [])
            let text = try await viewer.get(path).text
            #expect(text.contains("connection refused") && text.contains(">docker<"))
            #expect(text.between("Teams that are judged by traffic alone", "</table>")?.contains("/console/teams/cedar/") == true)
            let alerts = try #require(text.between("id=\"alerts\"", "</main>"))
            #expect(alerts.split(separator: "/console/teams/").dropFirst().map { String($0.prefix { $0 != "/" }) } == ["baobab", "acme"])
            let ofOne = try #require(try await viewer.get("\(path)?team=acme").text.between("id=\"alerts\"", "</main>"))
            #expect(ofOne.contains("/console/teams/acme/") && !ofOne.contains("/console/teams/baobab/"))
            for wrong in ["?by=cpu", "?level=much"] { #expect(try await viewer.get(path + wrong).status == 422, "\(wrong)") }
        }
    }

    @Test("the overview tells how many teams are near a limit and in their grace, and leads to them")
    func overview() async throws {
        try await WebStage.with { stage in
            let viewer = try await ConsoleClient.signedIn(stage, .viewer)
            try await stage.team("acme", plan: Plan.pro, projects: ["shop"])
            try await stage.team("baobab", projects: ["forge"])
            try await stage.traffic("forge", 4 * Self.gb)
            try await stage.database.write { try $0.execute("UPDATE plans_subscriptions SET status = 'grace'") }
            try await eventually("they are counted") {
                let page = try await viewer.get("/console/").text
                return page.contains("<strong data-figure=\"near\">1</strong>") && page.contains("<strong data-figure=\"grace\">1</strong>")
            }
            let page = try await viewer.get("/console/").text
            #expect(page.contains("href=\"\(ConsumersPage.path)?level=warning\"") && page.contains("href=\"\(Self.teams)?status=grace\""))
            let grace = try await viewer.get("\(Self.teams)?status=grace").text
            #expect(grace.contains("/console/teams/acme/") && !grace.contains("/console/teams/baobab/"))
            #expect(try await viewer.get(ConsolePath.team("acme")).text.contains("The grace ends"))
        }
    }
}
