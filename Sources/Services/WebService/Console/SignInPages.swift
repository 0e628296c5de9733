import Database
import Formats
import HTTPServer
import QRCodes
import Staff

/// The way in: password, one-time code, and the enrolment of the codes at the first time.
struct SignInPages: Sendable {
    let signIn: SignIn
    let gate: ConsoleGate
    let frame: ConsoleFrame
    /// What authenticator apps show beside the name.
    let issuer: String

    private static let code = "/console/code"
    private static let enrol = "/console/enrol"

    var entries: [ConsoleEntry] {
        [
            ConsoleEntry(open: "GET", ConsolePath.signIn) { call in show(call, Self.sentence(call)) },
            ConsoleEntry(open: "POST", ConsolePath.signIn, password),
            ConsoleEntry(entering: "GET", Self.code) { visit in showCode(visit, nil) },
            ConsoleEntry(entering: "POST", Self.code, takeCode),
            ConsoleEntry(entering: "GET", Self.enrol) { visit in try await showEnrolment(visit, nil) },
            ConsoleEntry(entering: "GET", "\(Self.enrol)/code.svg", picture),
            ConsoleEntry(entering: "POST", Self.enrol, takeEnrolment),
        ]
    }

    // MARK: Password

    private static func sentence(_ call: WebCall) -> (french: String, english: String)? {
        call.request.queryValue("done") == ConsoleNote.signedOut.rawValue ? ("Vous êtes déconnecté.", "You are signed out.") : nil
    }

    private func show(_ call: WebCall, status: Int = 200, next: String? = nil, _ sentence: (french: String, english: String)?) -> HTTPResponse {
        let words = ConsoleGate.words(of: call.request)
        let next = next ?? ConsolePath.isOwn(call.request.queryValue("next"))
        let hidden: Markup = next.map { "<input type=\"hidden\" name=\"next\" value=\"\($0)\"/>" } ?? .empty
        let other = words("en", "fr")
        let note: Markup = sentence.map { "<p role=\"alert\">\(words($0.french, $0.english))</p>" } ?? .empty
        return frame.plain(
            words, status: status, title: words("Connexion", "Sign in"),
            """
            \(note)<form method="post" action="\(ConsolePath.signIn)?lang=\(words.language)">
            \(ConsoleParts.field("name", "name", words("Nom", "Name"), more: " autocomplete=\"username\" autocapitalize=\"none\" maxlength=\"40\""))
            \(ConsoleParts.field(
                "password", "password", words("Mot de passe", "Password"), type: "password", more: " autocomplete=\"current-password\" maxlength=\"200\""))
            \(hidden)<button class="main">\(words("Continuer", "Continue"))</button>
            </form>
            <p class="quiet">\(words("Mot de passe perdu ? Un administrateur en donne un nouveau.", "Lost your password? An admin gives you a new one."))</p>
            <p><a href="\(ConsolePath.signIn)?lang=\(other)" lang="\(other)" hreflang="\(other)">\(words("English", "Français"))</a></p>
            """)
    }

    private func password(_ call: WebCall) async throws -> HTTPResponse {
        let fields = try RequestBody.fields(call.request, allowsJSON: false)
        let next = ConsolePath.isOwn(fields["next"])
        do {
            let begun = try await signIn.password(
                name: fields["name"] ?? "", fields["password"] ?? "", from: gate.place(of: call.request))
            let path = begun.stage == .enrol ? Self.enrol : Self.code
            return gate.leaving(begun.id, to: path + ConsolePath.query([("next", next)]))
        } catch let error as StaffError {
            guard let (status, sentence) = Self.refusal(error, nowMs: signIn.nowMs()) else { throw error }
            return Self.waiting(error, show(call, status: status, next: next, sentence), nowMs: signIn.nowMs())
        }
    }

    /// What whoever is not let in is told: never which part was wrong.
    private static func refusal(_ error: StaffError, nowMs: Int64) -> (Int, (french: String, english: String))? {
        switch error {
        case .refused: return (401, ("Ce n’est pas juste. Réessayez.", "That is not right. Please try again."))
        case .busy: return (503, ("Trop de connexions à la fois. Réessayez.", "Too many sign in at once. Please try again."))
        case .locked(let untilMs):
            let seconds = max(1, (untilMs - nowMs + 999) / 1000)
            return (429, ("Trop d’essais. Réessayez dans \(seconds) s.", "Too many attempts. Try again in \(seconds) s."))
        default: return nil
        }
    }

    private static func waiting(_ error: StaffError, _ response: HTTPResponse, nowMs: Int64) -> HTTPResponse {
        var response = response
        if case .locked(let untilMs) = error { response.headers["Retry-After"] = String(max(1, (untilMs - nowMs + 999) / 1000)) }
        return response
    }

    // MARK: Code

    private func next(_ visit: ConsoleVisit) -> String? { ConsolePath.isOwn(visit.fields["next"] ?? visit.call.request.queryValue("next")) }

