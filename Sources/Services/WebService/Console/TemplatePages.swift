import Database
import DraftGeneration
import Drafts
import Formats
import HTTPServer
import JobQueue
import ObjectStorage
import Staff

/// Templates of the document that drafts are filled into: every version, what it was found to hold, and which one is used. A new one is
/// checked and tried before it counts, as on the command line.
struct TemplatePages: Sendable {
    let database: Database
    /// Nil where nothing can be stored or tried.
    let shelf: TemplateShelf?
    /// The folder that the shelf's files are in.
    let drafts: (any ObjectStorage)?
    let frame: ConsoleFrame

    private static let path = ConsoleFrame.Part.templates.path
    /// A form around the largest template.
    private static let uploadLimit = TemplateShelf.sizeMax + 64 * 1024

    var entries: [ConsoleEntry] {
        [
            ConsoleEntry("GET", "/console/templates/", .viewer, list),
            ConsoleEntry(uploading: "/console/templates/", .operator, uploadLimit: Self.uploadLimit, upload),
            ConsoleEntry("GET", "/console/templates/{version}/", .viewer, show),
            ConsoleEntry("GET", "/console/templates/{version}/file", .staff, file),
            ConsoleEntry("POST", "/console/templates/{version}/activate", .operator, activate),
        ]
    }

    // MARK: Looking

    private func list(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let words = visit.words
        let (templates, products) = try await database.read { connection in
            (try DocumentTemplateVersion.all(in: connection), try Drafts.Product.all(in: connection))
        }
        let isStandard = !templates.contains(where: \.isActive)
        var rows: [[Markup]] = templates.map { template in
            [
                link(template.version, words), state(template.isActive, words), "\(String(template.size))", "\(String(template.found.count))",
                "\(template.missing.isEmpty ? "–" : template.missing.joined(separator: ", "))", "\(template.actor)",
                ConsoleParts.time(template.createdAtMs),
            ]
        }
        rows.append([link(0, words), state(isStandard, words), "–", "–", "–", "–", "–"])
        let names = products.map { $0.name(in: words.language) }.joined(separator: ", ")
        return frame.page(
            visit, .templates, title: words("Modèles du document", "Templates of the document"), wide: true,
            """
            <p>\(words("Un brouillon est rempli dans la version en service. Produits : \(names).", "Drafts are filled into the version in use. Products: \(names)."))</p>
            \(ConsoleParts.table(
                words("Du plus récent au plus ancien", "The newest first"),
                [
                    words("Version", "Version"), words("État", "State"), "#\(words("Octets", "Bytes"))", "#\(words("Variables", "Variables"))",
                    words("Laisse de côté", "Leaves out"), words("Par", "By"), words("Quand (UTC)", "When (UTC)"),
                ], rows, none: words("Aucun.", "None.")))
            \(form(visit))
            <p><a href="\(MessageTemplatePages.path)">\(words("Modèles des messages", "Templates of messages"))</a></p>
            """)
    }

    private func link(_ version: Int64, _ words: Words) -> Markup {
        let name = version == 0 ? words("0, celle d’origine", "0, the first one") : String(version)
        return "<a href=\"\(ConsolePath.template(version))\">\(name)</a>"
    }

    private func state(_ isActive: Bool, _ words: Words) -> Markup {
        isActive ? ConsoleParts.badge(words("en service", "in use"), "ok") : ConsoleParts.badge(words("gardé", "kept"))
    }

    private func form(_ visit: ConsoleVisit) -> Markup {
        let words = visit.words
        guard visit.may(.operator) else { return .empty }
        guard shelf != nil, drafts != nil else {
            return "<p class=\"quiet\">\(words("Rien ne peut être déposé sur cette installation.", "Nothing can be uploaded here."))</p>"
        }
        let hint = words(
            "Un document Word (.docx), 20 Mo au plus, avec les variables du kit. Il est examiné et rempli une fois avant de servir.",
            "A Word document (.docx), 20 MB at most, with the variables of a kit. It is looked into and filled once before it is used.")
        return """
            <form method="post" action="\(Self.path)" enctype="multipart/form-data" class="card">\(visit.token)
            <h2>\(words("Nouvelle version", "New version"))</h2>
            <label for="template">\(hint)</label>
            <input id="template" name="template" type="file" accept=".docx" required="required"/>
            \(ConsoleParts.area("template-reason", "reason", words("Raison", "Reason"), isRequired: false))
            \(ConsoleParts.check("template-use", "use", value: "yes", words("la mettre en service", "use it from now on"), isChecked: true))
            <button class="main" name="deed" value="install">\(words("Vérifier et installer", "Check and install"))</button>
            <button name="deed" value="try">\(words("Essayer seulement : télécharger le résultat", "Try only: download the result"))</button>
            </form>
            """
    }

