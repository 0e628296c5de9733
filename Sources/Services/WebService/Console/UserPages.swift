import Cryptography
import Database
import Formats
import HTTPServer
import Staff

/// Who may sign in: for admins. Passwords that are given out are shown once, and changed by whoever gets them.
struct UserPages: Sendable {
    let database: Database
    let passwords: PasswordRoom
    let frame: ConsoleFrame

    private static let path = ConsoleFrame.Part.users.path
    /// Each has several forms: more would be a heavy page.
    static let pageSize = 20

    var entries: [ConsoleEntry] {
        [
            ConsoleEntry("GET", "/console/users/", .admin, show), ConsoleEntry("POST", "/console/users/", .admin, add),
            ConsoleEntry("POST", "/console/users/{user}/role", .admin, changeRole),
            ConsoleEntry("POST", "/console/users/{user}/enable", .admin) { try await setEnabled(true, $0) },
            ConsoleEntry("POST", "/console/users/{user}/disable", .admin) { try await setEnabled(false, $0) },
            ConsoleEntry("POST", "/console/users/{user}/password", .admin, resetPassword),
        ]
    }

    private func show(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let words = visit.words
        let after = visit.call.request.queryValue("after") ?? ""
        let found = try await database.read { try StaffStore.list(after: after, limit: Self.pageSize + 1, in: $0) }
        let users = found.prefix(Self.pageSize)
        let rows: [[Markup]] = users.map { user in
            [
                "\(user.name)", roleForm(user, visit),
                user.isEnabled ? ConsoleParts.badge(words("actif", "enabled"), "ok") : ConsoleParts.badge(words("arrêté", "disabled"), "bad"),
                "\(user.hasCodes ? words("oui", "yes") : words("pas encore", "not yet"))", ConsoleParts.time(user.createdAtMs),
                ConsoleParts.time(user.signedInAtMs), buttons(user, visit),
            ]
        }
        let roles = StaffRole.allCases.map { ConsoleParts.option($0.rawValue, $0.rawValue, chosen: "viewer") }
        return frame.page(
            visit, .users, title: words("Utilisateurs", "Users"), wide: true,
            """
            \(ConsoleParts.table(
                words("Qui peut se connecter", "Who may sign in"),
                [
                    words("Nom", "Name"), words("Rôle", "Role"), words("État", "State"), words("Codes", "Codes"), words("Créé", "Created"),
                    words("Dernière connexion", "Last sign-in"), words("Action", "Action"),
                ], rows, none: words("Personne.", "Nobody.")))
            \(pager(after, next: found.count > Self.pageSize ? users.last?.name : nil, words))
            <form method="post" action="\(Self.path)" class="card">\(visit.token)
            <h2>\(words("Ajouter", "Add"))</h2>
            \(ConsoleParts.field("name", "name", words("Nom", "Name"), more: " autocapitalize=\"none\" maxlength=\"40\""))
            \(ConsoleParts.choice("role", "role", words("Rôle", "Role"), roles))
            <button class="main">\(words("Ajouter", "Add"))</button>
            </form>
            """)
    }

    /// By name, so that it goes on behind one.
    private func pager(_ after: String, next: String?, _ words: Words) -> Markup {
        guard !after.isEmpty || next != nil else { return .empty }
        let first: Markup = after.isEmpty ? .empty : "<a href=\"\(Self.path)\" rel=\"first\">\(words("Les premiers", "The first"))</a>"
        let following: Markup =
            next.map { "<a href=\"\(Self.path)\(ConsolePath.query([("after", $0)]))\" rel=\"next\">\(words("Les suivants", "The next"))</a>" }
            ?? .empty
        return "<p class=\"pager\">\(first) \(following)</p>"
    }

    private func roleForm(_ user: StaffUser, _ visit: ConsoleVisit) -> Markup {
        let words = visit.words
        let options = StaffRole.allCases.map { ConsoleParts.option($0.rawValue, $0.rawValue, chosen: user.role.rawValue) }
        return """
            <form method="post" action="\(path(user, "role"))">\(visit.token)
            <select name="role" aria-label="\(words("Rôle de \(user.name)", "Role of \(user.name)"))">\(options)</select>
            <button>\(words("Changer", "Change"))</button></form>
            """
    }

