import Database
import Drafts

/// Whether there is room for files of one more inquiry that nobody has paid for yet: without a bound to all of them together anybody could
/// fill the storage, form by form, faster than the purge comes by.
struct UnpaidRoom: Sendable {
    /// Bytes of all of them.
    let max: Int64
    let database: Database

    /// - Throws: ``WebProblem/noRoom``.
    func check() async throws {
        guard try await database.read({ try UnpaidFiles.bytes(in: $0) }) < max else { throw WebProblem.noRoom }
    }
}
