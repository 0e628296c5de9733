import EventLoop
import Formats
import HTTPClient
import HTTPServer
import Settings
import Synchronization
import Telemetry
import TestSupport
import Testing
import UsageSamples

@testable import CollectorService

#if canImport(Glibc)
    import Glibc
#endif

/// What stands in ingest's place: counts each batch once by its name, as ingest and worker-usage do, and can be away, angry or forgetful.
private final class PlayedIngest: Sendable {
    enum Mood: Sendable {
        case taking, refusing, unavailable
        /// Takes the batch, and nobody learns of it.
        case silentlyTaking
    }

    struct State: Sendable {
        var mood = Mood.taking
        var bodies: [String: [UInt8]] = [:]
        var posts = 0
        /// Posts of a known name with other content.
        var conflicts = 0
    }

    static let key = "key-of-the-collector-0123456789"
    let state = Mutex(State())
    let loop: EventLoop
    let port: Int
    private let server: Mutex<HTTPServer?> = Mutex(nil)

    init(loop: EventLoop) throws {
        self.loop = loop
        port = try freePort()
    }

    func start() async throws {
        let configuration = HTTPServerConfiguration(address: SocketAddress("127.0.0.1", port), loops: 1, bodyLimit: { _ in 2 << 20 })
        let server = HTTPServer(configuration: configuration, loops: [loop], name: "played", log: Log("played")) { [self] request, responder in
            answer(request, responder)
        }
        try await server.start()
        self.server.withLock { $0 = server }
    }

    func stop() async {
        // The server's handler holds this one: it lets go of the server.
        let server = server.withLock { server in
            defer { server = nil }
            return server
        }
        await server?.stop(by: ContinuousClock.now)
    }

    func set(_ mood: Mood) { state.withLock { $0.mood = mood } }

    private func answer(_ request: HTTPRequest, _ responder: HTTPResponder) {
        let mood = state.withLock { state in
            state.posts += 1
            return state.mood
        }
        guard request.method == "POST", request.path == "/usage", request.headers["authorization"] == "Bearer \(Self.key)" else {
            return responder.respond(.problem(401, "no"))
        }
        let name = request.headers["idempotency-key"] ?? ""
        switch mood {
        case .refusing: return responder.respond(.problem(422, "Invalid samples", detail: "none is taken"))
        case .unavailable: return responder.respond(.problem(503, "later"))
        case .taking, .silentlyTaking: break
        }
        do {
            _ = try SampleIntake.read(
                request.body, contentType: request.headers["content-type"] ?? "", batch: name, source: "s", nowMs: WallClock.nowMs)
        } catch {
            return responder.respond(.problem(422, "\(error)"))
        }
        state.withLock { state in
            if let known = state.bodies[name], known != request.body { state.conflicts += 1 }
            state.bodies[name] = request.body
        }
        if mood == .silentlyTaking { return responder.hangUp() }
        responder.respond(.json(200, ["received": true]))
    }

    /// Bytes by project, each batch once.
    var counted: [String: Int64] {
        var sums: [String: Int64] = [:]
        for (name, body) in state.withLock({ $0.bodies }) {
            let batch = try? SampleIntake.read(body, contentType: "application/x-ndjson", batch: name, source: "s", nowMs: WallClock.nowMs)
            for row in batch?.rows ?? [] { sums[batch?.projects[Int(row.project)] ?? "", default: 0] += row.bytes }
        }
        return sums
    }
}

/// A collector on a folder with logs, and ingest as it is played.
private final class CollectorStage: Sendable {
    let folder: TemporaryFolder
    let loop: EventLoop
    let ingest: PlayedIngest

    init() async throws {
        folder = try TemporaryFolder("quittance-collector")
        loop = try EventLoop.started(name: "collector test")
        ingest = try PlayedIngest(loop: loop)
        try await ingest.start()
    }

    func end() async {
        await ingest.stop()
        await loop.end()
    }

    func settings(_ change: (inout CollectorSettings) -> Void = { _ in }) -> CollectorSettings {
        var settings = CollectorSettings()
        settings.files = [CollectorSettings.File(.nginxJSON, folder.file("a.log")), CollectorSettings.File(.combined, folder.file("b.log"))]
        settings.assignments = [CollectorSettings.Assignment("shop.example.com", "shop"), CollectorSettings.Assignment("*.blog.test", "blog")]
        settings.ingestURL = "http://127.0.0.1:\(ingest.port)"
        settings.key = Secret(PlayedIngest.key)
        settings.beginning = .beginning
        settings.interval = .zero
        settings.folder = folder.file("state")
        change(&settings)
        return settings
    }

