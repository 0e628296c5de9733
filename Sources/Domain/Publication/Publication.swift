import Database
import Downloads
import Drafts
import Formats
import JobQueue
import Outbox
import Payments

/// What staff does with a finished document: attaches it to its inquiry, publishes it, takes it back, sends another link.
///
/// Each is one call in the caller's transaction, with its row in the inquiry's trail. What it needs is read and changed in that transaction: of
/// two people who publish at once one does, and who publishes what was refunded meanwhile is refused.
public struct Publication: Sendable {
    /// Makes the messages that tell the customer of a download; they carry its id, never the link.
    public typealias Messages = @Sendable (_ download: DownloadGrant, _ inquiry: Inquiry, _ payment: Payment) throws -> [JobRequest]

    private let outbox: Outbox
    private let terms: DownloadTerms
    private let canSign: Bool
    private let messages: Messages

    /// - Parameters:
    ///   - terms: how long and how often what is published may be downloaded.
    ///   - canSign: whether this installation has a `SECRET_KEY`: without one no link can be made, and nothing is published.
    public init(outbox: Outbox, terms: DownloadTerms = .standard, canSign: Bool, messages: @escaping Messages) {
        self.outbox = outbox
        self.terms = terms
        self.canSign = canSign
        self.messages = messages
    }

    // MARK: The final document

    private static let attachable: Set<ProcessingState> = [.draftDone, .draftFailed, .finalUploaded]

    /// Whether a final may be attached now, to be asked before a large file is taken.
    /// - Throws: ``KitActionError``, `InquiryError`.
    public static func checkAttachable(_ inquiry: String, in connection: Connection) throws {
        let found = try InquiryStore.require(inquiry, in: connection)
        _ = try paid(found, in: connection)
        guard attachable.contains(found.state) else {
            let wanted = found.state == .published ? "take the publication back before another final is attached" : "a final comes after the draft"
            throw KitActionError.wrongState(found.state, wanted: wanted)
        }
    }

    /// Makes a stored file the inquiry's final. One that was attached before stays as an older version.
    /// - Throws: ``KitActionError``, `InquiryError`. The file is then the caller's to remove.
    @discardableResult
    public func attach(
        _ file: CheckedFile, to inquiry: String, actor: String, reason: String, nowMs: Int64, in connection: Connection
    ) throws -> FinalAsset {
        try Self.checkAttachable(inquiry, in: connection)
        let final = try FinalAsset.add(file, to: inquiry, actor: actor, nowMs: nowMs, in: connection)
        _ = try InquiryStore.move(inquiry, from: Self.attachable, to: .finalUploaded, nowMs: nowMs, in: connection)
        try InquiryAudit.record(
            .finalAttached, inquiry: inquiry, actor: actor, reason: reason, detail: "version \(final.version): \(final.sha256)", nowMs: nowMs,
            in: connection)
        return final
    }

    // MARK: Publishing

    /// Lets the customer download the final, and tells them.
    /// - Throws: ``KitActionError`` when the payment is not paid (any more), no final is there, or it is published already.
    @discardableResult
    public func publish(_ inquiry: String, actor: String, reason: String, nowMs: Int64, in connection: Connection) throws -> DownloadGrant {
        guard canSign else { throw KitActionError.noSecretKey }
        let found = try InquiryStore.require(inquiry, in: connection)
        let payment = try Self.paid(found, in: connection)
        guard let final = try FinalAsset.of(inquiry: inquiry, in: connection) else { throw KitActionError.noFinal }
        guard try InquiryStore.move(inquiry, from: [.finalUploaded], to: .published, nowMs: nowMs, in: connection) else {
            throw KitActionError.wrongState(found.state, wanted: "only a kit with its final uploaded is published")
        }
        let grant = try Downloads.issue(
            Self.download(of: final, payment: payment, terms: terms), reason: Self.short(reason), actor: actor, nowMs: nowMs, in: connection)
        try InquiryAudit.record(
            .published, inquiry: inquiry, actor: actor, reason: reason, detail: "final \(final.version) as \(grant.id)", nowMs: nowMs,
            in: connection)
        try tell(of: grant, found, payment, nowMs: nowMs, in: connection)
        return grant
    }

    /// A link that was asked for again so soon is the same one: a button was pressed twice.
    static let sameLinkMs: Int64 = 10_000

    /// Sends the customer another link in place of the last one, which is over from now on.
    /// - Returns: the link that stands in for it; the last one itself where it was sent that way a moment ago.
    /// - Throws: ``KitActionError``.
    @discardableResult
    public func reissue(_ inquiry: String, actor: String, reason: String, nowMs: Int64, in connection: Connection) throws -> DownloadGrant {
        guard canSign else { throw KitActionError.noSecretKey }
        let found = try InquiryStore.require(inquiry, in: connection)
        let payment = try Self.paid(found, in: connection)
        guard found.state == .published, let final = try FinalAsset.of(inquiry: inquiry, in: connection) else {
            throw KitActionError.wrongState(found.state, wanted: "only a published kit has a link")
        }
        let last = try Downloads.list(subject: inquiry, limit: 1, in: connection).first
        // The customer would get two messages, the first with a link that is over.
        if let last, try Self.isJustReissued(last, nowMs: nowMs, in: connection) { return last }
        let grant: DownloadGrant
        if let last, last.revokedAtMs == nil {
            grant = try Downloads.reissue(last.id, terms: terms, reason: Self.short(reason), actor: actor, nowMs: nowMs, in: connection)
        } else {
            grant = try Downloads.issue(
                Self.download(of: final, payment: payment, terms: terms), reason: Self.short(reason), actor: actor, nowMs: nowMs, in: connection)
        }
        try InquiryAudit.record(
            .linkReissued, inquiry: inquiry, actor: actor, reason: reason, detail: grant.id, nowMs: nowMs, in: connection)
        try PaymentTask.close(payment: payment.id, kind: PaymentTask.reissueLink, nowMs: nowMs, in: connection)
        try tell(of: grant, found, payment, nowMs: nowMs, in: connection)
        return grant
    }

