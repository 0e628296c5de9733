import EventLoop
import Formats
import JobQueue
import RedisClient
import TestSupport
import Testing

@Suite("Figures of every program, and its probes")
struct MetricsTests {
    private static let workers = [
        "worker-payments", "worker-drafts", "worker-plans", "worker-invoices", "worker-notifications", "worker-usage", "scheduler",
    ]

    /// What every worker measures, with the label that each of its series has besides queue and kind.
    private static let ofWorkers: [(name: String, label: String?)] = [
        ("jobs_enqueued_total", nil), ("jobs_started_total", nil), ("jobs_finished_total", "outcome"), ("job_duration_seconds", nil),
        ("job_wait_seconds", nil), ("queue_depth", "state"), ("queue_oldest_age_seconds", nil), ("worker_slots", "state"),
        ("recovered_total", "by"), ("fenced_total", nil), ("redis_step_seconds", nil),
    ]
    /// What only the scheduler can tell.
    private static let ofScheduler: [(name: String, label: String?)] = [("cron_late_seconds", "entry"), ("effects_pending", nil)]

    private static func expect(_ name: String, _ label: String?, in text: String, of program: String) {
        let lines = text.split(separator: "\n").filter { line in
            [name, name + "_bucket"].contains { line.hasPrefix($0 + "{") || line.hasPrefix($0 + " ") }
        }
        #expect(!lines.isEmpty, "\(program) has no \(name)")
        guard let label else { return }
        #expect(lines.allSatisfy { $0.contains("\(label)=\"") }, "\(name) of \(program) without \(label)")
    }

    private func page(_ port: Int, _ path: String) async throws -> HTTPLine.Answer { try await HTTPLine.once(port: port, "GET", path) }

