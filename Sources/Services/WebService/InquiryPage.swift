import Drafts
import Formats
import HTTPServer

/// `/kit/inquiry/`: the form that begins a Kit, in French or English.
struct InquiryPage: Sendable {
    let kit: KitCalls
    let page: Page

    static let path = "/kit/inquiry/"

    var routes: [Route] {
        [
            Route("GET", Self.path, .page, bodyLimit: 0) { call in
                form(Words(call.request.queryValue("lang") ?? "fr"), values: [:], faults: [:], status: 200)
            },
            Route("POST", Self.path, .page, bodyLimit: KitCalls.bodyLimit, uploadLimit: KitCalls.uploadLimit, take),
        ]
    }

    private func take(_ call: WebCall) async throws -> HTTPResponse {
        let taken = try await kit.read(call, allowsJSON: false)
        let fields = taken.fields
        do {
            let (inquiry, _, _) = try await kit.take(taken, actor: call.actor)
            return .redirect(303, CheckoutPages.path(of: inquiry.id))
        } catch {
            guard case .invalid(let faults)? = error as? InquiryError else { throw error }
            let rules = Dictionary(faults.map { ($0.field, $0.rule) }, uniquingKeysWith: { "\($0); \($1)" })
            return form(Words(fields["language"] ?? "fr"), values: fields, faults: rules, status: 422)
        }
    }

    // MARK: The form

    private func form(_ words: Words, values: [String: String], faults: [String: String], status: Int) -> HTTPResponse {
        let entries = InquiryField.all.map { Self.entry($0, words, value: values[$0.name] ?? "", fault: faults[$0.name]) }
        let note: Markup =
            faults.isEmpty
            ? .empty : "<p class=\"note fault\">\(words("Certains champs sont à corriger.", "Some fields need correcting."))</p>"
        let other = words("en", "fr")
        return page.response(
            status, words, title: words("Kit Complet : votre demande", "Complete kit: your inquiry"),
            """
            <p><a href="\(Self.path)?lang=\(other)" hreflang="\(other)" lang="\(other)">\(words("English", "Français"))</a></p>
            \(note)
            <form method="post" action="\(Self.path)" enctype="multipart/form-data">
            <input type="hidden" name="language" value="\(words.language)"/>
            \(entries)
            \(Self.files(words, fault: faults[KitCalls.fileField]))
            <p><button type="submit">\(words("Continuer vers le paiement", "Continue to payment"))</button></p>
            </form>
            """)
    }

    /// The files' field. What kind a file is is looked up in the file; the list only helps to choose.
    private static func files(_ words: Words, fault: String?) -> Markup {
        let name = KitCalls.fileField
        let (count, each, all) = (InquiryAttachment.countMax, InquiryAttachment.sizeMax >> 20, InquiryAttachment.allSizeMax >> 20)
        let rule = words(
            "PDF, Word, Excel, PNG ou JPEG ; \(count) fichiers au plus, \(each) Mo chacun, \(all) Mo en tout. Facultatif.",
            "PDF, Word, Excel, PNG or JPEG; at most \(count) files, \(each) MB each, \(all) MB in all. Optional.")
        let again = words(" Choisissez les fichiers à nouveau.", " Please choose the files again.")
        let explained: Markup = fault.map { "<p class=\"fault\" id=\"\(name)-fault\">\(FieldSentence.of($0, words) + again)</p>" } ?? .empty
        let invalid: Markup = fault == nil ? .empty : " aria-invalid=\"true\""
        let described = fault == nil ? "\(name)-rule" : "\(name)-rule \(name)-fault"
        return """
            <label for="\(name)">\(words("Documents à joindre", "Documents to attach"))</label>
            <input id="\(name)" name="\(name)" type="file" multiple="multiple" accept=".pdf,.docx,.xlsx,.png,.jpg,.jpeg" \
            aria-describedby="\(described)"\(invalid)/>
            <p class="note" id="\(name)-rule">\(rule)</p>\(explained)

            """
    }

    private static func entry(_ field: InquiryField, _ words: Words, value: String, fault: String?) -> Markup {
        let label = words(field.french, field.english) + words(field.frenchHint, field.englishHint) + (field.isRequired ? " *" : "")
        let required: Markup = field.isRequired ? " required=\"required\"" : .empty
        let described: Markup = fault == nil ? .empty : " aria-invalid=\"true\" aria-describedby=\"\(field.name)-fault\""
        let explained: Markup = fault.map { "<p class=\"fault\" id=\"\(field.name)-fault\">\(FieldSentence.of($0, words))</p>" } ?? .empty
        let control: Markup
        switch field.kind {
        case .area:
            control = """
                <textarea id="\(field.name)" name="\(field.name)" maxlength="\(InquiryForm.longLimit)"\(required)\(described)>
                \(value)</textarea>
                """
        case .line(let type):
            control = """
                <input id="\(field.name)" name="\(field.name)" type="\(type)" value="\(value)" maxlength="\(InquiryForm.shortLimit)"\
                \(required)\(described)/>
                """
        }
        return "<label for=\"\(field.name)\">\(label)</label>\(control)\(explained)\n"
    }
}

/// The rules of the form as people read them.
enum FieldSentence {
    static func of(_ rule: String, _ words: Words) -> String {
        if words.language == "en" { return "This field \(rule)." }
        if rule.hasPrefix("is required") { return "Ce champ est obligatoire." }
        if rule.contains("e-mail address") { return "Une adresse e-mail est attendue." }
        if rule.contains("international form") { return "Le numéro doit être en forme internationale, comme +2250707123456." }
        if rule.contains("by what is in them") {
            return "Ces fichiers ne sont pas tous des PDF, Word, Excel, PNG ou JPEG : le contenu compte, pas le nom."
        }
        if rule.contains("sent as files") { return "Les documents doivent être envoyés comme fichiers." }
        if rule.contains("files") { return "Il y a trop de fichiers." }
        if rule.contains("MB") { return "Les fichiers sont trop grands." }
        if rule.contains("empty file") { return "Un fichier est vide." }
        if rule.contains("at most") { return "Ce texte est trop long." }
        if rule.contains("whole number") { return "Un nombre entier de 0 à 100 est attendu." }
        return "Ce champ n’a pas la forme attendue."
    }
}
