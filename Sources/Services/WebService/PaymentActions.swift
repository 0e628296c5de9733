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
    let transport: any ProviderTransport
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
            Route("POST", "/api/v1/payments/{payment}/cancel/", payments, cancel), Route("POST", "/api/payments/{payment}/cancel", payments, cancel),
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
        return try await once(call, required: true) { claim in
            let now = nowMs()
            return try await database.write { [refunds = Refunds(facts: events.facts, providers: events.providers)] connection in
                if let made = claim?.made, let refund = try Refund.find(made, in: connection) { return .json(201, PaymentAnswer.refund(refund)) }
                let payment = try PaymentStore.require(id, in: connection)
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
            let payment = try PaymentStore.require(id, in: connection)
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
        return try await once(call, required: true) { claim in
            let now = nowMs()
            return try await database.write { [events] connection in
                let payment = try PaymentStore.require(id, in: connection)
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
        return try await once(call, required: true) { claim in
            let now = nowMs()
            return try await database.write { [events] connection in
                guard claim?.made == nil else { return try PaymentAnswer.standing(200, id, in: connection) }
                let payment = try PaymentStore.require(id, in: connection)
                try events.facts.accept(payment, reason: reason, actor: call.actor, nowMs: now, in: connection)
                try claim?.note(id, in: connection)
                return try PaymentAnswer.standing(200, id, in: connection)
            }
        }
    }

    // MARK: Cancelling

    /// Ends what waits for the customer, where its provider agrees; the answer says whether it did. A provider that could not be asked has
    /// neither agreed nor refused, and is told as that.
    private func cancel(_ call: WebCall) async throws -> HTTPResponse {
        let id = call.value("payment")
        let (payment, waiting) = try await database.read { connection in
            let payment = try PaymentStore.require(id, in: connection)
            let waiting = try PaymentStore.attempts(of: id, in: connection).filter(\.isOpen)
            return (payment, try waiting.map { Waiting(attempt: $0, question: try StatusQuestion($0, in: connection)) })
        }
        guard payment.state.isOpen else { throw WebProblem.conflict("payment \(id) is \(payment.state.rawValue): there is nothing to cancel") }
        var refusal: String?
        var trouble: CancelTrouble?
        for one in waiting {
            do {
                let said = try await ask(one)
                let now = nowMs()
                let source = PaymentFacts.Source(actor: call.actor, reference: "cancel \(one.attempt.id)")
                _ = try await database.write { [events] in try events.facts.record(said, attempt: one.attempt, source: source, nowMs: now, in: $0) }
                if said.claim != .cancelled { refusal = "\(one.attempt.provider) says that it is \(said.claim.rawValue)" }
            } catch let error as ProviderError {
                if let met = CancelTrouble(error, one.attempt) { trouble = trouble ?? met } else { refusal = error.message }
            }
        }
        let agreed = refusal == nil && trouble == nil && !waiting.isEmpty
        return try await database.read { [refusal, trouble] connection in
            let status = TeamPayment.word(for: try PaymentStore.require(id, in: connection).state)
            if let trouble { throw trouble.problem(payment: id, status: status) }
            return .json(
                agreed ? 200 : 409,
                [
                    "id": .string(id), "status": .string(status), "provider_agreed": .bool(agreed),
                    "detail": .optional(refusal ?? (waiting.isEmpty ? "nothing was started that could be cancelled" : nil)),
                ])
        }
    }

    private struct Waiting: Sendable {
        let attempt: PaymentAttempt
        let question: StatusQuestion
    }

    private func ask(_ waiting: Waiting) async throws -> ProviderNotice {
        let name = waiting.attempt.provider
        guard let adapter = events.providers.known(name) else { throw ProviderError(.misconfigured, "\(name) is off here") }
        // Nobody else knows of an attempt that is carried out by hand.
        if !adapter.capabilities.hasStatus && !adapter.capabilities.hasWebhook {
            return ProviderNotice(references: [], claim: .cancelled)
        }
        return try await adapter.cancel(waiting.question, over: transport)
    }
}
