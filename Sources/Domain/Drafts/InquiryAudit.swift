import Database

/// What somebody did to an inquiry, or to what all inquiries share, and why. Rows are only ever added.
public struct InquiryAudit: Sendable {
    public enum Action: String, Sendable, CaseIterable {
        case finalAttached = "final_attached"
        case published
        case revoked
        case linkReissued = "link_reissued"
        case textEdited = "text_edited"
        case regenerated
        case productSet = "product_set"
        case promptAdded = "prompt_added"
        case promptActivated = "prompt_activated"
        case templateInstalled = "template_installed"
        case templateActivated = "template_activated"
        case attachmentsPurged = "attachments_purged"
        case orphansRemoved = "orphans_removed"
        case sweepRefused = "sweep_refused"
    }

    public let id: Int64
    /// Nil for what all inquiries share.
    public let inquiry: String?
    public let atMs: Int64
    public let actor: String
    /// Of a newer program perhaps: then none of the actions.
    public let action: String
    public let reason: String
    public let detail: String?

    private init(_ row: Row) throws {
        id = try row.int("id")
        inquiry = try row.textOrNil("inquiry")
        atMs = try row.int("at")
        actor = try row.text("actor")
        action = try row.text("action")
        reason = try row.text("reason")
        detail = try row.textOrNil("detail")
    }

    /// The trail of one inquiry, oldest first.
    public static func of(inquiry: String, in connection: Connection) throws -> [InquiryAudit] {
        try connection.query("SELECT * FROM drafts_audit WHERE inquiry = $1 ORDER BY id", [.text(inquiry)]).map(InquiryAudit.init)
    }

    /// The newest rows of all, at most `limit` before the row `before`.
    public static func newest(before: Int64? = nil, limit: Int, in connection: Connection) throws -> [InquiryAudit] {
        try connection.query(
            "SELECT * FROM drafts_audit WHERE id < COALESCE($1, 9223372036854775807) ORDER BY id DESC LIMIT $2",
            [.optional(before), .integer(Int64(limit))]
        ).map(InquiryAudit.init)
    }

    public static let reasonLimit = 500

    /// - Throws: ``KitActionError/reasonMissing`` for a reason of blanks.
    package static func record(
        _ action: Action, inquiry: String?, actor: String, reason: String, detail: String? = nil, nowMs: Int64, in connection: Connection
    ) throws {
        let reason = reason.trimmingWhitespace()
        guard !reason.isEmpty else { throw KitActionError.reasonMissing }
        try connection.execute(
            "INSERT INTO drafts_audit (inquiry, at, actor, action, reason, detail) VALUES ($1, $2, $3, $4, $5, $6)",
            [
                .optional(inquiry), .integer(nowMs), .text(actor), .text(action.rawValue), .text(String(reason.prefix(reasonLimit))),
                .optional(detail.map { String($0.prefix(1000)) }),
            ])
    }
}

/// Why something cannot be done to an inquiry now. No retry helps by itself.
public enum KitActionError: Error, Equatable, CustomStringConvertible {
    /// Everything that people do has a reason, for those who come after.
    case reasonMissing
    /// The inquiry stands where this cannot be done.
    case wrongState(ProcessingState, wanted: String)
    case notPaid(String)
    case noFinal
    /// Links cannot be signed.
    case noSecretKey
    case invalid(String)
    case notFound(String)

    public var description: String {
        switch self {
        case .reasonMissing: "a reason is needed"
        case .wrongState(let state, let wanted): "the inquiry is \(state.rawValue): \(wanted)"
        case .notPaid(let state): "the payment is \(state), not paid"
        case .noFinal: "no final document is uploaded"
        case .noSecretKey: "SECRET_KEY is not set: links cannot be signed"
        case .invalid(let rule): rule
        case .notFound(let what): "there is no \(what)"
        }
    }

    /// A word for programs.
    public var code: String {
        switch self {
        case .reasonMissing: "reason_missing"
        case .wrongState: "wrong_state"
        case .notPaid: "not_paid"
        case .noFinal: "no_final"
        case .noSecretKey: "no_secret_key"
        case .invalid: "invalid"
        case .notFound: "not_found"
        }
    }
}
