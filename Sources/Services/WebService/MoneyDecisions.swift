import Access
import Database
import Formats
import HTTPServer
import Money
import Payments

/// What staff decide about money that waits for a person: refunds that do not come to an end, and money that cannot be counted.
struct MoneyDecisions: Sendable {
    let database: Database
    let events: PaymentEvents
    let once: IdempotentRun
    let nowMs: @Sendable () -> Int64

    var routes: [Route] {
        let staff = Route.Kind.api(scope: APIKey.refunds)
        return [
            Route("POST", "/api/v1/payments/{payment}/refunds/{refund}/settle/", staff, settle),
            Route("GET", "/api/v1/payments/{payment}/held/", .api(scope: APIKey.payments), bodyLimit: 0, held),
            Route("POST", "/api/v1/payments/{payment}/held/{held}/", staff, decide),
        ]
    }

    /// Ends a refund by what was found out at its provider.
    private func settle(_ call: WebCall) async throws -> HTTPResponse {
        var fields = FieldReader(try RequestBody.json(call.request))
        let outcome = fields.word("outcome", of: ["done", "failed"], required: true)
        let reference = fields.text("provider_reference", limit: 200)
        let reason = fields.text("reason", required: true, limit: 500) ?? ""
        try fields.check()
        let (payment, id) = (call.value("payment"), call.value("refund"))
        return try await once(call, required: true, within: call.reaching(payment)) { claim in
            let now = nowMs()
            return try await database.write { [refunds = Refunds(facts: events.facts, providers: events.providers)] connection in
                _ = try call.teams.payment(payment, in: connection)
                if let made = claim?.made, let refund = try Refund.find(made, in: connection) { return .json(200, PaymentAnswer.refund(refund)) }
                let finding: Refunds.Finding = outcome == "done" ? .done(reference: reference) : .failed
                let refund = try refunds.decide(finding, refund: id, of: payment, reason: reason, actor: call.actor, nowMs: now, in: connection)
                try claim?.note(refund.id, in: connection)
                return .json(200, PaymentAnswer.refund(refund))
            }
        }
    }

    private func held(_ call: WebCall) async throws -> HTTPResponse {
        let id = call.value("payment")
        return try await database.read { connection in
            let held = try HeldMoney.of(try call.teams.payment(id, in: connection), in: connection)
            return .json(200, ["held": .array(held.map(PaymentAnswer.held))])
        }
    }

    /// Money that cannot be counted: given back, or taken as an amount of what is owed.
    private func decide(_ call: WebCall) async throws -> HTTPResponse {
        var fields = FieldReader(try RequestBody.json(call.request))
        let decision = fields.word("decision", of: ["returned", "accepted"], required: true)
        let reference = fields.text("provider_reference", required: decision == "returned", limit: 200) ?? ""
        let amount = fields.decimal("amount", required: decision == "accepted") ?? ""
        let reason = fields.text("reason", required: true, limit: 500) ?? ""
        let id = call.value("payment")
        try fields.check()
        guard let number = Int64(call.value("held")) else { throw WebProblem.notFound("there is no such held money") }
        return try await once(call, required: true, within: call.reaching(id)) { claim in
            let now = nowMs()
            return try await database.write { [facts = events.facts] connection in
                guard claim?.made == nil else { return try PaymentAnswer.standing(200, id, in: connection) }
                let payment = try call.teams.payment(id, in: connection)
                let chosen: HeldMoney.Decision =
                    decision == "returned" ? .returned(reference: reference) : .accepted(try PaymentAnswer.money(amount, payment.amount.currency))
                try facts.decide(chosen, held: number, of: payment, reason: reason, actor: call.actor, nowMs: now, in: connection)
                try claim?.note(id, in: connection)
                return try PaymentAnswer.standing(200, id, in: connection)
            }
        }
    }
}
