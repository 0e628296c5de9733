import Access
import Database
import Formats
import HTTPServer
import Payments
import Plans
import ProviderPort
import Teams
import Usage

/// `/teams/<team>/settings`: a team's plan, usage and payments for its people, behind a link that lasts an hour.
struct TeamPages: Sendable {
    let database: Database
    let start: AttemptStart
    let page: Page
    /// Nil where the installation has no secret to sign with.
    let link: TeamLink?
    let baseURL: String
    let nowMs: @Sendable () -> Int64
    private let underWay = StartsUnderWay()

    init(
        database: Database, start: AttemptStart, page: Page, link: TeamLink?, baseURL: String, nowMs: @escaping @Sendable () -> Int64
    ) {
        self.database = database
        self.start = start
        self.page = page
        self.link = link
        self.baseURL = baseURL
        self.nowMs = nowMs
    }

    var routes: [Route] {
        [
            Route("POST", "/api/teams/{team}/page-link", .api(scope: APIKey.teams), bodyLimit: 4096, makeLink),
            Route("GET", "/teams/{team}/settings", .page, bodyLimit: 0, show),
            Route("POST", "/teams/{team}/settings/upgrade", .page, bodyLimit: 4096, upgrade),
        ]
    }

    // MARK: The link

    private func makeLink(_ call: WebCall) async throws -> HTTPResponse {
        guard let link else {
            throw WebProblem(status: 503, title: "No links", detail: "SECRET_KEY is not set, so that no link can be signed")
        }
        let (id, now) = (call.value("team"), nowMs())
        let team = try await database.read { try TeamRecordCalls.require(id, in: $0) }
        let token = link.token(for: team.id, nowMs: now)
        return .json(
            201,
            [
                "url": .string(baseURL + TeamPageAddress(team: team.id, token: token.text).path), "expires_at": PaymentAnswer.time(token.expiresAtMs),
            ])
    }

    /// The address of a page that may be seen; nil for whatever is wrong.
    private func admitted(_ call: WebCall) -> TeamPageAddress? {
        let address = TeamPageAddress(team: call.value("team"), token: call.request.queryValue("t") ?? "")
        guard let link, link.accepts(address.token, for: address.team, nowMs: nowMs()) else { return nil }
        return address
    }

    /// The one answer to every address that leads nowhere: it must not tell which teams there are.
    private var nowhere: HTTPResponse { page.notFound(Words("fr")) }

    // MARK: Showing

    private func show(_ call: WebCall) async throws -> HTTPResponse {
        guard let address = admitted(call) else { return nowhere }
        let tab = TeamPageTab(rawValue: call.request.queryValue("tab") ?? "") ?? .plan
        let now = nowMs()
        guard let content = try await database.read({ try TeamPageContent(of: address.team, nowMs: now, in: $0) }) else { return nowhere }
        return TeamPageView(content: content, address: address, tab: tab, page: page).response
    }

    // MARK: Paying

    /// Sends the browser on to the payment page. A second click, or a second tab, leads to the same attempt.
    private func upgrade(_ call: WebCall) async throws -> HTTPResponse {
        guard let address = admitted(call) else { return nowhere }
        let fields = try RequestBody.fields(call.request, allowsJSON: false)
        let now = nowMs()
        let found = try await database.read { connection in
            try TeamStore.find(address.team, in: connection).map { ($0, try TeamStore.members(of: $0.id, in: connection)) }
        }
        guard let (team, members) = found else { return nowhere }
        let words = Words(team.language)
        let back = address.path(.payments)
        do {
            let upgrade = try PlanUpgrade(Self.order(team, members, method: fields["payment_method"] ?? ""), team: team.id)
            let plan = AttemptStart.Plan(
                provider: TeamCalls.provider, method: upgrade.method, actor: call.actor, reuses: true)
            let started = try await underWay.start("\(team.id) \(upgrade.method)") {
                try await start(plan) { connection in
                    let new = try upgrade.payment(nowMs: now, in: connection)
                    return try upgrade.begun(new, nowMs: now, in: connection)
                        ?? PaymentStore.create(new, actor: plan.actor, nowMs: now, in: connection)
                }
            }
            // Without an address to go to, the page shows the code to scan.
            guard let url = started.attempt.paymentURL, SafeLink.isSafe(url) else { return .redirect(303, back) }
            return .redirect(303, url)
        } catch {
            if case .notAllowed? = error as? PaymentError { return .redirect(303, back) }
            guard let problem = WebProblem(error) else { throw error }
            return page.problem(problem, words, back: back)
        }
    }

    /// What the API is sent for the same: the plan's price is ours to know, and the team's owner gets the confirmation.
    private static func order(_ team: Team, _ members: [TeamMember], method: String) -> JSON {
        let payer = members.first { $0.role == .owner } ?? members.first
        return [
            "payment_method": .string(method), "metadata": ["plan_upgrade": true, "new_plan": .string(Plan.pro)],
            "customer": [
                "name": .string(payer?.name ?? team.name), "email": .optional(payer?.email), "language": .string(payer?.language ?? team.language),
            ],
        ]
    }
}

enum TeamPageTab: String, CaseIterable { case plan, usage, payments }

/// Where a team's page is, with the token that opens it.
struct TeamPageAddress: Sendable {
    let team: String
    let token: String

    var path: String { "/teams/\(PercentEncoding.encodePathSegment(team))/settings?t=\(PercentEncoding.encodePathSegment(token))" }
    func path(_ tab: TeamPageTab) -> String { "\(path)&tab=\(tab.rawValue)" }
    var upgradePath: String {
        "/teams/\(PercentEncoding.encodePathSegment(team))/settings/upgrade?t=\(PercentEncoding.encodePathSegment(token))"
    }
}

/// All that a team's page shows, of one moment.
struct TeamPageContent: Sendable {
    struct PaymentLine: Sendable {
        let payment: Payment
        let attempt: PaymentAttempt?
    }

    let nowMs: Int64
    let team: Team
    let plan: Plan
    /// What is on sale; nil when nothing is.
    let offer: Plan?
    let subscription: Subscription?
    let usage: TeamUsage
    let uses: [(resource: ResourceLimits.Resource, allowance: Allowance)]
    let projectNames: [String: String]
    let months: [(period: UsagePeriod, point: UsagePoint)]
    let payments: [PaymentLine]

    /// Nil when there is no such team.
    init?(of id: String, nowMs: Int64, in connection: Connection) throws {
        guard let team = try TeamStore.find(id, in: connection),
            let usage = try UsageReading.team(id, UsagePeriod(containing: nowMs), nowMs: nowMs, in: connection)
        else { return nil }
        self.nowMs = nowMs
        self.team = team
        self.usage = usage
        plan = usage.plan
        offer = try Plan.onSale(Plan.pro, atMs: nowMs, in: connection)
        subscription = try Subscription.of(team: id, in: connection)
        uses = try ResourceLimits.Resource.allCases.compactMap { resource in
            try ResourceLimits.check(resource, adding: 0, team: id, nowMs: nowMs, in: connection).map { (resource, $0) }
        }
        projectNames = Dictionary(
            try TeamStore.projects(of: id, in: connection).map { ($0.id, $0.name) }, uniquingKeysWith: { first, _ in first })
        months = try UsageReading.months(of: id, count: 6, nowMs: nowMs, in: connection)
        payments = try PaymentStore.history(purpose: PlanPurpose.name, subject: id, limit: TeamCalls.historyMax, in: connection).map {
            PaymentLine(payment: $0, attempt: try PaymentStore.attempts(of: $0.id, in: connection).last)
        }
    }

    var isPro: Bool { plan.id == Plan.pro }
}