    /// The samples of a page by name and labels.
    private func samples(_ text: String) -> [String: String] {
        var samples: [String: String] = [:]
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            guard let blank = line.lastIndex(of: " ") else { continue }
            samples[String(line[..<blank])] = String(line[line.index(after: blank)...])
        }
        return samples
    }

    private func push(_ job: JobEnvelope, to redis: RedisServer) async throws {
        let loop = try EventLoop.started(name: "test-redis")
        let connection = RedisConnection(loop: loop, address: redis.address, name: "test", waitsForConnection: true)
        connection.start()
        _ = try await connection.call("LPUSH", "quittance:{\(job.queue)}:ready", job.encoded())
        connection.close()
        try await BlockingPool(name: "test-end", threads: 1).run { loop.stop() }
    }

    @Test("promtool finds nothing to complain of in the metrics of any program")
    func promtool() async throws {
        let instance = try await Instance.make()
        #expect(try await instance.quittance("migrate").code == 0)
        var ports = ["ingest": instance.ingestPort, "web": instance.webPort]
        try await instance.start(all: ["ingest", "web"])
        for program in Self.workers {
            let port = try freePort()
            ports[program] = port
            try await instance.start(program, with: ["METRICS_ADDRESS": "127.0.0.1:\(port)"])
        }
        for (program, port) in ports {
            var text = ""
            // Some figures come with the first look at SQL, a moment after the start.
            let awaited = program == "scheduler" ? "\neffects_pending " : "\n"
            try await eventually("\(program) shows its figures") {
                text = try await page(port, "/metrics").text
                return text.contains(awaited)
            }
            let file = try instance.folder.write(text, to: "\(program).metrics")
            let check = try await ProcessFixture.start("/bin/sh", ["-c", "promtool check metrics < '\(file)'"])
            #expect(try await check.waitForExit() == .exited(0), "\(program): \(check.transcript)")
            #expect(check.transcript.isEmpty, "\(program): \(check.transcript)")
            let isWorker = program.hasPrefix("worker-")
            for (name, label) in Self.ofWorkers where isWorker { Self.expect(name, label, in: text, of: program) }
            for (name, label) in Self.ofScheduler where program == "scheduler" { Self.expect(name, label, in: text, of: program) }
        }
        for program in Self.workers {
            let port = try #require(ports[program])
            try await eventually("\(program) is ready") { try await page(port, "/readyz").status == 200 }
            #expect(try await page(port, "/livez").status == 200)
        }
        instance.end()
    }

    @Test("a worker shows what waits, what it does and what it costs, and how many like it are wanted")
    func worker() async throws {
        let instance = try await Instance.make()
        #expect(try await instance.quittance("migrate").code == 0)
        let port = try freePort()
        try await instance.start("worker-plans", with: ["METRICS_ADDRESS": "127.0.0.1:\(port)", "WORKER_CONCURRENCY": "2"])
        let nowMs = WallClock.nowMs
        // Without a payment no handler sees them.
        for number in 1...3 {
            let job = JobEnvelope(id: "job_\(number)", kind: "plan.activate", queue: "plans", args: [:], enqueuedAtMs: nowMs - 5000)
            try await push(job, to: instance.redis)
        }
        var seen: [String: String] = [:]
        try await eventually("they are buried for want of a payment") {
            seen = samples(try await page(port, "/metrics").text)
            return seen[#"queue_depth{queue="plans",state="dead"}"#] == "3"
        }
        #expect(seen[#"jobs_started_total{queue="plans",kind="plan.activate"}"#] == "3")
        #expect(seen[#"jobs_finished_total{queue="plans",kind="plan.activate",outcome="buried"}"#] == "3")
        #expect(seen[#"job_wait_seconds_count{queue="plans",kind="plan.activate"}"#] == "3")
        #expect(seen[#"job_wait_seconds_bucket{queue="plans",kind="plan.activate",le="2.5"}"#] == "0")
        #expect(seen[#"worker_slots{queue="plans",state="idle"}"#] == "2" && seen[#"worker_slots{queue="plans",state="busy"}"#] == "0")
        #expect(seen[#"queue_oldest_age_seconds{queue="plans"}"#] == "0")
        #expect((seen[#"redis_step_seconds_count{queue="plans"}"#].flatMap { Int($0) } ?? 0) > 0)
        for name in ["fenced_total", "jobs_enqueued_total"] { #expect(seen[#"\#(name){queue="plans"}"#] == "0", "\(name)") }
        #expect(seen[#"recovered_total{queue="plans",by="peer"}"#] == "0")
        instance.end()
    }

    @Test("a scheduler is ready while Redis, by whose clock entries are due, has answered within two seconds")
    func schedulerReadiness() async throws {
        let instance = try await Instance.make()
        #expect(try await instance.quittance("migrate").code == 0)
        let port = try freePort()
        try await instance.start("scheduler", with: ["METRICS_ADDRESS": "127.0.0.1:\(port)"])
        try await eventually("ready") { try await page(port, "/readyz").status == 200 }
        instance.redis.pause()
        try await eventually("it says what is silent") {
            let answer = try await page(port, "/readyz")
            return answer.status == 503 && answer.text.contains("cron answered last")
        }
        #expect(try await page(port, "/livez").status == 200)
        instance.redis.resume()
        try await eventually("ready again") { try await page(port, "/readyz").status == 200 }
        instance.end()
    }

    @Test("readiness ends two seconds after the queue falls silent and comes back with it; what waits is the load")
    func readiness() async throws {
        let instance = try await Instance.make()
        #expect(try await instance.quittance("migrate").code == 0)
        let port = try freePort()
        try await instance.start("worker-plans", with: ["METRICS_ADDRESS": "127.0.0.1:\(port)", "WORKER_CONCURRENCY": "4"])
        try await eventually("ready") { try await page(port, "/readyz").status == 200 }
        let idle = try JSON(parsing: try await page(port, "/autoscale").body)
        #expect(idle["load"]?.numberText == "0.000" && idle["oldest_age_seconds"]?.numberText == "0.000")
        #expect(idle["queues"]?[0]?["queue"]?.string == "plans" && idle["queues"]?[0]?["target"]?.int == 4)
        #expect(idle["queues"]?[0]?["workers"]?.int == 1)

        instance.redis.pause()
        try await eventually("it says that the queue is silent") {
            let answer = try await page(port, "/readyz")
            return answer.status == 503 && answer.text.contains("queue plans answered last")
        }
        // Silence of the queue is no reason to restart the worker yet.
        #expect(try await page(port, "/livez").status == 200)
        instance.redis.resume()
        try await eventually("ready again") { try await page(port, "/readyz").status == 200 }
        #expect(try await page(port, "/elsewhere").status == 404)
        instance.end()
    }
}