    private func show(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let words = visit.words
        let (version, template, active) = try await chosen(visit)
        let isActive = version == active
        var facts: [(String, Markup)] = [(words("État", "State"), state(isActive, words))]
        if let template {
            facts += [
                (words("Variables trouvées", "Variables found"), "\(template.found.joined(separator: ", "))"),
                // One that nobody gives refuses the template: none of those that were installed has any.
                (words("Variables inconnues", "Unknown variables"), "\(words("aucune", "none"))"),
                (
                    words("Variables laissées de côté", "Variables left out"),
                    "\(template.missing.isEmpty ? words("aucune", "none") : template.missing.joined(separator: ", "))"
                ),
                (words("Octets", "Bytes"), "\(String(template.size))"), ("SHA-256", "<code>\(template.sha256)</code>"),
                (words("Déposé par", "Uploaded by"), "\(template.actor)"),
                (words("Quand (UTC)", "When (UTC)"), ConsoleParts.time(template.createdAtMs)),
            ]
        } else {
            facts.append((words("Fichier", "File"), "<code>\(DocumentTemplateVersion.standardPath)</code>"))
        }
        let download: Markup =
            visit.may(.staff) && drafts != nil
            ? "<p><a class=\"button\" href=\"\(ConsolePath.template(version))file\">\(words("Télécharger", "Download"))</a></p>" : .empty
        let use: Markup =
            isActive
            ? .empty
            : ConsoleParts.reasoned(
                visit, .operator, "\(ConsolePath.template(version))activate", words("Mettre en service", "Use from now on"), id: "use", style: "main")
        return frame.page(
            visit, .templates, title: words("Modèle, version \(version)", "Template, version \(version)"),
            "\(ConsoleParts.list(facts))\(download)\(use)")
    }

    private static func version(_ visit: ConsoleVisit) throws(WebProblem) -> Int64 {
        guard let version = Int64(visit.call.value("version")), version >= 0 else { throw .notFound("there is no such template") }
        return version
    }

    /// The version that the path names, and the one in use; 0 is the file of before any was installed.
    private func chosen(_ visit: ConsoleVisit) async throws -> (version: Int64, template: DocumentTemplateVersion?, active: Int64) {
        let version = try Self.version(visit)
        return try await database.read { connection in
            let template = try DocumentTemplateVersion.find(version, in: connection)
            guard version == 0 || template != nil else { throw KitActionError.notFound("template \(version)") }
            return (version, template, try DocumentTemplateVersion.active(in: connection)?.version ?? 0)
        }
    }

    private func file(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let (version, template, _) = try await chosen(visit)
        guard let drafts else { throw WebProblem.notFound("the file is not there") }
        let file = StaffFile(
            key: template?.path ?? DocumentTemplateVersion.standardPath, name: "template-\(version).docx", type: FileKind.docx.contentType,
            tag: template?.sha256 ?? "template-0")
        return try await file.response(from: drafts) {
            try await database.write { try visit.record("template.look", of: "template \(version)", in: $0) }
        }
    }

    // MARK: Deeds

    private func upload(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        guard let body = visit.call.upload else { throw WebProblem.badRequest("the form has no file") }
        guard let shelf, let drafts else { throw WebProblem.conflict("nothing can be stored here") }
        let form = try await UploadForm.read(
            visit.call, body, fileField: "template", to: drafts, folder: TemplateShelf.folder, rules: .template, countMax: 1,
            allSizeMax: Int64(TemplateShelf.sizeMax))
        do {
            let file = try form.file("template", of: visit)
            guard form.fields["deed"] != "try" else {
                let trial = try await tried { try await shelf.examine(file) }
                await form.discard()
                return Self.document(trial)
            }
            try await install(file, form, on: shelf, visit)
        } catch {
            await form.discard()
            throw error
        }
        return visit.done(.installed, Self.path)
    }

    private func install(_ file: CheckedFile, _ form: UploadForm, on shelf: TemplateShelf, _ visit: ConsoleVisit) async throws {
        let reason = String((form.fields["reason"] ?? "").prefix(InquiryAudit.reasonLimit))
        guard !reason.allSatisfy(\.isWhitespace) else { throw WebProblem.invalid("reason", "is required") }
        let uses = form.fields["use"] == "yes"
        _ = try await tried {
            try await shelf.install(file, activates: uses, actor: visit.actor, reason: reason, nowMs: visit.nowMs) { template, connection in
                let word = uses ? "in use" : "kept"
                try visit.record(
                    "template.install", of: "template \(template.version)", detail: "\(word), sha256 \(template.sha256): \(reason)", in: connection)
            }
        }
    }

    /// A trial that did not come to its end says nothing of the template.
    private func tried<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch let failure as JobFailure {
            throw WebProblem.conflict("the template could not be tried: \(failure.reason.prefix(200))", afterSeconds: 10)
        }
    }

    /// What the trial filled, to be looked at.
    private static func document(_ trial: TemplateShelf.Trial) -> HTTPResponse {
        HTTPResponse(
            status: 200,
            headers: ["Content-Type": FileKind.docx.contentType, "Content-Disposition": ContentDisposition.attachment("trial.docx")],
            body: trial.document)
    }

    private func activate(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let version = try Self.version(visit)
        let reason = try visit.required("reason", limit: InquiryAudit.reasonLimit)
        try await database.write { connection in
            try DocumentTemplateVersion.activate(version, actor: visit.actor, reason: reason, nowMs: visit.nowMs, in: connection)
            try visit.record("template.activate", of: "template \(version)", detail: reason, in: connection)
        }
        return visit.done(.activated, ConsolePath.template(version))
    }
}
