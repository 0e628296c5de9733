import Database
import Formats
import Plans
import Teams
import TestSupport
import Testing
import Usage

/// One story of a team on the Free plan (5 GB of traffic a month, 100 MB of storage), with the alerts that each look must send.
struct Situation: Sendable, CustomTestStringConvertible {
    enum Step: Sendable {
        /// This moment, UTC.
        case at(String)
        /// So much more traffic of the project `shop`.
        case traffic(Int64)
        case trafficOf(String, Int64)
        /// Traffic that was measured at another moment.
        case trafficAt(String, Int64)
        /// What the storage run finds of `shop`, now.
        case storage(Int64)
        case storageOf([String: Int64])
        /// The same, with a volume whose size is unknown.
        case partlyKnown(Int64)
        case pro
        /// A Pro with these limits.
        case limits(traffic: Int64, storage: Int64)
        case free
        case grace
        case ended
        case move(project: String, to: String)
        case remove(project: String)
        /// A limits run; it must send exactly these.
        case look([String])
        /// The same where 100 % is not told.
        case lookWithoutLimit([String])
    }

    let name: String
    let steps: [Step]
    init(_ name: String, _ steps: Step...) {
        self.name = name
        self.steps = steps
    }
    var testDescription: String { name }
}

@Suite("Alerts about limits")
struct AlertSituationTests {
    static let gb: Int64 = 1 << 30
    static let mb: Int64 = 1 << 20
    static let free = 5 * gb
    static let t80 = "traffic 80", t95 = "traffic 95", t100 = "traffic 100", s80 = "storage 80", s95 = "storage 95", s100 = "storage 100"

    /// So many percent of the Free plan's traffic, rounded down, and of its storage.
    static func t(_ percent: Int64) -> Int64 { free / 100 * percent }
    static func s(_ percent: Int64) -> Int64 { mb * percent }

