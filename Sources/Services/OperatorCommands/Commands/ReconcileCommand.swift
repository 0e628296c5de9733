import Database
import Formats
import Outbox
import Payments
import PaymentsService

/// `quittance reconcile`: asks providers about payments that wait.
enum ReconcileCommand {
    /// Attempts looked at by one run.
    private static let most = 10_000

    static let command = Command(
        CommandSyntax(
            "reconcile", "ask the providers about payments that wait",
            options: [
                .value("--min-age", "MINUTES", "leave younger attempts alone; 15 unless given"),
                .flag("--dry-run", "only say what would be asked"), .json,
            ],
            notes: [
                "Unlike the scheduled entry of that name it asks about every waiting attempt, also one that was asked about a moment ago. "
                    + "The asking is done by worker-payments, by a provider's list where it has one. An attempt that has waited to the end of its time is given up.",
                "Exit codes: 0 asked or given up, 3 nothing waits.",
            ])
    ) { invocation, context in
        let age = try invocation.number("--min-age", in: 0...525_600, standard: 15)
        let isTrial = invocation.has("--dry-run")
        let nowMs = context.nowMs()
        let providers = try Product.providers(context.settings)
        let (findings, asked, givenUp) = try await context.withDatabase { database in
            let facts = PaymentFacts(purposes: Product.purposes, outbox: context.relay(database).outbox)
            let reconciliation = Reconciliation(facts: facts, providers: providers)
            let find: @Sendable (Connection) throws -> [Reconciliation.Finding] = { connection in
                try reconciliation.findings(minimumAgeMs: Int64(age) * 60_000, onlyDue: false, nowMs: nowMs, limit: most, in: connection)
            }
            if isTrial { return (try await database.read(find), 0, 0) }
            let done = try await database.write { connection in
                let findings = try find(connection)
                let counts = try reconciliation.carryOut(findings, cause: "manual-" + ULID.make(nowMs: nowMs), nowMs: nowMs, in: connection)
                return (findings, counts.asked, counts.givenUp)
            }
            if let problem = try await context.publishOwnJobs(database) {
                context.output.error("quittance reconcile: the questions wait for the scheduler's sweep: \(problem)")
            }
            return done
        }
        let attempts = listing(of: findings)
        if invocation.wantsJSON {
            context.output.json([
                "dry_run": .bool(isTrial), "asked": .int(Int64(asked)), "given_up": .int(Int64(givenUp)), "attempts": attempts.json,
            ])
        } else {
            context.output.text(attempts.text)
            if !isTrial { context.output.line("\(asked) asked, \(givenUp) given up") }
        }
        return findings.contains { $0.action != .none } ? .ok : .nothingDue
    }

    private static func listing(of findings: [Reconciliation.Finding]) -> Listing {
        var listing = Listing(["payment", "attempt", "provider", "waits_for", "action"], none: "Nothing waits.")
        for finding in findings {
            listing.add(
                .string(finding.payment), .string(finding.attempt), .string(finding.provider), .string(PlainTime.age(finding.ageMs)),
                .string(finding.action.rawValue))
        }
        return listing
    }
}
