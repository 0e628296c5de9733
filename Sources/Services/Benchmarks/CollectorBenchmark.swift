import Database
import EventLoop
import Formats
import RedisClient
import Subprocess

#if canImport(Glibc)
    import Glibc
#endif

/// A long access log from the disk through quittance-collector, ingest and worker-usage into SQL, to the byte.
enum CollectorBenchmark {
    static let title = "collector: access logs of 1 GiB read from the disk by quittance-collector, counted in SQL by way of ingest and worker-usage"

    private static let size = 1 << 30
    private static let projects = 500
    private static let linesInBlock = 40_000
    private static let key = "bench-key-of-the-collector-01"

    private enum Form: String, CaseIterable {
        case nginx = "nginx-json"
        case combined
        case traefik = "traefik-json"

        var figure: String {
            switch self {
            case .nginx: "collector.mb_per_s"
            case .combined: "collector.mb_per_s_combined"
            case .traefik: "collector.mb_per_s_traefik"
            }
        }
    }

    static func run(in arena: Arena) async throws -> BenchmarkResult {
        let redis = try await arena.startRedis()
        let database = try arena.migratedDatabase()
        let (_, port) = try await arena.startIngest(redis: redis, ["USAGE_SOURCE_KEYS": "collector:\(key)"])
        let worker = try await arena.startUsageWorker(redis: redis)
        var result = BenchmarkResult()
        var largest = 0.0
        for form in Form.allCases {
            let (rate, resident) = try await read(form, redis, port, database, arena, into: &result)
            largest = max(largest, resident)
            result.figures.append(Figure(form.figure, rate, "MB/s of log", goal: .atLeast(150)))
        }
        result.figures.append(Figure("collector.rss_mb", largest, "MB resident, after 1 GiB"))
        await arena.stop(worker)
        await database.close()
        return result
    }

    /// - Returns: megabytes a second, by the clock or by the processor's time, whichever took longer; and the memory at the end.
    private static func read(
        _ form: Form, _ redis: RedisServer, _ port: Int, _ database: Database, _ arena: Arena, into result: inout BenchmarkResult
    ) async throws -> (Double, Double) {
        let path = "\(arena.folder)/\(form.rawValue).log"
        let written = try await arena.pool.run { try write(form, to: path) }
        let before = try await total(database)
        let names = (0..<projects).map { "host-\($0).example.com=project-\($0)" }.joined(separator: " ")
        let begun = ContinuousClock.now
        let collector = try await arena.start(
            "quittance-collector", try Arena.program("quittance-collector"),
            environment: arena.environment(
                redis: redis,
                [
                    "COLLECTOR_FILES": "\(form.rawValue)=\(path)", "COLLECTOR_PROJECTS": names, "COLLECTOR_KEY": key, "COLLECTOR_START": "beginning",
                    "COLLECTOR_INGEST_URL": "http://127.0.0.1:\(port)", "COLLECTOR_STATE": "\(arena.folder)/state-\(form.rawValue)",
                    "COLLECTOR_INTERVAL": "100ms",
                ]))
        try await arena.wait("the log is counted", within: .seconds(120), pause: .milliseconds(5)) {
            try await total(database) >= before + written.traffic
        }
        let seconds = (ContinuousClock.now - begun).seconds
        let processor = Machine.processorSeconds(of: collector.pid) ?? 0
        let resident = Machine.residentMB(of: collector.pid) ?? 0
        await arena.stop(collector)
        let counted = try await total(database) - before
        guard counted == written.traffic else { throw BenchmarkError("\(counted) bytes were counted; the log says \(written.traffic)") }
        unlink(path)
        let megabytes = Double(written.size) / 1_000_000
        result.notes.append(
            "\(form.rawValue): \(Number.text(megabytes)) MB in \(Number.text(seconds)) s until the last byte was in SQL, "
                + "\(Number.text(processor)) s of the collector's processor time; \(written.lines) lines")
        return (megabytes / max(seconds, processor), resident)
    }

