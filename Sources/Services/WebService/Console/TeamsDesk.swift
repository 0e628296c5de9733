import Database
import Formats
import Plans
import Usage

/// What all teams use, as of one moment.
struct TeamsReading: Sendable {
    /// By team; those that use nothing are not there.
    let standings: [String: Usage.TeamStanding]
    /// The greatest first.
    let byTraffic: [Usage.TeamStanding]
    let byStorage: [Usage.TeamStanding]
    /// Teams that have come to 80 % of one of their limits.
    let nearLimits: Int
    /// Teams of whose storage something was not measured for long, or never whole: the greatest first.
    let stale: [Usage.TeamStanding]
    /// Subscriptions by status.
    let subscriptions: [String: Int64]
    let readAtMs: Int64

    static func read(nowMs: Int64, in connection: Connection) throws -> TeamsReading {
        let all = try UsageRanking.standings(nowMs: nowMs, in: connection)
        let byStorage = UsageRanking.sorted(all, by: .storage)
        return TeamsReading(
            standings: Dictionary(all.map { ($0.team, $0) }) { first, _ in first }, byTraffic: UsageRanking.sorted(all, by: .traffic),
            byStorage: byStorage, nearLimits: all.count { $0.level >= .warning },
            stale: byStorage.filter { $0.gauge.isStale(nowMs: nowMs) || $0.gauge.isIncomplete(nowMs: nowMs) },
            subscriptions: try PlanFigures.counts(in: connection), readAtMs: nowMs)
    }

    /// The greatest consumers that have come this near to a limit.
    func top(by metric: UsageMetric, atLeast level: UsageLevel, limit: Int) -> [Usage.TeamStanding] {
        Array((metric == .traffic ? byTraffic : byStorage).lazy.filter { $0.use(of: metric).level >= level }.prefix(limit))
    }
}

/// Reads what all teams use, at most once a minute and only while somebody looks: it goes through every project.
struct TeamsDesk: Sendable {
    /// Pages wait no longer than this.
    private static let patience = Duration.milliseconds(50)

    private let reading: KeptReading<TeamsReading>

    init(database: Database, nowMs: @escaping @Sendable () -> Int64) {
        reading = KeptReading(freshness: .seconds(60), staleness: .seconds(600)) {
            let now = nowMs()
            return try await database.read { try TeamsReading.read(nowMs: now, in: $0) }
        }
    }

    /// Nil while it is being read for the first time.
    func read() async throws -> TeamsReading? { try await reading.value(within: Self.patience) }

    /// As of when a page tells it, or that it is being counted.
    static func asOf(_ reading: TeamsReading?, _ words: Words) -> Markup {
        guard let reading else { return SumsDesk.away(words) }
        return "<p class=\"quiet\">\(words("Compté à", "As of")) \(ConsoleParts.time(reading.readAtMs)) UTC</p>"
    }
}

/// How pages of the console tell what a team has used.
enum TeamFigures {
    static func badge(_ level: UsageLevel, _ words: Words) -> Markup {
        let colours: [UsageLevel: String] = [.ok: "ok", .warning: "warn", .critical: "bad", .exceeded: "bad"]
        return ConsoleParts.badge(UsageWords.level(level, words), colours[level] ?? "")
    }

    /// `4.00 GB, 80 %`, with a badge once a limit comes near.
    static func use(_ use: MetricUse?, _ words: Words) -> Markup {
        guard let use, use.used > 0 else { return "–" }
        let percent: Markup = use.percent.map { ", \(Int(clamping: $0))\u{A0}%" } ?? .empty
        let level: Markup = use.level == .ok ? .empty : " \(badge(use.level, words))"
        return "\(UsageWords.figure(use.used, words))\(percent)\(level)"
    }

    static func status(_ status: String?, _ words: Words) -> Markup {
        guard let status, PlanFigures.statuses.contains(status) else { return "–" }
        return ConsoleParts.badge(name(ofStatus: status, words), ["active": "ok", "grace": "warn"][status] ?? "")
    }

    /// A subscription's status in words.
    static func name(ofStatus status: String, _ words: Words) -> String {
        switch status {
        case "active": words("actif", "active")
        case "grace": words("délai de grâce", "grace")
        case "ended": words("terminé", "ended")
        default: status
        }
    }

    static func link(_ team: String) -> Markup { "<a href=\"\(ConsolePath.team(team))\">\(team)</a>" }

    static func metric(_ metric: UsageMetric, _ words: Words) -> String {
        metric == .traffic ? words("trafic", "traffic") : words("stockage", "storage")
    }

    /// What a team was told; with its name where several teams' are shown.
    static func alerts(_ alerts: [UsageAlert], naming: Bool, _ words: Words) -> Markup {
        let rows: [[Markup]] = alerts.map { alert in
            let state: Markup =
                switch alert.state {
                case .sent: ConsoleParts.badge(words("envoyée", "sent"), "ok")
                case .superseded: ConsoleParts.badge(words("dépassée par la suivante", "superseded"))
                case .untold: ConsoleParts.badge(words("personne à prévenir", "nobody to tell"), "warn")
                }
            let cells: [Markup] = [
                "\(metric(alert.metric, words))", "\(String(alert.threshold.rawValue))\u{A0}%", "\(alert.period.description)",
                "\(UsageWords.figure(alert.usedBytes, words)) \(words("sur", "of")) \(UsageWords.bytes(alert.limitBytes, words))", "\(alert.plan)",
                state,
            ]
            return [ConsoleParts.time(alert.createdAtMs)] + (naming ? [link(alert.team)] : []) + cells
        }
        let columns =
            [words("Quand (UTC)", "When (UTC)")] + (naming ? [words("Équipe", "Team")] : [])
            + [
                words("Mesure", "Metric"), "#\(words("Seuil", "Threshold"))", words("Mois", "Month"), words("Utilisé", "Used"),
                words("Forfait", "Plan"), words("État", "State"),
            ]
        return ConsoleParts.table(
            words("De la plus récente à la plus ancienne", "The newest first"), columns, rows, none: words("Aucune alerte.", "No alerts."))
    }
}
