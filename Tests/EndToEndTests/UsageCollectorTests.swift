import Database
import Formats
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// nginx from Debian with the log format of docs/collector.md, as it is set up there.
private final class LoggingGateway: Sendable {
    let folder: TemporaryFolder
    let port: Int
    private let process: ProcessFixture

    /// Its logs, the ones that were rotated away too.
    var logs: [String] { folder.list("log").map { folder.file("log/\($0)") } }
    var log: String { folder.file("log/quittance.log") }

    init() async throws {
        folder = try TemporaryFolder("quittance-gateway")
        port = try freePort()
        try folder.makeFolder("log")
        try folder.makeFolder("files")
        try folder.write([UInt8](repeating: 0x61, count: 40_000), to: "files/page")
        try folder.write([UInt8](repeating: 0x62, count: 900_000), to: "files/film")
        try folder.write(Self.configuration(folder, port), to: "nginx.conf")
        process = try await ProcessFixture.start("/usr/sbin/nginx", ["-p", folder.path, "-c", folder.file("nginx.conf"), "-e", "stderr"])
        let (process, port) = (process, port)
        try await eventually("nginx answers") {
            guard process.isRunning else { throw FixtureError(process.transcript) }
            return try await HTTPLine.once(port: port, "GET", "/page").status == 200
        }
    }

    func end() { process.end() }

    private static func configuration(_ folder: TemporaryFolder, _ port: Int) -> String {
        let places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map { "\($0)_temp_path \(folder.path)/\($0);" }.joined(separator: "\n")
        return """
            \(getuid() == 0 ? "user root;" : "")
            daemon off;
            worker_processes 2;
            pid \(folder.path)/nginx.pid;
            error_log stderr warn;
            events { worker_connections 256; }
            http {
            \(places)
            log_format quittance escape=json '{"msec":$msec,"host":"$host","bytes_sent":$bytes_sent,"status":$status,"request":"$request"}';
            access_log \(folder.path)/log/quittance.log quittance;
            gzip on; gzip_types *; gzip_min_length 1;
            server {
                listen 127.0.0.1:\(port) default_server;
                root \(folder.path)/files;
                location /slow { alias \(folder.path)/files/film; limit_rate 400k; gzip off; }
            }
            }

            """
    }

    /// What log rotation does: renames, and has nginx open the log anew.
    func rotate() throws {
        for number in stride(from: 8, to: 0, by: -1) { rename("\(log).\(number)", "\(log).\(number + 1)") }
        guard rename(log, "\(log).1") == 0 else { throw FixtureError("the log cannot be renamed: error \(errno)") }
        guard kill(process.pid, SIGUSR1) == 0 else { throw FixtureError("nginx takes no signal: error \(errno)") }
    }

