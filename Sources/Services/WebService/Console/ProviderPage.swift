import Database
import Formats
import HTTPServer
import Payments
import ProviderPort
import Staff

/// The providers: whether they are on, in which mode, where their posts come in, and how they have been doing.
struct ProviderPage: Sendable {
    private let providers: ProviderRegistry
    /// Where providers reach ingest.
    private let ingestURL: String
    private let frame: ConsoleFrame
    /// By provider: a day's attempts are many.
    private let standings: KeptReading<[String: Standing]>

    private struct Standing: Sendable {
        let day: ProviderStanding
        let source: SourceStanding
    }

    /// How far back attempts are looked at.
    private static let windowMs: Int64 = 24 * 60 * 60_000

    init(database: Database, providers: ProviderRegistry, ingestURL: String, frame: ConsoleFrame, nowMs: @escaping @Sendable () -> Int64) {
        self.providers = providers
        self.ingestURL = ingestURL
        self.frame = frame
        standings = KeptReading(freshness: .seconds(15), staleness: .seconds(120)) {
            let (now, names) = (nowMs(), providers.names)
            return try await database.read { connection in
                var standings: [String: Standing] = [:]
                for name in names {
                    standings[name] = Standing(
                        day: try ProviderStanding.read(name, sinceMs: now - Self.windowMs, in: connection),
                        source: try SourceStanding.read(name, nowMs: now, in: connection))
                }
                return standings
            }
        }
    }

    var entries: [ConsoleEntry] { [ConsoleEntry("GET", "/console/providers/", .viewer, show)] }

    private func show(_ visit: ConsoleVisit) async throws -> HTTPResponse {
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
        let ended = standing.captured + standing.failed
        let rate = ended > 0 ? "\(standing.failed * 100 / ended) %" : "–"
        let proof = capabilities.hasProof ? words("oui", "yes") : words("aucune : toujours redemandé", "none: always asked again")
        let health: Markup = standing.isAiling ? ConsoleParts.badge(words("malade", "ailing"), "bad") : .empty
        let url: Markup = capabilities.hasWebhook ? "<code>\(ingestURL)/webhooks/\(adapter.name)</code>" : "–"
        let age = ConsoleParts.age(source.last.map { visit.nowMs - $0.receivedAtMs }, words)
        return [
            "\(adapter.name) \(health)", ConsoleParts.mode(mode), "\(proof)", url, "\(age)", "\(String(standing.attempts))",
            "\(String(standing.waiting))",
            "\(String(standing.captured))", "\(String(standing.failed))", "\(rate)", "\(String(source.unheardAttempts))",
            "\(capabilities.callsPerSecond.map { String(Int($0)) } ?? "–")",
        ]
    }
}
