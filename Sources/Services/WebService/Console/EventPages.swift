import Database
import Formats
import HTTPServer
import Operating
import Payments
import ProviderPort
import Staff
import Telemetry

/// The archive of what providers said, and taking it up again.
struct EventPages: Sendable {
    let database: Database
    let events: PaymentEvents
    let frame: ConsoleFrame

    private static let path = ConsoleFrame.Part.events.path
    static let pageSize = 50
    private static let bodyShown = 12_000
    private static let outcomes: [PaymentEvents.Outcome] = [.unmatched, .quarantined, .verifying, .applied, .ignored]

    var entries: [ConsoleEntry] {
        [
            ConsoleEntry("GET", "/console/events/", .viewer, list),
            ConsoleEntry("GET", "/console/events/{event}/", .viewer) { try await show($0, nil) },
            ConsoleEntry("POST", "/console/events/{event}/preview", .staff, preview),
            ConsoleEntry("POST", "/console/events/{event}/replay", .operator, replay),
        ]
    }

    // MARK: Looking

    private func list(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let (words, request) = (visit.words, visit.call.request)
        func value(_ name: String) -> String? { request.queryValue(name).flatMap { $0.isEmpty ? nil : $0 } }
        let (provider, outcome) = (value("provider"), value("outcome").flatMap(PaymentEvents.Outcome.init(rawValue:)))
        let before = value("before")
        let place = try before.map(Self.place)
        let found = try await database.read {
            try EventArchive.page(provider: provider, outcome: outcome, before: place, limit: Self.pageSize + 1, in: $0)
        }
        let shown = found.prefix(Self.pageSize)
        let next = found.count > Self.pageSize ? shown.last.map { "\($0.receivedAtMs)~\($0.id)" } : nil
        let pairs = [("provider", provider), ("outcome", outcome?.rawValue)]
        let rows: [[Markup]] = shown.map { event in
            [
                ConsoleParts.time(event.receivedAtMs), "<a href=\"\(ConsolePath.event(event.id))\">\(event.id)</a>", "\(event.provider)",
                ConsoleParts.mode(event.mode), "\(event.trust)", "\(event.type)", badge(event.outcome), ConsoleParts.paymentLink(event.payment),
                "\(String(event.deliveries))",
            ]
        }
        return frame.page(
            visit, .events, title: words("Archive des webhooks", "Archive of webhooks"), wide: true,
            """
            \(form(provider, outcome, words))
            \(ConsoleParts.table(
                words("Du plus récent au plus ancien", "The newest first"),
                [
                    words("Reçu (UTC)", "Received (UTC)"), words("Événement", "Event"), words("Prestataire", "Provider"), words("Mode", "Mode"),
                    words("Confiance", "Trust"), words("Type", "Type"), words("Issue", "Outcome"), words("Paiement", "Payment"),
                    "#\(words("Livré", "Deliveries"))",
                ], rows, none: words("Aucun événement.", "No events.")))
            \(ConsoleParts.pager(Self.path, pairs, before: before, next: next, words))
            """)
    }

    private static func place(_ text: String) throws(WebProblem) -> EventArchive.Place {
        let parts = text.split(separator: "~", maxSplits: 1).map(String.init)
        guard parts.count == 2, let ms = Int64(parts[0]) else { throw .invalid("before", "must be a place that a page names") }
        return EventArchive.Place(receivedAtMs: ms, id: parts[1])
    }

    private func badge(_ outcome: String) -> Markup {
        let colours = ["applied": "ok", "verifying": "info", "unmatched": "warn", "quarantined": "bad"]
        return ConsoleParts.badge(outcome, colours[outcome] ?? "")
    }

    private func form(_ provider: String?, _ outcome: PaymentEvents.Outcome?, _ words: Words) -> Markup {
        let all = ConsoleParts.option("", words("tous", "all"), chosen: nil)
        let names = events.providers.names.sorted().map { ConsoleParts.option($0, $0, chosen: provider) }
        let outcomes = Self.outcomes.map { ConsoleParts.option($0.rawValue, $0.rawValue, chosen: outcome?.rawValue) }
        return """
            <form method="get" action="\(Self.path)" class="filter">
            <div>\(ConsoleParts.choice("provider", "provider", words("Prestataire", "Provider"), [all] + names))</div>
            <div>\(ConsoleParts.choice("outcome", "outcome", words("Issue", "Outcome"), [all] + outcomes))</div>
            <button>\(words("Filtrer", "Filter"))</button>
            </form>
            """
    }

