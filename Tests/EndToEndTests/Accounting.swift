import Database
import Formats
import TestSupport

/// Where every accepted event is: in SQL by outcome, in Redis, buried, or in the spool. The rule of the house is that each one is
/// somewhere, and in the end in SQL, once.
struct Accounting: Sendable, CustomStringConvertible {
    /// Archived ids by outcome: `applied`, `verifying`, `ignored`, `unmatched`, `quarantined`.
    var archived: [String: Set<String>] = [:]
    /// Ready, delayed or in a worker's hands.
    var held: Set<String> = []
    var dead: Set<String> = []
    var spooled: Set<String> = []

    var everywhere: Set<String> { archived.values.reduce(held.union(dead).union(spooled)) { $0.union($1) } }

    var description: String {
        let outcomes = archived.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.count)" }.joined(separator: ", ")
        return "\(outcomes), queued or in flight \(held.count), dead \(dead.count), spooled \(spooled.count)"
    }
}

extension Stage {
    /// Counts the events of the Standard Webhooks sender, wherever they are.
    func account() async throws -> Accounting {
        var accounting = Accounting()
        // In the direction in which events move, so that one that moves meanwhile is seen at least once.
        accounting.spooled = Set(eventLog(prefix: "spool-").compactMap(Self.id(ofEvent:)))
        accounting.held = Set(try await held(by: "events").compactMap(Self.id(ofEvent:)))
        accounting.dead = Set(
            try await dead(on: "events").compactMap { $0["body_base64"]?.string.flatMap { Base64.decode($0) } }.compactMap(Self.id(ofEvent:)))
        let rows = try await database.read { connection in
            try connection.query("SELECT id, outcome FROM payments_events WHERE provider = 'standard-webhooks'").map {
                (try $0.text("id"), try $0.text("outcome"))
            }
        }
        for (id, outcome) in rows { accounting.archived[outcome, default: []].insert(String(id.dropFirst("standard-webhooks/".count))) }
        return accounting
    }

    /// Waits until all is in SQL, and throws unless it is exactly what was accepted.
    /// - Parameter maybe: ids that were posted without an answer: they may or may not be there.
    @discardableResult
    func settle(_ accepted: Set<String>, maybe: Set<String> = [], within limit: Duration = .seconds(60)) async throws -> Accounting {
        var last = Accounting()
        try await eventually(within: limit, "all \(accepted.count) accepted events are settled") {
            last = try await account()
            guard last.held.isEmpty, last.spooled.isEmpty else { throw FixtureError("\(last)") }
            return true
        }
        let missing = accepted.subtracting(last.everywhere)
        guard missing.isEmpty else { throw FixtureError("\(missing.count) accepted events are lost, such as \(missing.sorted()[0]): \(last)") }
        let strangers = last.everywhere.subtracting(accepted).subtracting(maybe)
        guard strangers.isEmpty else { throw FixtureError("\(strangers.count) events were never accepted, such as \(strangers.sorted()[0])") }
        let sum = last.archived.values.reduce(last.dead.count) { $0 + $1.count }
        guard sum == last.everywhere.count else { throw FixtureError("some events count twice: \(last)") }
        return last
    }

    /// The events of ingest's own files, in the order in which they were written.
    /// - Parameter folder: `spool/samples` for batches of samples.
    func eventLog(prefix: String, in folder: String = "spool") -> [[UInt8]] {
        instance.folder.list(folder).filter { $0.hasPrefix(prefix) }.sorted().flatMap { name in
            let lines = (instance.folder.read("\(folder)/\(name)") ?? []).split(separator: UInt8(ascii: "\n"))
            // Sixteen digits of checksum and a blank stand before each event.
            return lines.filter { $0.count > 17 }.map { Array($0.dropFirst(17)) }
        }
    }

    static func id(ofEvent body: [UInt8]) -> String? { (try? JSON(parsing: body))?["id"]?.string }

    // MARK: Once and only once

    /// Waits until every payment is paid, with one move, one ledger entry and every job of it finished, and throws on anything twice.
    func requirePaidOnce(_ payments: [SeededPayment], within limit: Duration = .seconds(60)) async throws {
        let wanted = Set(payments.map(\.id))
        try await eventually(within: limit, "\(wanted.count) payments are paid") {
            let paid = Set(try await texts("SELECT id FROM payments_payments WHERE state = 'paid'"))
            guard wanted.isSubset(of: paid) else { throw FixtureError("\(wanted.subtracting(paid).count) are not") }
            return true
        }
        for (what, sql) in [
            ("moves to paid", "SELECT payment FROM payments_audit WHERE to_state = 'paid'"),
            ("captures in the ledger", "SELECT payment FROM ledger_entries WHERE memo = 'captured'"),
        ] {
            let counted = Dictionary(grouping: try await texts(sql)) { $0 }.mapValues(\.count)
            let wrong = wanted.filter { counted[$0] != 1 }
            guard wrong.isEmpty else { throw FixtureError("\(what): \(wrong.map { "\($0) has \(counted[$0] ?? 0)" }.sorted().prefix(5))") }
        }
    }

    /// Waits until no job is open.
    func awaitJobs(within limit: Duration = .seconds(60)) async throws {
        try await eventually(within: limit, "all jobs are finished") {
            let open = try await texts("SELECT kind || ' ' || id FROM outbox_jobs WHERE finished_at IS NULL LIMIT 5")
            guard open.isEmpty else { throw FixtureError("\(open)") }
            return true
        }
    }

    /// Throws unless each payment that buys something has it, once, and invoices are numbered without gap.
    func requireEffectsOnce(_ payments: [SeededPayment]) async throws {
        let invoiced = try await texts("SELECT payment FROM invoicing_invoices WHERE pdf_sha256 IS NOT NULL")
        try Self.requireEqual(invoiced, payments.map(\.id), "invoices with their file")
        let drafts = try await texts("SELECT payment FROM drafts_generated")
        try Self.requireEqual(drafts, payments.filter { $0.purpose == "kit" }.map(\.id), "drafts")
        let activations = try await texts("SELECT payment FROM plans_activations")
        try Self.requireEqual(activations, payments.filter { $0.purpose == "plan" }.map(\.id), "activations")
        try await requireGaplessInvoices(payments.count)
        let unhappy = try await texts("SELECT kind || ' ' || outcome || ': ' || detail FROM outbox_jobs WHERE outcome <> 'done'")
        guard unhappy.isEmpty else { throw FixtureError("jobs that did not end well: \(unhappy.prefix(5))") }
    }

    func requireGaplessInvoices(_ count: Int) async throws {
        let numbers = try await texts("SELECT CAST(number AS TEXT) FROM invoicing_invoices ORDER BY number").compactMap { Int($0) }
        guard numbers == Array(1...max(1, count)).filter({ $0 <= count }) else { throw FixtureError("invoices are numbered \(numbers)") }
    }

    private static func requireEqual(_ found: [String], _ wanted: [String], _ what: String) throws {
        guard found.sorted() == wanted.sorted() else {
            throw FixtureError("\(what): \(found.count) for \(Set(found).count) payments, wanted \(wanted.count)")
        }
    }
}
