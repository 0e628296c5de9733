import Database
import Formats
import HTTPServer
import Payments
import ProviderPort
import Staff

/// The providers: whether they are on, in which mode, where their posts come in, and how they have been doing; of each its ways to pay, which
/// staff switch off and on.
struct ProviderPage: Sendable {
    private let database: Database
    private let providers: ProviderRegistry
    /// Where providers reach ingest.
    private let ingestURL: String
    private let frame: ConsoleFrame
    /// By provider: a day's attempts are many.
    private let standings: KeptReading<[String: Standing]>

    struct Standing: Sendable {
        let hour: ProviderStanding
        let day: ProviderStanding
        let source: SourceStanding
    }

    private static let hourMs: Int64 = 60 * 60_000
    /// How far back attempts are looked at.
    private static let windowMs = 24 * hourMs
    /// Of the newest events.
    private static let eventsShown = 8

    init(database: Database, providers: ProviderRegistry, ingestURL: String, frame: ConsoleFrame, nowMs: @escaping @Sendable () -> Int64) {
        self.database = database
        self.providers = providers
        self.ingestURL = ingestURL
        self.frame = frame
        standings = KeptReading(freshness: .seconds(15), staleness: .seconds(120)) {
            let (now, names) = (nowMs(), providers.names)
            return try await database.read { connection in
                var standings: [String: Standing] = [:]
                for name in names { standings[name] = try Self.standing(of: name, nowMs: now, in: connection) }
                return standings
            }
        }
    }

    private static func standing(of name: String, nowMs now: Int64, in connection: Connection) throws -> Standing {
        Standing(
            hour: try ProviderStanding.read(name, sinceMs: now - hourMs, in: connection),
            day: try ProviderStanding.read(name, sinceMs: now - windowMs, in: connection),
            source: try SourceStanding.read(name, nowMs: now, in: connection))
    }

    var entries: [ConsoleEntry] {
        [
            ConsoleEntry("GET", "/console/providers/", .viewer, list), ConsoleEntry("GET", "/console/providers/{provider}/", .viewer, show),
            ConsoleEntry("POST", "/console/providers/{provider}/off", .operator) { try await turn(on: false, $0) },
            ConsoleEntry("POST", "/console/providers/{provider}/on", .operator) { try await turn(on: true, $0) },
        ]
    }

    // MARK: List

    private func list(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let words = visit.words
        let all = providers.all.sorted { $0.adapter.name < $1.adapter.name }
        let standings = try await standings.value()
        let rows: [[Markup]] = all.compactMap { provider in
            standings[provider.adapter.name].map { row(provider.adapter, provider.mode, $0.day, $0.source, visit) }
        }
        return frame.page(
            visit, .providers, title: words("Prestataires", "Providers"), wide: true,
            """
            <p>\(words(
                "Ceux qui sont en service. `quittance source` les met en marche, les arrête et change leurs secrets.",
                "Those that are on. `quittance source` turns them on and off and changes their secrets."))</p>
            \(ConsoleParts.table(
                words("Les 24 dernières heures", "The last 24 hours"),
                [
                    words("Prestataire", "Provider"), words("Mode", "Mode"), words("Preuve", "Proof"), words("Adresse à déclarer", "Address to register"),
                    words("Dernier événement", "Last event"), "#\(words("Essais", "Attempts"))", "#\(words("En attente", "Waiting"))",
                    "#\(words("Payés", "Captured"))", "#\(words("Échoués", "Failed"))", "#\(words("Taux d’échec", "Failure rate"))",
                    "#\(words("Sans nouvelle", "Unheard of"))", words("Appels par seconde", "Calls a second"),
                ], rows, none: words("Aucun prestataire n’est en service.", "No provider is on.")))
            """)
    }

    private func row(
        _ adapter: any PaymentProvider, _ mode: String, _ standing: ProviderStanding, _ source: SourceStanding, _ visit: ConsoleVisit
    ) -> [Markup] {
        let words = visit.words
        let capabilities = adapter.capabilities
        let proof = capabilities.hasProof ? words("oui", "yes") : words("aucune : toujours redemandé", "none: always asked again")
        let health: Markup = standing.isAiling ? ConsoleParts.badge(words("malade", "ailing"), "bad") : .empty
        let age = ConsoleParts.age(source.last.map { visit.nowMs - $0.receivedAtMs }, words)
        return [
            "<a href=\"\(ConsolePath.provider(adapter.name))\">\(adapter.name)</a> \(health)", ConsoleParts.mode(mode), "\(proof)", address(adapter),
            "\(age)", "\(String(standing.attempts))",
            "\(String(standing.waiting))",
            "\(String(standing.captured))", "\(String(standing.failed))", "\(standing.failureRate)", "\(String(source.unheardAttempts))",
            "\(capabilities.callsPerSecond.map { String(Int($0)) } ?? "–")",
        ]
    }