    private func show(_ visit: ConsoleVisit, _ trial: EventReplay?) async throws -> HTTPResponse {
        let (words, id) = (visit.words, visit.call.value("event"))
        let content = try await database.read { try EventArchive.content(of: id, in: $0) }
        let event = content.record
        let path = ConsolePath.event(id)
        let look: Markup =
            visit.may(.staff)
            ? ConsoleParts.button(visit, path + "preview", words("Essai à blanc", "Dry run"), style: trial == nil ? "main" : "") : .empty
        let take: Markup =
            visit.may(.operator)
            ? ConsoleParts.button(visit, path + "replay", words("Reprendre", "Take up again"), style: trial == nil ? "" : "main")
            : .empty
        return frame.page(
            visit, .events, title: words("Événement \(id)", "Event \(id)"),
            """
            \(ConsoleParts.list([
                (words("Issue", "Outcome"), badge(event.outcome)), (words("Détail", "Detail"), "\(event.detail ?? "–")"),
                (words("Prestataire", "Provider"), "\(event.provider)"), (words("Mode", "Mode"), ConsoleParts.mode(event.mode)),
                (words("Confiance", "Trust"), "\(event.trust)"), (words("Type", "Type"), "\(event.type)"),
                (words("Reçu", "Received"), ConsoleParts.time(event.receivedAtMs)), (words("Livré", "Deliveries"), "\(String(event.deliveries))"),
                (words("Paiement", "Payment"), ConsoleParts.paymentLink(event.payment)),
            ]))
            \(trial.map { preview($0, words) } ?? .empty)
            <div class="pager">\(look)\(take)</div>
            <h2>\(words("Corps", "Body"))</h2>
            <p class="quiet">\(content.contentType), \(String(content.body.count)) \(words("octets", "bytes"))</p>
            <pre>\(Self.shown(content, visit))</pre>
            <h2>\(words("Reprises", "Taken up again"))</h2>
            \(replays(content, words))
            """)
    }

    /// What is sensitive is hidden; of bytes that are no text only how many there are is told.
    private static func shown(_ content: EventArchive.Content, _ visit: ConsoleVisit) -> String {
        let cut = Array(content.body.prefix(bodyShown))
        if let json = try? JSON(parsing: content.body) { return String(Redaction.json(json).text.prefix(bodyShown)) }
        guard let text = String(validating: cut, as: UTF8.self) else { return "…" }
        return Redaction.text(text)
    }

    private func replays(_ content: EventArchive.Content, _ words: Words) -> Markup {
        let rows: [[Markup]] = content.replays.map { [ConsoleParts.time($0.atMs), "\($0.actor)", badge($0.before), badge($0.after)] }
        return ConsoleParts.table(
            words("Par qui", "By whom"), [words("Quand", "When"), words("Qui", "Who"), words("Avant", "Before"), words("Après", "After")], rows,
            none: words("Jamais.", "Never."))
    }

    // MARK: Again

    /// What taking it up again would change. Nothing of it stays.
    private func preview(_ visit: ConsoleVisit) async throws -> HTTPResponse { try await show(visit, try await take(visit, isTrial: true)) }

    private func replay(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let replay = try await take(visit, isTrial: false)
        try await database.write {
            try visit.record("event.replay", of: replay.event, detail: "\(replay.before.rawValue) → \(replay.outcome.rawValue)", in: $0)
        }
        return visit.done(.replayed, ConsolePath.event(replay.event))
    }

    private func take(_ visit: ConsoleVisit, isTrial: Bool) async throws -> EventReplay {
        try await EventTaking.once(
            visit.call.value("event"), events, nonce: ULID.make(nowMs: visit.nowMs), actor: visit.actor, isTrial: isTrial, nowMs: visit.nowMs,
            database)
    }

    private func preview(_ trial: EventReplay, _ words: Words) -> Markup {
        let state = [trial.stateBefore?.rawValue, trial.stateAfter?.rawValue].map { $0 ?? "–" }.joined(separator: " → ")
        let verdict =
            trial.changesPayment
            ? words("Le paiement changerait.", "The payment would change.") : words("Rien ne changerait.", "Nothing would change.")
        return """
            <section class="done" role="status">
            <h2>\(words("Ce qui se passerait", "What would happen"))</h2>
            <p>\(verdict)</p>
            \(ConsoleParts.list([
                (words("Issue", "Outcome"), "\(trial.before.rawValue) → \(trial.outcome.rawValue)"), (words("Détail", "Detail"), "\(trial.detail ?? "–")"),
                (words("Paiement", "Payment"), ConsoleParts.paymentLink(trial.payment)), (words("État", "State"), "\(state)"),
                (words("Travaux", "Jobs"), "\(trial.jobs.joined(separator: ", "))"), (words("Tâches", "Tasks"), "\(trial.tasks.joined(separator: ", "))"),
                (words("Faits, écritures", "Facts, entries"), "\(String(trial.facts)), \(String(trial.entries))"),
            ]))
            </section>
            """
    }
}