    /// What nginx says that it sent, by host, over all of its logs.
    func sent() async throws -> [String: Int64] {
        let program = #"{ sum[$5] += $7 } END { for (host in sum) printf "%s %.0f\n", host, sum[host] }"#
        let awk = try await ProcessFixture.start("awk", ["-F", #"[{":,}]+"#, program] + logs)
        guard try await awk.waitForExit(within: .seconds(60)) == .exited(0) else { throw FixtureError("awk: \(awk.transcript)") }
        let pairs = awk.output.compactMap { line -> (String, Int64)? in
            let words = line.split(separator: " ")
            return words.count == 2 ? Int64(words[1]).map { (String(words[0]), $0) } : nil
        }
        return Dictionary(pairs) { $0 + $1 }
    }

    /// Load as wrk makes it, whose connections end in the middle of an answer.
    func load(_ host: String, path: String, seconds: Int, connections: Int = 3) async throws -> ProcessFixture {
        try await ProcessFixture.start(
            "wrk",
            ["-t1", "-c\(connections)", "-d\(seconds)s", "-H", "Host: \(host)", "-H", "Accept-Encoding: gzip", "http://127.0.0.1:\(port)\(path)"])
    }
}

@Suite("Usage collected from access logs", .timeLimit(.minutes(4)))
struct UsageCollectorTests {
    private static func counted(_ stage: Stage) async throws -> [String: Int64] {
        try await stage.database.read { connection in
            let rows = try connection.query("SELECT project, SUM(traffic_bytes) AS n FROM usage_project_days GROUP BY project")
            return Dictionary(try rows.map { (try $0.text("project"), try $0.int("n")) }) { $0 + $1 }
        }
    }

    /// Waits until SQL has what nginx says, each figure to the byte.
    private static func requireAll(_ gateway: LoggingGateway, _ stage: Stage) async throws {
        var said = ""
        try await eventually(within: .seconds(90), "SQL has what nginx says that it sent") {
            let sent = try await gateway.sent()
            let blogs = sent.filter { $0.key.hasSuffix(".blog.test") }.values.reduce(0, +)
            let wanted = ["shop": sent["shop.test"] ?? 0, "blog": blogs].filter { $0.value > 0 }
            let found = try await counted(stage)
            said = "\(found) for \(wanted)"
            guard found == wanted else { throw FixtureError(said) }
            return true
        }
    }

    private static func settings(_ gateway: LoggingGateway) -> [String: String] {
        [
            "COLLECTOR_FILES": "nginx-json=\(gateway.log)", "COLLECTOR_PROJECTS": "shop.test=shop *.blog.test=blog",
            "COLLECTOR_KEY": Instance.usageKey, "COLLECTOR_START": "beginning", "COLLECTOR_INTERVAL": "100ms",
        ]
    }

    @Test("nginx under load, its log rotated twice, the collector killed over and over: SQL has the bytes that nginx says it sent, exactly")
    func rotatedAndKilled() async throws {
        let gateway = try await LoggingGateway()
        defer { gateway.end() }
        try await Stage.run(["ingest", "worker-usage"]) { stage in
            let program = "quittance-collector"
            let settings = Self.settings(gateway)
            try await stage.instance.start(program, with: settings)
            // What the load asks for is sent in chunks: no header says how long it will be.
            let streamed = try await HTTPLine.once(port: gateway.port, "GET", "/page", headers: [("accept-encoding", "gzip")])
            #expect(streamed.status == 200 && streamed.headers["transfer-encoding"] == "chunked" && streamed.headers["content-length"] == nil)
            let loads = [
                try await gateway.load("shop.test", path: "/page", seconds: 12), try await gateway.load("a.blog.test", path: "/film", seconds: 12),
                try await gateway.load("stranger.test", path: "/page", seconds: 8, connections: 1),
                // Streamed at a slow pace, and cut off at the end.
                try await gateway.load("b.blog.test", path: "/slow", seconds: 9, connections: 2),
            ]
            for round in 0..<6 {
                // While lines come, wherever the collector is just then.
                let before = try await Self.counted(stage)
                try await eventually("more is counted") {
                    let isOver = !loads.contains { $0.isRunning }
                    let now = try await Self.counted(stage)
                    return isOver || now != before
                }
                if round == 1 || round == 4 { try gateway.rotate() }
                try await stage.instance.kill9(program)
                // Once the log is rotated while nobody follows it.
                if round == 2 { try gateway.rotate() }
                try await stage.instance.start(program, with: settings)
            }
            for load in loads { _ = try await load.waitForExit(within: .seconds(60)) }
            try await Self.requireAll(gateway, stage)
            #expect(gateway.logs.count == 4)
            let sent = try await gateway.sent()
            #expect((sent["stranger.test"] ?? 0) > 0 && (sent["b.blog.test"] ?? 0) > 0, "\(sent)")
            // Nothing counts twice, and no batch came under the name of another.
            #expect(try await stage.count("SELECT COUNT(*) FROM usage_rejections") == 0)
            #expect(try await stage.instance.stop(program) == .exited(0))
            try await Self.requireAll(gateway, stage)
        }
    }

    @Test("ingest away while nginx goes on and its log is rotated: all of it is counted once ingest is back")
    func ingestAway() async throws {
        let gateway = try await LoggingGateway()
        defer { gateway.end() }
        try await Stage.run(["ingest", "worker-usage"]) { stage in
            try await stage.instance.start("quittance-collector", with: Self.settings(gateway))
            let load = try await gateway.load("shop.test", path: "/page", seconds: 5)
            try await eventually("something is counted") { try await Self.counted(stage).isEmpty == false }
            try await stage.instance.kill9("ingest")
            try gateway.rotate()
            let collector = try stage.instance.process("quittance-collector")
            try await collector.waitForLine(containing: "samples do not reach ingest")
            try gateway.rotate()
            _ = try await load.waitForExit(within: .seconds(60))
            try await stage.instance.start("ingest")
            try await Self.requireAll(gateway, stage)
        }
    }
}
