import UsageSamples

/// The samples of one batch added up by project and day, made before the transaction that counts them.
public struct SampleTally: Sendable {
    struct ProjectDay: Hashable, Sendable {
        let project: String
        /// Days since 1970-01-01, UTC.
        let day: Int64
    }

    /// Samples that count once together.
    struct Unit: Sendable {
        let name: String
        let digest: Int64
        var samples = 0
        /// Measured more than an hour before they are counted.
        var late = 0
        /// Measured in a month that is over when they are counted.
        var pastMonth = 0
        var totals: [ProjectDay: Int64] = [:]
        var tooOld = Rejected()
        var inFuture = Rejected()
    }

    struct Rejected: Sendable {
        var samples = 0
        var bytes: Int64 = 0
    }

    /// A sample that is older than this when it is counted is late.
    public static let lateMs: Int64 = 60 * 60_000

    public let source: String
    let units: [Unit]

    /// Rows that counting it writes, roughly: what a transaction is measured by.
    public var weight: Int { units.reduce(0) { $0 + 1 + $1.totals.count } }

    /// - Parameter nowMs: samples too old for it, or ahead of it, are set apart.
    public init(_ batch: SampleBatch, nowMs: Int64) {
        source = batch.source
        let monthStartMs = UsagePeriod(containing: nowMs).startMs
        guard batch.batch == nil else {
            var unit = Unit(name: batch.batch ?? "", digest: batch.digest)
            // Most samples of a batch are of few projects and of one day: added up by number first, by name once.
            var sums: [Int64: [Int64]] = [:]
            for row in batch.rows {
                unit.samples += 1
                guard let day = unit.admit(row, nowMs: nowMs, monthStartMs: monthStartMs) else { continue }
                sums[day, default: [Int64](repeating: -1, count: batch.projects.count)].withUnsafeMutableBufferPointer { sums in
                    let place = Int(row.project)
                    sums[place] = min(max(0, sums[place]) + row.bytes, ByteFigure.counterMax)
                }
            }
            for (day, bytes) in sums {
                for (place, sum) in bytes.enumerated() where sum >= 0 {
                    unit.totals[ProjectDay(project: batch.projects[place], day: day)] = sum
                }
            }
            units = [unit]
            return
        }
        units = zip(batch.rows, batch.ids).map { row, id in
            let project = batch.projects[Int(row.project)]
            let alone = SampleBatch(
                source: batch.source, batch: id, projects: [project], rows: [SampleBatch.Row(project: 0, bytes: row.bytes, atMs: row.atMs)])
            var unit = Unit(name: id, digest: alone.digest, samples: 1)
            if let day = unit.admit(row, nowMs: nowMs, monthStartMs: monthStartMs) { unit.totals[ProjectDay(project: project, day: day)] = row.bytes }
            return unit
        }
    }
}

extension SampleTally.Unit {
    /// The day that a sample counts for; nil when it does not count.
    fileprivate mutating func admit(_ row: SampleBatch.Row, nowMs: Int64, monthStartMs: Int64) -> Int64? {
        if row.atMs > nowMs + SampleWindow.applyFutureMaxMs {
            inFuture.samples += 1
            inFuture.bytes = min(inFuture.bytes + row.bytes, ByteFigure.counterMax)
            return nil
        }
        let age = nowMs - row.atMs
        if age > SampleWindow.applyAgeMaxMs || row.atMs < 0 {
            tooOld.samples += 1
            tooOld.bytes = min(tooOld.bytes + row.bytes, ByteFigure.counterMax)
            return nil
        }
        if age > SampleTally.lateMs { late += 1 }
        if row.atMs < monthStartMs { pastMonth += 1 }
        return row.atMs / UsagePeriod.dayMs
    }
}
