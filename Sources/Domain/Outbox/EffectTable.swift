import Database
import Formats
import JobQueue

/// The records of effects in SQL: each change is one transaction, on stable storage before it is answered.
public struct EffectTable: EffectStore {
    /// How long a settled effect is kept, so that a job that is replayed finds its result: 90 days.
    public static let keepMs: Int64 = 90 * 24 * 60 * 60_000
    /// An effect without a result is worth a look after this long.
    public static let overdueMs: Int64 = 2 * 60_000

    private let database: Database

    public init(database: Database) { self.database = database }

    public func update<Value: Sendable>(
        _ identity: EffectIdentity, _ body: @escaping @Sendable (inout EffectRecord?) throws -> Value
    ) async throws -> Value {
        try await database.write { try Self.update(identity, in: $0, body) }
    }

    /// The same as part of a transaction.
    public static func update<Value>(
        _ identity: EffectIdentity, in connection: Connection, _ body: (inout EffectRecord?) throws -> Value
    ) throws -> Value {
        let kept = try find(identity, in: connection)
        var record = kept
        let value = try body(&record)
        if record != kept { try write(record, identity, in: connection) }
        return value
    }

    public func list(_ filter: EffectFilter) async throws -> [EffectRecord] {
        try await database.read { try Self.list(filter, in: $0) }
    }

    public static func list(_ filter: EffectFilter, in connection: Connection) throws -> [EffectRecord] {
        // Said so that the index of open effects serves.
        let open = filter.openOnly || filter.doubtfulOnly ? "state IN ('pending', 'doubtful') AND" : ""
        let doubtful = filter.doubtfulOnly ? "state = 'doubtful' AND" : ""
        return try connection.query(
            """
            SELECT * FROM outbox_effects
            WHERE \(open) \(doubtful) ($1 IS NULL OR name = $1) AND ($2 IS NULL OR key = $2) AND ($3 IS NULL OR began_at < $3)
            ORDER BY changed_at DESC, key DESC LIMIT $4
            """, [.optional(filter.name), .optional(filter.key), .optional(filter.begunBeforeMs), .integer(Int64(filter.limit))]
        ).map(EffectRecord.init)
    }

    public func countOpen(begunBefore cutoffMs: Int64) async throws -> Int {
        try await database.read { try Self.countOpen(begunBefore: cutoffMs, in: $0) }
    }

    public static func countOpen(begunBefore cutoffMs: Int64, in connection: Connection) throws -> Int {
        let row = try connection.first(
            "SELECT COUNT(*) AS open FROM outbox_effects WHERE state IN ('pending', 'doubtful') AND began_at < $1", [.integer(cutoffMs)])
        return Int(try row?.int("open") ?? 0)
    }

    public func purge(settledBefore cutoffMs: Int64, limit: Int) async throws -> Int {
        try await database.write { try Self.purge(settledBefore: cutoffMs, limit: limit, in: $0) }
    }

    public static func purge(settledBefore cutoffMs: Int64, limit: Int, in connection: Connection) throws -> Int {
        try connection.execute(
            """
            DELETE FROM outbox_effects WHERE (name, key) IN
              (SELECT name, key FROM outbox_effects WHERE state IN ('done', 'withdrawn') AND changed_at < $1 ORDER BY changed_at LIMIT $2)
            """, [.integer(cutoffMs), .integer(Int64(limit))])
    }

    public static func find(_ identity: EffectIdentity, in connection: Connection) throws -> EffectRecord? {
        try connection.first("SELECT * FROM outbox_effects WHERE name = $1 AND key = $2", [.text(identity.name), .text(identity.key)])
            .map(EffectRecord.init)
    }

    private static func write(_ record: EffectRecord?, _ identity: EffectIdentity, in connection: Connection) throws {
        guard let record else {
            try connection.execute("DELETE FROM outbox_effects WHERE name = $1 AND key = $2", [.text(identity.name), .text(identity.key)])
            return
        }
        try connection.execute(
            """
            INSERT INTO outbox_effects (name, key, state, rule, owner_queue, owner_worker, owner_token, owner_job, fence, result, detail,
              began_at, changed_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
            ON CONFLICT (name, key) DO UPDATE SET state = $3, rule = $4, owner_queue = $5, owner_worker = $6, owner_token = $7,
              owner_job = $8, fence = $9, result = $10, detail = $11, began_at = $12, changed_at = $13
            """,
            [
                .text(identity.name), .text(identity.key), .text(record.state.rawValue), .text(record.rule.rawValue),
                .optional(record.owner?.queue), .optional(record.owner?.worker),
                .optional(record.owner.map { Int64(bitPattern: $0.token) }), .optional(record.owner?.job), .integer(record.fence),
                .optional(record.result?.text), .optional(record.detail), .integer(record.beganAtMs), .integer(record.changedAtMs),
            ])
    }
}

extension EffectRecord {
    init(_ row: Row) throws {
        let state = try row.text("state")
        let rule = try row.text("rule")
        guard let knownState = State(rawValue: state), let knownRule = EffectRule(rawValue: rule) else {
            throw DatabaseError(kind: .column, message: "an effect that is '\(state)' under the rule '\(rule)' is of a newer program")
        }
        var owner: EffectOwner?
        if let worker = try row.textOrNil("owner_worker") {
            owner = EffectOwner(
                queue: try row.text("owner_queue"), worker: worker, token: UInt64(bitPattern: try row.int("owner_token")),
                job: try row.text("owner_job"))
        }
        self.init(
            identity: EffectIdentity(try row.text("name"), key: try row.text("key")), state: knownState, rule: knownRule, owner: owner,
            fence: try row.int("fence"), result: try row.textOrNil("result").map { try JSON(parsing: $0) }, detail: try row.textOrNil("detail"),
            beganAtMs: try row.int("began_at"), changedAtMs: try row.int("changed_at"))
    }
}
