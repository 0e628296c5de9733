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