    static let situations: [Situation] = [
        Situation("nothing used", .look([])),
        Situation("one byte below 80 %", .traffic(free * 80 / 100 - 1), .look([])),
        Situation("exactly 80 %", .traffic(free * 80 / 100), .look([t80])),
        Situation("one byte below 95 %", .traffic(free * 95 / 100 - 1), .look([t80])),
        Situation("exactly 95 %", .traffic(free * 95 / 100), .look([t95])),
        Situation("exactly 100 %", .traffic(free), .look([t100])),
        Situation("a jump from 70 % to 97 % sends the higher one only", .traffic(t(70)), .look([]), .traffic(t(27)), .look([t95])),
        Situation("a jump over all three sends 100 % only", .traffic(free * 2), .look([t100])),
        Situation("each step by itself", .traffic(t(81)), .look([t80]), .traffic(t(15)), .look([t95]), .traffic(t(10)), .look([t100])),
        Situation("looking again sends nothing", .traffic(t(85)), .look([t80]), .look([]), .traffic(t(1)), .look([])),
        Situation("100 % switched off", .traffic(free * 2), .lookWithoutLimit([t95])),
        Situation("100 % switched off, later on", .traffic(free * 2), .lookWithoutLimit([t95]), .look([t100])),
        Situation("fallen and crossed again in one month", .storage(s(85)), .look([s80]), .storage(s(20)), .look([]), .storage(s(85)), .look([])),
        Situation("fallen from 97 % to 85 %", .storage(s(97)), .look([s95]), .storage(s(85)), .look([])),
        Situation("fallen, then higher than before", .storage(s(85)), .look([s80]), .storage(s(10)), .look([]), .storage(s(96)), .look([s95])),
        Situation("traffic and storage are alerts of their own", .traffic(t(82)), .storage(s(96)), .look([s95, t80])),
        Situation("an upgrade arms anew", .traffic(t(96)), .look([t95]), .pro, .look([]), .traffic(4 * gb), .look([t80])),
        Situation("an upgrade that leaves the use above its limit", .traffic(free * 3), .look([t100]), .pro, .look([t100])),
        Situation("a downgrade below the use", .pro, .traffic(6 * gb), .look([]), .free, .look([t100])),
        Situation("up and down again: the old limit was told", .traffic(t(85)), .look([t80]), .pro, .look([]), .free, .look([])),
        Situation("unlimited never alarms", .limits(traffic: -1, storage: -1), .traffic(100_000 * gb), .storage(50_000 * gb), .look([])),
        Situation("a limit of zero, nothing used", .limits(traffic: 0, storage: 0), .look([])),
        Situation("a limit of zero, one byte used", .limits(traffic: 0, storage: 0), .traffic(1), .storage(1), .look([s100, t100])),
        Situation("an ended subscription is Free", .pro, .ended, .traffic(t(81)), .look([t80])),
        Situation("the grace keeps Pro's limits", .pro, .grace, .traffic(t(99)), .look([])),
        Situation(
            "the month changes at 00:00 UTC", .at("2026-11-30T23:59:59.999Z"), .traffic(t(85)), .look([t80]), .at("2026-12-01T00:00:00Z"), .look([]),
            .traffic(t(84)), .look([t80])),
        Situation(
            "the last look of a month and the first of the next", .at("2026-11-30T23:59:59.999Z"), .traffic(t(79)), .look([]),
            .at("2026-12-01T00:00:00Z"), .traffic(t(2)), .look([])),
        Situation(
            "storage has no month: the gauge is judged in the new one", .at("2026-11-30T20:00:00Z"), .storage(s(85)), .look([s80]),
            .at("2026-12-01T06:00:00Z"), .look([s80])),
        Situation(
            "the turn of the year", .at("2026-12-31T23:00:00Z"), .traffic(t(96)), .look([t95]), .at("2027-01-01T00:00:00Z"), .look([]),
            .traffic(t(96)),
            .look([t95])),
        Situation(
            "late traffic goes into its own month and alarms nobody now", .at("2026-12-02T06:00:00Z"), .trafficAt("2026-11-30T12:00:00Z", t(90)),
            .look([])),
        Situation("storage of 36 h is still judged", .storage(s(85)), .at("2026-11-22T18:00:00Z"), .look([s80])),
        Situation("storage older than 36 h is not judged", .storage(s(85)), .at("2026-11-22T18:00:00.001Z"), .look([])),
        Situation("stale storage does not hold traffic back", .storage(s(99)), .at("2026-11-23T06:00:00Z"), .traffic(t(81)), .look([t80])),
        Situation(
            "stale, then measured anew", .storage(s(99)), .at("2026-11-23T06:00:00Z"), .look([]), .storage(s(99)), .look([s95])),
        Situation(
            "sizes that are unknown: what is known is there at the least", .storage(s(50)), .at("2026-11-22T12:00:00Z"), .partlyKnown(s(90)),
            .look([s80]), .at("2026-12-22T19:00:00Z"), .partlyKnown(s(96)), .look([s95])),
        Situation("a size that is unknown for once keeps its last figure", .storage(s(96)), .partlyKnown(0), .look([s95])),
        Situation("the projects of a team count together", .trafficOf("shop", t(41)), .trafficOf("blog", t(41)), .look([t80])),
        Situation("storage of two projects together", .storageOf(["shop": s(50), "blog": s(46)]), .look([s95])),
        Situation("another team's project does not count", .trafficOf("other", t(70)), .trafficOf("shop", t(70)), .look([])),
        Situation("a project of nobody alarms nobody", .trafficOf("stray", t(500)), .look([])),
        Situation(
            "a project that moves takes its use along", .trafficOf("other", free / 2), .trafficOf("shop", free / 2), .look([]),
            .move(project: "other", to: "baobab"), .look([t100])),
        Situation(
            "a project that is removed counts to the end of its month", .trafficOf("blog", t(81)), .remove(project: "blog"), .look([t80]),
            .trafficOf("shop", t(15)), .look([t95]), .at("2026-12-01T06:00:00Z"), .trafficAt("2026-12-01T05:00:00Z", t(10)), .look([])),
        Situation("more than fits a counter", .traffic(1 << 50), .traffic(ByteFigure.counterMax), .traffic(ByteFigure.counterMax), .look([t100])),
    ]