    /// Where its posts are to come in.
    private func address(_ adapter: any PaymentProvider) -> Markup {
        adapter.capabilities.hasWebhook ? "<code>\(ingestURL)/webhooks/\(adapter.name)</code>" : "–"
    }

    // MARK: One provider

    private func adapter(_ visit: ConsoleVisit) throws(WebProblem) -> (adapter: any PaymentProvider, mode: String) {
        let name = visit.call.value("provider")
        guard let adapter = providers[name], let mode = providers.mode(of: name) else { throw .notFound("no provider of this name is on") }
        return (adapter, mode)
    }

    private func show(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let (words, now) = (visit.words, visit.nowMs)
        let (adapter, mode) = try adapter(visit)
        let name = adapter.name
        let kept = try await standings.value()[name]
        let (switches, events, standing) = try await database.read { connection in
            (
                try NetworkSwitches.read(in: connection), try EventArchive.page(provider: name, limit: Self.eventsShown, in: connection),
                try kept ?? Self.standing(of: name, nowMs: now, in: connection)
            )
        }
        let told = words("et avec chaque paiement, une adresse à lui seul", "and with each payment, an address of its own")
        let own: Markup = adapter.addressSigner == nil ? .empty : "<br/>\(told)"
        let rows: [[Markup]] = events.map { event in
            [
                ConsoleParts.time(event.receivedAtMs), "<a href=\"\(ConsolePath.event(event.id))\">\(event.id)</a>", "\(event.type)",
                "\(event.trust)", "\(event.outcome)", ConsoleParts.paymentLink(event.payment),
            ]
        }
        return frame.page(
            visit, .providers, title: words("Prestataire \(name)", "Provider \(name)"), wide: true,
            """
            \(ConsoleParts.list([
                (words("Mode", "Mode"), ConsoleParts.mode(mode)),
                (words("Adresse à déclarer", "Address to register"), "\(address(adapter))\(own)"),
                (words("Dernier événement", "Last event"), "\(ConsoleParts.age(standing.source.last.map { now - $0.receivedAtMs }, words))"),
                (words("Taux d’échec, dernière heure", "Failure rate, last hour"), "\(standing.hour.failureSentence(words))"),
                (words("Taux d’échec, dernier jour", "Failure rate, last day"), "\(standing.day.failureSentence(words))"),
                (words("Appels par seconde", "Calls a second"), "\(adapter.capabilities.callsPerSecond.map { String(Int($0)) } ?? "–")"),
            ]))
            <h2>\(words("Moyens de paiement", "Ways to pay"))</h2>
            \(ProviderWays(visit: visit, adapter: adapter, switches: switches).markup)
            <h2>\(words("Derniers événements", "Last events"))</h2>
            \(ConsoleParts.table(
                words("Du plus récent au plus ancien", "The newest first"),
                [
                    words("Reçu (UTC)", "Received (UTC)"), words("Événement", "Event"), words("Type", "Type"), words("Confiance", "Trust"),
                    words("Issue", "Outcome"), words("Paiement", "Payment"),
                ], rows, none: words("Aucun événement.", "No events.")))
            """)
    }

    /// Switches one of its ways off or on: in force with the next page and the next attempt.
    private func turn(on isOn: Bool, _ visit: ConsoleVisit) async throws -> HTTPResponse {
        let (adapter, _) = try adapter(visit)
        guard let way = adapter.offer.choice(word: visit.fields["way"] ?? "") else {
            throw WebProblem.invalid("way", "must be one of the provider's ways to pay")
        }
        let reason = try visit.required("reason", limit: NetworkSwitches.reasonLimit)
        let name = adapter.name
        try await database.write { connection in
            let changed =
                isOn
                ? try NetworkSwitches.switchOn(way, at: name, in: connection)
                : try NetworkSwitches.switchOff(way, at: name, actor: visit.actor, reason: reason, nowMs: visit.nowMs, in: connection)
            guard changed else { throw WebProblem.conflict("it is \(isOn ? "on" : "off") already") }
            try visit.record("network.\(isOn ? "on" : "off")", of: "\(name) \(way.word)", detail: reason, in: connection)
        }
        return visit.done(isOn ? .switchedOn : .switchedOff, ConsolePath.provider(name))
    }
}

extension ProviderStanding {
    /// Of the attempts that came to an end, how many failed.
    fileprivate var failureRate: String {
        let ended = captured + failed
        return ended > 0 ? "\(failed * 100 / ended) %" : "–"
    }

    fileprivate func failureSentence(_ words: Words) -> String {
        let ended = captured + failed
        guard ended > 0 else { return words("– (aucun essai terminé)", "– (no attempt ended)") }
        return words("\(failureRate) (\(failed) sur \(ended))", "\(failureRate) (\(failed) of \(ended))")
    }
}
