import Synchronization

/// Which effects a listing shows.
public struct EffectFilter: Sendable {
    /// Those without a result: begun, or doubtful.
    public var openOnly: Bool
    /// Those that a person must decide about.
    public var doubtfulOnly: Bool
    /// Those whose intent was written before then.
    public var begunBeforeMs: Int64?
    public var name: String?
    public var key: String?
    public var limit: Int

    public init(
        openOnly: Bool = false, doubtfulOnly: Bool = false, begunBeforeMs: Int64? = nil, name: String? = nil, key: String? = nil, limit: Int = 100
    ) {
        self.openOnly = openOnly
        self.doubtfulOnly = doubtfulOnly
        self.begunBeforeMs = begunBeforeMs
        self.name = name
        self.key = key
        self.limit = limit
    }
}

/// Where the records of effects are kept: the seam between ``Effects`` and a database.
public protocol EffectStore: Sendable {
    /// Changes one record, atomically and for good: what `body` leaves is on stable storage when this returns. `record` is nil when
    /// there is none. A `body` that throws changes nothing.
    func update<Value: Sendable>(
        _ identity: EffectIdentity, _ body: @escaping @Sendable (_ record: inout EffectRecord?) throws -> Value
    ) async throws -> Value

    /// The one that changed last first.
    func list(_ filter: EffectFilter) async throws -> [EffectRecord]

    /// Effects without a result whose intent was written before `cutoffMs`.
    func countOpen(begunBefore cutoffMs: Int64) async throws -> Int

    /// Removes at most `limit` records that have been settled since before `cutoffMs`. What is open stays.
    func purge(settledBefore cutoffMs: Int64, limit: Int) async throws -> Int
}

/// Effects in memory, for tests.
public final class InMemoryEffects: EffectStore {
    private let records = Mutex<[EffectIdentity: EffectRecord]>([:])

    public init() {}

    public func update<Value: Sendable>(
        _ identity: EffectIdentity, _ body: @escaping @Sendable (inout EffectRecord?) throws -> Value
    ) async throws -> Value {
        try records.withLock { records in
            var record = records[identity]
            let value = try body(&record)
            records[identity] = record
            return value
        }
    }

    public func list(_ filter: EffectFilter) async throws -> [EffectRecord] {
        let all = records.withLock { Array($0.values) }.filter { record in
            guard !filter.openOnly || record.isOpen, !filter.doubtfulOnly || record.state == .doubtful else { return false }
            return filter.begunBeforeMs.map { record.beganAtMs < $0 } ?? true && filter.name.map { $0 == record.identity.name } ?? true
                && filter.key.map { $0 == record.identity.key } ?? true
        }
        return Array(all.sorted { ($0.changedAtMs, $0.identity.key) > ($1.changedAtMs, $1.identity.key) }.prefix(filter.limit))
    }

    public func countOpen(begunBefore cutoffMs: Int64) async throws -> Int {
        records.withLock { $0.values.count { $0.isOpen && $0.beganAtMs < cutoffMs } }
    }

    public func purge(settledBefore cutoffMs: Int64, limit: Int) async throws -> Int {
        records.withLock { records in
            let old = records.values.filter { !$0.isOpen && $0.changedAtMs < cutoffMs }.prefix(limit)
            for record in old { records[record.identity] = nil }
            return old.count
        }
    }
}

extension EffectRecord {
    /// Whether there is no result yet, and may be one.
    public var isOpen: Bool { state == .pending || state == .doubtful }
}
