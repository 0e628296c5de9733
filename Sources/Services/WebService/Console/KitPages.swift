import Database
import Downloads
import Drafts
import Formats
import HTTPServer
import ObjectStorage
import Operating
import Outbox
import Payments
import Publication
import Settings
import Staff

/// Kits: where each stands, and what staff do about it: correct its texts, have the draft made anew, upload the final, publish it, send another
/// link, take it back.
struct KitPages: Sendable {
    let database: Database
    /// Nil where nothing can be stored: nothing can then be uploaded or looked at.
    let storage: (any ObjectStorage)?
    /// Where drafts are.
    let drafts: (any ObjectStorage)?
    let publication: Publication
    let outbox: Outbox
    /// What the AI's texts may cost.
    let terms: DraftSettings
    let frame: ConsoleFrame

    private static let path = ConsoleFrame.Part.kits.path
    static let pageSize = 50
    /// A form around the largest final.
    private static let uploadLimit = Int(FinalAsset.sizeMax) + 64 * 1024

    var entries: [ConsoleEntry] {
        [
            ConsoleEntry("GET", "/console/kits/", .viewer, list), ConsoleEntry("GET", "/console/kits/{inquiry}/", .viewer, show),
            ConsoleEntry("GET", "/console/kits/{inquiry}/files/{kind}/{number}", .staff, file),
            ConsoleEntry(uploading: "/console/kits/{inquiry}/final", .staff, uploadLimit: Self.uploadLimit, upload),
            ConsoleEntry("POST", "/console/kits/{inquiry}/publish", .staff, publish),
            ConsoleEntry("POST", "/console/kits/{inquiry}/reissue", .staff, reissue),
            ConsoleEntry("POST", "/console/kits/{inquiry}/revoke", .staff, revoke),
            ConsoleEntry("POST", "/console/kits/{inquiry}/regenerate", .staff, regenerate),
            ConsoleEntry("GET", "/console/kits/{inquiry}/text", .staff, showTexts),
            ConsoleEntry("POST", "/console/kits/{inquiry}/text", .staff, bodyLimit: 512 * 1024, edit),
        ]
    }

    // MARK: List

    private func list(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let (words, request) = (visit.words, visit.call.request)
        func value(_ name: String) -> String? { request.queryValue(name).flatMap { $0.isEmpty ? nil : $0 } }
        let (state, text, before) = (
            value("state").flatMap(ProcessingState.init(rawValue:)), value("q").map { String($0.prefix(100)) }, value("before")
        )
        let filter = InquiryFilter(
            state: state, text: text, looksIntoAddresses: visit.may(.staff), before: before, limit: Self.pageSize + 1)
        let (found, payments) = try await database.read { connection in
            let found = try InquiryStore.list(filter, in: connection)
            return (found, try found.map { try PaymentStore.latest(purpose: KitPurpose.name, subject: $0.id, in: connection) })
        }
        let shown = zip(found, payments).prefix(Self.pageSize)
        let rows: [[Markup]] = shown.map { inquiry, payment in
            [
                ConsoleParts.time(inquiry.createdAtMs), "<a href=\"\(ConsolePath.kit(inquiry.id))\">\(inquiry.id)</a>",
                "\(String(inquiry.organizationName.prefix(60)))", "\(String(inquiry.contactName.prefix(60)))", badge(inquiry.state),
                payment.map { ConsoleParts.badge($0.state) } ?? "–",
            ]
        }
        let states =
            [ConsoleParts.option("", words("tous", "all"), chosen: nil)]
            + ProcessingState.allCases.map { ConsoleParts.option($0.rawValue, $0.rawValue, chosen: state?.rawValue) }
        let next = found.count > Self.pageSize ? found[Self.pageSize - 1].id : nil
        return frame.page(
            visit, .kits, title: "Kits", wide: true,
            """
            <form method="get" action="\(Self.path)" class="filter" role="search">
            <div>\(ConsoleParts.field("q", "q", words("Chercher", "Search"), type: "search", value: text ?? "", isRequired: false))</div>
            <div>\(ConsoleParts.choice("state", "state", words("État", "State"), states))</div>
            <button>\(words("Filtrer", "Filter"))</button>
            <span class="quiet">\(searched(visit))</span>
            </form>
            \(ConsoleParts.table(
                words("Du plus récent au plus ancien", "The newest first"),
                [
                    words("Reçu (UTC)", "Received (UTC)"), words("Dossier", "Inquiry"), words("Organisation", "Organisation"),
                    words("Contact", "Contact"), words("Document", "Document"), words("Paiement", "Payment"),
                ], rows, none: words("Aucun dossier.", "No kits.")))
            \(ConsoleParts.pager(Self.path, [("q", text), ("state", state?.rawValue)], before: before, next: next, words))
            """)
    }

