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
    let cancelling: PaymentCancelling
    let streams: TeamStreams
    let clients: ClientAddresses
    let page: Page
    /// Nil where the installation has no secret to sign with.
    let link: TeamLink?
    let baseURL: String
    let nowMs: @Sendable () -> Int64
    private let underWay = StartsUnderWay()

    init(
        database: Database, start: AttemptStart, cancelling: PaymentCancelling, streams: TeamStreams, clients: ClientAddresses, page: Page,
        link: TeamLink?, baseURL: String, nowMs: @escaping @Sendable () -> Int64
    ) {
        self.database = database
        self.start = start
        self.cancelling = cancelling
        self.streams = streams
        self.clients = clients
        self.page = page
        self.link = link
        self.baseURL = baseURL
        self.nowMs = nowMs
    }

    var routes: [Route] {
        [
            Route("POST", "/api/teams/{team}/page-link", .api(scope: APIKey.teams), bodyLimit: 4096, makeLink),
            Route("GET", "/teams/{team}/settings", .page, bodyLimit: 0, show),
            Route(following: "/teams/{team}/settings/events", .page, follow),
            Route("POST", "/teams/{team}/settings/upgrade", .page, bodyLimit: 4096, upgrade),
            Route("POST", "/teams/{team}/settings/cancel", .page, bodyLimit: 4096, cancel),
            Route("POST", "/teams/{team}/settings/plan", .page, bodyLimit: 4096, changePlan), TeamFollow.route,
        ]
    }

    // MARK: The link

    private func makeLink(_ call: WebCall) async throws -> HTTPResponse {
        guard let link else {
            throw WebProblem(status: 503, title: "No links", detail: "SECRET_KEY is not set, so that no link can be signed")
        }
        let (id, now) = (call.value("team"), nowMs())
        let team = try await database.read { try call.teams.team(id, in: $0) }
        let token = link.token(for: team.id, nowMs: now)
        let address = TeamPageAddress(team: team.id, token: token.text, way: .given)
        return .json(201, ["url": .string(baseURL + address.path), "expires_at": PaymentAnswer.time(token.expiresAtMs)])
    }

    /// The address of a page that may be seen; nil for whatever is wrong.
    private func admitted(_ call: WebCall) -> TeamPageAddress? {
        let (team, token) = (call.value("team"), call.request.queryValue("t") ?? "")
        guard let way = link?.way(of: token, for: team, nowMs: nowMs()) else { return nil }
        return TeamPageAddress(team: team, token: token, way: way)
    }

    /// The one answer to every address that leads nowhere: it must not tell which teams there are.
    private var nowhere: HTTPResponse { page.notFound(Words("fr")) }

    // MARK: Showing

    private func show(_ call: WebCall) async throws -> HTTPResponse {
        guard let address = admitted(call) else { return nowhere }
        let tab = TeamPageTab(rawValue: call.request.queryValue("tab") ?? "") ?? .plan
        let now = nowMs()
        guard let content = try await database.read({ try TeamPageContent(of: address.team, nowMs: now, in: $0) }) else { return nowhere }
        let note = TeamPageNote(rawValue: call.request.queryValue("note") ?? "")
        return TeamPageView(content: content, address: address, tab: tab, note: note, page: page).response
    }

    /// Tells the page when there is something else to show. A token that has run out ends it for good: 204 is how a browser is told so.
    private func follow(_ call: WebCall) async throws -> WebAnswer {
        guard let address = admitted(call) else { return .whole(HTTPResponse(status: 204)) }
        let seen = call.request.headers["last-event-id"] ?? call.request.queryValue("mark")
        let answer = try await streams.open(
            address.team, seen: seen, who: clients.limitKey(of: call.request), untilMs: address.expiresAtMs)
        return answer ?? .whole(HTTPResponse(status: 204))
    }

    // MARK: Paying

    /// Sends the browser on to the payment page, in a window of its own. A second click, or a second tab, leads to the same attempt.
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

    /// Ends the payment that is under way, where its provider agrees.
    private func cancel(_ call: WebCall) async throws -> HTTPResponse {
        guard let address = admitted(call) else { return nowhere }
        let id = try RequestBody.fields(call.request, allowsJSON: false)["payment"] ?? ""
        let team = address.team
        do {
            let outcome = try await cancelling(by: call.actor) { connection in
                let payment = try PaymentStore.require(id, in: connection)
                guard payment.purpose == PlanPurpose.name, payment.subject == team else { throw PaymentError.notFound(id) }
                return payment
            }
            let note: TeamPageNote = outcome.agreed ? .cancelled : outcome.trouble == nil ? .refused : .unasked
            return .redirect(303, address.path(.payments, telling: note))
        } catch {
            guard let problem = WebProblem(error) else { throw error }
            return problem.status == 409 ? .redirect(303, address.path(.payments, telling: .over)) : nowhere
        }
    }

    // MARK: Changing

    /// Free after this period, or the same plan again.
    private func changePlan(_ call: WebCall) async throws -> HTTPResponse {
        guard let address = admitted(call) else { return nowhere }
        let wanted = try RequestBody.fields(call.request, allowsJSON: false)["next"] ?? ""
        let (team, now) = (address.team, nowMs())
        guard ["free", "keep"].contains(wanted) else { throw WebProblem.invalid("next", "must be free or keep") }
        do {
            let isThere = try await database.write { connection in
                guard try TeamStore.find(team, in: connection) != nil else { return false }
                try TeamPlanCalls.change(wanted == "free" ? Plan.free : nil, of: team, actor: address.actor, nowMs: now, in: connection)
                return true
            }
            return isThere ? .redirect(303, address.path(.plan, telling: wanted == "free" ? .ending : .kept)) : nowhere
        } catch let problem as WebProblem {
            // Its period has ended meanwhile: the page shows what there is now.
            guard problem.status == 409 else { throw problem }
            return .redirect(303, address.path(.plan))
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
