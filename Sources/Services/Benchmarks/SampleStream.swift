import Formats
import UsageSamples

/// Batches of random samples of many projects over a few days, and what they must add up to.
///
/// Every sample's project and time are drawn anew, so that few samples of a batch share a counter: a gateway's batches, which are of
/// a minute and mostly of the same projects, are easier.
struct SampleStream: Sendable {
    static let batchSize = 1000
    private static let spanMs: Int64 = 3 * 24 * 60 * 60_000
    private static let dayMs: Int64 = 24 * 60 * 60_000

    let source: String
    private let nowMs: Int64
    private let names: [String]
    private var random: SeededRandom
    private var made = 0
    /// Bytes by day since 1970 and by project's number.
    private var sums: [Int64: [Int64]] = [:]

    init(source: String, projects: Int, seed: UInt64, nowMs: Int64) {
        self.source = source
        self.nowMs = nowMs
        names = (0..<projects).map { "\(source)-project-\($0)" }
        random = SeededRandom(seed: seed)
    }

    /// The next batch, which is then part of the expected sums.
    mutating func next() -> SampleBatch {
        made += 1
        var places: [Int: Int32] = [:]
        var projects: [String] = []
        let rows = (0..<Self.batchSize).map { _ in
            let project = Int(random.next() % UInt64(names.count))
            let bytes = Int64(random.next() % 1_000_000)
            let at = nowMs - Int64(random.next() % UInt64(Self.spanMs))
            sums[at / Self.dayMs, default: [Int64](repeating: 0, count: names.count)][project] += bytes
            let place = places[project] ?? Int32(projects.count)
            if places.updateValue(place, forKey: project) == nil { projects.append(names[project]) }
            return SampleBatch.Row(project: place, bytes: bytes, atMs: at)
        }
        return SampleBatch(source: source, batch: "\(source)-\(made)", projects: projects, rows: rows)
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
