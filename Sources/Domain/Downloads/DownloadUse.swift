import Cryptography
import Database
import Formats
import Payments

/// A use of a link: what is sent, and what names this sending.
public struct DownloadUse: Sendable, Equatable {
    public let grant: DownloadGrant
    /// The entity tag of what is sent, without its quotes: only who asks by it may go on with a download that broke.
    public let tag: String
}

/// The part of a file that is asked for to go on with a broken download.
public struct DownloadRest: Sendable, Equatable {
    /// What the caller says the file's tag is, without quotes; nil when it says none.
    public let tag: String?
    public let first: Int64
    public let count: Int64

    public init(tag: String?, first: Int64, count: Int64) {
        self.tag = tag
        self.first = first
        self.count = count
    }
}

extension Downloads {
    /// How long a download that broke may be gone on with, from its use on.
    public static let graceMs: Int64 = 5 * 60_000

    /// What would be downloaded, without downloading it.
    /// - Throws: ``DownloadRefusal``.
    public static func look(_ claim: DownloadClaim, nowMs: Int64, in connection: Connection) throws -> DownloadGrant {
        let grant = try genuine(claim, in: connection)
        switch grant.standing(nowMs: nowMs) {
        case .open: break
        case .expired: throw DownloadRefusal.expired
        case .revoked: throw DownloadRefusal.revoked
        case .used: throw DownloadRefusal.used
        }
        try requirePaid(grant, in: connection)
        return grant
    }

    /// Uses the link once. That it is paid is read anew in this transaction, and the count goes up by one statement that changes a row only
    /// while the link is in force: of any number of calls at once only as many succeed as there are uses.
    /// - Parameter origin: see ``DownloadLink/origin(of:)``.
    /// - Throws: ``DownloadRefusal``.
    public static func consume(
        _ claim: DownloadClaim, origin: [UInt8], nowMs: Int64, in connection: Connection
    ) throws -> DownloadUse {
        try requirePaid(try genuine(claim, in: connection), in: connection)
        let counted = try connection.first(
            """
            UPDATE downloads_grants SET used_count = used_count + 1
            WHERE id = $1 AND used_count < max_uses AND revoked_at IS NULL AND expires_at > $2
            RETURNING *
            """, [.text(claim.download), .integer(nowMs)])
        guard let counted else {
            // Says why, by the same rules.
            _ = try look(claim, nowMs: nowMs, in: connection)
            throw DownloadRefusal.unknown
        }
        let grant = try DownloadGrant(counted)
        let tag = Base64.urlEncode(SecureRandom.bytes(16))
        try connection.execute(
            "INSERT INTO downloads_uses (id, download, number, used_at, origin) VALUES ($1, $2, $3, $4, $5)",
            [.text(tag), .text(grant.id), .integer(grant.usedCount), .integer(nowMs), .blob(origin)])
        // Whoever has the file needs no other link.
        try PaymentTask.close(payment: grant.payment, kind: PaymentTask.reissueLink, nowMs: nowMs, in: connection)
        let reason = "use \(grant.usedCount) of \(grant.usesMax)"
        try note(.used, of: grant.id, actor: "customer", reason: reason, nowMs: nowMs, in: connection)
        return DownloadUse(grant: grant, tag: tag)
    }

    /// Goes on with a download that broke: for five minutes after its use, for whoever names its tag or, naming none, comes from the same
    /// address, and never for the whole file. Uses nothing; the link may have run out meanwhile, but not been revoked.
    /// - Throws: ``DownloadRefusal``.
    public static func resume(
        _ claim: DownloadClaim, _ rest: DownloadRest, origin: [UInt8], nowMs: Int64, in connection: Connection
    ) throws -> DownloadUse {
        let grant = try genuine(claim, in: connection)
        guard grant.revokedAtMs == nil else { throw DownloadRefusal.revoked }
        try requirePaid(grant, in: connection)
        guard rest.count > 0, rest.count < grant.file.size else { throw DownloadRefusal.noUse }
        let uses = try connection.query(
            "SELECT id, number, origin FROM downloads_uses WHERE download = $1 AND used_at > $2 AND used_at <= $3 ORDER BY number DESC",
            [.text(grant.id), .integer(nowMs - graceMs), .integer(nowMs)])
        for use in uses {
            let tag = try use.text("id")
            let isSame = try rest.tag.map { ConstantTime.equal($0, tag) } ?? ConstantTime.equal(try use.blob("origin"), origin)
            guard isSame else { continue }
            let part = "use \(try use.int("number")): \(rest.count) bytes from \(rest.first)"
            try note(.resumed, of: grant.id, actor: "customer", reason: part, nowMs: nowMs, in: connection)
            return DownloadUse(grant: grant, tag: tag)
        }
        throw DownloadRefusal.noUse
    }

    private static func genuine(_ claim: DownloadClaim, in connection: Connection) throws -> DownloadGrant {
        // A signed expiry that is not the row's cannot come from us.
        guard let grant = try show(claim.download, in: connection), grant.expiresAtMs == claim.expiresAtMs else { throw DownloadRefusal.unknown }
        return grant
    }

    private static func requirePaid(_ grant: DownloadGrant, in connection: Connection) throws {
        guard let payment = try PaymentStore.find(grant.payment, in: connection), payment.state.allowsPaidWork else {
            throw DownloadRefusal.notPaid
        }
    }
}
