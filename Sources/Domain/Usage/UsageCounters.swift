import Database
import UsageSamples

/// Traffic counters: a unit of samples and what it adds are one transaction, so that it counts once however often it comes.
public enum UsageCounters {
    /// What became of one batch.
    public struct Outcome: Sendable, Equatable {
        /// Samples counted now.
        public var counted = 0
        /// Of these, measured more than an hour ago, and put into a month that is over.
        public var late = 0
        public var pastMonth = 0
        /// Samples of units that had been counted before.
        public var repeated = 0
        /// Samples of units whose name was used for other samples before; they are not counted, and recorded.
        public var conflicting = 0
        /// Samples too old or ahead of time; not counted, and recorded.
        public var rejected = 0

        public init() {}
    }

    /// Counts batches, in the caller's transaction.
    /// - Returns: one outcome for each.
    public static func apply(_ tallies: [SampleTally], nowMs: Int64, in connection: Connection) throws -> [Outcome] {
        var days: [SampleTally.ProjectDay: Int64] = [:]
        let outcomes = try tallies.map { tally in
            var outcome = Outcome()
            for unit in tally.units {
                switch try enter(unit, of: tally.source, nowMs: nowMs, in: connection) {
                case .new:
                    let rejected = unit.tooOld.samples + unit.inFuture.samples
                    outcome.counted += unit.samples - rejected
                    outcome.late += unit.late
                    outcome.rejected += rejected
                    for (key, bytes) in unit.totals {
                        days[key] = min((days[key] ?? 0) + bytes, ByteFigure.counterMax)
                    }
                    outcome.pastMonth += unit.pastMonth
                case .repeated: outcome.repeated += unit.samples
                case .conflicting: outcome.conflicting += unit.samples
                }
            }
            return outcome
        }
        try add(days, nowMs: nowMs, in: connection)
        return outcomes
    }

    /// Counts traffic that the product itself measured, as one unit.
    /// - Parameter unit: its name; the same one counts once.
    /// - Returns: false when it was counted before, or was refused as too old or ahead of time.
    @discardableResult
    public static func recordTraffic(
        project: String, bytes: Int64, atMs: Int64, unit: String, nowMs: Int64, in connection: Connection
    ) throws -> Bool {
        let batch = SampleBatch(
            source: "quittance", batch: unit, projects: [project], rows: [SampleBatch.Row(project: 0, bytes: bytes, atMs: atMs)])
        return try apply([SampleTally(batch, nowMs: nowMs)], nowMs: nowMs, in: connection).first?.counted == 1
    }

    private enum Entry { case new, repeated, conflicting }

    private static func enter(_ unit: SampleTally.Unit, of source: String, nowMs: Int64, in connection: Connection) throws -> Entry {
        let entered = try connection.execute(
            """
            INSERT INTO usage_batches (source, batch, digest, samples, applied_at) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (source, batch) DO NOTHING
            """, [.text(source), .text(unit.name), .integer(unit.digest), .int(unit.samples), .integer(nowMs)])
        guard entered == 1 else {
            let known = try connection.first(
                "SELECT digest FROM usage_batches WHERE source = $1 AND batch = $2", [.text(source), .text(unit.name)])?.int("digest")
            if known == unit.digest { return .repeated }
            let bytes = unit.totals.values.reduce(0) { min($0 + $1, ByteFigure.counterMax) }
            let refused = SampleTally.Rejected(samples: unit.samples, bytes: bytes)
            try reject(refused, "conflict", unit.name, of: source, nowMs: nowMs, in: connection)
            return .conflicting
        }
        try reject(unit.tooOld, "too_old", unit.name, of: source, nowMs: nowMs, in: connection)
        try reject(unit.inFuture, "in_future", unit.name, of: source, nowMs: nowMs, in: connection)
        return .new
    }

    private static func reject(
        _ rejected: SampleTally.Rejected, _ reason: String, _ batch: String, of source: String, nowMs: Int64, in connection: Connection
    ) throws {
        guard rejected.samples > 0 else { return }
        try connection.execute(
            "INSERT INTO usage_rejections (source, batch, reason, samples, bytes, rejected_at) VALUES ($1, $2, $3, $4, $5, $6)",
            [.text(source), .text(batch), .text(reason), .int(rejected.samples), .integer(rejected.bytes), .integer(nowMs)])
    }

    /// Adds to the days and to the months they lie in, in the order of the keys: neighbours share pages.
    private static func add(_ days: [SampleTally.ProjectDay: Int64], nowMs: Int64, in connection: Connection) throws {
        let sorted = days.sorted { ($0.key.project, $0.key.day) < ($1.key.project, $1.key.day) }
        var periods: [Int64: UsagePeriod] = [:]
        var month: (project: String, period: UsagePeriod, bytes: Int64)?
        for (key, bytes) in sorted {
            try connection.execute(
                """
                INSERT INTO usage_project_days (project, day, traffic_bytes) VALUES ($1, $2, $3)
                ON CONFLICT (project, day) DO UPDATE SET traffic_bytes = CASE WHEN traffic_bytes > $4 - $3 THEN $4 ELSE traffic_bytes + $3 END
                """, [.text(key.project), .integer(key.day), .integer(bytes), .integer(ByteFigure.counterMax)])
            let period = periods[key.day] ?? UsagePeriod(day: key.day)
            periods[key.day] = period
            if let open = month, open.project == key.project, open.period == period {
                month?.bytes = min(open.bytes + bytes, ByteFigure.counterMax)
            } else {
                if let month { try add(month, nowMs: nowMs, in: connection) }
                month = (key.project, period, bytes)
            }
        }
        if let month { try add(month, nowMs: nowMs, in: connection) }
    }

    private static func add(_ month: (project: String, period: UsagePeriod, bytes: Int64), nowMs: Int64, in connection: Connection) throws {
        try connection.execute(
            """
            INSERT INTO usage_project_months (project, year, month, traffic_bytes, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)
            ON CONFLICT (project, year, month) DO UPDATE SET
              traffic_bytes = CASE WHEN traffic_bytes > $6 - $4 THEN $6 ELSE traffic_bytes + $4 END, updated_at = $5
            """,
            [
                .text(month.project), .int(month.period.year), .int(month.period.month), .integer(month.bytes), .integer(nowMs),
                .integer(ByteFigure.counterMax),
            ])
    }
}
