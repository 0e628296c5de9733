import Database
import Formats
import Money
import Outbox
import Payments
import PaymentsService

/// `quittance refunds …` and `quittance held …`: money that waits for a person, and what that person found out or decided.
enum MoneyCommands {
    static let commands = [refunds, settleRefund, held, settleHeld]

    private static let payment = CommandSyntax.Operand.needed("PAYMENT", "pay_…")
    private static let reason = CommandSyntax.Option.needed("--reason", "TEXT", "why, for the audit trail")
    private static let actor = "operator"

    private static let refunds = Command(
        CommandSyntax("refunds list", "the refunds of a payment, and where each stands", operands: [payment], options: [.json])
    ) { invocation, context in
        let id = invocation.operands[0]
        let rows = try await context.withDatabase { database in
            try await database.read { connection in
                try MoneyCommands.check { try Refund.of(payment: try PaymentStore.require(id, in: connection).id, in: connection) }
            }
        }
        var table = Listing(
            ["refund", .time("asked_at"), .number("amount"), "currency", "way", "state", "reference", "reason", "detail"], none: "No refunds.")
        for refund in rows {
            table.add(
                .string(refund.id), .int(refund.createdAtMs), .string(refund.amount.decimalText), .string(refund.amount.currency.code),
                .string(refund.way.rawValue), .string(refund.state.rawValue), .optional(refund.providerReference), .string(refund.reason),
                .optional(refund.detail))
        }
        context.output.listing(table, asJSON: invocation.wantsJSON)
        return .ok
    }

    private static let settleRefund = Command(
        CommandSyntax(
            "refunds settle", "end a refund that does not come to an end, by what was found out at the provider",
            operands: [payment, .needed("REFUND", "as `quittance refunds list` shows it")],
            options: [
                .flag("--done", "the money went back"), .flag("--failed", "it did not, and will not"),
                .value("--reference", "REFERENCE", "what the provider calls it"), reason,
            ])
    ) { invocation, context in
        let isDone = invocation.has("--done")
        guard isDone != invocation.has("--failed") else { throw UsageError("one of --done and --failed is needed") }
        let finding: Refunds.Finding = isDone ? .done(reference: invocation.value("--reference")) : .failed
        let (payment, id, why, now) = (invocation.operands[0], invocation.operands[1], invocation.value("--reason") ?? "", context.nowMs())
        let providers = try Product.providers(context.settings)
        let state = try await context.withDatabase { database in
            let refunds = Refunds(facts: facts(context, database), providers: providers)
            let state = try await database.write { connection in
                try MoneyCommands.check {
                    try refunds.decide(finding, refund: id, of: payment, reason: why, actor: actor, nowMs: now, in: connection).state
                }
            }
            _ = try await context.publishOwnJobs(database)
            return state
        }
        context.output.line("\(id) is \(state.rawValue)")
        return .ok
    }

    private static let held = Command(
        CommandSyntax(
            "held list", "money of a payment that came in and cannot be counted as it stands", operands: [payment], options: [.json])
    ) { invocation, context in
        let id = invocation.operands[0]
        let rows = try await context.withDatabase { database in
            try await database.read { connection in
                try MoneyCommands.check { try HeldMoney.of(try PaymentStore.require(id, in: connection), in: connection) }
            }
        }
        var table = Listing([.number("held"), .time("recorded_at"), "attempt", .number("amount"), "currency", "problem"], none: "Nothing is held.")
        for held in rows {
            table.add(
                .int(held.id), .int(held.recordedAtMs), .string(held.attempt), .optional(held.amount?.decimalText),
                .optional(held.amount?.currency.code), .optional(held.problem))
        }
        context.output.listing(table, asJSON: invocation.wantsJSON)
        return .ok
    }

    private static let settleHeld = Command(
        CommandSyntax(
            "held settle", "decide about such money: it went back, or counts as an amount of what is owed",
            operands: [payment, .needed("HELD", "as `quittance held list` shows it")],
            options: [
                .value("--returned", "REFERENCE", "it went back, and this is what the provider or the bank calls that"),
                .value("--accepted", "AMOUNT", "it counts as so much, in the payment's currency"), reason,
            ])
    ) { invocation, context in
        let (returned, accepted) = (invocation.value("--returned"), invocation.value("--accepted"))
        guard (returned == nil) != (accepted == nil) else { throw UsageError("one of --returned REFERENCE and --accepted AMOUNT is needed") }
        guard let held = Int64(invocation.operands[1]) else { throw UsageError("HELD is a number, not '\(invocation.operands[1])'") }
        let (id, why, now) = (invocation.operands[0], invocation.value("--reason") ?? "", context.nowMs())
        let state = try await context.withDatabase { database in
            let facts = facts(context, database)
            let state = try await database.write { connection in
                try MoneyCommands.check {
                    let payment = try PaymentStore.require(id, in: connection)
                    let decision: HeldMoney.Decision =
                        try returned.map { .returned(reference: $0) } ?? .accepted(amount(accepted ?? "", payment.amount.currency))
                    return try facts.decide(decision, held: held, of: payment, reason: why, actor: actor, nowMs: now, in: connection)
                }
            }
            _ = try await context.publishOwnJobs(database)
            return state
        }
        context.output.line("\(id) is \(state.rawValue)")
        return .ok
    }

    private static func amount(_ text: String, _ currency: Currency) throws -> Money {
        do { return try Money(parsing: text, currency: currency) } catch {
            throw PaymentError.invalid(field: "--accepted", rule: "takes an amount in \(currency), not '\(text)'")
        }
    }

    private static func facts(_ context: CommandContext, _ database: Database) -> PaymentFacts {
        PaymentFacts(purposes: Product.purposes, outbox: context.relay(database).outbox)
    }

    /// What a rule of payments forbids, as commands say it.
    private static func check<Value>(_ body: () throws -> Value) throws -> Value {
        do { return try body() } catch let error as PaymentError {
            if case .notFound = error { throw CommandFailure(.notFound, error.description) }
            throw CommandFailure(.failed, error.description)
        }
    }
}