    private func hiddenNext(_ visit: ConsoleVisit) -> Markup {
        next(visit).map { "<input type=\"hidden\" name=\"next\" value=\"\($0)\"/>" } ?? .empty
    }

    private static let codeField: Markup = " autocomplete=\"one-time-code\" inputmode=\"text\" maxlength=\"24\" autofocus=\"autofocus\""

    private func showCode(_ visit: ConsoleVisit, status: Int = 200, _ sentence: (french: String, english: String)?) -> HTTPResponse {
        let words = visit.words
        let note: Markup = sentence.map { "<p role=\"alert\">\(words($0.french, $0.english))</p>" } ?? .empty
        return frame.plain(
            words, status: status, title: words("Code à usage unique", "One-time code"),
            """
            \(note)<p>\(words(
                "Six chiffres de votre application, ou un code de secours.", "Six digits of your authenticator app, or a recovery code."))</p>
            <form method="post" action="\(Self.code)">\(visit.token)\(hiddenNext(visit))
            \(ConsoleParts.field("code", "code", words("Code", "Code"), more: Self.codeField))
            <button class="main">\(words("Se connecter", "Sign in"))</button>
            </form>
            """)
    }

    private func takeCode(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        do {
            let begun = try await signIn.code(visit.fields["code"] ?? "", session: visit.session, from: visit.place)
            return gate.leaving(begun.id, to: next(visit) ?? ConsolePath.root)
        } catch let error as StaffError {
            guard let (status, sentence) = Self.refusal(error, nowMs: signIn.nowMs()) else { throw error }
            return Self.waiting(error, showCode(visit, status: status, sentence), nowMs: signIn.nowMs())
        }
    }

    // MARK: Enrolment

    private func showEnrolment(
        _ visit: ConsoleVisit, status: Int = 200, _ sentence: (french: String, english: String)?
    ) async throws -> HTTPResponse {
        guard visit.session.stage == .enrol else { return .redirect(303, Self.code) }
        let words = visit.words
        let key = try await signIn.pendingKey(of: visit.session)
        let note: Markup = sentence.map { "<p role=\"alert\">\(words($0.french, $0.english))</p>" } ?? .empty
        return frame.plain(
            words, status: status, title: words("Activer les codes", "Turn codes on"),
            """
            \(note)<p>\(words(
                "Scannez ce code avec une application d’authentification, puis tapez les six chiffres qu’elle montre.",
                "Scan this code with an authenticator app, then type the six digits that it shows."))</p>
            <p><img class="qr" src="\(Self.enrol)/code.svg" width="220" height="220" alt="\(words("Code QR de la clé", "QR code of the key"))"/></p>
            <p>\(words("Ou tapez cette clé :", "Or type this key:")) <code>\(Base32.encode(key))</code></p>
            <form method="post" action="\(Self.enrol)">\(visit.token)\(hiddenNext(visit))
            \(ConsoleParts.field("code", "code", words("Code", "Code"), more: Self.codeField))
            <button class="main">\(words("Activer", "Turn on"))</button>
            </form>
            """)
    }

    private func picture(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        guard visit.session.stage == .enrol else { throw WebProblem.notFound("there is nothing to enrol") }
        let address = OneTimeCode.address(try await signIn.pendingKey(of: visit.session), name: visit.user.name, issuer: issuer)
        guard let code = QRCode(address) else { throw WebProblem.notFound("the key does not fit into a code") }
        return HTTPResponse(
            status: 200, headers: ["Content-Type": "image/svg+xml", "Content-Security-Policy": "default-src 'none'"], body: Array(code.svg.utf8))
    }

    private func takeEnrolment(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        guard visit.session.stage == .enrol else { return .redirect(303, Self.code) }
        do {
            let begun = try await signIn.enrol(visit.fields["code"] ?? "", session: visit.session, from: visit.place)
            return gate.keeping(begun.id, Self.codes(begun.recoveryCodes, visit.words, next: next(visit) ?? ConsolePath.root, frame))
        } catch let error as StaffError {
            guard let (status, sentence) = Self.refusal(error, nowMs: signIn.nowMs()) else { throw error }
            return Self.waiting(error, try await showEnrolment(visit, status: status, sentence), nowMs: signIn.nowMs())
        }
    }

    /// Recovery codes, shown this once.
    static func codes(_ codes: [String], _ words: Words, next: String, _ frame: ConsoleFrame) -> HTTPResponse {
        let items: [Markup] = codes.map { "<li>\($0)</li>\n" }
        return frame.plain(
            words, title: words("Vos codes de secours", "Your recovery codes"),
            """
            <p>\(words(
                "Chacun remplace une fois le téléphone. Gardez-les sur papier : ils ne seront plus montrés.",
                "Each stands in for the telephone once. Keep them on paper: they are not shown again."))</p>
            <ol class="codes">\(items)</ol>
            <p><a class="button main" href="\(next)">\(words("Continuer", "Continue"))</a></p>
            """)
    }
}
