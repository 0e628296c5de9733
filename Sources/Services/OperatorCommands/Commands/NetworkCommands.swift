import Database
import Formats
import Money
import Payments
import PaymentsService
import ProviderPort
import Staff

/// `quittance network …`: the ways to pay of the providers that are on, and switching one off while it is in trouble. The console does the same.
enum NetworkCommands {
    static let commands = [list, off, on]

    private static let provider = CommandSyntax.Operand.needed("PROVIDER", "as in /webhooks/<PROVIDER>")
    private static let way = CommandSyntax.Operand.needed("WAY", "as `quittance network list` shows it")
    private static let inForce = "In force with the next page and the next attempt; what was begun comes to its end."

    private static let list = Command(
        CommandSyntax(
            "network list", "the ways to pay of each provider that is on, with their limits, and those that are off", options: [.json],
            notes: ["Limits are minor units of each currency."])
    ) { invocation, context in
        let providers = try Product.providers(context.settings)
        let switches = try await context.withDatabase { database in try await database.read { try NetworkSwitches.read(in: $0) } }
        var table = Listing(
            [
                "provider", "way", "label", "countries", "currencies", .number("minimum"), .number("maximum"), "on", "reason", "actor",
                .time("off_at"),
            ], none: "No provider is on.")
        for (adapter, _) in providers.all {
            for choice in adapter.offer.choices {
                let off = switches.off(choice, at: adapter.name)
                table.add(
                    .string(adapter.name), .string(choice.word), .string(choice.label), .array(choice.countries.map(JSON.string)),
                    .array(choice.currencies.map { .string($0.code) }), .optional(choice.minimum), .optional(choice.maximum),
                    .bool(off == nil && choice.offReason == nil), .optional(off?.reason ?? choice.offReason), .optional(off?.actor),
                    .optional(off?.atMs))
            }
        }
        context.output.listing(table, asJSON: invocation.wantsJSON)
        return .ok
    }

    private static let off = Command(
        CommandSyntax(
            "network off", "offer a way to pay to nobody, and refuse it", operands: [provider, way], options: [KitCommands.reason], notes: [inForce])
    ) { invocation, context in
        try await turn(on: false, invocation, context)
    }

    private static let on = Command(
        CommandSyntax("network on", "offer a way to pay again", operands: [provider, way], options: [KitCommands.reason], notes: [inForce])
    ) { invocation, context in
        try await turn(on: true, invocation, context)
    }

    private static func turn(on isOn: Bool, _ invocation: Invocation, _ context: CommandContext) async throws -> ExitCode {
        let (name, word) = (invocation.operands[0], invocation.operands[1])
        let (reason, now) = (invocation.value("--reason") ?? "", context.nowMs())
        guard !reason.allSatisfy(\.isWhitespace) else { throw UsageError("a reason is needed") }
        guard let adapter = try Product.providers(context.settings)[name] else {
            throw CommandFailure(.notFound, "no provider '\(name.onOneLine)' is on")
        }
        guard let choice = adapter.offer.choice(word: word) else {
            throw CommandFailure(.notFound, "\(name) has no way to pay '\(word.onOneLine)': `quittance network list` shows them")
        }
        let changed = try await context.withDatabase { database in
            try await database.write { connection in
                let changed =
                    isOn
                    ? try NetworkSwitches.switchOn(choice, at: name, in: connection)
                    : try NetworkSwitches.switchOff(
                        choice, at: name, actor: KitCommands.actor, reason: reason, nowMs: now, in: connection)
                if changed {
                    try StaffAudit.record(
                        "network.\(isOn ? "on" : "off")", of: "\(name) \(word)", detail: reason, actor: KitCommands.actor, nowMs: now, in: connection)
                }
                return changed
            }
        }
        let sentence = "\(choice.label) (\(name) \(word)) is \(isOn ? "on" : "off")"
        context.output.line(changed ? sentence : "\(sentence): nothing to do")
        return changed ? .ok : .nothingDue
    }
}