    func collector(_ change: (inout CollectorSettings) -> Void = { _ in }) throws -> Collector {
        try Collector(settings(change), loop: loop, registry: MetricRegistry(), patience: .zero, log: Log("test"))
    }

    func append(_ text: String, to name: String) throws {
        guard let stream = fopen(folder.file(name), "a") else { throw FixtureError("\(name) cannot be opened: error \(errno)") }
        defer { fclose(stream) }
        fputs(text, stream)
    }

    func shop(_ bytes: Int64) throws {
        try append(
            #"{"msec":\#(WallClock.nowMs / 1000).000,"host":"shop.example.com","bytes_sent":\#(bytes),"n":"\#(ULID.make())"}"# + "\n", to: "a.log")
    }

    func blog(_ bytes: Int64) throws {
        let civil = Timestamp.civil(WallClock.nowMs)
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let two = { (number: Int) in number < 10 ? "0\(number)" : "\(number)" }
        let date = "\(two(civil.day))/\(months[civil.month - 1])/\(civil.year):\(two(civil.hour)):\(two(civil.minute)):\(two(civil.second)) +0000"
        try append(#"x.blog.test 203.0.113.9 - - [\#(date)] "GET /\#(ULID.make()) HTTP/1.1" 200 \#(bytes) "-" "-""# + "\n", to: "b.log")
    }

    func checkpoint() throws -> Checkpoint { try Checkpoint(json: folder.read("state/checkpoint.json") ?? []) }
}

@Suite("The collector", .timeLimit(.minutes(2)))
struct CollectorTests {
    private func run(_ body: (CollectorStage) async throws -> Void) async throws {
        let stage = try await CollectorStage()
        do {
            try await body(stage)
        } catch {
            await stage.end()
            throw error
        }
        await stage.end()
    }

    private static func stop(_ collector: Collector) async { await collector.stop(by: ContinuousClock.now.advanced(by: .seconds(10))) }

    @Test("follows several logs at once and posts what they say, to the byte; what has no project is listed and not counted")
    func severalLogs() async throws {
        try await run { stage in
            try stage.shop(100)
            let collector = try stage.collector()
            try await collector.start()
            try await eventually("the first line is counted") { stage.ingest.counted == ["shop": 100] }
            for _ in 0..<5 {
                try stage.shop(7)
                try stage.blog(1000)
            }
            try stage.append(#"{"msec":\#(WallClock.nowMs / 1000).000,"host":"stranger.test","bytes_sent":5}"# + "\nrubbish\n", to: "a.log")
            try await eventually("all is counted") { stage.ingest.counted == ["shop": 135, "blog": 5000] }
            try await eventually("the unknown host is listed") { collector.unknown.listed == ["stranger.test": 1] }
            let page = CollectorPages.answer(to: "/unknown", of: collector)
            #expect(String(decoding: page.body, as: UTF8.self).contains(#"{"host":"stranger.test","lines":1}"#))
            #expect(
                CollectorPages.answer(to: "/readyz", of: collector).status == 200 && CollectorPages.answer(to: "/livez", of: collector).status == 200)
            await Self.stop(collector)
            #expect(try stage.checkpoint().pending == nil)
        }
    }

    @Test("waits while ingest is away, unavailable or refuses, is not ready meanwhile, and loses nothing")
    func ingestAway() async throws {
        try await run { stage in
            stage.ingest.set(.refusing)
            let collector = try stage.collector()
            try await collector.start()
            try stage.shop(1)
            try await eventually("it is told that ingest refuses") { collector.trouble?.contains("422 none is taken") == true }
            #expect(CollectorPages.answer(to: "/readyz", of: collector).status == 503)
            stage.ingest.set(.unavailable)
            try stage.shop(20)
            try await eventually("it is told that ingest is unavailable") { collector.trouble?.contains("unavailable") == true }
            await stage.ingest.stop()
            try stage.shop(300)
            try await eventually("it is told that nobody answers") { collector.trouble?.contains("unreachable") == true }
            stage.ingest.set(.taking)
            try await stage.ingest.start()
            try await eventually(within: .seconds(60), "all is counted") { stage.ingest.counted == ["shop": 321] }
            try await eventually("it is well again") { collector.trouble == nil }
            await Self.stop(collector)
        }
    }

    @Test("posts a batch whose answer was lost again under the same name and to the last bit, also after a restart with changed logs")
    func answerLost() async throws {
        try await run { stage in
            stage.ingest.set(.silentlyTaking)
            try stage.shop(5)
            let collector = try stage.collector()
            try await collector.start()
            try await eventually("it was posted twice") { stage.ingest.state.withLock { $0.posts } >= 2 }
            // The log goes on, is rotated away and even removed: the batch is on disk.
            try stage.shop(70)
            await collector.stop(by: ContinuousClock.now)
            let pending = try #require(try stage.checkpoint().pending)
            #expect(pending.body.contains(#""bytes":5,"#))
            stage.ingest.set(.taking)
            // Another map of projects changes nothing of what is on its way.
            let second = try stage.collector { $0.assignments = [CollectorSettings.Assignment("shop.example.com", "renamed")] }
            try await second.start()
            try await eventually("all is counted") { stage.ingest.counted == ["shop": 5, "renamed": 70] }
            await Self.stop(second)
            #expect(stage.ingest.state.withLock { $0.conflicts } == 0)
            #expect(stage.ingest.state.withLock { $0.bodies[pending.id] } == Array(pending.body.utf8))
        }
    }

    @Test("sends what it has gathered when it is asked to stop, and begins there the next time")
    func gracefulStop() async throws {
        try await run { stage in
            let collector = try stage.collector { $0.interval = .seconds(60) }
            try await collector.start()
            try stage.shop(5)
            await Self.stop(collector)
            #expect(stage.ingest.counted == ["shop": 5])
            try stage.shop(60)
            let second = try stage.collector()
            try await second.start()
            try await eventually("the rest is counted") { stage.ingest.counted == ["shop": 65] }
            await Self.stop(second)
        }
    }

    @Test("keeps at once where a log begins that the settings newly name: what comes while it is away is not behind a later end")
    func newLog() async throws {
        try await run { stage in
            let onlyShop: (inout CollectorSettings) -> Void = { $0.files.removeLast() }
            let first = try stage.collector(onlyShop)
            await Self.stop(first)
            try stage.blog(1)
            // Away again before there was any traffic.
            let second = try stage.collector { $0.beginning = .end }
            await Self.stop(second)
            try stage.blog(20)
            let third = try stage.collector { $0.beginning = .end }
            try await third.start()
            try await eventually("what came meanwhile is counted") { stage.ingest.counted == ["blog": 20] }
            await Self.stop(third)
        }
    }

    @Test("keeps where a log begins that could not be opened at the start")
    func lateLog() async throws {
        try await run { stage in
            let path = stage.folder.file("b.log")
            try stage.folder.makeFolder("b.log")
            let collector = try stage.collector { $0.beginning = .end }
            try await collector.start()
            try await eventually("the log cannot be read") { collector.trouble?.contains("no plain file") == true }
            #expect(try stage.checkpoint().trails[path] == nil)
            try #require(rmdir(path) == 0)
            try await eventually("its place is kept") { try stage.checkpoint().trails[path] != nil }
            await Self.stop(collector)
        }
    }

    @Test("reads its projects' file anew when it changes; one that is wrong changes nothing and is said")
    func projectsFile() async throws {
        try await run { stage in
            let path = try stage.folder.write("# whose is what\n\nshop.example.com = shop\n", to: "projects")
            let collector = try stage.collector {
                $0.assignments = []
                $0.assignmentsFile = path
            }
            try await collector.start()
            try stage.shop(1)
            try stage.blog(10)
            try await eventually("the shop is counted") { stage.ingest.counted == ["shop": 1] }
            try stage.folder.write("shop.example.com=shop\nnonsense\n", to: "projects")
            try await eventually("the fault is said") { collector.trouble?.hasSuffix("projects:2 is not host=project") == true }
            try stage.shop(2)
            try await eventually("what was said before counts") { stage.ingest.counted == ["shop": 3] }
            try stage.folder.write("shop.example.com=shop\nx.blog.test=blog\n", to: "projects")
            try await eventually("it is well again") { collector.trouble == nil }
            try stage.blog(100)
            // What came before anybody had said whose it is stays uncounted.
            try await eventually("the blog is counted") { stage.ingest.counted == ["shop": 3, "blog": 100] }
            await Self.stop(collector)
        }
    }

    @Test("does not begin without logs, a key or projects, nor twice in one place")
    func refusals() async throws {
        try await run { stage in
            #expect(throws: CollectorError.self) { try stage.collector { $0.files = [] } }
            #expect(throws: CollectorError.self) { try stage.collector { $0.key = nil } }
            #expect(throws: CollectorError.self) { try stage.collector { $0.assignments = [] } }
            #expect(throws: CollectorError.self) { try stage.collector { $0.assignmentsFile = "/nowhere/projects" } }
            let first = try stage.collector()
            #expect(throws: CollectorError.self) { try stage.collector() }
            await first.stop(by: ContinuousClock.now)
        }
    }

    @Test(
        "knows by the answer whether ingest has it, and when to come again",
        arguments: [
            (200, PostOutcome.accepted), (401, .refused), (413, .refused), (422, .refused), (429, .throttled), (500, .unavailable),
            (503, .unavailable),
            (302, .refused),
        ])
    func answers(status: Int, outcome: PostOutcome) {
        let answer = IngestPost.answer(HTTPClient.Response(status: status, headers: ["retry-after": "7"]))
        #expect(answer.outcome == outcome && answer.retryAfter == (outcome == .accepted ? nil : 7))
    }

    @Test("comes again after growing pauses, which end at half a minute")
    func pauses() {
        var backoff = PostBackoff()
        let pauses = (0..<9).map { _ in backoff.next(after: nil, random: 0) }
        #expect(pauses.prefix(3) == [.milliseconds(500), .seconds(1), .seconds(2)] && pauses.last == .seconds(30))
        var asked = PostBackoff()
        #expect([asked.next(after: 5, random: 0.9), asked.next(after: 3600, random: 0.9)] == [.seconds(5), .seconds(30)])
    }
}

@Suite("The collector's settings")
struct CollectorSettingsTests {
    @Test("are read from the environment")
    func read() throws {
        let settings = try Settings(environment: [
            "COLLECTOR_FILES": "nginx-json=/var/log/nginx/q.log traefik-clf=/var/log/traefik/access.log",
            "COLLECTOR_PROJECTS": "Shop.Example.com=shop *.x.test=x router:a=b@docker=c", "COLLECTOR_KEY": "k", "VAR_DIRECTORY": "/srv/q",
            "INGEST_ADDRESS": "127.0.0.1:1234", "COLLECTOR_INTERVAL": "500ms", "COLLECTOR_START": "beginning",
        ]).collector
        #expect(
            settings.files == [
                CollectorSettings.File(.nginxJSON, "/var/log/nginx/q.log"), CollectorSettings.File(.traefikCLF, "/var/log/traefik/access.log"),
            ])
        #expect(settings.assignments.map(\.key) == ["shop.example.com", "*.x.test", "router:a=b@docker"])
        #expect(settings.assignments.map(\.project) == ["shop", "x", "c"])
        #expect(settings.ingestURL == "http://127.0.0.1:1234" && settings.folder == "/srv/q/collector" && settings.beginning == .beginning)
        #expect(settings.interval == .milliseconds(500) && settings.key?.value == "k")
    }

    @Test(
        "are refused where they are wrong",
        arguments: [
            ("COLLECTOR_FILES", "nginx=/var/log/a"), ("COLLECTOR_FILES", "combined=relative"), ("COLLECTOR_FILES", "combined=/a combined=/a"),
            ("COLLECTOR_PROJECTS", "shop"), ("COLLECTOR_PROJECTS", "a b=shop"), ("COLLECTOR_PROJECTS", "*=shop"),
            ("COLLECTOR_PROJECTS", "a.test=sh/op"),
            ("COLLECTOR_PROJECTS", "a.test/x=shop"), ("COLLECTOR_PROJECTS", "router:=shop"), ("COLLECTOR_PROJECTS_FILE", "relative"),
            ("COLLECTOR_INGEST_URL", "ftp://a"), ("COLLECTOR_START", "middle"), ("COLLECTOR_INTERVAL", "2h"),
        ])
    func refused(name: String, value: String) {
        let error = #expect(throws: SettingsError.self) { try Settings(environment: [name: value]) }
        #expect(error?.problems.allSatisfy { $0.variable == name } == true)
    }
}
