import Database
import Formats
import HTTPServer
import Money
import Payments
import ProviderPort
import Staff
import Telemetry

/// What staff do about payments. Each deed is one transaction with its row of the staff's audit, beside the payment's own.
struct PaymentDeeds: Sendable {
    let database: Database
    let events: PaymentEvents
    let refunds: StaffRefunds

    var entries: [ConsoleEntry] {
        [
            ConsoleEntry("POST", "/console/payments/{payment}/ask", .staff, ask),
            ConsoleEntry("POST", "/console/payments/{payment}/refund", .operator, refund),
            ConsoleEntry("POST", "/console/payments/{payment}/accept", .operator, accept),
            ConsoleEntry("POST", "/console/payments/{payment}/held/{held}", .operator, decideHeld),
            ConsoleEntry("POST", "/console/payments/{payment}/refunds/{refund}", .operator, settle),
            ConsoleEntry("POST", "/console/refund-requests/{request}", .operator, decideRequest),
        ]
    }

    private func path(_ visit: ConsoleVisit) -> String { ConsolePath.payment(visit.call.value("payment")) }

    /// Has the provider asked about an attempt; its answer is applied by a worker.
    private func ask(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let (payment, id) = (visit.call.value("payment"), visit.fields["attempt"] ?? "")
        try await database.write { [outbox = events.facts.outbox] connection in
            guard let attempt = try PaymentStore.attempts(of: payment, in: connection).first(where: { $0.id == id }) else {
                throw PaymentError.notFound("attempt \(id.prefix(60))")
            }
            // Once a minute is often enough, however often the button is pressed.
            let cause = "staff:\(visit.nowMs / 60_000)"
            try VerifyPayment.ask(about: attempt, cause: cause, outbox: outbox, nowMs: visit.nowMs, in: connection)
            try visit.record("payment.ask", of: payment, detail: attempt.id, in: connection)
        }
        return visit.done(.asked, path(visit))
    }

    private func refund(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let id = visit.call.value("payment")
        let (amount, reason) = (try visit.required("amount", limit: 40), try visit.required("reason"))
        let reference = try visit.text("reference", limit: 200)
        let outcome = try await database.write { [refunds] connection in
            let payment = try PaymentStore.require(id, in: connection)
            // The page says how many it has shown: a button that is pressed twice, or on an old page, gives the money back once.
            if let shown = visit.fields["shown"], shown != String(try StaffRefunds.count(of: id, in: connection)) {
                throw WebProblem.conflict("a refund was asked for since the page was loaded: look at it first")
            }
            let sum = try PaymentAnswer.money(amount.filter { !$0.isWhitespace }, payment.amount.currency)
            let new = Refund.New(payment: id, amount: sum, reason: reason, providerReference: reference, actor: visit.actor)
            let outcome = try refunds.ask(new, by: visit.user, nowMs: visit.nowMs, in: connection)
            let word = if case .waits = outcome { "refund.request" } else { "refund" }
            try visit.record(word, of: id, detail: "\(sum): \(reason)", in: connection)
            return outcome
        }
        if case .waits = outcome { return visit.done(.waits, path(visit)) }
        return visit.done(.refunded, path(visit))
    }

    private func decideRequest(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        guard let id = Int64(visit.call.value("request")), let decision = visit.fields["decision"], ["approve", "refuse"].contains(decision) else {
            throw WebProblem.notFound("there is no such request")
        }
        let request = try await database.write { [refunds] connection in
            let request = try refunds.decide(id, approves: decision == "approve", by: visit.user, nowMs: visit.nowMs, in: connection)
            try visit.record(
                "refund.\(decision)", of: request.payment, detail: "\(request.amount), asked for by \(request.requestedBy)", in: connection)
            return request
        }
        return visit.done(decision == "approve" ? .approved : .refused, ConsolePath.payment(request.payment))
    }

    /// Takes what came in for a conflicted payment as payment.
    private func accept(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let (id, reason) = (visit.call.value("payment"), try visit.required("reason"))
        try await database.write { [facts = events.facts] connection in
            let payment = try PaymentStore.require(id, in: connection)
            try facts.accept(payment, reason: reason, actor: visit.actor, nowMs: visit.nowMs, in: connection)
            try visit.record("payment.accept", of: id, detail: reason, in: connection)
        }
        return visit.done(.accepted, path(visit))
    }

    /// Held money: it counts, or it went back. That much of it went back takes two who say the same.
    private func decideHeld(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        guard let held = Int64(visit.call.value("held")) else { throw WebProblem.notFound("there is no such held money") }
        let id = visit.call.value("payment")
        let isReturned = visit.fields["decision"] == "returned"
        let word = isReturned ? try visit.required("reference", limit: 200) : try visit.required("amount", limit: 40)
        let reason = try visit.required("reason")
        let isDecided = try await database.write { [refunds, facts = events.facts] connection in
            let payment = try PaymentStore.require(id, in: connection)
            let detail = "\(held) \(isReturned ? "returned" : "accepted") \(word): \(reason)"
            var (actor, decision) = (visit.actor, HeldMoney.Decision.returned(reference: word))
            if isReturned {
                let both = try refunds.returning(held: held, of: payment, as: word, by: visit.user, nowMs: visit.nowMs, in: connection)
                guard let both else {
                    try visit.record("held.say", of: id, detail: detail, in: connection)
                    return false
                }
                actor = both
            } else {
                decision = .accepted(try PaymentAnswer.money(word, payment.amount.currency))
            }
            try facts.decide(decision, held: held, of: payment, reason: reason, actor: actor, nowMs: visit.nowMs, in: connection)
            try visit.record("held.decide", of: id, detail: detail, in: connection)
            return true
        }
        return visit.done(isDecided ? .decided : .waits, path(visit))
    }

    /// Ends a refund by what was found out at its provider.
    private func settle(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let (payment, id) = (visit.call.value("payment"), visit.call.value("refund"))
        guard let outcome = visit.fields["outcome"], ["done", "failed"].contains(outcome) else {
            throw WebProblem.invalid("outcome", "must be done or failed")
        }
        try await database.write { [refunds = Refunds(facts: events.facts, providers: events.providers)] connection in
            let finding: Refunds.Finding = outcome == "done" ? .done(reference: nil) : .failed
            _ = try refunds.decide(
                finding, refund: id, of: payment, reason: "found out at the provider", actor: visit.actor, nowMs: visit.nowMs, in: connection)
            try visit.record(
                StaffRefunds.settled, of: payment, detail: StaffRefunds.settlement(of: id, failed: outcome == "failed"), in: connection)
        }
        return visit.done(.decided, path(visit))
    }
}

extension ConsoleVisit {
    /// A row of the staff's audit, in the transaction of the deed.
    func record(_ action: String, of subject: String, detail: String? = nil, in connection: Connection) throws {
        try StaffAudit.record(action, of: subject, detail: detail, actor: actor, address: place.address, nowMs: nowMs, in: connection)
    }

    /// A deed that is not one transaction of SQL: its row is there before it, so that a crash leaves it, and one that came to nothing has a
    /// second row that says so.
    func recording(
        _ action: String, of subject: String, detail: String? = nil, in database: Database, _ deed: () async throws -> Void
    ) async throws {
        try await database.write { try record(action, of: subject, detail: detail, in: $0) }
        do {
            try await deed()
        } catch {
            let reason = (error as? WebProblem)?.detail ?? "\(error)"
            try await database.write { try record("\(action).failed", of: subject, detail: Redaction.text(reason), in: $0) }
            throw error
        }
    }
}
