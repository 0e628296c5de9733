import Database
import Formats
import HTTPServer
import JobQueueRedis
import Money
import Payments
import PaymentsService
import ProviderPort
import Scheduling
import Settings
import Staff

/// The staff's console, `/console/`: its pages and deeds, and who may use which.
struct Console: Sendable {
    /// Every method and path, with whom it is for.
    let entries: [ConsoleEntry]
    private let gate: ConsoleGate
    private let passwords: PasswordRoom

    /// What the console stands on.
    struct Parts: Sendable {
        let configuration: WebConfiguration
        let database: Database
        let events: PaymentEvents
        /// Nil where there is no Redis: the pages of queues say so.
        let queues: RedisQueues?
        let cron: CronTable?
        let dueNowMs: @Sendable () async throws -> Int64
        let nowMs: @Sendable () -> Int64
    }

    /// Nil without a secret key: nothing can then be sealed, and nobody signs in.
    init?(_ parts: Parts) {
        guard let secret = parts.configuration.secretKey else { return nil }
        let (database, frame) = (parts.database, ConsoleFrame())
        let limits = parts.configuration.console.sessionLimits
        let gate = ConsoleGate(
            database: database, limits: limits, frame: frame, clients: ClientAddresses(proxies: parts.configuration.trustedProxies),
            isSecure: parts.configuration.baseURL.hasPrefix("https://"), nowMs: parts.nowMs)
        let passwords = PasswordRoom(cost: parts.configuration.passwordCost)
        let signIn = SignIn(
            database: database, passwords: passwords, keys: SealingKeys(secret: secret.value), limits: limits, nowMs: parts.nowMs)
        let teams = TeamsDesk(database: database, nowMs: parts.nowMs)
        let desk = FiguresDesk(database: database, queues: parts.queues, teams: teams, nowMs: parts.nowMs)
        let rates = RatesDesk(database: database, nowMs: parts.nowMs)
        let sums = SumsDesk(database: database, nowMs: parts.nowMs)
        let refunds = StaffRefunds(
            refunds: Refunds(facts: parts.events.facts, providers: parts.events.providers), limits: parts.configuration.console.limits)
        let publication = Product.publication(terms: parts.configuration.downloadTerms, canSign: true, outbox: parts.events.facts.outbox)
        let groups: [[ConsoleEntry]] = [
            SignInPages(signIn: signIn, gate: gate, frame: frame, issuer: Self.issuer(parts.configuration.baseURL)).entries,
            AccountPages(database: database, signIn: signIn, gate: gate, frame: frame).entries,
            OverviewPage(desk: desk, streams: FigureStreams(desk: desk), frame: frame).entries,
            PaymentListPage(database: database, providers: parts.events.providers, desk: sums, frame: frame).entries,
            TeamListPage(database: database, desk: teams, frame: frame).entries,
            TeamDetailPage(database: database, frame: frame).entries,
            ConsumersPage(database: database, desk: teams, frame: frame).entries,
            FiguresPage(desk: sums, frame: frame).entries,
            PaymentDetailPage(database: database, refunds: refunds, frame: frame).entries,
            PaymentDeeds(database: database, events: parts.events, refunds: refunds).entries,
            TaskPage(database: database, queues: parts.queues, frame: frame).entries,
            ProviderPage(
                database: database, providers: parts.events.providers, ingestURL: parts.configuration.ingestURL, frame: frame, nowMs: parts.nowMs
            ).entries,
            QueuePages(database: database, queues: parts.queues, cron: parts.cron, dueNowMs: parts.dueNowMs, rates: rates, frame: frame).entries,
            EventPages(database: database, events: parts.events, frame: frame).entries,
            KitPages(
                database: database, storage: parts.configuration.storage, drafts: parts.configuration.drafts,
                publication: publication, outbox: parts.events.facts.outbox,
                terms: parts.configuration.drafting, frame: frame
            ).entries,
            TemplatePages(database: database, shelf: parts.configuration.templates, drafts: parts.configuration.drafts, frame: frame).entries,
            PromptPages(database: database, frame: frame).entries, MessageTemplatePages(frame: frame).entries,
            NotificationPage(database: database, frame: frame).entries,
            OptOutPage(database: database, frame: frame).entries,
            UserPages(database: database, passwords: passwords, frame: frame).entries, AuditPage(database: database, frame: frame).entries,
        ]
        entries = Array(groups.joined())
        self.gate = gate
        self.passwords = passwords
    }

    var routes: [Route] { entries.map(gate.route) + [ConsoleStyle.route, ConsoleScript.route] }

    /// Ends its threads.
    func close() { passwords.close() }

    /// `Quittance shop.example.org`
    private static func issuer(_ baseURL: String) -> String {
        let place = CallerCheck.origin(of: baseURL).split(separator: "/").last ?? ""
        return "Quittance \(place.prefix { $0 != ":" })"
    }
}

extension ConsoleSettings {
    var sessionLimits: StaffSession.Limits {
        var limits = StaffSession.Limits()
        limits.idleMs = Int64(idleMinutes) * 60_000
        limits.longestMs = Int64(sessionHours) * 3_600_000
        return limits
    }

    /// Sums of currencies that are known here.
    var limits: [Money] {
        refundLimits.compactMap { sum in (try? Currency(code: sum.currency)).flatMap { try? Money(parsing: sum.amount, currency: $0) } }
    }
}