    /// Takes a publication back: every link is over, and the kit stands where it stood before. That the payment is paid is not asked for.
    /// - Returns: how many links were still in force.
    /// - Throws: ``KitActionError``.
    @discardableResult
    public func revoke(_ inquiry: String, actor: String, reason: String, nowMs: Int64, in connection: Connection) throws -> Int {
        let found = try InquiryStore.require(inquiry, in: connection)
        guard try InquiryStore.move(inquiry, from: [.published], to: .finalUploaded, nowMs: nowMs, in: connection) else {
            throw KitActionError.wrongState(found.state, wanted: "only what is published can be taken back")
        }
        var count = 0
        for grant in try Downloads.list(subject: inquiry, in: connection) where grant.revokedAtMs == nil {
            if grant.standing(nowMs: nowMs) == .open { count += 1 }
            try Downloads.revoke(grant.id, reason: Self.short(reason), actor: actor, nowMs: nowMs, in: connection)
        }
        try InquiryAudit.record(
            .revoked, inquiry: inquiry, actor: actor, reason: reason, detail: "\(count) links in force", nowMs: nowMs, in: connection)
        // What is taken back has no link that could be sent.
        let order = try InquiryStore.requireOrder(of: inquiry, in: connection)
        try PaymentTask.close(payment: order.payment, kind: PaymentTask.reissueLink, nowMs: nowMs, in: connection)
        return count
    }

    // MARK: Looking

    /// A published kit whose customer has no link that opens any more, and has not downloaded it.
    public struct LostLink: Sendable {
        /// Its id.
        public let inquiry: String
        public let organizationName: String
        /// When the last link ran out.
        public let expiredAtMs: Int64
    }

    /// Published kits whose last link ran out unused, the one that is over the longest first: a person sends another. What is not paid any more
    /// has no link to send; what was taken back is not published.
    public static func lostLinks(limit: Int, nowMs: Int64, in connection: Connection) throws -> [LostLink] {
        try connection.query(lostLinksQuery, [.text(ProcessingState.published.rawValue), .integer(nowMs), .int(limit)]).map { row in
            LostLink(
                inquiry: try row.text("id"), organizationName: try row.text("organization_name"), expiredAtMs: try row.int("expires_at"))
        }
    }

    /// One query over the three rooms that this one stands on. It begins at the links that nobody used, whatever the planner thinks of it: published
    /// kits only grow.
    package static let lostLinksQuery: String = {
        let paid = PaymentState.allCases.filter(\.allowsPaidWork).map { "'\($0.rawValue)'" }.joined(separator: ", ")
        return """
            SELECT i.id, i.organization_name, g.expires_at FROM downloads_grants g INDEXED BY downloads_grants_unused
            CROSS JOIN drafts_inquiries i ON i.id = g.subject
            CROSS JOIN drafts_orders o ON o.inquiry = i.id
            CROSS JOIN payments_payments p ON p.id = o.payment
            WHERE g.used_count = 0 AND g.revoked_at IS NULL AND g.expires_at <= $2 AND i.processing_state = $1 AND p.state IN (\(paid))
              AND NOT EXISTS (SELECT 1 FROM downloads_grants n WHERE n.subject = g.subject AND (n.issued_at, n.rowid) > (g.issued_at, g.rowid))
            ORDER BY g.expires_at LIMIT $3
            """
    }()

    // MARK: Parts

    /// The payment, read in this transaction.
    private static func paid(_ inquiry: Inquiry, in connection: Connection) throws -> Payment {
        let order = try InquiryStore.requireOrder(of: inquiry.id, in: connection)
        let payment = try PaymentStore.require(order.payment, in: connection)
        guard payment.state.allowsPaidWork else { throw KitActionError.notPaid(payment.state.rawValue) }
        return payment
    }

    private static func download(of final: FinalAsset, payment: Payment, terms: DownloadTerms) -> NewDownload {
        NewDownload(
            subject: final.inquiry, payment: payment.id,
            file: DownloadFile(key: final.path, size: final.size, sha256: final.sha256, name: final.fileName, type: final.kind.contentType),
            terms: terms)
    }

    private func tell(of grant: DownloadGrant, _ inquiry: Inquiry, _ payment: Payment, nowMs: Int64, in connection: Connection) throws {
        for request in try messages(grant, inquiry, payment) { try outbox.add(request, nowMs: nowMs, in: connection) }
    }

    private static func isJustReissued(_ grant: DownloadGrant, nowMs: Int64, in connection: Connection) throws -> Bool {
        guard grant.standing(nowMs: nowMs) == .open, (0..<sameLinkMs).contains(nowMs - grant.issuedAtMs) else { return false }
        return try Downloads.trail(grant.id, in: connection).first?.kind == .reissued
    }

    /// As long as the downloads' own trail takes it; one that is missing is told by ours.
    private static func short(_ reason: String) throws -> String {
        guard reason.contains(where: { !$0.isWhitespace }) else { throw KitActionError.reasonMissing }
        return String(String.UnicodeScalarView(reason.unicodeScalars.prefix(InquiryAudit.reasonLimit)))
    }
}
