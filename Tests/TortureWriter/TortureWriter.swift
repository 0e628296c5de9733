import Database
import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// One of the processes that write the same file in the database's tests: `torture-writer <file> <name> <role> <seconds>`.
@main
struct TortureWriter {
    static func main() async {
        let words = CommandLine.arguments
        guard words.count == 5, let role = Role(rawValue: words[3]), let seconds = Int(words[4]) else {
            say("usage: torture-writer <file> <name> saturating|light|victim|limited <seconds>")
            exit(64)
        }
        do {
            let writer = TortureWriter(name: words[2], database: try Database.open(.sqlite(path: words[1]), readers: 1))
            let end = ContinuousClock.now + .seconds(seconds)
            switch role {
            case .saturating: try await writer.saturate(until: end, tasks: 64, tellingAll: false)
            case .victim: try await writer.saturate(until: end, tasks: 16, tellingAll: true)
            case .light: try await writer.writeNowAndThen(until: end)
            case .limited: try await writer.meetTheLimit()
            }
            await writer.database.close()
        } catch {
            say("failed \(error)")
            exit(1)
        }
    }

    private enum Role: String { case saturating, light, victim, limited }

    private let name: String
    private let database: Database

    /// One write: a row, this writer's count and everybody's count, which agree only if each write is whole.
    /// - Returns: this writer's count.
    private func write() async throws -> Int64 {
        try await database.write { connection in
            try connection.execute("INSERT INTO torture_rows (writer, filler) VALUES ($1, zeroblob(100))", [.text(name)])
            try connection.execute("UPDATE torture_counts SET n = n + 1 WHERE writer = 'everybody'")
            let row = try connection.first(
                "INSERT INTO torture_counts (writer, n) VALUES ($1, 1) ON CONFLICT (writer) DO UPDATE SET n = n + 1 RETURNING n", [.text(name)])
            return try row?.int("n") ?? 0
        }
    }

    private func saturate(until end: ContinuousClock.Instant, tasks: Int, tellingAll: Bool) async throws {
        let began = ContinuousClock.now
        let count = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<tasks {
                group.addTask {
                    var acknowledged = 0
                    while ContinuousClock.now < end {
                        let count = try await write()
                        acknowledged += 1
                        if tellingAll { say("ack \(count)") }
                    }
                    return acknowledged
                }
            }
            return try await group.reduce(0, +)
        }
        say("acknowledged=\(count) per_second=\(Int(Double(count) / ((ContinuousClock.now - began) / .seconds(1))))")
    }

    private func writeNowAndThen(until end: ContinuousClock.Instant) async throws {
        var took: [Duration] = []
        while ContinuousClock.now < end {
            let began = ContinuousClock.now
            _ = try await write()
            took.append(ContinuousClock.now - began)
            try await Task.sleep(for: .milliseconds(Int.random(in: 5...15)))
        }
        took.sort()
        func micros(_ share: Double) -> Int { Int(took[min(took.count - 1, Int(Double(took.count) * share))] / .microseconds(1)) }
        say("acknowledged=\(took.count) p50_us=\(micros(0.5)) p99_us=\(micros(0.99)) max_us=\(micros(1))")
    }

    /// Lets COMMIT fail in the middle of writing the log, as a full disk does, and goes on once there is room again.
    private func meetTheLimit() async throws {
        signal(SIGXFSZ, SIG_IGN)
        _ = try await write()
        let large = "INSERT INTO torture_rows (writer, filler) VALUES ($1, zeroblob(1000000))"
        try limitFiles(to: 200_000)
        let failures = await withTaskGroup(of: String?.self) { group in
            for _ in 0..<5 {
                group.addTask {
                    do {
                        try await database.write { try $0.execute(large, [.text(name)]) }
                        return nil
                    } catch let error as DatabaseError {
                        return "\(error.kind)/\(error.isTransient)"
                    } catch {
                        return "\(error)"
                    }
                }
            }
            return await group.reduce(into: [String?]()) { $0.append($1) }
        }
        try limitFiles(to: .max)
        let count = try await write()
        say("failures=\(failures.compactMap(\.self).joined(separator: ",")) count=\(count)")
    }

    private func limitFiles(to bytes: UInt) throws {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
        limit.rlim_cur = min(rlim_t(bytes), limit.rlim_max)
        guard setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0 else {
            throw DatabaseError(kind: .other, message: "setrlimit: error \(errno)")
        }
    }
}

/// Writes a line at once, in one piece, so that it is out before anybody kills us.
private func say(_ text: String) {
    let line = Array((text + "\n").utf8)
    _ = write(STDOUT_FILENO, line, line.count)
}