    @Test("the alerts of a situation", arguments: situations)
    func situation(_ situation: Situation) async throws {
        let fixture = try UsageFixture()
        try await fixture.team("baobab", projects: ["shop", "blog"])
        try await fixture.team("acacia", projects: ["other"], people: [("kofi@example.org", "en", true)])
        for (place, step) in situation.steps.enumerated() {
            let context = Comment(rawValue: "step \(place + 1) of “\(situation.name)”")
            switch step {
            case .at(let text): fixture.turn(to: try #require(Timestamp.parse(text)))
            case .traffic(let bytes): try await fixture.traffic("shop", bytes)
            case .trafficOf(let project, let bytes): try await fixture.traffic(project, bytes)
            case .trafficAt(let text, let bytes): try await fixture.traffic("shop", bytes, atMs: Timestamp.parse(text))
            case .storage(let bytes): try await fixture.storage(["shop": bytes])
            case .storageOf(let projects): try await fixture.storage(projects)
            case .partlyKnown(let bytes): try await fixture.storage(["shop": bytes], unknown: 1)
            case .pro: try await fixture.subscribe("baobab")
            case .limits(let traffic, let storage):
                try await fixture.version(7, traffic: traffic, storage: storage)
                try await fixture.subscribe("baobab", version: 7)
            case .free: try await fixture.subscribe("baobab", to: Plan.free)
            case .grace: try await fixture.subscribe("baobab", status: "grace")
            case .ended: try await fixture.subscribe("baobab", status: "ended")
            case .move(let project, let team):
                try await fixture.database.write { connection in
                    try TeamStore.removeProject(project, of: "acacia", nowMs: fixture.nowMs, in: connection)
                    try TeamStore.put(Project(id: project, team: team, name: project, createdAtMs: 0), in: connection)
                }
            case .remove(let project):
                _ = try await fixture.database.write {
                    try TeamStore.removeProject(project, of: "baobab", nowMs: fixture.nowMs, in: $0)
                }
            case .look(let expected): #expect(try await fixture.look() == expected.map { "baobab \($0)" }, context)
            case .lookWithoutLimit(let expected): #expect(try await fixture.look(overLimit: false) == expected.map { "baobab \($0)" }, context)
            }
        }
        // Every alert that was sent told its team's one person, once.
        let sent = try await fixture.alerts().count { $0.state == .sent }
        let told = try await fixture.messages().count { $0.hasSuffix("awa@example.org fr") }
        #expect(told == sent)
    }

    @Test("the lower thresholds of a jump are on record as superseded")
    func superseded() async throws {
        let fixture = try UsageFixture()
        try await fixture.team("baobab", projects: ["shop"])
        try await fixture.traffic("shop", Self.t(97))
        try await fixture.look()
        let alerts = try await fixture.alerts()
        #expect(alerts.map { "\($0.threshold.rawValue) \($0.state.rawValue)" }.sorted() == ["80 superseded", "95 sent"])
        #expect(alerts.allSatisfy { $0.usedBytes == Self.t(97) && $0.limitBytes == Self.free && $0.plan == "Free" && "\($0.period)" == "2026-11" })
    }

    @Test("each of the team's people is written to in their language, those who want no alerts are not, and staff of stale origins once")
    func people() async throws {
        let fixture = try UsageFixture()
        try await fixture.team(
            "baobab", projects: ["shop"],
            people: [("awa@example.org", "fr", true), ("kofi@example.org", "en", true), ("quiet@example.org", "en", false)])
        try await fixture.traffic("shop", Self.t(96))
        try await fixture.storage(["shop": 1])
        #expect(try await fixture.look() == ["baobab traffic 95"])
        let first = ["usage_critical awa@example.org fr", "usage_critical kofi@example.org en"]
        #expect(try await fixture.messages() == first)
        fixture.turn(to: UsageFixture.nowMs + 37 * UsageFixture.hourMs)
        try await fixture.look()
        try await fixture.look()
        #expect(try await fixture.messages() == first + ["storage_stale ops@example.org en"])
    }

    @Test("with nobody to tell the alert is on record, the run says so, and whoever comes is told")
    func nobody() async throws {
        let fixture = try UsageFixture()
        try await fixture.team("baobab", projects: ["shop"], people: [])
        try await fixture.traffic("shop", Self.t(81))
        #expect(try await fixture.look() == [])
        #expect(try await fixture.alerts().map(\.state) == [.untold])
        #expect(try await fixture.messages().isEmpty)
        let run = try #require(try await fixture.database.read { try UsageRun.list(.limits, limit: 1, in: $0) }.first)
        #expect(run.items == 1 && run.errors == 1 && run.detail.contains("1 teams with nobody to tell"))
        try await fixture.team("baobab", projects: [], people: [("awa@example.org", "fr", true)])
        #expect(try await fixture.look() == ["baobab traffic 80"])
        #expect(try await fixture.look() == [])
        #expect(try await fixture.messages() == ["usage_warning awa@example.org fr"])
    }
}
