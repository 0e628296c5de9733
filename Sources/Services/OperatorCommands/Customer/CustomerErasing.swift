import Access
import Database
import Formats
import Payments

/// Overwrites what is personal in everything that is held of a customer. Sums, states, references of providers, entries of the ledger and
/// invoices stay.
struct CustomerErasing: Sendable {
    static let erased = "(erased)"

    let holding: CustomerHolding
    let actor: String
    let nowMs: Int64

    /// What becomes of a column of their own rows.
    private enum Fate: Sendable {
        case word
        case empty
        case null
        case bytes([UInt8])
        /// Only what the product itself needs of the metadata of a payment.
        case metadata
    }

    /// Columns that say something about the person; what is not listed loses their marks and names only. What a payment's state is folded
    /// from is not among them: a charge-back may come years later.
    private static let fates: [String: [String: Fate]] = [
        "payments_payments": ["customer_name": .word, "customer_email": .null, "customer_phone": .null, "description": .word, "metadata": .metadata],
        "payments_attempts": ["payment_url": .null, "qr_code": .null, "error_text": .null, "last_answer": .null, "step": .null],
        "payments_answers": ["body": .bytes([])],
        "payments_events": ["body": .bytes([]), "headers": .empty, "detail": .null],
        "payments_refunds": ["reason": .word, "detail": .null],
        "outbox_jobs": ["args": .bytes(Array("{}".utf8)), "detail": .null],
        "outbox_effects": ["result": .bytes(Array("{}".utf8)), "detail": .null],
        "outbox_leaving": ["body": .bytes(Array("{}".utf8)), "detail": .word],
        "access_calls": ["body": .bytes(Array("{}".utf8))],
        "notifications_messages": ["recipient": .word, "subject": .word, "error": .null],
        "drafts_inquiries": [
            "organization_name": .word, "contact_name": .word, "email": .word, "phone": .null, "statut_juridique": .empty, "location": .empty,
            "sector": .empty, "mission_text": .empty, "context_text": .empty, "budget_range": .empty, "funding_sources": .empty,
            "audits_types": .empty, "audits_frequency": .empty, "staff_size": .empty, "org_chart_text": .empty, "notes_text": .empty,
            "failure": .null,
        ],
        "drafts_answers": ["content": .word],
        "downloads_grants": ["file_name": .word],
        "downloads_uses": ["origin": .bytes([])],
        "downloads_audit": ["reason": .word],
    ]
    private static let keptMetadata: Set<String> = ["order_id", "inquiry_id", "team_id", "new_plan", "plan_version", "plan_upgrade"]

    // MARK: Whether it may be

    /// Why it is too early; nil when it may be done.
    func obstacle(in connection: Connection) throws -> String? {
        for id in holding.payments {
            let payment = try PaymentStore.require(id, in: connection)
            if payment.state.isOpen || payment.state == .conflicted { return "payment \(id) is \(payment.state.rawValue)" }
            if try PaymentStore.attempts(of: id, in: connection).contains(where: \.isOpen) { return "payment \(id) has an open attempt" }
            if try Refund.of(payment: id, in: connection).contains(where: { $0.state == .requested || $0.state == .sent }) {
                return "payment \(id) has a refund under way"
            }
        }
        for found in holding.found where found.shape.name == "outbox_jobs" && found.row["finished_at"].isNull {
            return "job \(found.row["id"].words ?? "") (\(found.row["kind"].words ?? "")) is not finished"
        }
        return nil
    }

    // MARK: Doing it

    /// - Returns: how many rows were changed; 0 when everything was erased before, and then nothing is recorded.
    func erase(files: Int, in connection: Connection) throws -> Int {
        let guards = try AppendOnlyGuards(in: connection)
        var changed = 0
        for found in holding.found where !CustomerHolding.isKeptByLaw(found.shape.name) {
            let changes = changes(of: found)
            if found.shape.name == "teams_members" {
                changed += try delete(found, in: connection)
            } else if !changes.isEmpty {
                try guards.lift(of: found.shape.name, in: connection)
                changed += try update(found, changes, in: connection)
            }
        }
        try guards.restore(in: connection)
        guard changed > 0 || files > 0 else { return 0 }
        try Erasure(atMs: nowMs, actor: actor, payments: holding.payments.count, rows: changed, files: files).record(in: connection)
        return changed
    }

