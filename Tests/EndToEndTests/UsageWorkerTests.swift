import Formats
import RedisClient
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite("worker-usage under load", .timeLimit(.minutes(4)))
struct UsageWorkerTests {
    @Test("asked to stop it ends within its grace and exits 0; what it had in its hands is counted or back on the list, and nothing is lost")
    func stops() async throws {
        try await Stage.run([]) { stage in
            let batches = UsageTraffic.even(4000, of: 100)
            var sums = UsageSums()
            for batch in batches { sums.add(batch.samples) }
            for share in 0..<8 { try await stage.push(batches.dropFirst(share * 500).prefix(500).map { $0.listed() }) }
            for round in 1...3 {
                try await stage.instance.start("worker-usage")
                try await eventually("it is at work in round \(round)") {
                    if try await stage.samplesInHand() > 0 { return true }
                    return try await stage.waiting(on: "samples").isEmpty
                }
                let begun = ContinuousClock.now
                #expect(try await stage.instance.stop("worker-usage") == .exited(0))
                let took = begun.duration(to: .now)
                #expect(took < (.seconds(10) as Duration).stretched, "it took \(took)")
                #expect(try await stage.samplesInHand() == 0, "its hands are empty")
                #expect(try await stage.redis.call("ZCARD", stage.key("samples", "leases")).int == 0, "its lease is given up")
                let counted = try await stage.count("SELECT COUNT(*) FROM usage_batches")
                #expect(try await stage.waiting(on: "samples").count == batches.count - counted)
                if round == 1 { #expect(counted < batches.count, "it was stopped under load") }
                #expect(try await stage.redis.call("EXISTS", stage.key("samples", "history")).int == 0, "no attempt is spent")
            }
            try await stage.instance.start("worker-usage")
            try await stage.requireTraffic(sums, units: batches.count)
        }
    }

    /// How much it may grow from 200 batches to 2,000, beside what the allocator keeps.
    private static let growthMax = 6 << 20

    @Test("its memory after 2,000 batches is that after 200", .enabled(if: Sanitizer.leavesMemory))
    func memory() async throws {
        try await Stage.run(["worker-usage"]) { stage in
            let worker = try stage.instance.process("worker-usage")
            var sums = UsageSums()
            var sent = 0
            func send(_ count: Int) async throws -> Int {
                for _ in 0..<count / 200 {
                    let batches = UsageTraffic.even(200, of: 100)
                    for batch in batches { sums.add(batch.samples) }
                    sent += batches.count
                    try await stage.push(batches.map { $0.listed() })
                    try await stage.requireTraffic(sums, units: sent)
                }
                return try Self.residentBytes(of: worker.pid)
            }
            let early = try await send(200)
            let late = try await send(1800)
            #expect(late - early < Self.growthMax, "\(early >> 10) KiB after 200 batches, \(late >> 10) KiB after 2,000")
            #expect(late < 64 << 20, "\(late >> 10) KiB")
        }
    }

    private static func residentBytes(of pid: Int32) throws -> Int {
        guard let stream = fopen("/proc/\(pid)/statm", "r") else { throw FixtureError("process \(pid) is gone") }
        defer { fclose(stream) }
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = fread(&bytes, 1, bytes.count, stream)
        let words = String(decoding: bytes[..<count], as: UTF8.self).split(separator: " ")
        guard words.count > 1, let pages = Int(words[1]) else { throw FixtureError("no memory figures of process \(pid)") }
        return pages * sysconf(Int32(_SC_PAGESIZE))
    }
}
