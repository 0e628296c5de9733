import EventLoop
import Formats
import HTTPServer
import JobQueue
import Synchronization
import Testing
import UsageSamples

@testable import Benchmarks

#if canImport(Glibc)
    import Glibc
#endif

@Suite("The program bench")
struct BenchmarkTests {
    @Test("wrk's report is read, latencies in whatever unit it chose")
    func wrkReport() throws {
        let report = """
            Running 4s test @ http://127.0.0.1:18997
              2 threads and 64 connections
              Thread Stats   Avg      Stdev     Max   +/- Stdev
                Latency     1.37ms    1.10ms  40.00ms   95.00%
                Req/Sec    21.47k     5.24k   25.28k    58.68%
              Latency Distribution
                 50%  812.00us
                 75%    1.85ms
                 90%    2.01ms
                 99%    1.20s
              171000 requests in 4.00s, 20.00MB read
              Socket errors: connect 1, read 2, write 3, timeout 4
              Non-2xx or 3xx responses: 7
            Requests/sec:  42642.15
            Transfer/sec:      5.00MB
            """
        let run = try #require(Wrk(report))
        #expect(run.requestsPerSecond == 42642.15)
        #expect(run.p50 == 0.812)
        #expect(run.p99 == 1200)
        #expect(run.failures == 17)
        #expect(Wrk("unable to connect to 127.0.0.1:1") == nil)
    }

    @Test(
        "numbers are printed with three places that count, thousands apart",
        arguments: [
            (0.3319, "0.332"), (4.2, "4.20"), (20.05, "20.1"), (118.4, "118"), (42_292.9, "42 293"), (1_517_576, "1 517 576"), (0, "0.000"),
            (-3.5, "-3.50"), (0.9996, "1.000"), (.infinity, "-"),
        ])
    func numbers(value: Double, text: String) {
        #expect(Number.text(value) == text)
    }

    @Test("percentiles are values that were measured, the median of an even number the mean of the middle two")
    func percentiles() {
        #expect(Statistics.median([3, 1, 2]) == 2)
        #expect(Statistics.median([4, 1, 2, 3]) == 2.5)
        #expect(Statistics.percentile((1...100).map(Double.init), 99) == 99)
        #expect(Statistics.percentile([7], 99) == 7)
        #expect(Statistics.percentile([], 50) == 0)
    }

    @Test("the file for machines is one flat object of numbers")
    func json() throws {
        let figures = [
            Figure("ingest.ratio_to_nginx_c64", 0.394_12, "of nginx", goal: .atLeast(0.35)), Figure("queue.bulk_per_s", 1_517_576.68, "jobs/s"),
        ]
        let object = try JSON(parsing: Array(Report.json(figures).dropLast()))
        #expect(object["ingest.ratio_to_nginx_c64"]?.numberText == "0.3941")
        #expect(object["queue.bulk_per_s"]?.numberText == "1517576.68")
        #expect(object.object?.count == 2)
    }

    @Test("a table says of each goal whether it was met")
    func table() {
        var result = BenchmarkResult()
        result.figures = [
            Figure("a", 20.1, "MB resident", goal: .atMost(25)), Figure("b.longer", 0.31, "of nginx", goal: .atLeast(0.35)), Figure("c", 1, "s"),
        ]
        result.notes = ["a note"]
        result.problems = ["3 answers were no answers"]
        let expected = """

            title
              a note
              WRONG: 3 answers were no answers
              figure    value  unit         goal
              a          20.1  MB resident  at most 25.0: met
              b.longer  0.310  of nginx     at least 0.350: MISSED
              c          1.00  s
            """
        #expect(Report.table("title", result) == expected)
    }

    @Test("the length of an answer is known once its head is there")
    func answerLength() {
        let answer = Array("HTTP/1.1 200 OK\r\nDate: x\r\nCONTENT-LENGTH: 17\r\n\r\n{\"received\":true}".utf8)
        #expect(AnswerLength.of(answer[...]) == answer.count)
        #expect(AnswerLength.of(answer[..<20]) == nil)
        #expect(AnswerLength.of(answer[..<(answer.count - 5)]) == answer.count)
        let bare = Array("HTTP/1.1 204 No Content\r\nContent-Lengths: 5\r\n\r\n".utf8)
        #expect(AnswerLength.of(bare[...]) == bare.count)
    }