    private func path(_ user: StaffUser, _ deed: String) -> String { "\(Self.path)\(user.id)/\(deed)" }

    private func buttons(_ user: StaffUser, _ visit: ConsoleVisit) -> Markup {
        let words = visit.words
        let switching =
            user.isEnabled
            ? ConsoleParts.button(
                visit, path(user, "disable"), words("Arrêter", "Disable"), about: user.name, style: "danger",
                confirm: words("Arrêter \(user.name) ?", "Disable \(user.name)?"))
            : ConsoleParts.button(visit, path(user, "enable"), words("Rétablir", "Enable"), about: user.name)
        return """
            \(switching)
            \(ConsoleParts.button(
                visit, path(user, "password"), words("Nouveau mot de passe", "New password"), about: user.name,
                confirm: words("Donner un nouveau mot de passe ?", "Give a new password?")))
            \(ConsoleParts.button(
                visit, path(user, "password"), words("Et nouveaux codes", "And new codes"), about: user.name,
                confirm: words("Le téléphone est perdu ?", "Is the telephone lost?"), fields: [("codes", "drop")]))
            """
    }

    // MARK: Changing

    private func add(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let name = try visit.required("name", limit: 40)
        let role = try Self.role(visit)
        let password = Self.makePassword()
        let hash = try await passwords.hash(password)
        let user = try await database.write { connection in
            try StaffStore.add(
                name, role: role, password: hash, mustChange: true, language: visit.user.language, actor: visit.actor, nowMs: visit.nowMs,
                in: connection)
        }
        return told(password, of: user.name, visit)
    }

    private static func role(_ visit: ConsoleVisit) throws(WebProblem) -> StaffRole {
        guard let role = StaffRole(rawValue: visit.fields["role"] ?? "") else {
            throw .invalid("role", "must be one of \(StaffRole.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return role
    }

    /// 100 random bits in groups that can be read out.
    private static func makePassword() -> String {
        let text = Array(Base32.encode(SecureRandom.bytes(13)).lowercased().prefix(20))
        return stride(from: 0, to: text.count, by: 5).map { String(text[$0..<min($0 + 5, text.count)]) }.joined(separator: "-")
    }

    private func told(_ password: String, of name: String, _ visit: ConsoleVisit) -> HTTPResponse {
        let words = visit.words
        return frame.page(
            visit, .users, title: words("Mot de passe de \(name)", "Password of \(name)"),
            """
            <p>\(words("Il n’est montré que cette fois, et changé à la connexion :", "It is shown this once, and changed at the sign-in:"))</p>
            <p><code>\(password)</code></p>
            <p><a class="button" href="\(Self.path)">\(words("Continuer", "Continue"))</a></p>
            """)
    }

    private func changeRole(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let (user, role) = (visit.call.value("user"), try Self.role(visit))
        try await database.write { try StaffStore.setRole(role, user, actor: visit.actor, nowMs: visit.nowMs, in: $0) }
        return visit.done(.changed, Self.path)
    }

    private func setEnabled(_ isEnabled: Bool, _ visit: ConsoleVisit) async throws -> HTTPResponse {
        let user = visit.call.value("user")
        try await database.write { try StaffStore.setEnabled(isEnabled, user, actor: visit.actor, nowMs: visit.nowMs, in: $0) }
        return visit.done(.changed, Self.path)
    }

    private func resetPassword(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let (id, dropsCodes) = (visit.call.value("user"), visit.fields["codes"] == "drop")
        let password = Self.makePassword()
        let hash = try await passwords.hash(password)
        let name = try await database.write { connection in
            try StaffStore.setPassword(
                hash, of: id, mustChange: true, dropsCodes: dropsCodes, actor: visit.actor, nowMs: visit.nowMs, in: connection)
            return try StaffStore.require(id, in: connection).name
        }
        return told(password, of: name, visit)
    }
}
