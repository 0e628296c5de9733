import Formats
import IngestService
import OperatorCommands
import RedisClient
import Settings
import Telemetry
import TestSupport
import Testing
import UsageSamples

#if canImport(Glibc)
    import Glibc
#endif

@Suite("POST /usage", .timeLimit(.minutes(3)))
struct IngestUsageTests {
    private typealias Stage = IngestUsageStage

    /// One line of the answer table.
    private struct Line: Sendable {
        let what: String
        let status: Int
        var method = "POST"
        var path = "/usage"
        var headers: [(String, String)] = IngestUsageStage.headers("b-1")
        var body: [UInt8]? = IngestUsageStage.lines()
        /// Stands somewhere in the answer's body.
        var says = ""
        /// Batches on the list afterwards.
        var kept = 0
    }

    private static func table() -> [Line] {
        let json = ("content-type", "application/json")
        let key = ("authorization", "Bearer \(Stage.keys.old)")
        let named = ("idempotency-key", "b-1")
        let nowMs = WallClock.nowMs
        let sample = #"{"project":"shop","bytes":7,"at":\#(nowMs)}"#
        let time = Timestamp.rfc3339(nowMs)
        func event(_ data: String) -> String {
            #"{"specversion":"1.0","id":"e1","source":"/gw","type":"usage","subject":"shop","time":"\#(time)","data":\#(data)}"#
        }
        func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
        return [
            Line(what: "newline-delimited JSON", status: 200, says: #"{"received":true,"samples":1}"#, kept: 1),
            Line(what: "the same batch again", status: 200, says: #"{"received":true,"samples":1}"#, kept: 1),
            Line(what: "a trailing slash", status: 200, path: "/usage/", kept: 1),
            Line(what: "a query", status: 200, path: "/usage?from=cron", kept: 1),
            Line(what: "5,000 samples", status: 200, body: Stage.lines(5000), says: #""samples":5000"#, kept: 1),
            Line(what: "5,001 samples", status: 422, body: Stage.lines(5001), says: "must be 1 to 5000"),
            Line(
                what: "a charset", status: 200, headers: [key, named, ("content-type", "application/x-ndjson; charset=utf-8")], kept: 1),
            Line(what: "JSON", status: 200, headers: [key, named, json], body: bytes(#"{"samples":[\#(sample),\#(sample)]}"#), says: ":2}", kept: 1),
            Line(
                what: "JSON that names its batch", status: 200, headers: [key, json], body: bytes(#"{"batch":"b-9","samples":[\#(sample)]}"#), kept: 1
            ),
            Line(
                what: "JSON whose batch is another", status: 422, headers: [key, named, json],
                body: bytes(#"{"batch":"b-9","samples":[\#(sample)]}"#), says: #"{"field":"batch","rule":"must be the Idempotency-Key"#),
            Line(
                what: "CloudEvents without a key of their own", status: 200, headers: [key, ("content-type", "application/cloudevents-batch+json")],
                body: bytes("[\(event(#"{"bytes":7}"#))]"), kept: 1),
            Line(
                what: "one CloudEvent", status: 200, headers: [key, ("content-type", "application/cloudevents+json; charset=utf-8")],
                body: bytes(event(#"{"bytes":7}"#)), kept: 1),
            Line(
                what: "a CloudEvent without bytes", status: 422, headers: [key, ("content-type", "application/cloudevents+json")],
                body: bytes(event("{}")), says: #"{"index":0,"field":"data.bytes","rule":"must be a whole number"#),
            Line(
                what: "the scheme in another case", status: 200, headers: [("authorization", "bearer \(Stage.keys.old)"), named, Stage.ndjson],
                kept: 1),
            Line(what: "no key", status: 401, headers: [named, Stage.ndjson]),
            Line(what: "an empty key", status: 401, headers: [("authorization", "Bearer "), named, Stage.ndjson]),
            Line(what: "a wrong key", status: 401, headers: Stage.headers("b-1", key: "wrong-key-0123456789abcdef012345")),
            Line(what: "half a key", status: 401, headers: Stage.headers("b-1", key: String(Stage.keys.old.dropLast()))),
            Line(what: "another scheme", status: 401, headers: [("authorization", "Basic \(Stage.keys.old)"), named, Stage.ndjson]),
            Line(what: "two keys at once", status: 401, headers: [key, key, named, Stage.ndjson]),
            Line(what: "a wrong key and a wrong body", status: 401, headers: Stage.headers("b-1", key: "wrong"), body: [0xFF]),
            Line(what: "no Idempotency-Key", status: 422, headers: [key, Stage.ndjson], says: #""field":"Idempotency-Key""#),
            Line(
                what: "two of them", status: 422, headers: [key, named, ("idempotency-key", "b-2"), Stage.ndjson], says: #""field":"Idempotency-Key""#
            ),
            Line(what: "one with a blank", status: 422, headers: [key, ("idempotency-key", "b 1"), Stage.ndjson], says: "1 to 200 visible ASCII"),
            Line(what: "no content type", status: 415, headers: [key, named]),
            Line(what: "another content type", status: 415, headers: [key, named, ("content-type", "text/plain")], says: "application/x-ndjson"),
            Line(what: "compressed", status: 415, headers: Stage.headers("b-1") + [("content-encoding", "gzip")]),
            Line(what: "no body", status: 422, body: [], says: "1 to 5000"),
            Line(what: "no body and no length", status: 422, body: nil, says: "1 to 5000"),
            Line(
                what: "a sample that breaks two rules among good ones", status: 422, body: bytes("\(sample)\n{\"project\":\"shop\",\"bytes\":-1}\n"),
                says: #"{"line":2,"field":"bytes","rule":"must be a whole number from 0 to 1125899906842624"},{"line":2,"field":"at""#),
            Line(
                what: "a sample of last year", status: 422, body: bytes(#"{"project":"shop","bytes":1,"at":\#(nowMs - 61 * 86_400_000)}"#),
                says: "more than 60 days ago"),
            Line(
                what: "a sample of tomorrow", status: 422, body: bytes(#"{"project":"shop","bytes":1,"at":\#(nowMs + 86_400_000)}"#),
                says: "more than 5 minutes ahead"),
            Line(
                what: "a line that is no JSON", status: 422, body: bytes("\(sample)\nhello\n"),
                says: #"{"line":2,"field":"sample","rule":"is not valid"#),
            Line(what: "a body that is no JSON", status: 400, headers: [key, named, json], body: bytes("{half"), says: "not valid JSON at byte"),
            Line(what: "a GET", status: 405, method: "GET", body: nil),
            Line(what: "a PUT with a good key", status: 405, method: "PUT"),
            Line(what: "a path below", status: 404, path: "/usage/shop"),
            Line(what: "a body over the cap", status: 413, body: [UInt8](repeating: 0x20, count: (2 << 20) + 1)),
        ]
    }

    @Test("every line of the answer table holds")
    func answers() async throws {
        try await Stage.run { stage in
            try await stage.awaitRedis()
            var expected = 0
            for line in Self.table() {
                let answer = try await HTTPLine.once(port: stage.port, line.method, line.path, headers: line.headers, body: line.body)
                #expect(answer.status == line.status, "\(line.what): \(answer.text)")
                #expect(answer.text.contains(line.says) || line.says.isEmpty, "\(line.what): \(answer.text)")
                expected += line.kept
                #expect(try await stage.waiting().count == expected, "\(line.what)")
                let type = answer.status == 200 ? "application/json" : "application/problem+json"
                #expect(answer.headers["content-type"] == type, "\(line.what)")
                switch answer.status {
                case 401: #expect(answer.headers["www-authenticate"] == "Bearer", "\(line.what)")
                case 405: #expect(answer.headers["allow"] == "POST", "\(line.what)")
                case 415: #expect(answer.headers["accept-post"]?.contains("application/cloudevents-batch+json") == true, "\(line.what)")
                default: break
                }
            }
        }
    }

    @Test("the body on the list holds the very samples, under the name of the key's source; two keys may have one name")
    func listed() async throws {
        try await Stage.run { stage in
            try await stage.awaitRedis()
            let nowMs = WallClock.nowMs
            let body = Array(
                "{\"project\":\"shop\",\"bytes\":1,\"at\":\(nowMs)}\n{\"project\":\"blog\",\"bytes\":2,\"at\":\"\(Timestamp.rfc3339(nowMs - 5))\"}\n"
                    .utf8)
            for (number, key) in [Stage.keys.old, Stage.keys.new, Stage.keys.other].enumerated() {
                #expect(try await stage.post(Stage.headers("b-\(number)", key: key), body).status == 200)
            }
            let rows = [SampleBatch.Row(project: 0, bytes: 1, atMs: nowMs), SampleBatch.Row(project: 1, bytes: 2, atMs: nowMs - 5)]
            let sources = [stage.sources.first, stage.sources.first, stage.sources.second]
            #expect(
                try await stage.batches()
                    == sources.enumerated().map { SampleBatch(source: $1, batch: "b-\($0)", projects: ["shop", "blog"], rows: rows) })
            let metrics = try await stage.get("/metrics").text.split(separator: "\n")
            #expect(metrics.contains("ingest_usage_samples_total{source=\"\(stage.sources.second)\"} 2"))
            #expect(metrics.contains { $0.hasPrefix("ingest_posts_total{source=\"usage\",outcome=\"accepted\"}") })
            #expect(metrics.contains { $0.hasPrefix("ingest_usage_request_seconds_count") && !$0.hasSuffix(" 0") })
        }
    }

    @Test("where no source has a key, nobody may post")
    func withoutKeys() async throws {
        try await Stage.run(hasKeys: false) { stage in
            let answer = try await stage.post(Stage.headers("b-1"), Stage.lines())
            #expect(answer.status == 401)
        }
    }

    @Test("who keeps posting without a key is slowed down with 429, and staff sees why; good posts from the same address are not slowed")
    func throttled() async throws {
        try await Stage.run { stage in
            try await stage.awaitRedis()
            let port = stage.port
            let (statuses, good, last) = try await HTTPLine.blocking {
                let line = try HTTPLine(port: port)
                let headers = Stage.headers("b-1", key: "forged-key-000000000000000000")
                let answers = try (0..<150).map { _ in try line.exchange("POST", "/usage", headers: headers, body: Stage.lines()) }
                let good = try line.exchange("POST", "/usage", headers: Stage.headers("b-1"), body: Stage.lines())
                return (answers.map(\.status), good.status, answers.last)
            }
            #expect(Set(statuses) == [401, 429])
            #expect(statuses.count { $0 == 401 } >= 100)
            #expect(last?.status != 429 || (last?.headers["retry-after"]).flatMap { Int($0) } != nil)
            #expect(good == 200)
            try await eventually("the refusals are listed") { (try await stage.call("LLEN", "quittance:{refused}:usage").int ?? 0) >= 100 }
            let record = try #require(try await stage.call("LINDEX", "quittance:{refused}:usage", 0).bytes)
            let json = try JSON(parsing: record)
            #expect(json["source"] == "usage" && json["reason"] == "nobody has this bearer key")
            #expect(json["headers"]?.array?.contains("authorization: [redacted]") == true)
            #expect(!record.contains(Array("forged-key".utf8)))
        }
    }

    @Test("who has a whole network of version 6 to itself is one poster, whichever of its addresses a post comes from")
    func wholeNetwork() async throws {
        try await Stage.run(proxies: ["127.0.0.1"]) { stage in
            let port = stage.port
            let (statuses, neighbour) = try await HTTPLine.blocking {
                let line = try HTTPLine(port: port)
                let headers = Stage.headers("b-1", key: "forged-key-000000000000000000")
                func post(from address: String) throws -> Int {
                    try line.exchange("POST", "/usage", headers: headers + [("x-forwarded-for", address)], body: Stage.lines()).status
                }
                let statuses = try (0..<400).map { try post(from: "2001:db8:1:2::\(String($0 + 1, radix: 16))") }
                return (statuses, try post(from: "2001:db8:1:3::1"))
            }
            #expect(Set(statuses) == [401, 429])
            #expect(neighbour == 401)
        }
    }

    // MARK: Bodies

    @Test("a body over the cap is refused while it comes, announced or in chunks", arguments: [false, true])
    func bodyLimit(isChunked: Bool) async throws {
        try await Stage.run(bodyLimit: 64 << 10) { stage in
            let port = stage.port
            let status = try await HTTPLine.blocking {
                let line = try HTTPLine(port: port)
                let length = isChunked ? ("transfer-encoding", "chunked") : ("content-length", "\(1 << 20)")
                try line.send(HTTPLine.request("POST", "/usage", headers: Stage.headers("b-1") + [length]))
                let piece = [UInt8](repeating: 0x20, count: 16 << 10)
                let frame = isChunked ? Array("4000\r\n".utf8) + piece + Array("\r\n".utf8) : piece
                do { for _ in 0..<64 { try line.send(frame) } } catch { return try line.answer().status }
                return try line.answer().status
            }
            #expect(status == 413)
            let full = Stage.lines() + [UInt8](repeating: 0x20, count: (64 << 10) - Stage.lines().count)
            #expect(try await stage.post(Stage.headers("b-1"), full).status == 200)
        }
    }

    @Test("a body that comes slowly, byte by byte, holds nobody up and is taken whole")
    func slowBody() async throws {
        try await Stage.run { stage in
            let port = stage.port
            let body = Stage.lines(3)
            let answers = try await HTTPLine.blocking {
                let slow = try HTTPLine(port: port)
                try slow.send(HTTPLine.request("POST", "/usage", headers: Stage.headers("slow") + [("content-length", "\(body.count)")]))
                var others: [Int] = []
                for (number, byte) in body.enumerated() {
                    try slow.send([byte])
                    if number % 20 == 0 {
                        let other = try HTTPLine(port: port).exchange("POST", "/usage", headers: Stage.headers("quick"), body: Stage.lines())
                        others.append(other.status)
                    }
                }
                return (slow: try slow.answer(), others: others)
            }
            #expect(answers.slow.status == 200 && answers.slow.text.contains(#""samples":3"#))
            #expect(Set(answers.others) == [200])
        }
    }

    // MARK: Durability

    @Test("while Redis is away batches are kept in the spool, and pushed in their order when it is back")
    func spooled() async throws {
        try await Stage.run { stage in
            try await stage.awaitRedis()
            #expect(try await stage.post(Stage.headers("before"), Stage.lines()).status == 200)
            try await stage.redis.kill9()
            for number in 0..<20 { #expect(try await stage.post(Stage.headers("b-\(number)"), Stage.lines(50)).status == 200) }
            let kept = try stage.logged("spool-").map { try SampleBatch(decoding: $0).batch }
            #expect(kept == (0..<20).map { "b-\($0)" })
            #expect(try await stage.get("/readyz").status == 200)
            try await stage.redis.restart()
            try await eventually(within: .seconds(20), "the spool is empty") { stage.files("spool-").isEmpty }
            #expect(try await stage.batches().map(\.batch) == ["before"] + kept)
            #expect(try await stage.batches().dropFirst().allSatisfy { $0.rows.count == 50 })
        }
    }

    @Test("a Redis that may forget is not relied upon: the journal has each batch before the answer")
    func journal() async throws {
        try await Stage.run(redisConfig: [:]) { stage in
            try await stage.awaitRedis()
            for number in 0..<10 {
                #expect(try await stage.post(Stage.headers("b-\(number)"), Stage.lines()).status == 200)
                let kept = try stage.logged("journal-").map { try SampleBatch(decoding: $0).batch }
                #expect(kept.contains("b-\(number)"))
            }
            let listed = try await stage.waiting()
            #expect(try Array(stage.logged("journal-").suffix(10)) == listed)
        }
    }

    @Test("what nothing can keep is answered 503 with Retry-After, and not ready; when the disk takes it again, all is well")
    func unavailable() async throws {
        try await Stage.run { stage in
            try await stage.redis.kill9()
            // The folder is away, as on a disk that is gone: no mode keeps root out.
            for name in stage.folder.list("spool/samples") { unlink(stage.folder.file("spool/samples/\(name)")) }
            try #require(rmdir(stage.folder.file("spool/samples")) == 0)
            let answer = try await stage.post(Stage.headers("b-1"), Stage.lines())
            #expect(answer.status == 503 && answer.headers["retry-after"] == "5")
            let ready = try await stage.get("/readyz")
            #expect(ready.status == 503 && ready.text == "no usage samples can be made durable\n")
            try #require(mkdir(stage.folder.file("spool/samples"), 0o700) == 0)
            try await eventually("it is ready again") { try await stage.get("/readyz").status == 200 }
            #expect(try await stage.post(Stage.headers("b-1"), Stage.lines()).status == 200)
            #expect(try stage.logged("spool-").count == 1)
        }
    }

    @Test("posts on several loops at once are all on the list, each once")
    func severalLoops() async throws {
        try await Stage.run(loops: 2) { stage in
            try await stage.awaitRedis()
            let statuses = try await withThrowingTaskGroup(of: [Int].self) { group in
                for poster in 0..<8 {
                    group.addTask {
                        try await HTTPLine.blocking {
                            let line = try HTTPLine(port: stage.port)
                            return try (0..<25).map { number in
                                try line.exchange("POST", "/usage", headers: Stage.headers("b-\(poster)-\(number)"), body: Stage.lines(10)).status
                            }
                        }
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(statuses == [Int](repeating: 200, count: 200))
            try await eventually("all are on the list") { Set(try await stage.batches().compactMap(\.batch)).subtracting(["warm-up"]).count == 200 }
            #expect(try await stage.batches().filter { $0.batch != "warm-up" }.count == 200)
        }
    }

    // MARK: Putting back

    @Test("an emptied Redis gets its batches of samples back from the journal")
    func rebuild() async throws {
        let stage = try await CommandStage.make(redis: true)
        let ingest = try IngestServer(
            IngestConfiguration(
                address: SocketAddress("127.0.0.1", 0), redis: stage.settings.redis, queuePrefix: stage.settings.queuePrefix,
                spoolDirectory: stage.settings.spoolDirectory, loops: 1, sources: [],
                usage: UsageSources(keys: [("gateway-1", Stage.keys.old)])), log: Log())
        try await ingest.start()
        let port = ingest.address.port
        let statuses = try await HTTPLine.blocking {
            let line = try HTTPLine(port: port)
            return try (0..<3).map { try line.exchange("POST", "/usage", headers: Stage.headers("b-\($0)"), body: Stage.lines(2)).status }
        }
        #expect(statuses == [200, 200, 200])
        try await eventually("all are on the list") { try await stage.redis("LLEN", "quittance:{samples}:ready").int == 3 }
        await ingest.stop(by: .now + .seconds(5))
        try await stage.redis("FLUSHALL")

        let trial = await stage.run("rebuild-queues", "--dry-run")
        #expect(trial.code == .ok && trial.out.contains("3 batches of samples in the journal would go back onto the list\n"))
        #expect(try await stage.redis("LLEN", "quittance:{samples}:ready").int == 0)
        let json = try await stage.json("rebuild-queues", "--json")
        #expect(json["sample_batches"] == 3 && json["events"] == 0 && json["unreadable"] == 0)
        let bodies = (try await stage.redis("LRANGE", "quittance:{samples}:ready", 0, -1).array ?? []).compactMap(\.bytes)
        let batches = try bodies.map { try SampleBatch(decoding: $0).batch }
        #expect(Set(batches) == ["b-0", "b-1", "b-2"])
    }
}
