import Access
import Database
import Drafts
import Formats
import HTTPServer
import Invoicing
import Money
import Payments
import ProviderPort

/// `/api/v1/payments/…`: payments of other systems' orders, attempts at providers, where a payment stands.
struct PaymentCalls: Sendable {
    let database: Database
    let events: PaymentEvents
    let start: AttemptStart
    let once: IdempotentRun
    let nowMs: @Sendable () -> Int64

    var routes: [Route] {
        let scope = Route.Kind.api(scope: APIKey.payments)
        return [
            Route("POST", "/api/v1/payments/", scope, create), Route("GET", "/api/v1/payments/{payment}/", scope, counted: .status, show),
            Route("POST", "/api/v1/payments/{provider}/initiate/", scope, initiate),
            Route("GET", "/api/v1/payments/{provider}/{payment}/status/", scope, counted: .status, status),
        ]
    }

    // MARK: Creating

    private func create(_ call: WebCall) async throws -> HTTPResponse {
        let order = try ForeignOrder(try RequestBody.json(call.request))
        if let provider = order.provider { try checkReporter(provider) }
        return try await once(call, required: false) { claim in
            let now = nowMs()
            return try await database.write { connection in
                if let made = claim?.made { return try Self.answer(201, made, call.teams, in: connection) }
                if let provider = order.provider { try Self.refuseKnown(order, provider, in: connection) }
                let payment = try PaymentStore.create(order.payment, actor: call.actor, nowMs: now, in: connection)
                try claim?.note(payment.id, in: connection)
                if let provider = order.provider { try expect(order, of: payment, at: provider, nowMs: now, in: connection) }
                return try Self.answer(201, payment.id, call.teams, in: connection)
            }
        }
    }

    /// Only a provider that starts nothing here but reports what was paid elsewhere can be named at once.
    private func checkReporter(_ name: String) throws {
        guard let adapter = events.providers[name] else {
            throw WebProblem.invalid("provider", "'\(name.prefix(40))' is not on here; on are: \(events.providers.names.joined(separator: ", "))")
        }
        guard !adapter.capabilities.hasInitiate else {
            throw WebProblem.invalid("provider", "\(name) is started with POST /api/v1/payments/\(name)/initiate/")
        }
    }

    /// The order's events could lead to one payment only.
    private static func refuseKnown(_ order: ForeignOrder, _ provider: String, in connection: Connection) throws {
        let reference = ProviderReference("order", order.payment.subject)
        guard let known = try PaymentStore.attempt(of: [reference], provider: provider, in: connection) else { return }
        throw WebProblem.conflict(
            "order_id '\(order.payment.subject)' has a payment already", extra: [("payment", .string(known.payment))])
    }

    /// Starts the attempt that the order's events will lead to, and lets those take effect that came before it.
    private func expect(
        _ order: ForeignOrder, of payment: Payment, at provider: String, nowMs: Int64, in connection: Connection
    ) throws {
        let mode = events.providers.mode(of: provider) ?? "sandbox"
        let attempt = try PaymentStore.startAttempt(
            of: payment, provider: provider, mode: mode, method: nil, capabilities: events.providers.known(provider)?.capabilities, nowMs: nowMs,
            in: connection)
        let reference = ProviderReference("order", payment.subject)
        try PaymentStore.register([reference], attempt: attempt.id, provider: provider, nowMs: nowMs, in: connection)
        try events.rematch(attempt, nowMs: nowMs, in: connection)
    }

    // MARK: Attempts

    private func initiate(_ call: WebCall) async throws -> HTTPResponse {
        let provider = call.value("provider")
        _ = try start.adapter(named: provider)
        var fields = FieldReader(try RequestBody.json(call.request))
        let payment = fields.text("payment", required: true, limit: 64) ?? ""
        let choice = try AttemptChoice(&fields)
        return try await once(call, required: true, within: call.reaching(payment)) { claim in
            let plan = choice.plan(at: provider, actor: call.actor, claim: claim)
            let started = try await start(plan) { try call.teams.payment(payment, in: $0) }
            return .json(201, PaymentAnswer.started(started))
        }
    }

