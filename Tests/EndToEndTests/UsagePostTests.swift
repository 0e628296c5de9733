import Formats
import RedisClient
import TestSupport
import Testing

@Suite("Posts of usage samples", .timeLimit(.minutes(4)))
struct UsagePostTests {
    private static let sample = #"{"project":"shop","bytes":1,"at":"\#(Timestamp.rfc3339(WallClock.nowMs))"}"#
    private static let key = ("authorization", "Bearer \(Instance.usageKey)")
    private static let lines = ("content-type", "application/x-ndjson")
    private static let name = ("idempotency-key", "batch-1")
    private static let good = [key, lines, name]

    /// A post and the answer it must get.
    private struct Line: Sendable {
        let what: String
        let status: Int
        var method = "POST"
        var path = "/usage"
        var headers: [(String, String)] = UsagePostTests.good
        var body: [UInt8]? = Array(UsagePostTests.sample.utf8)
    }

    private static var table: [Line] {
        let wrong = [("authorization", "Bearer \(Instance.usageKey)x"), lines, name]
        let events = "application/cloudevents-batch+json"
        return [
            Line(what: "good", status: 200), Line(what: "a trailing slash", status: 200, path: "/usage/"),
            Line(what: "no key", status: 401, headers: [lines, name]), Line(what: "a wrong key", status: 401, headers: wrong),
            Line(what: "two keys", status: 401, headers: [key] + wrong),
            Line(what: "the key as a password", status: 401, headers: [("authorization", "Basic \(Instance.usageKey)"), lines, name]),
            Line(what: "the name with the key", status: 401, headers: [("authorization", "Bearer gateway-1:\(Instance.usageKey)"), lines, name]),
            Line(what: "an empty key", status: 401, headers: [("authorization", "Bearer "), lines, name]),
            Line(what: "no type", status: 415, headers: [key, name]),
            Line(what: "a form", status: 415, headers: [key, name, ("content-type", "application/x-www-form-urlencoded")]),
            Line(what: "a packed body", status: 415, headers: good + [("content-encoding", "gzip")]),
            Line(what: "no batch named", status: 422, headers: [key, lines]),
            Line(what: "a batch named twice", status: 422, headers: good + [("idempotency-key", "batch-2")]),
            Line(what: "an empty body", status: 422, body: []), Line(what: "no body", status: 422, body: nil),
            Line(what: "half a line", status: 422, body: Array("{half".utf8)),
            Line(what: "a wrong figure", status: 422, body: Array(#"{"project":"shop","bytes":-1,"at":1}"#.utf8)),
            Line(what: "one bad sample among good ones", status: 422, body: Array((sample + "\n{}\n" + sample).utf8)),
            Line(what: "one sample too many", status: 422, body: Array(String(repeating: sample + "\n", count: 5001).utf8)),
            Line(
                what: "no JSON", status: 400, headers: [key, name, ("content-type", "application/json")],
                body: Array(String(repeating: "[", count: 100_000).utf8)),
            Line(what: "events that are none", status: 422, headers: [key, ("content-type", events)], body: Array("[{}]".utf8)),
            Line(what: "a GET", status: 405, method: "GET", body: nil), Line(what: "a DELETE", status: 405, method: "DELETE", body: nil),
            Line(what: "another path", status: 404, path: "/usage/shop"),
        ]
    }

    @Test("each fault has its answer, tells nothing, and leaves nothing on the list")
    func answers() async throws {
        try await Stage.run(["ingest"]) { stage in
            try await stage.awaitRedisAtIngest()
            for line in Self.table {
                let before = try await stage.waiting(on: "samples").count
                let answer = try await HTTPLine.once(port: stage.ingestPort, line.method, line.path, headers: line.headers, body: line.body)
                #expect(answer.status == line.status, "\(line.what): \(answer.text.prefix(500))")
                let kept = try await stage.waiting(on: "samples").count - before
                #expect(kept == (line.status == 200 ? 1 : 0), "\(line.what): \(kept) on the list")
                #expect(!answer.text.contains(Instance.usageKey), "\(line.what)")
                guard answer.status >= 400 else { continue }
                #expect(answer.headers["content-type"] == "application/problem+json", "\(line.what)")
                if answer.status == 401 { #expect(answer.headers["www-authenticate"] == "Bearer", "\(line.what)") }
            }
        }
    }

    @Test("a body of 10 MB is refused while it comes, announced or in chunks", arguments: [false, true])
    func huge(chunked: Bool) async throws {
        try await Stage.run(["ingest"]) { stage in
            let status = try await HTTPLine.blocking {
                let line = try HTTPLine(port: stage.ingestPort)
                let length = chunked ? ("transfer-encoding", "chunked") : ("content-length", "\(10 << 20)")
                try line.send(HTTPLine.request("POST", "/usage", headers: Self.good + [length]))
                let piece = [UInt8](repeating: 97, count: 64 << 10)
                let frame = chunked ? Array("10000\r\n".utf8) + piece + Array("\r\n".utf8) : piece
                // The answer may come long before the end, and the connection may be closed under what still comes.
                do {
                    for _ in 0..<160 { try line.send(frame) }
                } catch {
                    return try line.answer().status
                }
                return try line.answer().status
            }
            #expect(status == 413)
            #expect(try await Self.post(stage).status == 200)
            #expect(try stage.instance.process("ingest").isRunning)
        }
    }

    @Test("two hundred senders that dribble, and some that hang up in the middle, keep nobody waiting")
    func slow() async throws {
        try await Stage.run(["ingest"]) { stage in
            try await stage.awaitRedisAtIngest()
            let took = try await HTTPLine.blocking {
                let body = Array(Self.sample.utf8)
                let whole = HTTPLine.request("POST", "/usage", headers: Self.good, body: body)
                var lines: [(line: HTTPLine, sent: Int)] = []
                for number in 0..<200 {
                    let line = try HTTPLine(port: stage.ingestPort)
                    let sent = number % (whole.count - 1) + 1
                    try line.send(Array(whole.prefix(sent)))
                    lines.append((line, sent))
                }
                // Every other one goes away in the middle of its request.
                lines = lines.enumerated().filter { $0.offset.isMultiple(of: 2) }.map(\.element)
                let begun = ContinuousClock.now
                let quick = try HTTPLine(port: stage.ingestPort)
                for _ in 0..<20 {
                    let answer = try quick.exchange("POST", "/usage", headers: Self.good, body: body)
                    guard answer.status == 200 else { throw FixtureError("answered \(answer.status): \(answer.text)") }
                }
                let took = begun.duration(to: .now)
                for (line, sent) in lines {
                    try line.send(Array(whole.dropFirst(sent)))
                    let answer = try line.answer()
                    guard answer.status == 200 else { throw FixtureError("a slow sender was answered \(answer.status): \(answer.text)") }
                }
                return took
            }
            #expect(took < (.seconds(5) as Duration).stretched, "twenty posts took \(took)")
            #expect(try await stage.waiting(on: "samples").count == 20 + 100)
        }
    }

    @Test("who guesses keys is slowed down with 429 and shown to staff without the key; the right key is let through all the while")
    func guesses() async throws {
        try await Stage.run(["ingest"]) { stage in
            try await stage.awaitRedisAtIngest()
            // On one connection, so that all come to the same loop.
            let (answers, good) = try await HTTPLine.blocking {
                let line = try HTTPLine(port: stage.ingestPort)
                let body = Array(Self.sample.utf8)
                let answers = try (0..<200).map { number in
                    let headers = [("authorization", "Bearer guessed-key-0123456789-\(number)"), Self.lines, Self.name]
                    return try line.exchange("POST", "/usage", headers: headers, body: body)
                }
                return (answers, try line.exchange("POST", "/usage", headers: Self.good, body: body))
            }
            #expect(answers.prefix(90).allSatisfy { $0.status == 401 })
            let slowed = answers.filter { $0.status == 429 }
            #expect(!slowed.isEmpty)
            for answer in slowed { #expect(Int(answer.headers["retry-after"] ?? "") ?? 0 >= 1) }
            #expect(good.status == 200)
            #expect(try await stage.waiting(on: "samples").count == 1)

            for arguments in [["refused", "usage", "--json", "--limit", "200"], ["refused", "--json", "--limit", "200"]] {
                let shown = try await stage.instance.quittance(arguments)
                #expect(shown.code == 0, "\(shown.errors)")
                let records = try JSON(parsing: shown.output, sizeLimit: 4 << 20).array ?? []
                #expect(records.count == answers.count { $0.status == 401 }, "\(arguments)")
                for record in records {
                    #expect(record["source"]?.string == "usage")
                    #expect(record["reason"]?.string == "nobody has this bearer key")
                    #expect(record["remote_address"]?.string == "127.0.0.1")
                }
                #expect(!shown.output.contains("guessed-key"))
            }
            let said = stage.instance.transcript(linesMax: .max)
            #expect(!said.contains("guessed-key") && !said.contains(Instance.usageKey))
        }
    }

    private static func post(_ stage: Stage) async throws -> HTTPLine.Answer {
        try await HTTPLine.once(port: stage.ingestPort, "POST", "/usage", headers: good, body: Array(sample.utf8))
    }
}
