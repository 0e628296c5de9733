import Database
import Formats
import HTTPServer
import MessagePort
import Notifications
import Staff

/// Who does not want to be written to on a channel: as carriers told it, or as somebody asked.
struct OptOutPage: Sendable {
    let database: Database
    let frame: ConsoleFrame

    static let path = "/console/notifications/opt-outs/"
    static let pageSize = 50

    var entries: [ConsoleEntry] {
        [
            ConsoleEntry("GET", Self.path, .viewer, show), ConsoleEntry("POST", Self.path, .staff, add),
            ConsoleEntry("POST", "\(Self.path)remove", .staff, remove),
        ]
    }

    private func show(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let words = visit.words
        let before = visit.call.request.queryValue("before").flatMap(OptOut.Place.init)
        let found = try await database.read { try OptOut.list(limit: Self.pageSize + 1, before: before, in: $0) }
        let shown = found.prefix(Self.pageSize)
        let rows: [[Markup]] = shown.map { one in
            let button: Markup =
                visit.may(.staff)
                ? ConsoleParts.button(
                    visit, "\(Self.path)remove", words("Écrire de nouveau", "Write again"), about: one.address,
                    confirm: words("Cette personne veut-elle de nouveau des messages ?", "Does this person want to be written to again?"),
                    fields: [("id", String(one.id))]) : .empty
            return ["\(one.channel.rawValue)", "\(one.address)", ConsoleParts.time(one.sinceMs), "\(one.source)", button]
        }
        let next = found.count > Self.pageSize ? shown.last?.place.text : nil
        return frame.page(
            visit, .notifications, title: words("Refus de messages", "Opt-outs"),
            """
            <p>\(words(
                "Rien ne part plus vers ces adresses par ce canal ; un autre canal est essayé s’il y en a un. Les adresses ne sont gardées que masquées.",
                "Nothing goes to these addresses by that channel any more; another channel is tried where there is one. Addresses are kept masked only."
            ))</p>
            \(visit.may(.staff) ? form(visit) : .empty)
            \(ConsoleParts.table(
                words("Du plus récent au plus ancien", "The newest first"),
                [
                    words("Canal", "Channel"), words("Adresse", "Address"), words("Depuis (UTC)", "Since (UTC)"), words("Dit par", "Said by"),
                    words("Action", "Action"),
                ], rows, none: words("Personne n’a refusé.", "Nobody has refused.")))
            \(ConsoleParts.pager(Self.path, [], before: before?.text, next: next, words))
            <p><a href="\(ConsoleFrame.Part.notifications.path)">\(words("Messages envoyés", "Messages sent"))</a></p>
            """)
    }

    private func form(_ visit: ConsoleVisit) -> Markup {
        let words = visit.words
        let channels = MessageChannel.allCases.map { ConsoleParts.option($0.rawValue, $0.rawValue, chosen: nil) }
        return """
            <form method="post" action="\(Self.path)" class="card">\(visit.token)
            <h2>\(words("Ne plus écrire à quelqu’un", "Write to somebody no more"))</h2>
            \(ConsoleParts.choice("channel", "channel", words("Canal", "Channel"), channels))
            \(ConsoleParts.field(
                "address", "address", words("Adresse ou numéro (+228…)", "Address or number (+228…)"), more: " maxlength=\"254\" autocomplete=\"off\""))
            \(ConsoleParts.field("reason", "reason", words("Comment on l’a su", "How it was said"), more: " maxlength=\"150\""))
            <button class="main">\(words("Ne plus écrire", "Write no more"))</button>
            </form>
            """
    }

    private func add(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        guard let channel = visit.fields["channel"].flatMap(MessageChannel.init(rawValue:)) else {
            throw WebProblem.invalid("channel", "must be one of \(MessageChannel.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        // Not as texts are read: a telephone number may look like a card's.
        let address = String((visit.fields["address"] ?? "").trimmingBlanks)
        guard OptOut.isAddress(address, on: channel) else {
            throw WebProblem.invalid("address", channel == .email ? "must be an e-mail address" : "must be a telephone number as +22890000001")
        }
        let reason = try visit.required("reason", limit: 150)
        try await database.write { connection in
            let isNew = try OptOut.record(address, on: channel, source: "\(visit.actor): \(reason)", nowMs: visit.nowMs, in: connection)
            guard isNew else { return }
            try visit.record("optout.add", of: OptOut.masked(address, on: channel), detail: "\(channel.rawValue): \(reason)", in: connection)
        }
        return visit.done(.added, Self.path)
    }

    private func remove(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        guard let id = visit.fields["id"].flatMap({ Int64($0) }) else { throw WebProblem.notFound("there is no such opt-out") }
        try await database.write { connection in
            guard let lifted = try OptOut.lift(id: id, in: connection) else { throw WebProblem.notFound("there is no such opt-out") }
            try visit.record("optout.remove", of: lifted.address, detail: lifted.channel.rawValue, in: connection)
        }
        return visit.done(.changed, Self.path)
    }
}
