import Database

/// What one origin measured of all projects at one moment.
public struct StorageMeasurement: Sendable {
    public struct Part: Sendable, Equatable {
        /// Of everything whose size is known.
        public var bytes: Int64
        /// Volumes and images whose size was not told.
        public var unknownItems: Int

        public init(bytes: Int64, unknownItems: Int = 0) {
            self.bytes = bytes
            self.unknownItems = unknownItems
        }
    }

    /// `docker`, `folders`.
    public let origin: String
    public let measuredAtMs: Int64
    /// Every project that has something there.
    public let projects: [String: Part]

    public init(origin: String, measuredAtMs: Int64, projects: [String: Part]) {
        self.origin = origin
        self.measuredAtMs = measuredAtMs
        self.projects = projects
    }
}

/// The storage of one project or team.
public struct StorageGauge: Sendable, Equatable {
    /// An older gauge is stale: nothing is decided by it.
    public static let staleAfterMs: Int64 = 36 * 60 * 60_000

    /// Of what has an unknown size now: as last known.
    public var bytes: Int64
    public var unknownItems: Int64
    /// When it was last looked at; nil when it never was, or when one of its origins never was.
    public var measuredAtMs: Int64?
    /// When all of it was last known.
    public var knownAtMs: Int64?
    /// Whether anything measures it at all.
    public var hasOrigin: Bool

    /// A gauge that something measures.
    /// - Parameter knownAtMs: when it is not wholly known now.
    public init(bytes: Int64, unknownItems: Int64 = 0, measuredAtMs: Int64?, knownAtMs: Int64? = nil) {
        self.init(
            bytes: bytes, unknownItems: unknownItems, measuredAtMs: measuredAtMs, knownAtMs: unknownItems == 0 ? measuredAtMs : knownAtMs,
            hasOrigin: true)
    }

    private init(bytes: Int64, unknownItems: Int64, measuredAtMs: Int64?, knownAtMs: Int64?, hasOrigin: Bool) {
        self.bytes = bytes
        self.unknownItems = unknownItems
        self.measuredAtMs = measuredAtMs
        self.knownAtMs = knownAtMs
        self.hasOrigin = hasOrigin
    }

    public func isStale(nowMs: Int64) -> Bool { measuredAtMs.map { nowMs - $0 > Self.staleAfterMs } ?? true }

    /// Whether a part of it has been of unknown size for long: what is told is only what there is at the least.
    public func isIncomplete(nowMs: Int64) -> Bool { unknownItems > 0 && (knownAtMs.map { nowMs - $0 > Self.staleAfterMs } ?? true) }

    static let nothing = StorageGauge(bytes: 0, unknownItems: 0, measuredAtMs: nil, knownAtMs: nil, hasOrigin: false)

    /// Both together; as old as the older one. What nothing measures adds nothing, not even its age.
    mutating func add(_ other: StorageGauge) {
        guard other.hasOrigin else { return }
        guard hasOrigin else { return self = other }
        bytes = min(bytes + other.bytes, ByteFigure.counterMax)
        unknownItems += other.unknownItems
        measuredAtMs = Self.older(measuredAtMs, other.measuredAtMs)
        knownAtMs = Self.older(knownAtMs, other.knownAtMs)
    }

    private static func older(_ left: Int64?, _ right: Int64?) -> Int64? { left.flatMap { left in right.map { min(left, $0) } } }
}

/// Where storage is measured.
public struct StorageOrigin: Sendable, Equatable {
    public let name: String
    /// Whether the scheduled run measures it; else it is told project by project.
    public let isWhole: Bool
    public let measuredAtMs: Int64?
    /// When it last failed, if it did after it last succeeded.
    public let failedAtMs: Int64?
    public let error: String?

    public func isStale(nowMs: Int64) -> Bool { isWhole && (measuredAtMs.map { nowMs - $0 > StorageGauge.staleAfterMs } ?? true) }
}

