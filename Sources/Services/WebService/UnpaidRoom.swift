import Database
import Drafts
import Synchronization

/// Whether there is room for files of one more inquiry that nobody has paid for yet: without a bound to all of them together anybody could
/// fill the storage, form by form, faster than the purge comes by.
final class UnpaidRoom: Sendable {
    /// How long a sum is taken for true: what comes meanwhile is bounded by what an address may send in a minute.
    static let freshMs: Int64 = 5000

    private let max: Int64
    private let database: Database
    private let nowMs: @Sendable () -> Int64
    private let known = Mutex<(bytes: Int64, atMs: Int64)?>(nil)

    /// - Parameter max: bytes of all of them.
    init(max: Int64, database: Database, nowMs: @escaping @Sendable () -> Int64) {
        self.max = max
        self.database = database
        self.nowMs = nowMs
    }

    /// - Throws: ``WebProblem/noRoom``.
    func check() async throws {
        guard try await bytes() < max else { throw WebProblem.noRoom }
    }

    private func bytes() async throws -> Int64 {
        let now = nowMs()
        if let known = known.withLock({ $0 }), (0..<Self.freshMs).contains(now - known.atMs) { return known.bytes }
        let bytes = try await database.read { try UnpaidFiles.bytes(in: $0) }
        known.withLock { $0 = (bytes, now) }
        return bytes
    }
}