    /// What kits are found by, as their search says it.
    private func searched(_ visit: ConsoleVisit) -> String {
        visit.may(.staff)
            ? visit.words("organisation, contact, adresse, dossier ou paiement", "organisation, contact, address, inquiry or payment")
            : visit.words("organisation, contact, dossier ou paiement", "organisation, contact, inquiry or payment")
    }

    private func badge(_ state: ProcessingState) -> Markup {
        let colour =
            switch state {
            case .inquiryReceived: ""
            case .paid, .aiRunning: "info"
            case .draftDone, .finalUploaded: "warn"
            case .draftFailed: "bad"
            case .published: "ok"
            }
        return ConsoleParts.badge(state.rawValue, colour)
    }

    // MARK: One kit

    private struct Content: Sendable {
        let inquiry: Inquiry
        let payment: Payment
        let life: PaymentLife
        let drafts: [GeneratedDraft]
        let finals: [FinalAsset]
        let attachments: [InquiryAttachment]
        let downloads: [DownloadGrant]
        let audit: [InquiryAudit]
        let charges: KitCharges

        init(_ id: String, terms: DraftSettings, nowMs: Int64, in connection: Connection) throws {
            inquiry = try InquiryStore.require(id, in: connection)
            payment = try PaymentStore.require(try InquiryStore.requireOrder(of: id, in: connection).payment, in: connection)
            life = try PaymentLife(of: payment, in: connection)
            drafts = try GeneratedDraft.all(of: id, in: connection)
            finals = try FinalAsset.all(of: id, in: connection)
            attachments = try InquiryAttachment.of(inquiry: id, in: connection)
            downloads = try Downloads.list(subject: id, limit: 20, in: connection)
            audit = try InquiryAudit.of(inquiry: id, in: connection)
            charges = try KitCharges(of: id, terms: terms, nowMs: nowMs, in: connection)
        }
    }

    private func show(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let (words, id) = (visit.words, visit.call.value("inquiry"))
        let content = try await database.read { [terms] in try Content(id, terms: terms, nowMs: visit.nowMs, in: $0) }
        let inquiry = content.inquiry
        let failure: Markup = inquiry.failure.map { "<p class=\"alarm\">\($0)</p>" } ?? .empty
        return frame.page(
            visit, .kits, title: words("Dossier \(id)", "Kit \(id)"),
            """
            \(ConsoleParts.list([
                (words("Document", "Document"), badge(inquiry.state)),
                (words("Paiement", "Payment"), "\(ConsoleParts.badge(content.payment.state)) \(ConsoleParts.paymentLink(content.payment.id))"),
                (words("Organisation", "Organisation"), "\(inquiry.organizationName)"),
                (words("Contact", "Contact"), "\(Contact(visit).line(content.payment))"), (words("Reçu", "Received"), ConsoleParts.time(inquiry.createdAtMs)),
            ]))
            \(failure)\(KitActions(visit: visit, inquiry: inquiry, isPaid: content.payment.state.allowsPaidWork).markup)
            <h2>\(words("Fichiers", "Files"))</h2>
            \(files(content, visit))
            <h2>\(words("Coût de l’IA", "Cost of the AI"))</h2>
            \(content.charges.markup(words))
            <h2>\(words("Liens", "Links"))</h2>
            \(links(content, visit))
            <h2>\(words("Textes", "Texts"))</h2>
            \(texts(inquiry, visit))
            <h2>\(words("Ce que l’équipe a fait", "What staff did"))</h2>
            \(trail(content, words))
            <h2>\(words("Chronologie", "Time line"))</h2>
            \(TimeLine(life: content.life, words: words).markup)
            """)
    }

