import Formats
import HTTPServer

/// The frame of every page: one stylesheet, nothing from elsewhere, and no script but where a page follows its payment or a provider's own
/// widget is the way to pay.
struct Page: Sendable {
    /// Where a form of the page may lead besides our own site; browsers hold the redirections after a form against this too.
    var formTargets: [String] = []

    static let stylesheetPath = "/assets/site.css"

    /// - Parameters:
    ///   - refreshSeconds: after how long the browser is to look again; nil for never. Where `live` or `follow` is, only without a script.
    ///   - live: the payment that the page shows, to be followed while it is open.
    ///   - follow: the team that the page shows, to be followed as long as it is open.
    ///   - imageSources: where its images may come from besides our own site.
    ///   - widget: the provider's script that the page runs, with ours that opens it.
    func response(
        _ status: Int, _ words: Words, title: String, refreshSeconds: Int? = nil, imageSources: String = "", widget: WidgetScript? = nil,
        live: LiveStatus? = nil, follow: TeamFollow? = nil, _ content: Markup
    ) -> HTTPResponse {
        let again: Markup = refreshSeconds.map { "<meta http-equiv=\"refresh\" content=\"\($0)\"/>" } ?? .empty
        let refresh: Markup = (live == nil && follow == nil) || refreshSeconds == nil ? again : "<noscript>\(again)</noscript>"
        let page: Markup = """
            <!DOCTYPE html>
            <html lang="\(words.language)">
            <head>
            <meta charset="utf-8"/>
            <meta name="viewport" content="width=device-width, initial-scale=1"/>
            <meta name="robots" content="noindex"/>
            \(refresh)
            <title>\(title)</title>
            <link rel="stylesheet" href="\(Self.stylesheetPath)"/>
            </head>
            <body>
            <main\(live?.attributes ?? .empty)\(follow?.attributes ?? .empty)>
            <h1>\(title)</h1>
            \(content)
            </main>
            \(live == nil ? .empty : LiveStatus.tags)\(follow == nil ? .empty : TeamFollow.tags)\(widget?.tags ?? .empty)
            </body>
            </html>

            """
        var response = HTTPResponse.html(status, page.text)
        let scripts = widget?.policy ?? (live == nil && follow == nil ? "" : LiveStatus.policy)
        let targets = (["'self'"] + formTargets).joined(separator: " ")
        response.headers["Content-Security-Policy"] =
            "default-src 'none'; style-src 'self'\(widget?.styles ?? ""); img-src 'self'\(imageSources)\(widget?.images ?? ""); "
            + "form-action \(targets); base-uri 'none'; frame-ancestors 'none'" + scripts
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["Content-Language"] = words.language
        return response
    }

    func notFound(_ words: Words) -> HTTPResponse {
        let sentence = words(
            "Cette adresse ne mène à rien. Vérifiez le lien reçu.", "This address leads nowhere. Please check the link you were given.")
        // Nothing is known of who asks: the other language stands below.
        let other = Words(words("en", "fr"))
        let same = other(
            "Cette adresse ne mène à rien. Vérifiez le lien reçu.", "This address leads nowhere. Please check the link you were given.")
        return response(
            404, words, title: words("Page introuvable", "Page not found"), "<p>\(sentence)</p><p lang=\"\(other.language)\">\(same)</p>")
    }

    /// A problem told to a person.
    func problem(_ problem: WebProblem, _ words: Words, back: String?) -> HTTPResponse {
        let link: Markup = back.map { "<p><a href=\"\($0)\">\(words("Revenir en arrière", "Go back"))</a></p>" } ?? .empty
        // Which rule was broken is told as the API tells it.
        let broken = problem.status == 422 && !problem.names("phone") ? problem.detail : nil
        let rule: Markup = broken.map { "<p class=\"note\" lang=\"en\">\($0)</p>" } ?? .empty
        var response = response(
            problem.status, words, title: words("Cela n’a pas fonctionné", "That did not work"),
            "<p>\(Self.sentence(for: problem, words))</p>\(rule)\(link)")
        for (name, value) in problem.headers { response.headers[name] = value }
        return response
    }