    private func changes(of found: CustomerHolding.Found) -> [(column: String, value: SQLValue)] {
        found.shape.worded.compactMap { column in
            let old = found.row[column.name]
            let fate = found.isOwn ? Self.fates[found.shape.name]?[column.name] : nil
            let new = fate.map { value($0, for: old) } ?? cleaned(old, isOwn: found.isOwn, isBlob: column.type == "BLOB")
            return new == old ? nil : (column.name, new)
        }
    }

    private func value(_ fate: Fate, for old: SQLValue) -> SQLValue {
        guard !old.isNull else { return .null }
        switch fate {
        case .word: return .text(Self.erased)
        case .empty: return .text("")
        case .null: return .null
        case .bytes(let bytes): if case .text = old { return .text(String(decoding: bytes, as: UTF8.self)) } else { return .blob(bytes) }
        case .metadata:
            let members = (old.words.flatMap { try? JSON(parsing: $0) })?.object ?? [:]
            return .text(JSON.object(JSONObject(members.filter { Self.keptMetadata.contains($0.key) }.map { ($0.key, $0.value) })).text)
        }
    }

    /// A text without their marks; of bytes that hold one nothing is left.
    private func cleaned(_ value: SQLValue, isOwn: Bool, isBlob: Bool) -> SQLValue {
        let words = isOwn ? holding.marks.union(holding.names) : holding.marks
        if isBlob {
            guard case .blob(let bytes) = value else { return value }
            let text = String(decoding: bytes, as: UTF8.self).lowercased()
            return words.contains { text.contains($0.lowercased()) } ? .blob([]) : value
        }
        guard case .text(var text) = value else { return value }
        for word in words.sorted(by: { $0.count > $1.count }) { text = text.replacingWithoutCase(word, with: Self.erased) }
        return .text(text)
    }

    private func update(
        _ found: CustomerHolding.Found, _ changes: [(column: String, value: SQLValue)], in connection: Connection
    ) throws -> Int {
        let assignments = changes.enumerated().map { "\"\($1.column)\" = $\($0 + 1)" }.joined(separator: ", ")
        // What two rows can no longer tell apart is one.
        return try connection.execute(
            "UPDATE OR REPLACE \(found.shape.name) SET \(assignments) WHERE \(place(found, after: changes.count))",
            changes.map(\.value) + found.shape.keys.map { found.row[$0] })
    }

    private func delete(_ found: CustomerHolding.Found, in connection: Connection) throws -> Int {
        try connection.execute("DELETE FROM \(found.shape.name) WHERE \(place(found, after: 0))", found.shape.keys.map { found.row[$0] })
    }

    private func place(_ found: CustomerHolding.Found, after count: Int) -> String {
        found.shape.keys.enumerated().map { "\"\($1)\" = $\(count + $0 + 1)" }.joined(separator: " AND ")
    }
}

/// The triggers that let nobody change a record, lifted while a person's words are taken out of it, and put back in the same transaction.
private final class AppendOnlyGuards {
    private let triggers: [(name: String, table: String, sql: String)]
    private var lifted: [(name: String, table: String, sql: String)] = []

    init(in connection: Connection) throws {
        triggers = try connection.query(
            "SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'trigger' AND name LIKE '%~_no~_%' ESCAPE '~'"
        ).map { (try $0.text("name"), try $0.text("tbl_name"), try $0.text("sql")) }
    }

    func lift(of table: String, in connection: Connection) throws {
        for trigger in triggers where trigger.table == table && !lifted.contains(where: { $0.name == trigger.name }) {
            try connection.execute("DROP TRIGGER \(trigger.name)")
            lifted.append(trigger)
        }
    }

    func restore(in connection: Connection) throws {
        for trigger in lifted { try connection.execute(trigger.sql) }
        lifted = []
    }
}

extension String {
    /// The text with each occurrence of a word, in capitals or not, replaced.
    fileprivate func replacingWithoutCase(_ word: String, with other: String) -> String {
        let (text, wanted) = (Array(self), Array(word.lowercased()))
        guard !wanted.isEmpty, text.count >= wanted.count else { return self }
        let lower = text.map { $0.lowercased() }
        let letters = wanted.map(String.init)
        var result = ""
        var at = 0
        while at < text.count {
            if at + letters.count <= text.count, Array(lower[at..<at + letters.count]) == letters {
                result += other
                at += letters.count
            } else {
                result.append(text[at])
                at += 1
            }
        }
        return result
    }
}