    private func files(_ content: Content, _ visit: ConsoleVisit) -> Markup {
        let words = visit.words
        func link(_ kind: String, _ number: Int64, _ name: String) -> Markup {
            visit.may(.staff) ? "<a href=\"\(ConsolePath.kit(content.inquiry.id))files/\(kind)/\(String(number))\">\(name)</a>" : "\(name)"
        }
        var rows: [[Markup]] = content.finals.map {
            [
                ConsoleParts.badge("final", "ok"), "\(String($0.version))", link("final", $0.version, $0.fileName), "\(String($0.size))",
                ConsoleParts.time($0.createdAtMs), "\($0.actor)",
            ]
        }
        rows += content.drafts.map {
            [
                ConsoleParts.badge("draft", "info"), "\(String($0.version))", link("draft", $0.version, "\($0.inquiry)-\($0.version).docx"),
                "\(String($0.size))", ConsoleParts.time($0.createdAtMs), "–",
            ]
        }
        rows += content.attachments.map {
            [
                ConsoleParts.badge(words("pièce", "attachment")), "\(String($0.number))", link("attachment", $0.number, $0.fileName),
                "\(String($0.size))", "–", "\(words("client", "customer"))",
            ]
        }
        return ConsoleParts.table(
            words("Brouillons, finals et pièces", "Drafts, finals and attachments"),
            [
                words("Sorte", "Kind"), "#\(words("Version", "Version"))", words("Fichier", "File"), "#\(words("Octets", "Bytes"))",
                words("Quand", "When"), words("Par", "By"),
            ], rows, none: words("Aucun.", "None."))
    }

    private func links(_ content: Content, _ visit: ConsoleVisit) -> Markup {
        let words = visit.words
        let rows: [[Markup]] = content.downloads.map {
            [
                ConsoleParts.time($0.issuedAtMs), ConsoleParts.time($0.expiresAtMs), "\(String($0.usedCount)) / \(String($0.usesMax))",
                $0.revokedAtMs == nil ? "–" : ConsoleParts.time($0.revokedAtMs), "\($0.file.name)",
            ]
        }
        return ConsoleParts.table(
            words("Du plus récent au plus ancien", "The newest first"),
            [
                words("Émis", "Issued"), words("Valable jusqu’à", "Valid until"), "#\(words("Usages", "Uses"))", words("Repris", "Taken back"),
                words("Fichier", "File"),
            ], rows, none: words("Aucun lien.", "No links."))
    }

    private func trail(_ content: Content, _ words: Words) -> Markup {
        let rows: [[Markup]] = content.audit.map {
            [ConsoleParts.time($0.atMs), "\($0.actor)", "\($0.action)", "\($0.reason)", "\($0.detail ?? "")"]
        }
        return ConsoleParts.table(
            words("Chaque action avec sa raison", "Each action with its reason"),
            [words("Quand", "When"), words("Qui", "Who"), words("Quoi", "What"), words("Raison", "Reason"), words("Détail", "Detail")], rows,
            none: words("Rien encore.", "Nothing yet."))
    }

    private static let textNames = ["organization_name", "contact_name", "email"] + InquiryForm.textFields
    /// Of a long text on the kit's page; the whole of it has a page of its own.
    private static let textShown = 240

    /// What the customer wrote.
    private func texts(_ inquiry: Inquiry, _ visit: ConsoleVisit) -> Markup {
        let words = visit.words
        let shown: [(String, Markup)] = Self.textNames.filter { !["email", "contact_name"].contains($0) }.map { name in
            let text = inquiry.texts[name] ?? ""
            return (InquiryField.label(name, words), "\(String(text.prefix(Self.textShown)))\(text.count > Self.textShown ? "…" : "")")
        }
        let link: Markup =
            visit.may(.staff)
            ? "<p><a href=\"\(ConsolePath.kit(inquiry.id))text\">\(words("Lire en entier et corriger", "Read in full and correct"))</a></p>" : .empty
        return "\(ConsoleParts.list(shown))\(link)"
    }

    private func showTexts(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let (words, id) = (visit.words, visit.call.value("inquiry"))
        let inquiry = try await database.read { try InquiryStore.require(id, in: $0) }
        let fields: [Markup] = Self.textNames.map { name in
            let (value, label) = (inquiry.texts[name] ?? "", InquiryField.label(name, words))
            return name.hasSuffix("_text")
                ? "<label for=\"t-\(name)\">\(label)</label>\n<textarea id=\"t-\(name)\" name=\"\(name)\" maxlength=\"10000\">\(value)</textarea>\n"
                : "<label for=\"t-\(name)\">\(label)</label>\n<input id=\"t-\(name)\" name=\"\(name)\" value=\"\(value)\" maxlength=\"200\"/>\n"
        }
        return frame.page(
            visit, .kits, title: words("Textes de \(id)", "Texts of \(id)"),
            """
            <form method="post" action="\(ConsolePath.kit(id))text" class="card">\(visit.token)
            \(fields)
            \(ConsoleParts.area("text-reason", "reason", words("Raison", "Reason")))
            <button class="main">\(words("Enregistrer", "Save"))</button>
            </form>
            """)
    }