    private static func sentence(for problem: WebProblem, _ words: Words) -> String {
        switch problem.status {
        case 409:
            words(
                "Ce paiement ne peut pas être commencé maintenant. Réessayez dans quelques secondes.",
                "This payment cannot be started now. Please try again in a few seconds.")
        case 502:
            words(
                "Le prestataire n’a pas répondu clairement. Rien n’est perdu : nous vérifions. Vous pouvez aussi réessayer.",
                "The provider gave no clear answer. Nothing is lost: we are checking. You may also try again.")
        case 503:
            words(
                "Le prestataire est injoignable pour le moment. Réessayez un peu plus tard.",
                "The provider cannot be reached at the moment. Please try again a little later.")
        case 507:
            words(
                "Nous ne pouvons pas prendre de fichiers pour le moment. Envoyez le formulaire sans fichiers, ou réessayez plus tard.",
                "No files can be taken at the moment. Please send the form without files, or try again later.")
        case 403:
            words("Ce formulaire n’est accepté que depuis notre site.", "This form is taken from our own site only.")
        case 422 where problem.names("phone"):
            words(
                "Le numéro de téléphone doit être en forme internationale, par exemple +2250707123456.",
                "The phone number must be in international form, for example +2250707123456.")
        case 422:
            words(
                "Le prestataire refuse cette demande. Vérifiez ce que vous avez saisi, ou choisissez un autre moyen.",
                "The provider refuses this. Please check what you entered, or choose another way to pay.")
        case 429:
            words("Trop de demandes à la fois. Réessayez dans une minute.", "Too many requests at once. Please try again in a minute.")
        default:
            words("La demande n’a pas pu être traitée.", "The request could not be carried out.")
        }
    }

    /// The page's route.
    static let stylesheet = Route.asset(stylesheetPath, "text/css", css + TeamPageStyle.css)

    private static let css = """
        :root { color-scheme: light dark; --accent: #0b6e4f; --line: #9aa5a0; --fault: #b3261e; }
        @media (prefers-color-scheme: dark) { :root { --accent: #5fd0a5; --line: #5b6661; --fault: #ff8a80; } }
        * { box-sizing: border-box; }
        body { margin: 0; font: 1rem/1.55 system-ui, sans-serif; }
        main { max-width: 40rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
        h1 { font-size: 1.5rem; line-height: 1.25; }
        dl { display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1.25rem; margin: 1.5rem 0; }
        dt { opacity: .75; }
        dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
        form { margin: 1rem 0; }
        label { display: block; margin: 1rem 0 .25rem; }
        input, textarea, select { width: 100%; font: inherit; padding: .5rem; border: 1px solid var(--line); border-radius: .35rem;
          background: Field; color: FieldText; }
        textarea { min-height: 7rem; }
        button { font: inherit; font-weight: 600; width: 100%; padding: .8rem 1rem; border: 2px solid var(--accent); border-radius: .35rem;
          background: transparent; color: inherit; cursor: pointer; }
        button:hover, button:focus-visible { background: var(--accent); color: Canvas; }
        a { color: var(--accent); }
        .fields { border: 1px solid var(--line); border-radius: .5rem; padding: .25rem 1rem 1rem; }
        .fields > button { margin-top: 1.25rem; }
        .pair { display: flex; gap: .5rem; }
        .pair button { width: auto; padding: .5rem .9rem; border-width: 1px; }
        .note { border-left: .25rem solid var(--accent); padding: .25rem 0 .25rem .9rem; }
        .wait::after { content: ""; display: block; height: .25rem; margin-top: 1rem; border-radius: .25rem;
          background: linear-gradient(90deg, transparent, var(--accent), transparent) 0 0 / 50% 100% no-repeat var(--line); }
        @media (prefers-reduced-motion: no-preference) { .wait::after { animation: wait 1.6s linear infinite; } }
        @keyframes wait { from { background-position: -100% 0; } to { background-position: 200% 0; } }
        .fault { color: var(--fault); }

        """
}
