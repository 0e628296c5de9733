import Database
import Downloads
import Drafts
import Formats

/// Everything that is known of one inquiry apart from its payment, read as of one moment.
struct KitLife: Sendable {
    private let inquiry: Inquiry
    private let order: Order
    private let drafts: [GeneratedDraft]
    private let finals: [FinalAsset]
    private let attachments: [InquiryAttachment]
    private let charges: [DraftCharge]
    private let downloads: [DownloadGrant]
    private let audit: [InquiryAudit]

    /// Nil when there is no such inquiry.
    init?(_ id: String, in connection: Connection) throws {
        guard let found = try InquiryStore.find(id, in: connection) else { return nil }
        inquiry = found
        order = try InquiryStore.requireOrder(of: id, in: connection)
        drafts = try GeneratedDraft.all(of: id, in: connection)
        finals = try FinalAsset.all(of: id, in: connection)
        attachments = try InquiryAttachment.of(inquiry: id, in: connection)
        charges = try DraftCharge.of(inquiry: id, in: connection)
        downloads = try Downloads.list(subject: id, in: connection)
        audit = try InquiryAudit.of(inquiry: id, in: connection)
    }

    var json: JSON {
        [
            "inquiry": .string(inquiry.id), "order": .string(order.id), "payment": .string(order.payment), "product": .string(order.product),
            "state": .string(inquiry.state.rawValue), "payment_status": .string(inquiry.paymentStatus), "failure": .optional(inquiry.failure),
            "language": .string(inquiry.language), "draft_version": .int(inquiry.draftVersion), "documents_count": .int(inquiry.documentsCount),
            "texts": .object(JSONObject(inquiry.texts.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })),
            "drafts": .array(
                drafts.map { draft in
                    [
                        "version": .int(draft.version), "path": .string(draft.path), "sha256": .string(draft.sha256), "size": .int(draft.size),
                        "template": .int(draft.template), "at": .string(Timestamp.rfc3339(draft.createdAtMs)),
                    ]
                }),
            "finals": .array(
                finals.map { final in
                    [
                        "version": .int(final.version), "name": .string(final.fileName), "kind": .string(final.kind.rawValue),
                        "path": .string(final.path), "sha256": .string(final.sha256), "size": .int(final.size), "actor": .string(final.actor),
                        "at": .string(Timestamp.rfc3339(final.createdAtMs)),
                    ]
                }),
            "attachments": .array(
                attachments.map { file in
                    [
                        "number": .int(file.number), "name": .string(file.fileName), "kind": .string(file.kind.rawValue),
                        "path": .string(file.path), "sha256": .string(file.sha256), "size": .int(file.size),
                    ]
                }),
            "charges": .array(charges.map(Self.json)), "downloads": .array(downloads.map(Self.json)), "audit": .array(audit.map(Self.json)),
        ]
    }

    private static func json(_ charge: DraftCharge) -> JSON {
        [
            "version": .int(charge.version), "model": .string(charge.model), "prompt_tokens": .int(charge.promptTokens),
            "completion_tokens": .int(charge.completionTokens), "estimated": .bool(charge.isEstimate), "micros": .int(charge.micros),
            "currency": .string(charge.currency), "outcome": .optional(charge.outcome?.rawValue),
            "at": .string(Timestamp.rfc3339(charge.createdAtMs)),
        ]
    }

    private static func json(_ grant: DownloadGrant) -> JSON {
        [
            "download": .string(grant.id), "issued_at": .string(Timestamp.rfc3339(grant.issuedAtMs)),
            "expires_at": .string(Timestamp.rfc3339(grant.expiresAtMs)), "used": .int(grant.usedCount), "uses": .int(grant.usesMax),
            "revoked_at": .optional(grant.revokedAtMs.map { Timestamp.rfc3339($0) }), "replaced_by": .optional(grant.replacedBy),
        ]
    }

    private static func json(_ row: InquiryAudit) -> JSON {
        [
            "at": .string(Timestamp.rfc3339(row.atMs)), "actor": .string(row.actor), "action": .string(row.action), "reason": .string(row.reason),
            "detail": .optional(row.detail),
        ]
    }
}