    // MARK: Files

    /// A file of the kit for staff to work on.
    private func file(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let (id, kind, number) = (visit.call.value("inquiry"), visit.call.value("kind"), Int64(visit.call.value("number")) ?? 0)
        let found = try await database.read { connection -> (key: String, name: String, type: String)? in
            switch kind {
            case "final":
                return try FinalAsset.all(of: id, in: connection).first { $0.version == number }.map { ($0.path, $0.fileName, $0.kind.contentType) }
            case "draft":
                return try GeneratedDraft.of(inquiry: id, version: number, in: connection).map {
                    ($0.path, "\(id)-\(number).docx", FileKind.docx.contentType)
                }
            case "attachment":
                return try InquiryAttachment.of(inquiry: id, in: connection).first { $0.number == number }.map {
                    ($0.path, $0.fileName, $0.kind.contentType)
                }
            default: return nil
            }
        }
        guard let found, let storage = kind == "draft" ? drafts : storage else { throw WebProblem.notFound("there is no such file") }
        let file = StaffFile(key: found.key, name: found.name, type: found.type, tag: "\(kind)-\(number)")
        return try await file.response(from: storage) {
            try await database.write { try visit.record("kit.look", of: id, detail: "\(kind) \(number)", in: $0) }
        }
    }

    private func upload(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let id = visit.call.value("inquiry")
        guard let storage, let body = visit.call.upload else { throw WebProblem.badRequest("the form has no file") }
        try await database.read { try Publication.checkAttachable(id, in: $0) }
        let form = try await UploadForm.read(
            visit.call, body, fileField: "final", to: storage, folder: "finals/\(id)", rules: .final, countMax: 1, allSizeMax: FinalAsset.sizeMax)
        do {
            let file = try form.file("final", of: visit)
            let reason = form.fields["reason"].flatMap { $0.isEmpty ? nil : String($0.prefix(500)) } ?? "uploaded in the console"
            try await database.write { [publication] connection in
                let final = try publication.attach(file, to: id, actor: visit.actor, reason: reason, nowMs: visit.nowMs, in: connection)
                try visit.record("kit.upload", of: id, detail: "version \(final.version), sha256 \(final.sha256)", in: connection)
            }
        } catch {
            await form.discard()
            throw error
        }
        return visit.done(.uploaded, ConsolePath.kit(id))
    }

    // MARK: Deeds

    private func act(
        _ visit: ConsoleVisit, _ action: String, _ note: ConsoleNote, _ body: @escaping @Sendable (String, String, Connection) throws -> Void
    ) async throws -> HTTPResponse {
        let (id, reason) = (visit.call.value("inquiry"), try visit.required("reason"))
        try await database.write { connection in
            try body(id, reason, connection)
            try visit.record(action, of: id, detail: reason, in: connection)
        }
        return visit.done(note, ConsolePath.kit(id))
    }

    private func publish(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        try await act(visit, "kit.publish", .published) { [publication] id, reason, connection in
            try publication.publish(id, actor: visit.actor, reason: reason, nowMs: visit.nowMs, in: connection)
        }
    }

    private func reissue(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        try await act(visit, "kit.reissue", .reissued) { [publication] id, reason, connection in
            try publication.reissue(id, actor: visit.actor, reason: reason, nowMs: visit.nowMs, in: connection)
        }
    }

    private func revoke(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        try await act(visit, "kit.revoke", .revoked) { [publication] id, reason, connection in
            try publication.revoke(id, actor: visit.actor, reason: reason, nowMs: visit.nowMs, in: connection)
        }
    }

    private func regenerate(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let keeps = visit.fields["answer"] == "keep"
        return try await act(visit, "kit.regenerate", .regenerating) { [outbox] id, reason, connection in
            try DraftWork.regenerate(
                id, keepingAnswer: keeps, outbox: outbox, actor: visit.actor, reason: reason, nowMs: visit.nowMs, in: connection)
        }
    }

    private func edit(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let names = Set(Self.textNames)
        // Browsers end lines with CRLF.
        let fields = visit.fields.filter { names.contains($0.key) }.mapValues { $0.replacing("\r\n", with: "\n") }
        return try await act(visit, "kit.text", .saved) { id, reason, connection in
            try DraftWork.edit(id, fields, actor: visit.actor, reason: reason, nowMs: visit.nowMs, in: connection)
        }
    }
}
