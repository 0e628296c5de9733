import Cryptography
import Database
import Formats
import Payments

/// Downloads of private files: issued, reissued, revoked and shown here, each in the caller's transaction and with its line in the audit trail.
///
/// Whoever issues one hands its id on, never its link: the link is signed from the row, where it is sent (see ``DownloadLink``).
public enum Downloads {
    public static let migrations = MigrationSet(
        room: "downloads",
        migrations: [
            Migration(number: 1, name: "downloads", sqlite: String(decoding: PackageResources._001_downloads_sqlite_sql, as: UTF8.self)),
            Migration(number: 2, name: "unused", sqlite: String(decoding: PackageResources._002_unused_sqlite_sql, as: UTF8.self)),
        ])

    static let reasonMax = 500

    /// Allows a download.
    /// - Throws: ``DownloadError`` when the payment is not paid, or what is to be downloaded is no sound file.
    @discardableResult
    public static func issue(
        _ new: NewDownload, reason: String, actor: String, nowMs: Int64, in connection: Connection
    ) throws -> DownloadGrant {
        try issue(new, as: .issued, reason: reason, actor: actor, nowMs: nowMs, in: connection)
    }

    /// Allows the download of the same file anew and revokes the one before: its link is over from now on, used or not.
    /// - Throws: ``DownloadError``. A revoked one is not reissued: what was taken back is published anew.
    @discardableResult
    public static func reissue(
        _ id: String, terms: DownloadTerms, reason: String, actor: String, nowMs: Int64, in connection: Connection
    ) throws -> DownloadGrant {
        let old = try require(id, in: connection)
        guard old.revokedAtMs == nil else { throw DownloadError.revoked(id) }
        let new = NewDownload(subject: old.subject, payment: old.payment, file: old.file, terms: terms)
        let grant = try issue(new, as: .reissued, reason: reason, actor: actor, nowMs: nowMs, in: connection)
        try connection.execute(
            "UPDATE downloads_grants SET revoked_at = $2, replaced_by = $3 WHERE id = $1", [.text(id), .integer(nowMs), .text(grant.id)])
        try note(.revoked, of: id, actor: actor, reason: "replaced by \(grant.id): \(reason)", nowMs: nowMs, in: connection)
        return grant
    }

    /// Takes a download back: its link is over, and so is going on with a broken one. Sending that has begun goes on to its end.
    /// - Throws: ``DownloadError``.
    @discardableResult
    public static func revoke(_ id: String, reason: String, actor: String, nowMs: Int64, in connection: Connection) throws -> DownloadGrant {
        try check(reason: reason)
        guard try require(id, in: connection).revokedAtMs == nil else { throw DownloadError.revoked(id) }
        try connection.execute("UPDATE downloads_grants SET revoked_at = $2 WHERE id = $1", [.text(id), .integer(nowMs)])
        try note(.revoked, of: id, actor: actor, reason: reason, nowMs: nowMs, in: connection)
        return try require(id, in: connection)
    }

    public static func show(_ id: String, in connection: Connection) throws -> DownloadGrant? {
        try connection.first("SELECT * FROM downloads_grants WHERE id = $1", [.text(id)]).map(DownloadGrant.init)
    }

    /// The downloads of a subject, newest first.
    public static func list(subject: String, limit: Int = 100, in connection: Connection) throws -> [DownloadGrant] {
        try connection.query(
            "SELECT * FROM downloads_grants WHERE subject = $1 ORDER BY issued_at DESC, rowid DESC LIMIT $2", [.text(subject), .int(limit)]
        ).map(DownloadGrant.init)
    }

    /// What was done with a download, in order.
    public static func trail(_ id: String, in connection: Connection) throws -> [DownloadStep] {
        try connection.query("SELECT * FROM downloads_audit WHERE download = $1 ORDER BY id", [.text(id)]).map { row in
            guard let kind = DownloadStep.Kind(rawValue: try row.text("step")) else { throw DownloadError.damagedRow(id) }
            return DownloadStep(kind: kind, actor: try row.text("actor"), reason: try row.text("reason"), atMs: try row.int("at"))
        }
    }

    // MARK: Parts

    static func require(_ id: String, in connection: Connection) throws -> DownloadGrant {
        guard let grant = try show(id, in: connection) else { throw DownloadError.notFound(id) }
        return grant
    }

    static func note(
        _ kind: DownloadStep.Kind, of id: String, actor: String, reason: String, nowMs: Int64, in connection: Connection
    ) throws {
        try connection.execute(
            "INSERT INTO downloads_audit (download, step, actor, reason, at) VALUES ($1, $2, $3, $4, $5)",
            [.text(id), .text(kind.rawValue), .text(actor), .text(reason), .integer(nowMs)])
    }

    private static func issue(
        _ new: NewDownload, as kind: DownloadStep.Kind, reason: String, actor: String, nowMs: Int64, in connection: Connection
    ) throws -> DownloadGrant {
        try check(reason: reason)
        try check(new)
        let payment = try PaymentStore.require(new.payment, in: connection)
        guard payment.state.allowsPaidWork else { throw DownloadError.notPaid(payment: payment.id, state: payment.state.rawValue) }
        let id = DownloadLink.idPrefix + ULID.text(of: SecureRandom.bytes(16))
        // Whole seconds, as the link has them.
        let expiresAt = (nowMs + new.terms.lifeMs) / 1000 * 1000
        try connection.execute(
            """
            INSERT INTO downloads_grants (id, subject, payment, object_key, size, sha256, file_name, content_type, max_uses, issued_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            """,
            [
                .text(id), .text(new.subject), .text(new.payment), .text(new.file.key), .integer(new.file.size), .text(new.file.sha256),
                .text(new.file.name), .text(new.file.type), .integer(new.terms.uses), .integer(nowMs), .integer(expiresAt),
            ])
        try note(kind, of: id, actor: actor, reason: reason, nowMs: nowMs, in: connection)
        return try require(id, in: connection)
    }

    private static func check(reason: String) throws(DownloadError) {
        guard (1...reasonMax).contains(reason.unicodeScalars.count) else {
            throw .invalid(field: "reason", rule: "must have 1 to \(reasonMax) characters")
        }
    }

    private static func check(_ new: NewDownload) throws(DownloadError) {
        let file = new.file
        guard !new.subject.isEmpty else { throw .invalid(field: "subject", rule: "must not be empty") }
        guard !file.key.isEmpty else { throw .invalid(field: "key", rule: "must not be empty") }
        guard file.size > 0 else { throw .invalid(field: "size", rule: "must be positive: an empty file is no delivery") }
        guard file.sha256.utf8.count == 64, file.sha256.utf8.allSatisfy({ "0123456789abcdef".utf8.contains($0) }) else {
            throw .invalid(field: "sha256", rule: "must have 64 lower-case hexadecimal digits")
        }
        guard (1...200).contains(file.name.unicodeScalars.count) else { throw .invalid(field: "name", rule: "must have 1 to 200 characters") }
        let type = file.type.utf8
        guard (3...200).contains(type.count), type.contains(UInt8(ascii: "/")), type.allSatisfy({ (0x20...0x7E).contains($0) }) else {
            throw .invalid(field: "type", rule: "must be a media type")
        }
        guard (60_000...DownloadTerms.lifeMaxMs).contains(new.terms.lifeMs) else {
            throw .invalid(field: "life", rule: "must be a minute to 90 days")
        }
        guard (1...DownloadTerms.usesMax).contains(new.terms.uses) else {
            throw .invalid(field: "uses", rule: "must be 1 to \(DownloadTerms.usesMax)")
        }
    }
}