/// Storage gauges in SQL, in the caller's transaction. A gauge has no month: it stays as it is over the month's end.
public enum StorageGauges {
    /// Takes in what an origin has measured: its earlier figures are replaced. What an older measurement brings changes nothing.
    /// - Returns: how many projects it has.
    @discardableResult
    public static func record(_ measurement: StorageMeasurement, in connection: Connection) throws -> Int {
        let origin = measurement.origin
        let entered = try connection.execute(
            """
            INSERT INTO usage_origins (origin, is_whole, measured_at) VALUES ($1, 1, $2)
            ON CONFLICT (origin) DO UPDATE SET is_whole = 1, measured_at = $2, failed_at = NULL, error = NULL
              WHERE measured_at IS NULL OR measured_at <= $2
            """, [.text(origin), .integer(measurement.measuredAtMs)])
        guard entered == 1 else { return 0 }
        var gone: [String] = []
        for row in try connection.query("SELECT project FROM usage_storage WHERE origin = $1", [.text(origin)]) {
            let project = try row.text("project")
            if measurement.projects[project] == nil { gone.append(project) }
        }
        for project in gone {
            try connection.execute("DELETE FROM usage_storage WHERE project = $1 AND origin = $2", [.text(project), .text(origin)])
        }
        for (project, part) in measurement.projects.sorted(by: { $0.key < $1.key }) {
            try enter(part, project: project, origin: origin, measuredAtMs: measurement.measuredAtMs, in: connection)
        }
        for project in gone + measurement.projects.keys { try carry(project, atMs: measurement.measuredAtMs, in: connection) }
        return measurement.projects.count
    }

    /// Sets the storage of one project as it was measured elsewhere. What is older than what is known changes nothing.
    /// - Parameter origin: who measured; each origin's figure counts by itself.
    /// - Returns: whether it was taken.
    @discardableResult
    public static func set(
        project: String, bytes: Int64, origin: String, measuredAtMs: Int64, in connection: Connection
    ) throws -> Bool {
        try connection.execute(
            """
            INSERT INTO usage_origins (origin, is_whole, measured_at) VALUES ($1, 0, $2)
            ON CONFLICT (origin) DO UPDATE SET measured_at = $2 WHERE measured_at IS NULL OR measured_at < $2
            """,
            [.text(origin), .integer(measuredAtMs)])
        let known = try connection.first(
            "SELECT measured_at FROM usage_storage WHERE project = $1 AND origin = $2", [.text(project), .text(origin)])
        if let last = try known?.int("measured_at"), last > measuredAtMs { return false }
        let part = StorageMeasurement.Part(bytes: bytes)
        try enter(part, project: project, origin: origin, measuredAtMs: measuredAtMs, in: connection)
        try carry(project, atMs: measuredAtMs, in: connection)
        return true
    }

    /// Notes that an origin could not be measured. Its figures stay.
    public static func recordFailure(origin: String, error: String, nowMs: Int64, in connection: Connection) throws {
        try connection.execute(
            """
            INSERT INTO usage_origins (origin, is_whole, failed_at, error) VALUES ($1, 1, $2, $3)
            ON CONFLICT (origin) DO UPDATE SET is_whole = 1, failed_at = $2, error = $3
            """, [.text(origin), .integer(nowMs), .text(String(error.prefix(500)))])
    }

    /// Forgets what an origin has told of one project.
    /// - Returns: false when it had told nothing.
    @discardableResult
    public static func remove(project: String, origin: String, nowMs: Int64, in connection: Connection) throws -> Bool {
        let removed = try connection.execute(
            "DELETE FROM usage_storage WHERE project = $1 AND origin = $2", [.text(project), .text(origin)])
        if removed == 1 { try carry(project, atMs: nowMs, in: connection) }
        return removed == 1
    }

    /// Forgets an origin that is measured no more, with all its figures.
    /// - Returns: false when there is none of that name.
    @discardableResult
    public static func forget(origin: String, nowMs: Int64, in connection: Connection) throws -> Bool {
        let projects = try connection.query("SELECT project FROM usage_storage WHERE origin = $1", [.text(origin)]).map { try $0.text("project") }
        try connection.execute("DELETE FROM usage_storage WHERE origin = $1", [.text(origin)])
        let removed = try connection.execute("DELETE FROM usage_origins WHERE origin = $1", [.text(origin)])
        for project in projects { try carry(project, atMs: nowMs, in: connection) }
        return removed == 1
    }

    /// Whether an origin has figures of any project.
    public static func hasFigures(origin: String, in connection: Connection) throws -> Bool {
        try connection.first("SELECT 1 AS found FROM usage_storage WHERE origin = $1 AND bytes > 0 LIMIT 1", [.text(origin)]) != nil
    }

