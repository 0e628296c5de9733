import Formats
import UsageSamples

/// Batches of random samples of many projects over a few days, and what they must add up to.
///
/// Every sample's project and time are drawn anew, so that hardly two samples of a batch can be added up before SQL sees them:
/// a gateway's batches, which are of a minute, are easier.
struct SampleStream: Sendable {
    static let batchSize = 1000
    static let projects = 500
    private static let spanMs: Int64 = 3 * 24 * 60 * 60_000
    private static let dayMs: Int64 = 24 * 60 * 60_000

    let source: String
    private let nowMs: Int64
    private let names = (0..<projects).map { "project-\($0)" }
    private var random: SeededRandom
    private var made = 0
    /// Bytes by day since 1970 and by project's number.
    private var sums: [Int64: [Int64]] = [:]

    init(source: String, seed: UInt64, nowMs: Int64) {
        self.source = source
        self.nowMs = nowMs
        random = SeededRandom(seed: seed)
    }

    /// The next batch, which is then part of the expected sums.
    mutating func next() -> SampleBatch {
        made += 1
        let rows = (0..<Self.batchSize).map { _ in
            let project = Int(random.next() % UInt64(Self.projects))
            let bytes = Int64(random.next() % 1_000_000)
            let at = nowMs - Int64(random.next() % UInt64(Self.spanMs))
            sums[at / Self.dayMs, default: [Int64](repeating: 0, count: Self.projects)][project] += bytes
            return SampleBatch.Row(project: Int32(project), bytes: bytes, atMs: at)
        }
        return SampleBatch(source: source, batch: "\(source)-\(made)", projects: names, rows: rows)
    }

    /// A batch as `POST /usage` takes it, a sample a line.
    static func lines(_ batch: SampleBatch) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(batch.rows.count * 64)
        for row in batch.rows {
            var writer = JSONWriter(continuing: text)
            text = []
            writer.beginObject()
            writer.member("project", batch.projects[Int(row.project)])
            writer.member("bytes", row.bytes)
            writer.member("at", row.atMs)
            writer.endObject()
            text = writer.bytes
            text.append(UInt8(ascii: "\n"))
        }
        return text
    }

    /// Of everything made so far.
    var total: Int64 { sums.values.reduce(0) { $0 + $1.reduce(0, +) } }

    /// `project day` and its bytes, for each that has any.
    var expected: [String: Int64] {
        var expected: [String: Int64] = [:]
        for (day, bytes) in sums {
            for (project, sum) in bytes.enumerated() where sum > 0 { expected["\(names[project]) \(day)"] = sum }
        }
        return expected
    }
}
