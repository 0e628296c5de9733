import Database
import Drafts
import Formats
import HTTPServer
import Staff

/// What the AI is told when it writes drafts, in French and English: every version, and which one is used.
struct PromptPages: Sendable {
    let database: Database
    let frame: ConsoleFrame

    private static let path = ConsoleFrame.Part.prompts.path
    /// Of a prompt in the list.
    private static let shown = 160

    var entries: [ConsoleEntry] {
        [
            ConsoleEntry("GET", "/console/prompts/", .viewer, list),
            // The longest prompt, each letter written as four escaped bytes.
            ConsoleEntry("POST", "/console/prompts/", .operator, bodyLimit: 12 * DraftPrompt.limit + 16 * 1024, add),
            ConsoleEntry("GET", "/console/prompts/{language}/{version}/", .viewer, show),
            ConsoleEntry("POST", "/console/prompts/{language}/{version}/activate", .operator, activate),
        ]
    }

    private static func name(_ language: String, _ words: Words) -> String {
        language == "en" ? words("anglais", "English") : words("français", "French")
    }

    // MARK: Looking

    private func list(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let words = visit.words
        let prompts = try await database.read { try DraftPrompt.all(in: $0) }
        let sections: [Markup] = DraftPrompt.languages.map { language in
            let rows: [[Markup]] = prompts.filter { $0.language == language }.map { prompt in
                let beginning = prompt.instructions.prefix(Self.shown)
                return [
                    "<a href=\"\(ConsolePath.prompt(language, prompt.version))\">\(String(prompt.version))</a>", state(prompt, words),
                    "\(prompt.actor)", prompt.createdAtMs == 0 ? "–" : ConsoleParts.time(prompt.createdAtMs),
                    "<span lang=\"\(language)\">\(String(beginning))\(beginning.count < prompt.instructions.count ? "…" : "")</span>",
                ]
            }
            let title = language == "en" ? words("En anglais", "In English") : words("En français", "In French")
            return """
                <h2>\(title)</h2>
                \(ConsoleParts.table(
                    words("Du plus récent au plus ancien", "The newest first"),
                    [
                        words("Version", "Version"), words("État", "State"), words("Par", "By"), words("Quand (UTC)", "When (UTC)"),
                        words("Début", "Beginning"),
                    ], rows, none: words("Aucune.", "None.")))
                """
        }
        return frame.page(
            visit, .prompts, title: words("Consignes de rédaction", "Prompts"), wide: true,
            """
            <p>\(words(
                "Ce que l’IA lit avant d’écrire un brouillon. Que les textes du client sont des données et non des ordres lui est toujours dit en plus.",
                "What the AI is told before it writes a draft. That the customer’s texts are data and no orders is always told besides."))</p>
            \(sections)
            """)
    }

    private func state(_ prompt: DraftPrompt, _ words: Words) -> Markup {
        prompt.isActive ? ConsoleParts.badge(words("en service", "in use"), "ok") : ConsoleParts.badge(words("gardée", "kept"))
    }

    private func show(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let words = visit.words
        let (language, version) = try Self.chosen(visit)
        guard let prompt = try await database.read({ try DraftPrompt.find(language, version: version, in: $0) }) else {
            throw WebProblem.notFound("there is no such prompt")
        }
        let use: Markup =
            prompt.isActive
            ? .empty
            : ConsoleParts.reasoned(
                visit, .operator, "\(ConsolePath.prompt(language, version))activate", words("Mettre en service", "Use from now on"), id: "use",
                style: "main")
        let text: Markup =
            visit.may(.operator) ? form(prompt, visit) : "<pre lang=\"\(language)\">\(prompt.instructions)</pre>"
        let title = words(
            "Consigne en \(Self.name(language, words)), version \(version)", "Prompt in \(Self.name(language, words)), version \(version)")
        return frame.page(
            visit, .prompts, title: title,
            """
            \(ConsoleParts.list([
                (words("État", "State"), state(prompt, words)), (words("Par", "By"), "\(prompt.actor)"),
                (words("Quand (UTC)", "When (UTC)"), prompt.createdAtMs == 0 ? "–" : ConsoleParts.time(prompt.createdAtMs)),
            ]))
            \(use)\(text)
            """)
    }

    /// A new version begins with the text of the one that is looked at.
    private func form(_ prompt: DraftPrompt, _ visit: ConsoleVisit) -> Markup {
        let words = visit.words
        return """
            <form method="post" action="\(Self.path)" class="card">\(visit.token)
            <h2>\(words("Écrire une nouvelle version", "Write a new version"))</h2>
            <input type="hidden" name="language" value="\(prompt.language)"/>
            <label for="instructions">\(words("Consigne, \(DraftPrompt.limit) signes au plus", "Prompt, at most \(DraftPrompt.limit) characters"))</label>
            <textarea id="instructions" name="instructions" lang="\(prompt.language)" rows="16" required="required" \
            maxlength="\(DraftPrompt.limit)">\(prompt.instructions)</textarea>
            \(ConsoleParts.area("prompt-reason", "reason", words("Raison", "Reason")))
            \(ConsoleParts.check("prompt-use", "use", value: "yes", words("la mettre en service", "use it from now on"), isChecked: true))
            <button class="main">\(words("Enregistrer", "Save"))</button>
            </form>
            """
    }

    private static func chosen(_ visit: ConsoleVisit) throws(WebProblem) -> (language: String, version: Int64) {
        guard let version = Int64(visit.call.value("version")), DraftPrompt.languages.contains(visit.call.value("language")) else {
            throw .notFound("there is no such prompt")
        }
        return (visit.call.value("language"), version)
    }

    // MARK: Deeds

    private func add(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let language = visit.fields["language"] ?? ""
        // Browsers end lines with two signs.
        let text = try visit.required("instructions", limit: DraftPrompt.limit).replacing("\r\n", with: "\n")
        let (reason, uses) = (try visit.required("reason", limit: InquiryAudit.reasonLimit), visit.fields["use"] == "yes")
        let prompt = try await database.write { connection in
            let prompt = try DraftPrompt.add(
                text, language: language, activate: uses, actor: visit.actor, reason: reason, nowMs: visit.nowMs, in: connection)
            let detail = "\(uses ? "in use" : "kept"): \(reason)"
            try visit.record("prompt.add", of: "prompt \(language) \(prompt.version)", detail: detail, in: connection)
            return prompt
        }
        return visit.done(.added, ConsolePath.prompt(prompt.language, prompt.version))
    }

    private func activate(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let (language, version) = try Self.chosen(visit)
        let reason = try visit.required("reason", limit: InquiryAudit.reasonLimit)
        try await database.write { connection in
            try DraftPrompt.activate(language, version: version, actor: visit.actor, reason: reason, nowMs: visit.nowMs, in: connection)
            try visit.record("prompt.activate", of: "prompt \(language) \(version)", detail: reason, in: connection)
        }
        return visit.done(.activated, ConsolePath.prompt(language, version))
    }
}
