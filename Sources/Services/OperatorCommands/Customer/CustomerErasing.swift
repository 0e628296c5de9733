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

    /// Columns that say something about the person; what is not listed loses only their marks, and their names where its ``TableShape/Wording``
    /// is prose. What a payment's state is folded from is not among them: a charge-back may come years later.
    private static let fates: [String: [String: Fate]] = [
        "payments_payments": ["customer_name": .word, "customer_email": .null, "customer_phone": .null, "description": .word, "metadata": .metadata],
        "payments_attempts": ["payment_url": .null, "qr_code": .null, "error_text": .null, "last_answer": .null, "step": .null],
        "payments_answers": ["body": .bytes([])],
        "payments_events": ["body": .bytes([]), "headers": .empty, "detail": .null],
        "payments_refunds": ["reason": .word, "detail": .null],
        "staff_refund_requests": ["reason": .word],
        "outbox_jobs": ["args": .bytes(Array("{}".utf8)), "detail": .null],
        "outbox_effects": ["result": .bytes(Array("{}".utf8)), "detail": .null],
        "outbox_leaving": ["body": .bytes(Array("{}".utf8)), "detail": .word],
        "access_calls": ["body": .bytes(Array("{}".utf8))],
        "notifications_messages": ["recipient": .word, "subject": .word, "error": .null, "request": .null],
        "drafts_inquiries": [
            "organization_name": .word, "contact_name": .word, "email": .word, "phone": .null, "statut_juridique": .empty, "location": .empty,
            "sector": .empty, "mission_text": .empty, "context_text": .empty, "budget_range": .empty, "funding_sources": .empty,
            "audits_types": .empty, "audits_frequency": .empty, "staff_size": .empty, "org_chart_text": .empty, "notes_text": .empty,
            "failure": .null,
        ],
        "drafts_answers": ["content": .word],
        "drafts_finals": ["file_name": .word],
        "drafts_attachments": ["file_name": .word],
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
            if found.shape.name == "teams_members", found.isOwn {
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
            let new = fate.map { value($0, for: old) } ?? cleaned(old, of: column, in: found)
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
            return .text(withoutMarks(JSON.object(JSONObject(members.filter { Self.keptMetadata.contains($0.key) }.map { ($0.key, $0.value) })).text))
        }
    }

    /// A text without their marks, and without their names where people wrote it. Of bytes that hold a mark nothing is left, but those of
    /// somebody else's payment, which only mention them, keep the rest.
    private func cleaned(_ value: SQLValue, of column: TableShape.Column, in found: CustomerHolding.Found) -> SQLValue {
        let takesNames = found.isOwn && column.wording == .prose
        switch value {
        case .blob(let bytes):
            let ranges = PersonalMark.ranges(of: holding.marks, in: bytes)
            let isAnothers = !found.isOwn && found.shape.has("payment") && !found.row["payment"].isNull
            if isAnothers { return .blob(bytes.replacing(ranges, with: Self.erased)) }
            let text = String(decoding: bytes, as: UTF8.self)
            let hasName = takesNames && holding.names.contains { text.replacingWord($0, with: Self.erased) != text }
            return ranges.isEmpty && !hasName ? value : .blob([])
        case .text(let old):
            if column.isOneAddress { return holding.marks.contains { $0.isAll(of: old) } ? .text(Self.erased) : value }
            var text = withoutMarks(old)
            if takesNames {
                for name in holding.names.sorted(by: { $0.count > $1.count }) { text = text.replacingWord(name, with: Self.erased) }
            }
            return .text(text)
        default: return value
        }
    }

    private func withoutMarks(_ text: String) -> String {
        let bytes = Array(text.utf8)
        return String(decoding: bytes.replacing(PersonalMark.ranges(of: holding.marks, in: bytes), with: Self.erased), as: UTF8.self)
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

extension [UInt8] {
    /// The bytes with each of some ranges, which are in order and apart, replaced.
    fileprivate func replacing(_ ranges: [Range<Int>], with word: String) -> [UInt8] {
        var (result, at): ([UInt8], Int) = ([], 0)
        for range in ranges {
            result += self[at..<range.lowerBound] + Array(word.utf8)
            at = range.upperBound
        }
        return result + self[at...]
    }
}

extension String {
    /// The text with each occurrence of some words, in capitals or not, replaced where they stand alone.
    fileprivate func replacingWord(_ word: String, with other: String) -> String {
        let (text, wanted) = (Array(self), word.map { $0.lowercased() })
        guard !wanted.isEmpty, text.count >= wanted.count else { return self }
        let lower = text.map { $0.lowercased() }
        var result = ""
        var at = 0
        while at < text.count {
            let end = at + wanted.count
            if end <= text.count, lower[at] == wanted[0], lower[at..<end].elementsEqual(wanted), text.isWordApart(at..<end) {
                result += other
                at = end
            } else {
                result.append(text[at])
                at += 1
            }
        }
        return result
    }
}

extension [Character] {
    /// Whether no letter or digit stands beside a range. The letter of an escape, as in JSON's `\n`, is none.
    fileprivate func isWordApart(_ range: Range<Int>) -> Bool {
        func isOfWord(_ index: Int) -> Bool { indices.contains(index) && (self[index].isLetter || self[index].isNumber) }
        let isEscape = range.lowerBound >= 2 && self[range.lowerBound - 2] == "\\" && "nrtbf".contains(self[range.lowerBound - 1])
        return (isEscape || !isOfWord(range.lowerBound - 1)) && !isOfWord(range.upperBound)
    }
}
