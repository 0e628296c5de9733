import Database
import Formats
import HTTPServer
import Staff

/// What everybody may do about themselves: password, language, recovery codes, sessions, leaving.
struct AccountPages: Sendable {
    let database: Database
    let signIn: SignIn
    let gate: ConsoleGate
    let frame: ConsoleFrame

    private static let path = ConsoleFrame.Part.account.path

    var entries: [ConsoleEntry] {
        [
            ConsoleEntry("GET", "/console/account/", .viewer) { try await show($0, nil) },
            ConsoleEntry("POST", "/console/account/password", .viewer, changePassword),
            ConsoleEntry("POST", "/console/account/language", .viewer, changeLanguage),
            ConsoleEntry("POST", "/console/account/codes", .viewer, renewCodes),
            ConsoleEntry("POST", "/console/account/sessions/{session}/end", .viewer, endSession),
            ConsoleEntry("POST", "/console/sign-out", .viewer, signOut),
        ]
    }

    private func show(_ visit: ConsoleVisit, status: Int = 200, _ problem: String?) async throws -> HTTPResponse {
        let words = visit.words
        let sessions = try await database.read { [limits = gate.limits] in
            try StaffSession.list(of: visit.user.id, limits: limits, nowMs: visit.nowMs, in: $0)
        }
        let must: Markup =
            visit.user.mustChangePassword
            ? "<p class=\"alarm\" role=\"alert\">\(words("Choisissez d’abord un mot de passe à vous.", "First choose a password of your own."))</p>"
            : .empty
        let note: Markup = problem.map { "<p class=\"alarm\" role=\"alert\">\($0)</p>" } ?? .empty
        return frame.page(
            visit, .account, status: status, title: words("Mon compte", "My account"),
            """
            \(must)\(note)\(passwordForm(visit))
            \(languageForm(visit))
            \(codesForm(visit))
            <h2>\(words("Sessions", "Sessions"))</h2>
            \(table(sessions, visit))
            """)
    }

    private func passwordForm(_ visit: ConsoleVisit) -> Markup {
        let words = visit.words
        let rule = words(
            "Au moins \(PasswordRule.shortest) caractères, sans votre nom.", "At least \(PasswordRule.shortest) characters, without your name.")
        return """
            <form method="post" action="/console/account/password" class="card">\(visit.token)
            <h2>\(words("Mot de passe", "Password"))</h2>
            \(ConsoleParts.field("old", "old", words("L’actuel", "The present one"), type: "password", more: " autocomplete=\"current-password\""))
            \(ConsoleParts.field("new", "new", words("Le nouveau", "The new one"), type: "password", more: " autocomplete=\"new-password\" aria-describedby=\"rule\""))
            <p class="quiet" id="rule">\(rule)</p>
            \(ConsoleParts.field("again", "again", words("Encore une fois", "Once more"), type: "password", more: " autocomplete=\"new-password\""))
            <button class="main">\(words("Changer", "Change"))</button>
            </form>
            """
    }

    private func codesForm(_ visit: ConsoleVisit) -> Markup {
        let words = visit.words
        return """
            <form method="post" action="/console/account/codes" class="card">\(visit.token)
            <h2>\(words("Codes de secours", "Recovery codes"))</h2>
            <p>\(words("De nouveaux codes remplacent les anciens.", "New codes take the place of the old ones."))</p>
            \(ConsoleParts.field(
                "codes-password", "password", words("Votre mot de passe", "Your password"), type: "password",
                more: " autocomplete=\"current-password\""))
            <button>\(words("Faire de nouveaux codes", "Make new codes"))</button>
            </form>
            """
    }

    private func languageForm(_ visit: ConsoleVisit) -> Markup {
        let words = visit.words
        let options = [("fr", "Français"), ("en", "English")].map { ConsoleParts.option($0, $1, chosen: visit.user.language) }
        return """
            <form method="post" action="/console/account/language" class="card">\(visit.token)
            \(ConsoleParts.choice("language", "language", words("Langue de la console", "Language of the console"), options))
            <button>\(words("Choisir", "Choose"))</button>
            </form>
            """
    }

    private func table(_ sessions: [StaffSession], _ visit: ConsoleVisit) -> Markup {
        let words = visit.words
        let rows: [[Markup]] = sessions.map { session in
            let isThis = session.number == visit.session.number
            let end: Markup =
                isThis
                ? ConsoleParts.badge(words("celle-ci", "this one"), "ok")
                : ConsoleParts.button(
                    visit, "/console/account/sessions/\(String(session.number))/end", words("Terminer", "End"), about: session.address)
            return [ConsoleParts.time(session.createdAtMs), ConsoleParts.time(session.usedAtMs), "\(session.address)", "\(session.agent)", end]
        }
        return ConsoleParts.table(
            words("Où vous êtes connecté", "Where you are signed in"),
            [words("Depuis", "Since"), words("Vue", "Seen"), words("Adresse", "Address"), words("Navigateur", "Browser"), words("Fin", "End")], rows,
            none: words("Aucune.", "None."))
    }

    // MARK: Changing

    private func changePassword(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let words = visit.words
        let (old, new) = (visit.fields["old"] ?? "", visit.fields["new"] ?? "")
        guard new == visit.fields["again"] else {
            return try await show(visit, status: 422, words("Les deux nouveaux ne sont pas les mêmes.", "The two new ones are not the same."))
        }
        do {
            try await signIn.changePassword(from: old, to: new, session: visit.session, from: visit.place)
        } catch StaffError.refused {
            return try await show(visit, status: 422, words("L’actuel n’est pas juste.", "The present one is not right."))
        } catch StaffError.invalid(_, let rule) {
            return try await show(visit, status: 422, words("Le nouveau ne convient pas : \(rule).", "The new one does not fit: it \(rule)."))
        }
        return visit.done(.changed, Self.path)
    }

    private func changeLanguage(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let language = visit.fields["language"] ?? "fr"
        try await database.write { try StaffStore.setLanguage(language, of: visit.user.id, in: $0) }
        return visit.done(.changed, Self.path)
    }

    private func renewCodes(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let codes: [String]
        do {
            codes = try await signIn.renewCodes(visit.fields["password"] ?? "", session: visit.session, from: visit.place)
        } catch StaffError.refused {
            return try await show(visit, status: 422, visit.words("Le mot de passe n’est pas juste.", "The password is not right."))
        }
        return SignInPages.codes(codes, visit.words, next: Self.path, frame)
    }

    private func endSession(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        guard let number = Int64(visit.call.value("session")) else { throw WebProblem.notFound("there is no such session") }
        let isEnded = try await database.write { try StaffSession.end(number, of: visit.user.id, in: $0) }
        guard isEnded else { throw WebProblem.notFound("there is no such session") }
        return visit.done(.ended, Self.path)
    }

    private func signOut(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        try await database.write { connection in
            try StaffSession.end(visit.session.number, of: visit.user.id, in: connection)
            try StaffAudit.record(
                "sign-out", of: visit.user.name, actor: visit.actor, address: visit.place.address, nowMs: visit.nowMs, in: connection)
        }
        return gate.leaving(nil, to: ConsolePath.signIn + "?done=\(ConsoleNote.signedOut.rawValue)&lang=\(visit.user.language)")
    }
}
