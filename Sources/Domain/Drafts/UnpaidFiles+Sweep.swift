import Database
import ObjectStorage
import Telemetry

/// What nothing leads to is found by listing, and goes when it was found for a week.
///
/// A listing says what is in the storage, and not whose it is: of a database that is empty, old or another installation's, what others paid for
/// would look like nobody's. So nothing goes where that is likely, and nothing that is not named as we name files.
extension UnpaidFiles {
    /// What a listing found.
    struct Found: Sendable {
        /// Objects that are of age and named as ours.
        var listed = 0
        /// Of these, those that nothing leads to; `keys` are the first of them.
        var strays = 0
        var keys: [String] = []
        /// Objects that we cannot have made, and the first of them.
        var foreign: [String] = []
        var foreignCount = 0
    }

    func sweep(nowMs: Int64, _ outcome: inout Outcome) async throws {
        let found = try await listing(nowMs: nowMs)
        if found.foreignCount > 0 {
            log.warning(
                "objects among the attachments that are none of ours were left alone",
                ["objects": .int(Int64(found.foreignCount)), "first": .string(found.foreign.joined(separator: " "))])
        }
        if let doubt = try await doubt(about: found) { return try await refuse(found, doubt, nowMs: nowMs, &outcome) }
        for start in stride(from: 0, to: found.keys.count, by: Self.pageMax) {
            let keys = found.keys[start..<min(start + Self.pageMax, found.keys.count)]
            try await database.write { try StrayObjects.see(keys, nowMs: nowMs, in: $0) }
        }
        try await database.write { try StrayObjects.forgetUnseen(since: nowMs, in: $0) }
        while outcome.orphans < Self.runMax {
            let released = try await database.write { try Self.releaseDue(nowMs: nowMs, in: $0) }
            guard !released.isEmpty else { return }
            outcome.orphans += released.count
            Self.orphaned.add(Int64(released.count))
            log.warning("objects that no inquiry leads to are removed", ["objects": .int(Int64(released.count))])
            try await remove(released, &outcome)
        }
    }

    /// Releases some whose week is over, each named in the audit trail before it goes.
    private static func releaseDue(nowMs: Int64, in connection: Connection) throws -> [String] {
        let due = try StrayObjects.due(firstSeenBy: nowMs - orphanAgeMs, lastSeenFrom: nowMs, limit: namedMax, in: connection)
        guard !due.isEmpty else { return [] }
        try StrayObjects.release(due, nowMs: nowMs, in: connection)
        try InquiryAudit.record(
            .orphansRemoved, inquiry: nil, actor: "system", reason: "no inquiry leads to them",
            detail: "\(due.count): \(due.joined(separator: " "))", nowMs: nowMs, in: connection)
        return due
    }

    private func listing(nowMs: Int64) async throws -> Found {
        var found = Found()
        var after: String?
        while true {
            try Task.checkCancellation()
            let page = try await storage.list(Self.folder, after: after, limit: Self.listedMax)
            // A name that a service gives back otherwise than it has it could lead to the same page for ever.
            guard let last = page.last?.key, after.map({ $0.utf8.lexicographicallyPrecedes(last.utf8) }) ?? true else { return found }
            after = last
            for object in page where !Self.isOurs(object.key) {
                found.foreignCount += 1
                if found.foreign.count < 5 { found.foreign.append(String(object.key.prefix(100))) }
            }
            // A row comes minutes after its object at most.
            let old = page.filter { $0.changedAtMs < nowMs - Self.formAgeMs && Self.isOurs($0.key) }.map(\.key)
            found.listed += old.count
            for start in stride(from: 0, to: old.count, by: Self.pageMax) {
                let keys = Array(old[start..<min(start + Self.pageMax, old.count)])
                let known = try await database.read { try StrayObjects.known(among: keys, in: $0) }
                let strays = keys.filter { !known.contains($0) }
                found.strays += strays.count
                found.keys += strays.prefix(Self.runMax - found.keys.count)
            }
        }
    }

    /// Whether a key is one that ``FileIntake`` gives.
    static func isOurs(_ key: String) -> Bool {
        guard key.utf8.starts(with: "\(folder)/".utf8) else { return false }
        let name = key.utf8.dropFirst(folder.utf8.count + 1)
        return name.count == 32 && name.allSatisfy { "0123456789abcdef".utf8.contains($0) }
    }

    // MARK: Doubt

    /// Why what was found is more likely a wrong database than so many broken uploads; nil when it is not.
    private func doubt(about found: Found) async throws -> String? {
        guard found.strays > 0 else { return nil }
        guard try await database.read({ try StrayObjects.hasInquiry(in: $0) }) else { return "the database has no inquiry at all" }
        guard found.strays > Self.straysMax, found.strays * Self.straysShare > found.listed else { return nil }
        return "no inquiry leads to \(found.strays) of \(found.listed) objects"
    }

    private func refuse(_ found: Found, _ doubt: String, nowMs: Int64, _ outcome: inout Outcome) async throws {
        outcome.doubt = doubt
        Self.refusedSweeps.add()
        log.error(
            "objects that no inquiry leads to were left alone: they are too many to be remains; is the database that of the storage?",
            ["why": .string(doubt), "objects": .int(Int64(found.strays)), "listed": .int(Int64(found.listed))])
        try await database.write { connection in
            try InquiryAudit.record(
                .sweepRefused, inquiry: nil, actor: "system", reason: doubt,
                detail: "\(found.strays) of \(found.listed), such as \(found.keys.prefix(Self.namedMax).joined(separator: " "))", nowMs: nowMs,
                in: connection)
        }
    }
}
