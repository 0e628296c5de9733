import Database
import Outbox
import Payments

/// What staff does about a draft: corrects the inquiry's texts, has another version made. Each in the caller's transaction, with its row in
/// the inquiry's trail.
public enum DraftWork {
    private static let editable: Set<ProcessingState> = [.inquiryReceived, .paid, .draftDone, .draftFailed, .finalUploaded, .published]
    private static let regenerable: Set<ProcessingState> = [.draftDone, .draftFailed]

    /// Changes texts of an inquiry. Drafts that are there stay as they are.
    /// - Parameter fields: by their names in the form; what is not named stays. The address that the customer is written to is among them.
    /// - Throws: ``InquiryError/invalid(_:)`` by the form's own rules, ``KitActionError`` while a draft is made.
    @discardableResult
    public static func edit(
        _ id: String, _ fields: [String: String], actor: String, reason: String, nowMs: Int64, in connection: Connection
    ) throws -> Inquiry {
        let inquiry = try InquiryStore.require(id, in: connection)
        guard editable.contains(inquiry.state) else {
            throw KitActionError.wrongState(inquiry.state, wanted: "wait until the draft is there, its texts are being used")
        }
        let known = Set(["organization_name", "contact_name", "email"] + InquiryForm.textFields)
        for name in fields.keys.sorted() where !known.contains(name) { throw KitActionError.invalid("\(name) is no text of an inquiry") }
        var whole = inquiry.texts.merging(fields) { $1 }
        whole["language"] = inquiry.language
        let form = try InquiryForm(fields: whole)
        var texts = form.texts
        texts["organization_name"] = form.organizationName
        texts["contact_name"] = form.contactName
        texts["email"] = form.email
        let changed = texts.filter { inquiry.texts[$0.key] != $0.value }.sorted { $0.key < $1.key }
        guard !changed.isEmpty else { return inquiry }
        let assignments = changed.enumerated().map { "\($1.key) = $\($0 + 3)" }.joined(separator: ", ")
        try connection.execute(
            "UPDATE drafts_inquiries SET updated_at = $2, \(assignments) WHERE id = $1",
            [.text(id), .integer(nowMs)] + changed.map { .text($0.value) })
        // Messages go to whoever the payment names.
        if changed.contains(where: { $0.key == "email" }) {
            let order = try InquiryStore.requireOrder(of: id, in: connection)
            try PaymentStore.correct(email: form.email, of: order.payment, actor: actor, reason: reason, nowMs: nowMs, in: connection)
        }
        // Names only: what the texts were is the customer's.
        try InquiryAudit.record(
            .textEdited, inquiry: id, actor: actor, reason: reason, detail: changed.map(\.key).joined(separator: ", "), nowMs: nowMs,
            in: connection)
        return try InquiryStore.require(id, in: connection)
    }

    /// Has another version of the draft made; those before it stay.
    /// - Parameter keepingAnswer: makes it of the last answer and pays for no other: for a template or a text that was
    ///   corrected.
    /// - Returns: the version.
    /// - Throws: ``KitActionError`` when the payment is not paid, a draft is under way, the final is uploaded, or there is no
    ///   answer to keep.
    @discardableResult
    public static func regenerate(
        _ id: String, keepingAnswer: Bool = false, outbox: Outbox, actor: String, reason: String, nowMs: Int64, in connection: Connection
    ) throws -> Int64 {
        let inquiry = try InquiryStore.require(id, in: connection)
        let order = try InquiryStore.requireOrder(of: id, in: connection)
        let payment = try PaymentStore.require(order.payment, in: connection)
        guard payment.state.allowsPaidWork else { throw KitActionError.notPaid(payment.state.rawValue) }
        guard try InquiryStore.move(id, from: regenerable, to: .paid, nowMs: nowMs, in: connection) else {
            throw KitActionError.wrongState(inquiry.state, wanted: "only a draft that is there or has failed is made anew")
        }
        let version = inquiry.draftVersion + 1
        try connection.execute("UPDATE drafts_inquiries SET draft_version = $2 WHERE id = $1", [.text(id), .integer(version)])
        let isKept = try keepingAnswer && DraftAnswer.copyLast(inquiry: id, to: version, nowMs: nowMs, in: connection)
        if keepingAnswer && !isKept { throw KitActionError.invalid("there is no answer to keep: have a new one written") }
        try InquiryAudit.record(
            .regenerated, inquiry: id, actor: actor, reason: reason, detail: "version \(version)\(isKept ? " of the same answer" : "")",
            nowMs: nowMs, in: connection)
        let request = try GenerateDraft.request(inquiry: id, version: version, payment: payment.id)
        try outbox.add(request, nowMs: nowMs, in: connection)
        return version
    }
}