    @Test("a server that stalls is late for every request that was due meanwhile, not only for those it was asked")
    func openLoop() async throws {
        let stall = 0.3
        let asked = Atomic<Int>(0)
        let configuration = HTTPServerConfiguration(address: SocketAddress("127.0.0.1", 0), loops: 1, bodyLimit: { _ in 0 })
        let server = HTTPServer(configuration: configuration, name: "stalling") { _, responder in
            let number = asked.add(1, ordering: .relaxed).newValue
            if number == 50 { usleep(UInt32(stall * 1e6)) }
            responder.respond(number == 100 ? .text(503, "no") : .text(200, "yes"))
        }
        try await server.start()
        let loop = OpenLoop(
            port: server.boundAddress.port, requests: [Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8)], perSecond: 200, seconds: 1.5, connections: 2)
        let pool = BlockingPool(name: "generator", threads: 1)
        let outcome = try await pool.run { try loop.run() }
        await server.stop(by: .now.advanced(by: .seconds(5)))
        #expect(outcome.latencies.count == 300)
        #expect(outcome.failures == 1)
        #expect(Statistics.percentile(outcome.latencies, 100) >= stall * 1000)
        // 60 were due while it stalled; two connections asked two of them.
        #expect(outcome.latencies.count { $0 > stall * 500 } >= 25)
    }

    @Test("the benchmark's samples are read as they were made, from the list and as posted, and add up to what it expects")
    func sampleStream() throws {
        let now = WallClock.nowMs
        var stream = SampleStream(source: "bench", projects: 300, seed: 1, nowMs: now)
        var total: Int64 = 0
        for number in 1...3 {
            let batch = stream.next()
            let read = try SampleBatch(decoding: batch.encoded())
            #expect(read.digest == batch.digest)
            #expect(read.batch == "bench-\(number)")
            let posted = try SampleIntake.read(
                SampleStream.lines(batch), contentType: "application/x-ndjson", batch: read.batch, source: "bench", nowMs: now)
            #expect(posted.digest == batch.digest)
            total += batch.rows.reduce(0) { $0 + $1.bytes }
        }
        #expect(stream.total == total)
        #expect(stream.expected.values.reduce(0, +) == total)
    }

    @Test("the recorded engine's answers hold what they are said to hold, in either shape", arguments: EngineAnswers.Shape.allCases)
    func engineAnswers(shape: EngineAnswers.Shape) throws {
        let answers = EngineAnswers(volumes: 1000, images: 50, shape: shape)
        #expect(answers.projects == 250)
        #expect(answers.unknownItems == 2)
        _ = try StorageBenchmark.attributing(answers)
    }

    @Test("a rival's rate leaves its start out, and ends when nothing waits")
    func rivalRate() {
        let samples = [(0.0, 1000), (0.9, 1000), (1.0, 900), (1.5, 500), (2.0, 100), (2.1, 0), (2.2, 0)].map {
            DrainSample(seconds: $0.0, waiting: $0.1)
        }
        #expect(DrainSample.rate(samples, without: 500).map { Int($0.rounded()) } == 833)
        // Time was up before all was done.
        #expect(DrainSample.rate(Array(samples.prefix(5)), without: 500) == 800)
        #expect(DrainSample.rate(Array(samples.prefix(2)), without: 100) == nil)
        #expect(DrainSample.rate([], without: 0) == nil)
    }

    @Test("redis-benchmark's report is read, whatever the test's name goes on with")
    func redisBenchmarkReport() {
        let report = """
            "test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
            "LPUSH","908265.19","2.506","0.408","2.487","3.407","4.207","6.463"
            """
        #expect(RedisBenchmarkReport.requestsPerSecond(report, of: "LPUSH") == 908_265.19)
        #expect(RedisBenchmarkReport.requestsPerSecond(report, of: "GET") == nil)
        #expect(RedisBenchmarkReport.requestsPerSecond("", of: "LPUSH") == nil)
    }

    @Test("the benchmark's jobs have the size they are said to have")
    func jobSizes() throws {
        #expect(try NoOperation.job(7, bytes: 300).count == 300)
        #expect((190...210).contains(try NoOperation.job(7).encoded().count))
        #expect(throws: BenchmarkError.self) { try NoOperation.job(7, bytes: 20) }
    }

    @Test(
        "bad arguments are answered with the usage, exit code 64",
        arguments: [
            ["--only"], ["--only", "nothing"], ["ingest"], ["--only", "queue", "x"], ["queue-worker"], ["queue-worker", "70000", "1", "1"],
        ]
    )
    func badArguments(arguments: [String]) async {
        #expect(await BenchmarkRun.run(arguments: arguments) == 64)
    }
}
