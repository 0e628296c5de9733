import Access
import Database
import Formats
import HTTPServer
import Money
import Payments
import Plans
import ProviderPort

/// `/api/payments/…` as Servelink's front end calls it: a team pays for a plan, at the price of the plan that is on sale.
struct TeamCalls: Sendable {
    static let provider = "payment-backend"
    static let methods = ["mobile_money", "credit_card"]
    /// Plans by the names they are shown under.
    static let shownNames = ["pro": "pay_as_you_go"]
    static let historyMax = 50

    let database: Database
    let start: AttemptStart
    let once: IdempotentRun
    let nowMs: @Sendable () -> Int64

    var routes: [Route] {
        let scope = Route.Kind.api(scope: APIKey.plans)
        return [
            Route("POST", "/api/payments/{team}/initiate", scope, initiate), Route("GET", "/api/payments/{team}/history", scope, history),
            Route("GET", "/api/payments/{payment}/status", scope, counted: .status, status),
        ]
    }

    private func initiate(_ call: WebCall) async throws -> HTTPResponse {
        let upgrade = try PlanUpgrade(try RequestBody.json(call.request), team: call.value("team"))
        return try await once(call, required: false, within: { try call.teams.require(upgrade.team, in: $0) }) { claim in
            let plan = AttemptStart.Plan(
                provider: Self.provider, method: upgrade.method, returnURL: upgrade.returnURL, actor: call.actor, claim: claim)
            let now = nowMs()
            let started = try await start(plan) { connection in
                try call.teams.require(upgrade.team, in: connection)
                let new = try upgrade.payment(nowMs: now, in: connection)
                return try PaymentStore.create(new, actor: call.actor, nowMs: now, in: connection)
            }
            return .json(201, try await database.read { try TeamPayment(started.payment, nowMs: now, in: $0).json })
        }
    }

    private func status(_ call: WebCall) async throws -> HTTPResponse {
        let id = call.value("payment")
        let now = nowMs()
        return try await database.read { connection in
            .json(200, try TeamPayment(try Self.payment(id, call.teams, in: connection), nowMs: now, in: connection).json)
        }
    }

    /// The payment of a team within reach.
    /// - Throws: ``PaymentError/notFound(_:)`` for any other.
    static func payment(_ id: String, _ teams: TeamReach, in connection: Connection) throws -> Payment {
        let payment = try teams.payment(id, in: connection)
        guard payment.purpose == PlanPurpose.name else { throw PaymentError.notFound(id) }
        return payment
    }

    private func history(_ call: WebCall) async throws -> HTTPResponse {
        let team = call.value("team")
        let limit = Int(try call.whole("limit", in: 1...Int64(Self.historyMax), else: Int64(Self.historyMax)))
        let before = call.request.queryValue("before")
        let now = nowMs()
        return try await database.read { connection in
            try call.teams.require(team, in: connection)
            // One more than asked for tells whether there is a next page.
            let payments = try PaymentStore.history(
                purpose: PlanPurpose.name, subject: team, before: before, limit: limit + 1, in: connection)
            let page = payments.prefix(limit)
            return .json(
                200,
                [
                    "payments": .array(try page.map { try TeamPayment($0, nowMs: now, in: connection).json }),
                    "next": .optional(payments.count > limit ? page.last?.id : nil),
                ])
        }
    }
}

/// A request of a team to pay for a plan.
struct PlanUpgrade: Sendable {
    let team: String
    let plan: String
    let method: String
    let returnURL: String?
    let customer: Customer
    private let description: String?
    private let metadata: [String: String]
    private let claimedAmount: String?
    private let claimedCurrency: String?

    /// - Throws: ``WebProblem`` 422 with every field that breaks a rule.
    init(_ json: JSON, team: String) throws(WebProblem) {
        var fields = FieldReader(json)
        if !Slug.isValid(team, most: 64) { fields.fault("team", Slug.rule(most: 64)) }
        let method = fields.word("payment_method", of: TeamCalls.methods, required: true)
        let metadata = fields.texts("metadata")
        let named = metadata["new_plan"] ?? ""
        if named.isEmpty { fields.fault("metadata.new_plan", "is required") }
        if let upgrade = metadata["plan_upgrade"], upgrade != "true" { fields.fault("metadata.plan_upgrade", "must be true") }
        claimedAmount = fields.decimal("amount")
        claimedCurrency = fields.text("currency", limit: 3)
        returnURL = fields.url("return_url")
        var reader = FieldReader(json["customer"] ?? [:], prefix: "customer")
        customer = CustomerFields.read(&reader, name: team)
        fields.add(reader.faults)
        try fields.check()
        self.team = team
        self.method = method ?? TeamCalls.methods[0]
        plan = TeamCalls.shownNames[named] ?? named
        description = metadata["description"]
        self.metadata = metadata
    }

    /// The payment of the same plan at the same price that the team began a short while ago and has not paid.
    func begun(_ new: NewPayment, nowMs: Int64, in connection: Connection) throws -> Payment? {
        try PaymentStore.history(purpose: new.purpose, subject: team, limit: 10, in: connection).first { payment in
            payment.state.isOpen && payment.amount == new.amount && payment.metadata["new_plan"] == new.metadata["new_plan"]
                && payment.metadata["plan_version"] == new.metadata["plan_version"] && nowMs - payment.createdAtMs < AttemptStart.reuseForMs
        }
    }

    /// The payment at the price on sale; whatever price the caller names can only agree with it.
    func payment(nowMs: Int64, in connection: Connection) throws -> NewPayment {
        guard let sold = try Plan.onSale(plan, atMs: nowMs, in: connection) else {
            throw WebProblem.invalid("metadata.new_plan", "is no plan on sale: '\(plan.prefix(40))'")
        }
        guard sold.price.isPositive else { throw WebProblem.invalid("metadata.new_plan", "costs nothing: there is nothing to pay") }
        let price = "the plan's price is \(sold.price.decimalText) \(sold.price.currency)"
        if let claimedCurrency, claimedCurrency != sold.price.currency.code { throw WebProblem.invalid("currency", price) }
        if let claimedAmount, (try? Money(parsing: claimedAmount, currency: sold.price.currency)) != sold.price {
            throw WebProblem.invalid("amount", price)
        }
        var metadata = metadata
        metadata["team_id"] = team
        metadata["new_plan"] = sold.id
        metadata["plan_version"] = String(sold.version)
        metadata["plan_upgrade"] = "true"
        // Told from what we know ourselves: the provider gets these back to us, and would make the caller's word its own.
        metadata["description"] = nil
        metadata["transaction_id"] = nil
        return NewPayment(
            purpose: PlanPurpose.name, subject: team, description: description ?? "Servelink \(sold.name)", amount: sold.price, customer: customer,
            metadata: metadata)
    }
}
