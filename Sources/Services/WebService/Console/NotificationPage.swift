import Database
import Formats
import HTTPServer
import MessagePort
import Notifications
import Staff
import Telemetry

/// Messages that went out or did not, and how each template looks.
struct NotificationPage: Sendable {
    let database: Database
    let frame: ConsoleFrame

    private static let path = ConsoleFrame.Part.notifications.path
    static let pageSize = 50

    var entries: [ConsoleEntry] {
        [
            ConsoleEntry("GET", "/console/notifications/", .viewer, list)
        ]
    }

    private func list(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let (words, request) = (visit.words, visit.call.request)
        func value(_ name: String) -> String? { request.queryValue(name).flatMap { $0.isEmpty ? nil : $0 } }
        let state = value("state").flatMap(NotificationRecord.State.init(rawValue:))
        let channel = value("channel").flatMap(MessageChannel.init(rawValue:))
        let before = value("before")
        let filter = NotificationRecord.Filter(
            state: state, channel: channel, before: before.map { "<\($0)>" }, limit: Self.pageSize + 1)
        let found = try await database.read { try NotificationRecord.list(filter, in: $0) }
        let shown = found.prefix(Self.pageSize)
        let contact = Contact(visit)
        let rows: [[Markup]] = shown.map { message in
            [
                ConsoleParts.time(message.createdAtMs), "\(message.template)", "\(message.channel)", "\(contact.address(message.recipient))",
                badge(message.state), "\(String(message.attempts))", ConsoleParts.paymentLink(message.payment),
                "\(Redaction.text(String((message.error ?? "").prefix(200))))", ConsoleParts.time(message.sentAtMs),
            ]
        }
        let all = ConsoleParts.option("", words("tous", "all"), chosen: nil)
        let states = NotificationRecord.State.allCases.map { ConsoleParts.option($0.rawValue, $0.rawValue, chosen: state?.rawValue) }
        let channels = MessageChannel.allCases.map { ConsoleParts.option($0.rawValue, $0.rawValue, chosen: channel?.rawValue) }
        // The Message-ID tells nothing of whom a message is for.
        let next = found.count > Self.pageSize ? shown.last.map { $0.messageID.filter { $0 != "<" && $0 != ">" } } : nil
        let templates: [Markup] = MessageTemplate.allCases.map {
            "<li><a href=\"\(Self.path)templates/\($0.rawValue)\">\($0.rawValue)</a></li>\n"
        }
        return frame.page(
            visit, .notifications, title: words("Messages envoyés", "Messages sent"), wide: true,
            """
            <form method="get" action="\(Self.path)" class="filter">
            <div>\(ConsoleParts.choice("state", "state", words("État", "State"), [all] + states))</div>
            <div>\(ConsoleParts.choice("channel", "channel", words("Canal", "Channel"), [all] + channels))</div>
            <button>\(words("Filtrer", "Filter"))</button>
            </form>
            \(ConsoleParts.table(
                words("Du plus récent au plus ancien", "The newest first"),
                [
                    words("Quand (UTC)", "When (UTC)"), words("Modèle", "Template"), words("Canal", "Channel"), words("À", "To"), words("État", "State"),
                    "#\(words("Essais", "Attempts"))", words("Paiement", "Payment"), words("Erreur", "Error"), words("Parti", "Sent"),
                ], rows, none: words("Aucun message.", "No messages.")))
            \(ConsoleParts.pager(Self.path, [("state", state?.rawValue), ("channel", channel?.rawValue)], before: before, next: next, words))
            <p><a href="\(OptOutPage.path)">\(words("Qui ne veut plus de messages", "Who does not want to be written to"))</a></p>
            <h2>\(words("Modèles", "Templates"))</h2>
            <ul>\(templates)</ul>
            """)
    }

    private func badge(_ state: String) -> Markup {
        let colours = [
            "sent": "ok", "delivered": "ok", "read": "ok", "pending": "info", "refused": "bad", "failed": "bad", "late": "warn", "unknown": "warn",
        ]
        return ConsoleParts.badge(state, colours[state] ?? "")
    }
}
