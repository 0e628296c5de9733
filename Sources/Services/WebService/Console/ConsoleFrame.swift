import Formats
import HTTPServer
import Staff

/// The frame of every page of the console: one stylesheet and one script of our own, nothing from elsewhere.
struct ConsoleFrame: Sendable {
    static let policy =
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; "
        + "base-uri 'none'; frame-ancestors 'none'"

    /// The parts of the console, in the order of the menu.
    enum Part: String, CaseIterable, Sendable {
        case overview, tasks, kits, templates, prompts, payments, teams, figures, providers, queues, events, notifications, users, audit, guide,
            account

        var path: String { self == .overview ? ConsolePath.root : "\(ConsolePath.root)\(rawValue)/" }
        var role: StaffRole {
            switch self {
            case .users: .admin
            case .audit: .operator
            default: .viewer
            }
        }

        func name(_ words: Words) -> String {
            switch self {
            case .overview: words("Vue d’ensemble", "Overview")
            case .tasks: words("Tâches", "Tasks")
            case .kits: "Kits"
            case .payments: words("Paiements", "Payments")
            case .teams: words("Équipes", "Teams")
            case .figures: words("Chiffres", "Figures")
            case .providers: words("Prestataires", "Providers")
            case .queues: words("Files", "Queues")
            case .events: words("Événements", "Events")
            case .notifications: words("Messages", "Messages")
            case .users: words("Utilisateurs", "Users")
            case .audit: words("Journal", "Audit")
            case .guide: words("Guide", "Guide")
            case .account: words("Mon compte", "My account")
            case .templates: words("Modèles", "Templates")
            case .prompts: words("Consignes", "Prompts")
            }
        }
    }

    /// A page for somebody who is signed in.
    func page(
        _ visit: ConsoleVisit, _ part: Part, status: Int = 200, title: String, refreshSeconds: Int? = nil, wide: Bool = false, _ content: Markup
    ) -> HTTPResponse {
        let words = visit.words
        let items: [Markup] = Part.allCases.filter { visit.may($0.role) }.map { item in
            "<li><a href=\"\(item.path)\"\(item == part ? " aria-current=\"page\"" : .empty)>\(item.name(words))</a></li>\n"
        }
        let note: Markup =
            visit.call.request.queryValue("done").flatMap(ConsoleNote.init(rawValue:)).map {
                "<p class=\"done\" role=\"status\">\($0.sentence(words))</p>"
            } ?? .empty
        let body: Markup = """
            <header class="top">
            <p class="brand"><a href="\(ConsolePath.root)">Quittance</a></p>
            <nav aria-label="\(words("Menu principal", "Main menu"))"><ul>
            \(items)</ul></nav>
            <form method="post" action="/console/sign-out" class="who">\(visit.token)<span>\(visit.user.name) · \(visit.user.role.rawValue)</span> \
            <button>\(words("Se déconnecter", "Sign out"))</button></form>
            </header>
            <main id="main"\(wide ? " class=\"wide\"" : .empty)>
            <h1>\(title)</h1>
            \(note)\(content)
            </main>
            """
        return whole(status, words, title: title, refreshSeconds: refreshSeconds, body)
    }

    /// A page for whoever is not.
    func plain(_ words: Words, status: Int = 200, title: String, _ content: Markup) -> HTTPResponse {
        whole(status, words, title: title, refreshSeconds: nil, "<main id=\"main\" class=\"narrow\">\n<h1>\(title)</h1>\n\(content)\n</main>")
    }

    private func whole(_ status: Int, _ words: Words, title: String, refreshSeconds: Int?, _ body: Markup) -> HTTPResponse {
        let refresh: Markup =
            refreshSeconds.map { "<noscript><meta http-equiv=\"refresh\" content=\"\($0)\"/></noscript>\n" } ?? .empty
        let page: Markup = """
            <!DOCTYPE html>
            <html lang="\(words.language)">
            <head>
            <meta charset="utf-8"/>
            <meta name="viewport" content="width=device-width, initial-scale=1"/>
            <meta name="robots" content="noindex"/>
            \(refresh)<title>\(title) – Quittance</title>
            <link rel="stylesheet" href="\(ConsoleStyle.path)"/>
            <script src="\(ConsoleScript.path)" defer="defer"></script>
            </head>
            <body>
            <a class="skip" href="#main">\(words("Aller au contenu", "Skip to content"))</a>
            \(body)
            </body>
            </html>

            """
        var response = HTTPResponse.html(status, page.text)
        response.headers["Content-Security-Policy"] = Self.policy
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["Content-Language"] = words.language
        return response
    }

    // MARK: Problems

    func forbidden(_ words: Words, _ role: StaffRole) -> HTTPResponse {
        plain(
            words, status: 403, title: words("Ce n’est pas permis", "Not allowed"),
            """
            <p>\(words("Il faut le rôle « \(role.rawValue) » au moins.", "This needs at least the role “\(role.rawValue)”."))</p>
            <p><a href="\(ConsolePath.root)">\(words("Vue d’ensemble", "Overview"))</a></p>
            """)
    }

    /// A problem told to a person; which rule was broken is told as the API tells it.
    func problem(_ problem: WebProblem, _ words: Words) -> HTTPResponse {
        let sentence =
            switch problem.status {
            case 403: words("Ce formulaire n’est plus valable.", "This form is not valid any more.")
            case 404: words("Cela n’existe pas, ou plus.", "There is no such thing, or not any more.")
            case 409: words("Ce n’est pas possible maintenant.", "That is not possible now.")
            case 422: words("Une valeur ne convient pas.", "A value does not fit.")
            case 507:
                words("Le disque n’a plus assez de place : aucun fichier n’est pris.", "The disk has too little room: no files are taken.")
            case 429: words("Trop d’essais. Attendez un peu.", "Too many attempts. Wait a little.")
            default: words("La demande n’a pas pu être traitée.", "The request could not be carried out.")
            }
        let detail: Markup = problem.detail.map { "<p class=\"detail\" lang=\"en\">\($0)</p>" } ?? .empty
        var response = plain(
            words, status: problem.status, title: words("Cela n’a pas fonctionné", "That did not work"),
            """
            <p role="alert">\(sentence)</p>\(detail)
            <p><a href="\(ConsolePath.root)" data-back="back">\(words("Revenir à la console", "Back to the console"))</a></p>
            """)
        for (name, value) in problem.headers { response.headers[name] = value }
        return response
    }
}
