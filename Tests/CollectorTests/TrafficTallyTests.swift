import Formats
import Settings
import Testing
import UsageSamples

@testable import CollectorService

@Suite("What lines come to")
struct TrafficTallyTests {
    private static let minute: Int64 = 29_920_800

    @Test("is added up by project and minute, and is a batch that ingest takes")
    func rows() throws {
        var tally = TrafficTally()
        for (project, second, bytes) in [(Int32(0), 0, Int64(5)), (1, 1, 7), (0, 59, 10), (0, 60, 100), (0, 30, 1000)] {
            let isTaken = tally.add(project: project, atMs: Self.minute * 60_000 + Int64(second) * 1000, bytes: bytes)
            #expect(isTaken)
        }
        #expect(
            tally.rows == [
                TrafficTally.Row(project: 0, minute: Self.minute, bytes: 1015), TrafficTally.Row(project: 1, minute: Self.minute, bytes: 7),
                TrafficTally.Row(project: 0, minute: Self.minute + 1, bytes: 100),
            ])
        let batch = try SampleIntake.read(
            Array(tally.body(projects: ["shop", "blog"]).utf8), contentType: "application/x-ndjson", batch: "b", source: "s",
            nowMs: Self.minute * 60_000)
        #expect(batch.projects == ["shop", "blog"] && batch.rows.map(\.bytes) == [1015, 7, 100])
        #expect(batch.rows.map(\.atMs) == [Self.minute * 60_000, Self.minute * 60_000, (Self.minute + 1) * 60_000])
    }

    @Test("is never more than a batch or a sample may have")
    func bounds() {
        var tally = TrafficTally(rowsMax: 3)
        var taken: [Bool] = []
        for (project, atMs, bytes) in [(Int32(0), Int64(0), SampleBatch.bytesMax), (0, 0, 1), (2, 0, 1), (1, 0, 1), (2, 1, 1)] {
            taken.append(tally.add(project: project, atMs: atMs, bytes: bytes))
        }
        #expect(taken == [true, true, true, false, true])
        #expect(tally.rows.map(\.bytes) == [SampleBatch.bytesMax, 1, 2])
        tally.removeAll()
        #expect(tally.isEmpty)
        taken.append(tally.add(project: 1, atMs: 60_000, bytes: 4))
        #expect(taken.last == true && tally.bytes == 4)
    }

    private static let map = ProjectMap(
        [
            ("shop.example.com", "shop"), ("*.blog.example.com", "blog"), ("*.example.com", "rest"), ("router:web@docker", "routed"),
            ("service:api@docker", "served"), ("label:eu", "labelled"), ("[::1]", "local"),
        ].map { CollectorSettings.Assignment($0, $1) })

    @Test(
        "belongs to the project that was entered, the most exact one, whatever case and port the host has",
        arguments: [
            ("shop.example.com", "shop"), ("SHOP.Example.com:8443", "shop"), ("shop.example.com.", "shop"), ("a.blog.example.com", "blog"),
            ("a.b.blog.example.com", "blog"), ("blog.example.com", "rest"), ("x.shop.example.com", "rest"), ("example.com", nil),
            ("evilexample.com", nil), ("[::1]:80", "local"), ("", nil), ("web@docker", nil),
        ] as [(String, String?)])
    func hosts(_ host: String, project: String?) {
        #expect(Self.map.project(of: host, .host) == project)
    }

    private static func project(_ line: String, _ names: inout NameTable) throws -> String? {
        try Array(line.utf8).withUnsafeBufferPointer { buffer in
            let number = names.project(of: try CollectorSettings.LogFormat.traefikJSON.read(buffer))
            return number < 0 ? nil : names.projects[Int(number)]
        }
    }

    private func expect(_ line: String, _ wanted: String?, _ names: inout NameTable) throws {
        let found = try Self.project(line, &names)
        #expect(found == wanted, "\(line)")
    }

    @Test("goes by service, then router, then host; what is unknown is listed and counted, boundedly")
    func labels() throws {
        var names = NameTable(Self.map)
        let rest = #","DownstreamContentSize":1,"time":"2026-11-21T08:00:00Z"}"#
        try expect(#"{"ServiceName":"api@docker","RouterName":"web@docker","RequestHost":"shop.example.com""# + rest, "served", &names)
        try expect(#"{"ServiceName":"no","RouterName":"web\u0040docker","RequestHost":"shop.example.com""# + rest, "routed", &names)
        try expect(#"{"RouterName":"no","RequestHost":"shop.example.com""# + rest, "shop", &names)
        try expect(#"{"RouterName":"no@docker""# + rest, nil, &names)
        try expect(#"{"A":1"# + rest, nil, &names)
        let fresh = names.takeFresh()
        #expect(names.unknown == ["router:no@docker": 1, "(none)": 1] && fresh == ["router:no@docker", "(none)"])

        // Whoever sends a Host header may say anything, as often as he likes.
        for number in 0..<NameTable.namesMax * 2 {
            let found = try Self.project(#"{"RequestHost":"h\#(number).test""# + rest, &names)
            try #require(found == nil)
        }
        #expect(names.unknown.count == NameTable.listedMax)
        #expect(names.unlisted == Int64(NameTable.namesMax * 2 - NameTable.listedMax + 2))
        try expect(#"{"RequestHost":"shop.example.com""# + rest, "shop", &names)
        names.replace(ProjectMap([CollectorSettings.Assignment("h1.test", "new")]))
        try expect(#"{"RequestHost":"h1.test""# + rest, "new", &names)
        try expect(#"{"RequestHost":"shop.example.com""# + rest, nil, &names)
    }

    @Test("leaves out lines whose time ingest would not take")
    func moments() {
        var intake = LineIntake(LogFixture.map)
        let nowMs = Self.minute * 60_000
        intake.setTime(nowMs)
        let dayMs: Int64 = 24 * 60 * 60_000
        let times = [nowMs, nowMs - 58 * dayMs, nowMs - 60 * dayMs, nowMs + 3 * 60_000, nowMs + 6 * 60_000, 0]
        let text = times.map { #"{"msec":\#($0 / 1000).000,"host":"shop.example.com","bytes_sent":1}"# + "\n" }.joined()
        let taken = Array(text.utf8).withUnsafeBufferPointer { intake.take($0, .nginxJSON, at: 0) }
        #expect(taken.done == text.utf8.count && !taken.isFull)
        #expect(intake.tally.bytes == 3 && intake.counts == LineIntake.Counts(lines: 6, traffic: 3, rejected: [.moment: 3]))
        let shown = intake.takeRejected()
        #expect(shown.count == 3 && shown.allSatisfy { $0.shape.isEmpty })
    }

    @Test("stops at the line that has no room, which is read again for the next batch")
    func fullBatch() {
        var intake = LineIntake(LogFixture.map)
        intake.tally = TrafficTally(rowsMax: 2)
        let nowMs = WallClock.nowMs
        intake.setTime(nowMs)
        let lines = (0..<3).map { #"{"msec":\#(nowMs / 1000 - Int64($0) * 60).000,"host":"shop.example.com","bytes_sent":1}"# + "\n" }
        let text = Array(lines.joined().utf8)
        let first = text.withUnsafeBufferPointer { intake.take($0, .nginxJSON, at: 0) }
        #expect(first.isFull && first.done == lines[0].utf8.count + lines[1].utf8.count)
        intake.tally.removeAll()
        let second = text[first.done...].withUnsafeBufferPointer { intake.take($0, .nginxJSON, at: Int64(first.done)) }
        #expect(!second.isFull && second.done == lines[2].utf8.count && intake.counts.lines == 3)
    }
}