    // MARK: Reading

    private func show(_ call: WebCall) async throws -> HTTPResponse {
        try await database.read { try Self.answer(200, call.value("payment"), call.teams, in: $0) }
    }

    /// The payment of that id, or of a reference that the provider knows it by.
    private func status(_ call: WebCall) async throws -> HTTPResponse {
        let (provider, id) = (call.value("provider"), call.value("payment"))
        return try await database.read { connection in
            let named = try PaymentStore.attempt(of: [.ours(id)], provider: provider, in: connection)?.payment ?? id
            let attempts = try PaymentStore.attempts(of: named, in: connection)
            guard attempts.contains(where: { $0.provider == provider }), let payment = try PaymentStore.find(named, in: connection),
                try call.teams.allows(payment, in: connection)
            else {
                throw WebProblem.notFound("there is no payment \(id.prefix(80)) at \(provider.prefix(40))")
            }
            return .json(200, PaymentAnswer.payment(payment, attempts: attempts))
        }
    }

    private static func answer(_ status: Int, _ id: String, _ teams: TeamReach, in connection: Connection) throws -> HTTPResponse {
        let payment = try teams.payment(id, in: connection)
        return .json(status, PaymentAnswer.payment(payment, attempts: try PaymentStore.attempts(of: id, in: connection)))
    }
}

/// An order of another system that is to be paid.
struct ForeignOrder: Sendable {
    let payment: NewPayment
    /// Who reports that it was paid; nil when the payment is started here later.
    let provider: String?

    /// - Throws: ``WebProblem`` 422 with every field that breaks a rule.
    init(_ json: JSON) throws(WebProblem) {
        var fields = FieldReader(json)
        let subject = fields.text("order_id") ?? fields.text("subject") ?? ""
        if subject.isEmpty { fields.fault("order_id", "is required") }
        if let purpose = fields.text("purpose"), purpose != OrderPurpose.name { fields.fault("purpose", "must be \(OrderPurpose.name)") }
        let description = fields.text("description", required: true, limit: 500) ?? ""
        let amount = Self.amount(&fields)
        let customer = Self.customer(json["customer"] ?? .null, &fields)
        var metadata = fields.texts("metadata")
        provider = fields.text("provider", limit: 40)
        try fields.check()
        metadata["order_id"] = subject
        guard let amount, let customer else { throw .badRequest("the order cannot be read") }
        payment = NewPayment(
            purpose: OrderPurpose.name, subject: subject, description: description, amount: amount, customer: customer, metadata: metadata)
    }

    private static func amount(_ fields: inout FieldReader) -> Money? {
        let text = fields.decimal("amount", required: true)
        guard let code = fields.word("currency", of: Currency.all.map(\.code), required: true), let text else { return nil }
        do throws(MoneyError) {
            let amount = try Money(parsing: text, currency: try Currency(code: code))
            if !amount.isPositive { fields.fault("amount", "must be positive") }
            return amount
        } catch {
            fields.fault("amount", "must be a plain decimal number with at most the currency's decimals, such as 12500 or 3.00")
            return nil
        }
    }

    private static func customer(_ json: JSON, _ fields: inout FieldReader) -> Customer? {
        guard json.object != nil else {
            fields.fault("customer", "is required, an object")
            return nil
        }
        var reader = FieldReader(json, prefix: "customer")
        let customer = CustomerFields.read(&reader)
        fields.add(reader.faults)
        return customer
    }
}

/// Who pays, as callers tell it.
enum CustomerFields {
    /// - Parameter name: stands in where the caller need not tell one.
    static func read(_ reader: inout FieldReader, name standIn: String? = nil) -> Customer {
        let name = reader.text("name", required: standIn == nil) ?? standIn ?? ""
        let email = reader.text("email", limit: 254)
        if let email, !EmailAddress.isPlausible(email) { reader.fault("email", "must be an e-mail address") }
        let phone = reader.phone()
        let language = reader.word("language", of: ["fr", "en"]) ?? "fr"
        return Customer(name: name, email: email, phone: phone, language: language)
    }
}
