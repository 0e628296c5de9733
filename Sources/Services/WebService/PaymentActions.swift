import Access
import Database
import Formats
import HTTPServer
import JobQueue
import Money
import Payments
import ProviderPort

/// What is done about a payment: give money back, cancel, record what came in by hand, decide a conflict.
struct PaymentActions: Sendable {
    let database: Database
    let events: PaymentEvents
    let cancelling: PaymentCancelling
    let once: IdempotentRun
    let nowMs: @Sendable () -> Int64

    var routes: [Route] {
        let staff = Route.Kind.api(scope: APIKey.refunds)
        let payments = Route.Kind.api(scope: APIKey.payments)
        return [
            Route("POST", "/api/v1/payments/{payment}/refund/", staff, refund),
            Route("GET", "/api/v1/payments/{payment}/refunds/", payments, refunds),
            Route("POST", "/api/v1/payments/{payment}/received/", staff, received),
            Route("POST", "/api/v1/payments/{payment}/accept/", staff, accept),
            Route("POST", "/api/v1/payments/{payment}/cancel/", payments, cancel),
            Route("POST", "/api/payments/{payment}/cancel", .api(scope: APIKey.plans), cancelPlan),
        ]
    }

    // MARK: Money back

    private func refund(_ call: WebCall) async throws -> HTTPResponse {
        var fields = FieldReader(try RequestBody.json(call.request))
        let amount = fields.decimal("amount")
        let reason = fields.text("reason", required: true, limit: 500) ?? ""
        let reference = fields.text("provider_reference", limit: 200)
        let isFurther = fields.flag("further") ?? false
        try fields.check()
        let id = call.value("payment")
        return try await once(call, required: true, within: call.reaching(id)) { claim in
            let now = nowMs()
            return try await database.write { [refunds = Refunds(facts: events.facts, providers: events.providers)] connection in
                let payment = try call.teams.payment(id, in: connection)
                if let made = claim?.made, let refund = try Refund.find(made, in: connection) { return .json(201, PaymentAnswer.refund(refund)) }
                let left = Money(try Refunds.refundable(payment, in: connection), payment.amount.currency)
                let sum = try amount.map { try PaymentAnswer.money($0, payment.amount.currency) } ?? left
                let new = Refund.New(payment: id, amount: sum, reason: reason, providerReference: reference, isFurther: isFurther, actor: call.actor)
                let refund = try refunds.request(new, nowMs: now, in: connection)
                try claim?.note(refund.id, in: connection)
                return .json(201, PaymentAnswer.refund(refund))
            }
        }
    }

    private func refunds(_ call: WebCall) async throws -> HTTPResponse {
        let id = call.value("payment")
        return try await database.read { connection in
            let payment = try call.teams.payment(id, in: connection)
            let left = Money(try Refunds.refundable(payment, in: connection), payment.amount.currency)
            let refunds = try Refund.of(payment: id, in: connection)
            return .json(200, ["refunds": .array(refunds.map(PaymentAnswer.refund)), "refundable": .string(left.decimalText)])
        }
    }

    // MARK: By hand

    /// Enters money that somebody has seen come in: a transfer, cash, a cheque.
    private func received(_ call: WebCall) async throws -> HTTPResponse {
        var fields = FieldReader(try RequestBody.json(call.request))
        let amount = fields.decimal("amount", required: true) ?? ""
        let reference = fields.text("reference", required: true, limit: 100) ?? ""
        let method = fields.word("method", of: ["bank_transfer", "cash", "cheque"], required: true)
        let proof = fields.text("proof", limit: 500)
        try fields.check()
        let id = call.value("payment")
        guard let mode = events.providers.mode(of: "manual") else { throw WebProblem.notFound("provider 'manual' is not on here") }
        return try await once(call, required: true, within: call.reaching(id)) { claim in
            let now = nowMs()
            return try await database.write { [events] connection in
                let payment = try call.teams.payment(id, in: connection)
                guard claim?.made == nil else { return try PaymentAnswer.standing(201, id, in: connection) }
                let sum = try PaymentAnswer.money(amount, payment.amount.currency)
                guard sum.isPositive else { throw WebProblem.invalid("amount", "must be positive") }
                let attempts = try PaymentStore.attempts(of: id, in: connection)
                let waiting = attempts.last { $0.provider == "manual" && $0.isOpen }
                let attempt =
                    try waiting
                    ?? PaymentStore.startReceipt(
                        of: payment, received: sum, provider: "manual", mode: mode, method: method, nowMs: now, in: connection)
                let told = ProviderReference("receipt", reference)
                if let other = try PaymentStore.attempt(of: [told], provider: "manual", in: connection), other.id != attempt.id {
                    throw WebProblem.conflict(
                        "reference '\(reference)' is of payment \(other.payment) already", extra: [("payment", .string(other.payment))])
                }
                let actor = proof.map { "\(call.actor) (\($0))" } ?? call.actor
                try events.facts.recordReceived(sum, attempt: attempt, reference: reference, actor: actor, nowMs: now, in: connection)
                try claim?.note(attempt.id, in: connection)
                return try PaymentAnswer.standing(201, id, in: connection)
            }
        }
    }

    /// Takes what came in for a conflicted payment as payment.
    private func accept(_ call: WebCall) async throws -> HTTPResponse {
        var fields = FieldReader(try RequestBody.json(call.request))
        let reason = fields.text("reason", required: true, limit: 500) ?? ""
        try fields.check()
        let id = call.value("payment")
        return try await once(call, required: true, within: call.reaching(id)) { claim in
            let now = nowMs()
            return try await database.write { [events] connection in
                guard claim?.made == nil else { return try PaymentAnswer.standing(200, id, in: connection) }
                let payment = try call.teams.payment(id, in: connection)
                try events.facts.accept(payment, reason: reason, actor: call.actor, nowMs: now, in: connection)
                try claim?.note(id, in: connection)
                return try PaymentAnswer.standing(200, id, in: connection)
            }
        }
    }

    // MARK: Cancelling

    private func cancel(_ call: WebCall) async throws -> HTTPResponse {
        let id = call.value("payment")
        return try Self.answer(try await cancelling(by: call.actor) { try call.teams.payment(id, in: $0) })
    }

    /// The same as Servelink calls it: for payments of teams alone.
    private func cancelPlan(_ call: WebCall) async throws -> HTTPResponse {
        let id = call.value("payment")
        return try Self.answer(try await cancelling(by: call.actor) { try TeamCalls.payment(id, call.teams, in: $0) })
    }

    /// Says whether the provider agreed.
    private static func answer(_ outcome: PaymentCancelling.Outcome) throws(WebProblem) -> HTTPResponse {
        let payment = outcome.payment
        let status = TeamPayment.word(for: payment.state)
        if let trouble = outcome.trouble { throw trouble.problem(payment: payment.id, status: status) }
        return .json(
            outcome.agreed ? 200 : 409,
            [
                "id": .string(payment.id), "status": .string(status), "state": .string(payment.state.rawValue),
                "provider_agreed": .bool(outcome.agreed), "detail": .optional(outcome.refusal),
            ])
    }
}