    public static func origins(in connection: Connection) throws -> [StorageOrigin] {
        try connection.query("SELECT * FROM usage_origins ORDER BY origin").map { row in
            StorageOrigin(
                name: try row.text("origin"), isWhole: try row.bool("is_whole"), measuredAtMs: try row.intOrNil("measured_at"),
                failedAtMs: try row.intOrNil("failed_at"), error: try row.textOrNil("error"))
        }
    }

    // MARK: Reading

    /// The gauge of one project. Scheduled origins where it has nothing say that too, and when they last looked.
    static func of(project: String, origins: [StorageOrigin], in connection: Connection) throws -> StorageGauge {
        let rows = try connection.query("SELECT * FROM usage_storage WHERE project = $1", [.text(project)])
        return try gauge(rows, origins: origins)
    }

    /// The gauges of all projects that have any.
    static func all(origins: [StorageOrigin], in connection: Connection) throws -> [String: StorageGauge] {
        var gauges: [String: StorageGauge] = [:]
        var rows: [Row] = []
        var project: String?
        func close() throws {
            if let project { gauges[project] = try gauge(rows, origins: origins) }
            rows = []
        }
        try connection.forEach("SELECT * FROM usage_storage ORDER BY project") { row in
            let name = try row.text("project")
            if name != project {
                try close()
                project = name
            }
            rows.append(row)
        }
        try close()
        return gauges
    }

    /// The gauge of a project that has nothing anywhere.
    static func empty(origins: [StorageOrigin]) throws -> StorageGauge { try gauge([], origins: origins) }

    private static func gauge(_ rows: [Row], origins: [StorageOrigin]) throws -> StorageGauge {
        var total = StorageGauge.nothing
        var seen: [String] = []
        for row in rows {
            total.add(
                StorageGauge(
                    bytes: try row.int("bytes"), unknownItems: try row.int("unknown_items"), measuredAtMs: try row.int("measured_at"),
                    knownAtMs: try row.intOrNil("known_at")))
            seen.append(try row.text("origin"))
        }
        for origin in origins where origin.isWhole && !seen.contains(origin.name) {
            total.add(StorageGauge(bytes: 0, measuredAtMs: origin.measuredAtMs))
        }
        return total
    }

    // MARK: Writing

    /// While a part has items of unknown size its last figure stands, unless more than that is known.
    private static func enter(
        _ part: StorageMeasurement.Part, project: String, origin: String, measuredAtMs: Int64, in connection: Connection
    ) throws {
        try connection.execute(
            """
            INSERT INTO usage_storage (project, origin, bytes, unknown_items, measured_at, known_at) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (project, origin) DO UPDATE SET bytes = CASE WHEN $4 > 0 AND bytes > $3 THEN bytes ELSE $3 END,
              unknown_items = $4, measured_at = $5, known_at = COALESCE($6, known_at)
            """,
            [
                .text(project), .text(origin), .integer(min(part.bytes, ByteFigure.counterMax)), .int(part.unknownItems),
                .integer(measuredAtMs), part.unknownItems == 0 ? .integer(measuredAtMs) : .null,
            ])
    }

    /// Writes a project's gauge into the month and the day of the measurement, for history.
    private static func carry(_ project: String, atMs: Int64, in connection: Connection) throws {
        let row = try connection.first("SELECT COALESCE(SUM(bytes), 0) AS bytes FROM usage_storage WHERE project = $1", [.text(project)])
        let bytes = min(try row?.int("bytes") ?? 0, ByteFigure.counterMax)
        let period = UsagePeriod(containing: atMs)
        try connection.execute(
            """
            INSERT INTO usage_project_months (project, year, month, storage_bytes, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)
            ON CONFLICT (project, year, month) DO UPDATE SET storage_bytes = $4, updated_at = $5
            """, [.text(project), .int(period.year), .int(period.month), .integer(bytes), .integer(atMs)])
        try connection.execute(
            """
            INSERT INTO usage_project_days (project, day, storage_bytes) VALUES ($1, $2, $3)
            ON CONFLICT (project, day) DO UPDATE SET storage_bytes = $3
            """, [.text(project), .integer(atMs / UsagePeriod.dayMs), .integer(bytes)])
    }
}
