import Database
import Formats
import Money
import Payments

/// `quittance payments`
enum PaymentsCommand {
    static let command = Command(
        CommandSyntax(
            "payments", "the newest payments",
            options: [
                .value("--state", "STATE", "only those in this state"), .value("--limit", "N", "how many, 50 unless given"), .json,
            ], notes: ["States: \(PaymentState.allCases.map(\.rawValue).joined(separator: ", "))."])
    ) { invocation, context in
        let state = try invocation.choice("--state", of: PaymentState.allCases.map(\.rawValue)).flatMap(PaymentState.init(rawValue:))
        let limit = try invocation.number("--limit", in: 1...1000, standard: 50)
        let rows = try await context.withDatabase { database in
            try await database.read { try listing(state: state, limit: limit, in: $0) }
        }
        context.output.listing(rows, asJSON: invocation.wantsJSON)
        return .ok
    }

    private static func listing(state: PaymentState?, limit: Int, in connection: Connection) throws -> Listing {
        var listing = Listing(
            ["payment", "state", .number("amount"), "currency", "purpose", "subject", "provider", "mode", .time("created_at")],
            none: state.map { "No payment is \($0.rawValue)." } ?? "No payments.")
        for payment in try PaymentStore.list(state: state, limit: limit, in: connection) {
            let attempt = try PaymentStore.attempts(of: payment.id, in: connection).last
            listing.add(
                .string(payment.id), .string(payment.state.rawValue), .string(payment.amount.decimalText), .string(payment.amount.currency.code),
                .string(payment.purpose), .string(payment.subject), .optional(attempt?.provider), .optional(attempt?.mode),
                .int(payment.createdAtMs))
        }
        return listing
    }
}

/// `quittance events`: what providers said that came to nothing.
enum EventsCommand {
    /// As stored; a repeated delivery is counted on its first one.
    private static let outcomes: [PaymentEvents.Outcome] = [.unmatched, .quarantined, .applied, .verifying, .ignored]

    static let command = Command(
        CommandSyntax(
            "events", "the newest events that matched nothing or could not be believed",
            options: [
                .value("--outcome", "OUTCOME", "those with this outcome instead"), .value("--limit", "N", "how many, 50 unless given"), .json,
            ], notes: ["Outcomes: \(outcomes.map(\.rawValue).joined(separator: ", "))."])
    ) { invocation, context in
        let outcome = try invocation.choice("--outcome", of: outcomes.map(\.rawValue)).flatMap(PaymentEvents.Outcome.init(rawValue:))
        let limit = try invocation.number("--limit", in: 1...1000, standard: 50)
        let rows = try await context.withDatabase { database in
            try await database.read { try listing(outcome.map { [$0] } ?? [.unmatched, .quarantined], limit: limit, in: $0) }
        }
        context.output.listing(rows, asJSON: invocation.wantsJSON)
        return .ok
    }

    private static func listing(_ outcomes: [PaymentEvents.Outcome], limit: Int, in connection: Connection) throws -> Listing {
        var listing = Listing(
            [.time("received_at"), "event", "mode", "trust", "type", "outcome", "payment", .number("deliveries"), "detail"],
            none: "No events are \(outcomes.map(\.rawValue).joined(separator: " or ")).")
        let events = try outcomes.flatMap { try EventRecord.list(outcome: $0, limit: limit, in: connection) }
        for event in events.sorted(by: { $0.receivedAtMs > $1.receivedAtMs }).prefix(limit) {
            listing.add(
                .int(event.receivedAtMs), .string(event.id), .string(event.mode), .string(event.trust), .string(event.type),
                .string(event.outcome), .optional(event.payment), .int(event.deliveries), .optional(event.detail))
        }
        return listing
    }
}

/// `quittance tasks`: what a person has to look at.
enum TasksCommand {
    /// More are not shown at once.
    static let most = 1000

    static let command = Command(
        CommandSyntax(
            "tasks", "what a person has to look at", options: [.json],
            notes: ["Those of kind effect are calls to the outside that nobody knows the result of: `quittance effects settle` ends them."])
    ) { invocation, context in
        let tasks = try await context.withDatabase { database in try await database.read { try PaymentTask.open(limit: most, in: $0) } }
        var listing = Listing([.number("task"), .time("created_at"), "payment", "kind", "detail"], none: "No open tasks.")
        for task in tasks {
            listing.add(.optional(task.id), .int(task.createdAtMs), .optional(task.payment), .string(task.kind), .string(task.detail))
        }
        context.output.listing(listing, asJSON: invocation.wantsJSON)
        return .ok
    }
}
