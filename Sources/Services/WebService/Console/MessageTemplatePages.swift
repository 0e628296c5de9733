import Formats
import HTTPServer
import MessagePort
import Notifications
import Staff

/// The messages that can be sent: what each speaks of, and how it looks in both languages on every channel, with sample values.
struct MessageTemplatePages: Sendable {
    let frame: ConsoleFrame

    static let path = "/console/notifications/templates/"

    var entries: [ConsoleEntry] {
        [
            ConsoleEntry("GET", "/console/notifications/templates/", .viewer, list),
            ConsoleEntry("GET", "/console/notifications/templates/{template}", .viewer, show),
        ]
    }

    private func list(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let words = visit.words
        let rows: [[Markup]] = try MessageTemplate.allCases.map { template in
            let subject = try MessagePreview(template, language: words.language, channel: .email).subject
            return [
                "<a href=\"\(Self.path)\(template.rawValue)\">\(template.rawValue)</a>", "\(subject ?? "")",
                "\(template.isForStaff ? words("l’équipe", "staff") : words("le client", "the customer"))",
                "\(template.variables.map(\.rawValue).joined(separator: ", "))", "\(ConsoleParts.age(template.usefulLifeMs, words))",
            ]
        }
        return frame.page(
            visit, .notifications, title: words("Modèles des messages", "Templates of messages"), wide: true,
            """
            \(ConsoleParts.table(
                words("Tous, en français et en anglais", "All of them, in French and English"),
                [
                    words("Modèle", "Template"), words("Objet, par exemple", "Subject, for example"), words("Pour", "For"),
                    words("Variables", "Variables"), words("Utile pendant", "Of use for"),
                ], rows, none: words("Aucun.", "None.")))
            <p><a href="\(ConsoleFrame.Part.notifications.path)">\(words("Messages envoyés", "Messages sent"))</a></p>
            """)
    }

    private func show(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let words = visit.words
        guard let template = MessageTemplate(rawValue: visit.call.value("template")) else { throw WebProblem.notFound("there is no such template") }
        let parts: [Markup] = try MessagePreview.languages.map { language in
            let channels: [Markup] = try MessageChannel.allCases.map { channel in
                try look(MessagePreview(template, language: language, channel: channel), words)
            }
            return "<h2>\(language == "fr" ? "Français" : "English")</h2>\n\(channels)"
        }
        return frame.page(
            visit, .notifications, title: words("Modèle \(template.rawValue)", "Template \(template.rawValue)"),
            """
            <p><a href="\(Self.path)">\(words("Tous les modèles", "All templates"))</a></p>
            \(variables(template, words))
            \(parts)
            """)
    }

    private func variables(_ template: MessageTemplate, _ words: Words) -> Markup {
        let rows: [[Markup]] = template.variables.map { variable in
            [
                "<code>\(variable.rawValue)</code>", "\(kind(variable.kind, words))",
                "\(variable.isMadeAtSending ? words("à l’envoi", "at sending") : words("avec le travail", "with the job"))",
                "\(variable.sample(in: words.language))",
            ]
        }
        return ConsoleParts.table(
            words("Ses variables ; il n’en existe pas d’autres", "Its variables; there are no others"),
            [words("Variable", "Variable"), words("Sorte", "Kind"), words("Fixée", "Made"), words("Exemple", "Sample")], rows,
            none: words("Aucune.", "None."))
    }

    private func kind(_ kind: MessageVariable.Kind, _ words: Words) -> String {
        switch kind {
        case .text: words("texte", "text")
        case .money: words("somme", "money")
        case .reference: words("référence", "reference")
        case .number: words("nombre", "number")
        case .address: words("adresse", "address")
        case .time: words("date", "time")
        }
    }

    private func look(_ preview: MessagePreview, _ words: Words) -> Markup {
        let language = preview.language
        let subject: Markup = preview.subject.map { "<p lang=\"\(language)\"><b>\($0)</b></p>\n" } ?? .empty
        let count: Markup = preview.parts.map { "<p class=\"quiet\">\($0) SMS</p>\n" } ?? .empty
        let registered: Markup =
            preview.registered.map {
                """
                <p class="quiet">\(words("À déclarer chez Meta, derrière le préfixe, sous", "To be registered at Meta, behind the prefix, as")) \
                <code>\(preview.registeredName ?? "")</code></p>
                <pre lang="\(language)">\($0)</pre>

                """
            } ?? .empty
        return "<h3>\(preview.channel.rawValue)</h3>\n\(subject)<pre lang=\"\(language)\">\(preview.text)</pre>\n\(count)\(registered)"
    }
}
