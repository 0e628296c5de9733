import Database
import Formats
import Plans
import Staff
import Teams

/// `quittance team plans|end|keep`: how a team's plan came to stand where it does, and what it is to do at the end of its period.
enum PlanCommands {
    static let commands = [plans, end, keep]
    private static let team = CommandSyntax.Operand.needed("TEAM", "its id")
    /// Whoever may run the command line is the operator.
    private static let actor = "staff:command-line"

    private static let plans = Command(
        CommandSyntax(
            "team plans", "how a team's plan has moved, the latest first", operands: [team],
            options: [.value("--limit", "N", "how many moves, 100 unless given"), .json])
    ) { invocation, context in
        let id = invocation.operands[0]
        let limit = try invocation.number("--limit", in: 1...10_000, standard: 100)
        let moves = try await context.withDatabase { database in
            try await database.read { connection in
                let moves = try PlanMove.list(team: id, limit: limit, in: connection)
                guard try !moves.isEmpty || TeamStore.find(id, in: connection) != nil else {
                    throw CommandFailure(.notFound, "there is no team \(id)")
                }
                return moves
            }
        }
        var listing = Listing(
            [.time("at"), "cause", "plan", .number("version"), "status", .time("renews_at"), "payment", "actor"], none: "The plan has never moved.")
        for move in moves {
            listing.add(
                .int(move.atMs), .string(move.cause.rawValue), .string(move.plan), .int(move.version), .string(move.status),
                .int(move.renewsAtMs), .optional(move.payment), .string(move.actor))
        }
        context.output.listing(listing, asJSON: invocation.wantsJSON)
        return .ok
    }

    private static let end = Command(
        CommandSyntax(
            "team end", "let a team fall back to Free when its period ends", operands: [team],
            notes: ["Nothing is taken away before, and nothing is paid back. A payment for the plan, or `team keep`, undoes it."])
    ) { invocation, context in
        let id = invocation.operands[0]
        let nowMs = context.nowMs()
        let endsAtMs = try await context.withDatabase { database in
            try await database.write { connection in
                let isNew = try PlanChanges.next(of: id, in: connection) == nil
                do {
                    try PlanChanges.plan(Plan.free, of: id, actor: actor, nowMs: nowMs, in: connection)
                } catch let error as PlanError {
                    if case .nothingToEnd = error { throw CommandFailure(.notFound, error.description) }
                    throw error
                }
                if isNew { try StaffAudit.record("plan.end", of: id, detail: "by the command line", actor: actor, nowMs: nowMs, in: connection) }
                return try Subscription.of(team: id, in: connection)?.renewsAtMs ?? nowMs
            }
        }
        context.output.line("team \(id) is on Free from \(Timestamp.rfc3339(max(endsAtMs, nowMs))) on")
        return .ok
    }

    private static let keep = Command(
        CommandSyntax("team keep", "let a team's plan go on after its period, if it is paid, where it was to end", operands: [team])
    ) { invocation, context in
        let id = invocation.operands[0]
        let nowMs = context.nowMs()
        let isKept = try await context.withDatabase { database in
            try await database.write { connection in
                guard try PlanChanges.keep(team: id, actor: actor, nowMs: nowMs, in: connection) else { return false }
                try StaffAudit.record("plan.keep", of: id, detail: "by the command line", actor: actor, nowMs: nowMs, in: connection)
                return true
            }
        }
        guard isKept else { throw CommandFailure(.notFound, "nothing was planned for team \(id)") }
        context.output.line("team \(id) keeps its plan, if it is paid")
        return .ok
    }
}
