import Drafts
import Staff

/// What can be done about a kit as it stands.
struct KitActions {
    let visit: ConsoleVisit
    let inquiry: Inquiry
    let isPaid: Bool

    var markup: Markup {
        let words = visit.words
        guard visit.may(.staff) else { return .empty }
        guard isPaid else {
            return "<p class=\"quiet\">\(words("Rien ne se publie tant que ce n’est pas payé.", "Nothing is published before it is paid."))</p>"
        }
        var forms: [Markup] = []
        if [.draftDone, .draftFailed, .finalUploaded].contains(inquiry.state) { forms.append(upload) }
        if inquiry.state == .finalUploaded { forms.append(form("publish", words("Publier", "Publish"), style: "main")) }
        if inquiry.state == .published {
            forms.append(form("reissue", words("Renvoyer un lien", "Send another link"), style: "main"))
            forms.append(form("revoke", words("Retirer la publication", "Take the publication back"), style: "danger"))
        }
        if [.draftDone, .draftFailed].contains(inquiry.state) {
            forms.append(form("regenerate", words("Refaire le brouillon", "Make the draft anew"), style: "", more: keep))
        }
        return "\(forms)"
    }

    private var keep: Markup {
        ConsoleParts.check(
            "answer", "answer", value: "keep", visit.words("garder la réponse déjà payée", "keep the answer that was paid for"))
    }

    private var upload: Markup {
        let words = visit.words
        return """
            <form method="post" action="\(ConsolePath.kit(inquiry.id))final" enctype="multipart/form-data" class="card">\(visit.token)
            <h2>\(words("Document final", "Final document"))</h2>
            <label for="final">\(words("Word ou PDF, 20 Mo au plus", "Word or PDF, 20 MB at most"))</label>
            <input id="final" name="final" type="file" accept=".docx,.pdf" required="required"/>
            \(ConsoleParts.area("final-reason", "reason", words("Remarque", "Note"), isRequired: false))
            <button class="main">\(words("Déposer", "Upload"))</button>
            </form>
            """
    }

    private func form(_ deed: String, _ text: String, style: String, more: Markup = .empty) -> Markup {
        ConsoleParts.reasoned(visit, .staff, "\(ConsolePath.kit(inquiry.id))\(deed)", text, id: deed, style: style, more: more)
    }
}