    private static func total(_ database: Database) async throws -> Int64 {
        try await database.read { try $0.first("SELECT SUM(traffic_bytes) AS bytes FROM usage_project_months")?.intOrNil("bytes") ?? 0 }
    }

    // MARK: The log

    private struct Written: Sendable {
        var size = 0
        var lines = 0
        var traffic: Int64 = 0
    }

    /// Writes a log of the size, synced and out of the system's memory.
    private static func write(_ form: Form, to path: String) throws(BenchmarkError) -> Written {
        let (block, traffic) = block(form)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw BenchmarkError("\(path) cannot be written: error \(errno)") }
        defer { close(descriptor) }
        var written = Written()
        while written.size < size {
            guard Glibc.write(descriptor, block, block.count) == block.count else {
                throw BenchmarkError("\(path) cannot be written: error \(errno)")
            }
            written.size += block.count
            written.lines += linesInBlock
            written.traffic += traffic
        }
        guard fsync(descriptor) == 0 else { throw BenchmarkError("\(path) cannot be synced: error \(errno)") }
        posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
        return written
    }

    /// Some megabytes of distinct lines, of two minutes of the present.
    private static func block(_ form: Form) -> (bytes: [UInt8], traffic: Int64) {
        var numbers = SeededRandom(seed: 17)
        var bytes: [UInt8] = []
        var traffic: Int64 = 0
        let nowMs = WallClock.nowMs - 10 * 60_000
        for number in 0..<linesInBlock {
            let atMs = nowMs + Int64(number) * 120_000 / Int64(linesInBlock)
            let sent = Int64.random(in: 200...60_000, using: &numbers)
            let project = Int.random(in: 0..<projects, using: &numbers)
            traffic += sent
            bytes += Array(line(form, project, sent, atMs, number).utf8)
        }
        return (bytes, traffic)
    }

    private static func line(_ form: Form, _ project: Int, _ sent: Int64, _ atMs: Int64, _ number: Int) -> String {
        let host = "host-\(project).example.com"
        let client = "203.0.113.\(number % 250)"
        let path = "/articles/\(number * 7919 % 100_000)?page=\(number % 9)"
        let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
        switch form {
        case .nginx:
            return #"{"msec":\#(atMs / 1000).\#(100 + atMs % 900),"host":"\#(host)","bytes_sent":\#(sent),"status":200,"request":"GET \#(path) "#
                + #"HTTP/1.1","request_time":0.\#(number % 900 + 100),"remote_addr":"\#(client)","agent":"\#(agent)"}"# + "\n"
        case .combined:
            return #"\#(host) \#(client) - - [\#(commonTime(atMs))] "GET \#(path) HTTP/1.1" 200 \#(sent) "https://\#(host)/" "\#(agent)""# + "\n"
        case .traefik:
            let time = Timestamp.rfc3339(atMs)
            return #"{"ClientAddr":"\#(client):41234","ClientHost":"\#(client)","ClientPort":"41234","ClientUsername":"-","DownstreamContentSize":"#
                + #"\#(sent),"DownstreamStatus":200,"Duration":1523418,"OriginContentSize":\#(sent),"OriginDuration":1411023,"OriginStatus":200,"#
                + #""Overhead":112395,"RequestAddr":"\#(host)","RequestContentSize":0,"RequestCount":\#(number),"RequestHost":"\#(host)","#
                + #""RequestMethod":"GET","RequestPath":"\#(path)","RequestPort":"-","RequestProtocol":"HTTP/2.0","RequestScheme":"https","#
                + #""RetryAttempts":0,"RouterName":"web@docker","ServiceAddr":"10.0.0.2:80","ServiceName":"web@docker","StartUTC":"\#(time)","#
                + #""entryPointName":"websecure","level":"info","msg":"","time":"\#(time)"}"# + "\n"
        }
    }

    /// `21/Nov/2026:08:00:00 +0000`
    private static func commonTime(_ atMs: Int64) -> String {
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let time = Timestamp.civil(atMs)
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : String(number) }
        return "\(two(time.day))/\(months[time.month - 1])/\(time.year):\(two(time.hour)):\(two(time.minute)):\(two(time.second)) +0000"
    }
}
