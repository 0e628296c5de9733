import Database
import Formats
import HTTPServer
import Staff

/// What staff did, and the one-page guide to doing it.
struct AuditPage: Sendable {
    let database: Database
    let frame: ConsoleFrame

    private static let path = ConsoleFrame.Part.audit.path
    static let pageSize = 60

    var entries: [ConsoleEntry] {
        [
            ConsoleEntry("GET", "/console/audit/", .operator, show),
            ConsoleEntry("GET", "/console/guide/", .viewer) { GuidePage(visit: $0).response(frame) },
        ]
    }

    private func show(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let (words, request) = (visit.words, visit.call.request)
        let actor = request.queryValue("actor").flatMap { $0.isEmpty ? nil : $0 }
        let text = request.queryValue("before")
        let before = text.flatMap { Int64($0) }
        let found = try await database.read { try StaffAudit.list(actor: actor, before: before, limit: Self.pageSize + 1, in: $0) }
        let shown = found.prefix(Self.pageSize)
        let rows: [[Markup]] = shown.map { row in
            [
                ConsoleParts.time(row.atMs), "<a href=\"\(Self.path)\(ConsolePath.query([("actor", row.actor)]))\">\(row.actor)</a>", "\(row.action)",
                row.subject.hasPrefix("pay_") ? ConsoleParts.paymentLink(row.subject) : "\(row.subject)", "\(String((row.detail ?? "").prefix(200)))",
                "\(row.address ?? "")",
            ]
        }
        let next = found.count > Self.pageSize ? shown.last.map { String($0.id) } : nil
        return frame.page(
            visit, .audit, title: words("Journal", "Audit"), wide: true,
            """
            \(ConsoleParts.table(
                words("Du plus récent au plus ancien", "The newest first"),
                [
                    words("Quand (UTC)", "When (UTC)"), words("Qui", "Who"), words("Quoi", "What"), words("Sur", "Of"), words("Détail", "Detail"),
                    words("Adresse", "Address"),
                ], rows, none: words("Rien encore.", "Nothing yet.")))
            \(ConsoleParts.pager(Self.path, [("actor", actor)], before: text, next: next, words))
            """)
    }
}

/// How to work with the console, on one page.
struct GuidePage {
    let visit: ConsoleVisit

    private var sections: [(String, [String])] {
        let words = visit.words
        return [
            (
                words("Chaque jour", "Each day"),
                [
                    words("Ouvrez les tâches : chacune a un bouton qui la règle.", "Open the tasks: each has a button that ends it."),
                    words("Ce qui change tout seul disparaît de la liste tout seul.", "What changes by itself leaves the list by itself."),
                ]
            ),
            (
                words("Un paiement en conflit", "A conflicted payment"),
                [
                    words(
                        "Le prestataire a dit autre chose que ce qui est dû : une autre somme, deux fois payé, une autre monnaie.",
                        "The provider said something else than what is owed: another sum, paid twice, another currency."),
                    words(
                        "Acceptez ce qui est arrivé, ou remboursez. Une raison est notée.", "Accept what came in, or give it back. A reason is noted."
                    ),
                ]
            ),
            (
                words("Rembourser", "Giving money back"),
                [
                    words("Il faut le rôle operator et une raison.", "It takes the role operator and a reason."),
                    words(
                        "Au-dessus de la limite, une deuxième personne approuve ; celle qui demande ne le peut pas.",
                        "Above the limit a second person approves; whoever asks cannot."),
                ]
            ),
            (
                words("Un client dit avoir payé", "A customer says that they paid"),
                [
                    words(
                        "Cherchez son paiement, puis « Redemander » : le prestataire répond.",
                        "Search the payment, then “Ask again”: the provider answers."),
                    words(
                        "Un événement sans paiement se reprend quand le paiement est connu ; l’essai à blanc montre ce qui changerait.",
                        "An event without a payment is taken up again once the payment is known; the dry run shows what would change."),
                ]
            ),
            (
                words("Un kit, de la demande au téléchargement", "A kit, from the form to the download"),
                [
                    words(
                        "Payé, le brouillon s’écrit tout seul. Téléchargez-le, corrigez-le, déposez le final, publiez : le lien part au client.",
                        "Once paid the draft writes itself. Download it, correct it, upload the final, publish: the link goes out to the customer."),
                    words(
                        "Un lien sert une fois. Perdu ou expiré, « Renvoyer un lien » en fait un autre et met fin à l’ancien.",
                        "A link is good for one use. Lost or expired, “Send another link” makes another and ends the old one."),
                    words(
                        "Un brouillon raté dit pourquoi ; corrigez les textes, puis « Refaire le brouillon ». Garder la réponse ne coûte rien.",
                        "A failed draft says why; correct the texts, then “Make the draft anew”. Keeping the answer costs nothing."),
                ]
            ),
            (
                words("Changer un modèle ou une consigne", "Changing a template or a prompt"),
                [
                    words(
                        "Essayez d’abord : le modèle est rempli une fois et le résultat se télécharge. Une variable inconnue le fait refuser.",
                        "Try first: the template is filled once and the result downloaded. An unknown variable has it refused."),
                    words(
                        "Les versions restent ; remettre l’ancienne en service suffit pour revenir en arrière.",
                        "Versions stay; using the old one again is the way back."),
                ]
            ),
            (
                words("Un réseau en panne", "A network that is down"),
                [
                    words(
                        "Prestataires, le sien, « Arrêter un moyen » : il n’est plus proposé et plus accepté ; ce qui est commencé finit.",
                        "Providers, its own, “Switch a way off”: it is neither offered nor taken any more; what was begun comes to its end."),
                    words("Rouvrez-le au même endroit.", "Switch it on again in the same place."),
                ]
            ),
            (
                words("Un travail abandonné", "A dead job"),
                [
                    words("Lisez la raison, réparez la cause, réessayez.", "Read the reason, mend the cause, retry."),
                    words("Ce qui a eu lieu n’a pas lieu deux fois.", "What was carried out is not carried out twice."),
                ]
            ),
            (
                words("Les rôles", "Roles"),
                [
                    words("viewer regarde.", "viewer looks."),
                    words("staff travaille sur les dossiers et les documents.", "staff works on kits and documents."),
                    words("operator décide de l’argent et des files.", "operator decides about money and queues."),
                    words("admin dit qui peut quoi.", "admin says who may do what."),
                ]
            ),
            (
                words("Votre compte", "Your account"),
                [
                    words("Un code à usage unique est demandé à chaque connexion.", "A one-time code is asked at each sign-in."),
                    words(
                        "Téléphone perdu : un code de secours, sinon un administrateur.", "Telephone lost: a recovery code, or else an admin."),
                    words("Terminez les sessions que vous ne connaissez pas.", "End sessions that you do not know."),
                ]
            ),
        ]
    }

    func response(_ frame: ConsoleFrame) -> HTTPResponse {
        let parts: [Markup] = sections.map { title, lines in
            let items: [Markup] = lines.map { "<li>\($0)</li>\n" }
            return "<h2>\(title)</h2>\n<ul>\(items)</ul>\n"
        }
        return frame.page(visit, .guide, title: visit.words("Guide", "Guide"), "\(parts)")
    }
}
