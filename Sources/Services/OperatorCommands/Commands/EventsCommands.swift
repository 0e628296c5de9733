import Database
import Formats
import Operating
import Outbox
import Payments
import PaymentsService

/// `quittance events …`: what providers said, and taking it up again.
enum EventsCommands {
    static let commands = [list, replay]

    /// As stored; a repeated delivery is counted on its first one.
    private static let outcomes: [PaymentEvents.Outcome] = [.unmatched, .quarantined, .applied, .verifying, .ignored]
    private static var outcomeWords: [String] { outcomes.map(\.rawValue) }

    // MARK: Looking

    private static let list = Command(
        CommandSyntax(
            "events list", "the newest events that matched nothing or could not be believed",
            options: [
                .value("--outcome", "OUTCOME", "those with this outcome instead"), .value("--limit", "N", "how many, 50 unless given"), .json,
            ], notes: ["Outcomes: \(outcomeWords.joined(separator: ", "))."])
    ) { invocation, context in
        let outcome = try invocation.choice("--outcome", of: outcomeWords).flatMap(PaymentEvents.Outcome.init(rawValue:))
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

    // MARK: Again

    private static let replay = Command(
        CommandSyntax(
            "events replay", "take archived events up again: match them, read them, ask about them anew",
            operands: [.optional("EVENT", "as `quittance events` shows it; or a filter")],
            options: [
                .value("--outcome", "OUTCOME", "those with this outcome"), .value("--provider", "NAME", "only this provider's"),
                .value("--payment", "PAYMENT", "only those of this payment"),
                .value("--newer-than", "AGE", "only those received since: 90s, 15m, 6h or 2d ago"),
                .value("--older-than", "AGE", "only those received before that"),
                .value("--limit", "N", "how many, the oldest first; 100 unless given"),
                .flag("--dry-run", "only say what each would change"), .json,
            ],
            notes: [
                "After a payment has become known, a provider was turned on or a release has learnt to read more. Each replay has a name of its own, "
                    + "so that it is not taken for a repetition; what was applied once is not applied again. The provider is asked once more "
                    + "where an event alone is not believed.",
                "Events are kept for EVENT_KEEP_DAYS, 90 unless set; an unproven one that nothing matched for two. --dry-run judges each by itself.",
                "Exit codes: 0 taken up, 3 no event is meant by the filter, 4 there is no such event.",
            ])
    ) { invocation, context in
        let filter = try filter(invocation, nowMs: context.nowMs())
        let limit = try invocation.number("--limit", in: 1...100_000, standard: 100)
        let isTrial = invocation.has("--dry-run")
        let providers = try Product.providers(context.settings)
        let nowMs = context.nowMs()
        let nonce = ULID.make(nowMs: nowMs)
        let replays = try await context.withDatabase { database in
            let events = PaymentEvents(
                facts: PaymentFacts(purposes: Product.purposes, outbox: context.relay(database).outbox, log: context.log), providers: providers)
            let ids = if let filter { try await database.read { try EventRecord.ids(filter, limit: limit, in: $0) } } else { invocation.operands }
            var replays: [EventReplay] = []
            for id in ids {
                do {
                    replays.append(
                        try await EventTaking.once(
                            id, events, nonce: nonce, actor: "staff:quittance", isTrial: isTrial, nowMs: nowMs, database))
                } catch PaymentError.notFound {
                    throw CommandFailure(.notFound, "the archive has no event '\(id.onOneLine)'")
                }
            }
            if !isTrial, let problem = try await context.publishOwnJobs(database) {
                context.output.error("quittance events replay: the jobs wait for the scheduler's sweep: \(problem)")
            }
            return replays
        }
        tell(replays, isTrial: isTrial, invocation, context)
        return replays.isEmpty ? .nothingDue : .ok
    }

    /// Nil where one event is named.
    private static func filter(_ invocation: Invocation, nowMs: Int64) throws -> EventFilter? {
        let outcome = try invocation.choice("--outcome", of: outcomeWords).flatMap(PaymentEvents.Outcome.init(rawValue:))
        let names = ["--outcome", "--provider", "--payment", "--newer-than", "--older-than"]
        let isFiltered = names.contains { invocation.has($0) }
        guard isFiltered != (invocation.operand(0) != nil) else { throw UsageError("one of EVENT and a filter is needed") }
        guard isFiltered else { return nil }
        return EventFilter(
            outcome: outcome, provider: invocation.value("--provider"), payment: invocation.value("--payment"),
            fromMs: try invocation.age("--newer-than").map { nowMs - $0 }, toMs: try invocation.age("--older-than").map { nowMs - $0 })
    }

    private static func tell(_ replays: [EventReplay], isTrial: Bool, _ invocation: Invocation, _ context: CommandContext) {
        var listing = Listing(
            ["event", "was", "is", "payment", "state_was", "state_is", .number("facts"), .number("entries"), "jobs", "tasks", "detail"],
            none: "No event is meant.")
        for replay in replays {
            listing.add(
                .string(replay.event), .string(replay.before.rawValue), .string(replay.outcome.rawValue), .optional(replay.payment),
                .optional(replay.stateBefore?.rawValue), .optional(replay.stateAfter?.rawValue), .int(replay.facts), .int(Int64(replay.entries)),
                .array(replay.jobs.map(JSON.string)), .array(replay.tasks.map(JSON.string)), .optional(replay.detail))
        }
        let changed = replays.count { $0.changesPayment }
        guard !invocation.wantsJSON else {
            return context.output.json([
                "dry_run": .bool(isTrial), "replayed": .int(Int64(replays.count)), "changed": .int(Int64(changed)), "events": listing.json,
            ])
        }
        context.output.text(listing.text)
        guard !replays.isEmpty else { return }
        context.output.line(
            isTrial
                ? "\(replays.count) would be taken up, \(changed) payments would change" : "\(replays.count) taken up, \(changed) payments changed")
    }
}
