import Database
import Downloads
import Drafts
import Formats
import Outbox
import PaymentsService
import Publication

/// `quittance kit …`: what staff does with a kit, for those who have no console at hand. The same actions, guards and trail.
enum KitCommands {
    static let commands = [list, show, edit, regenerate, KitFileCommands.attach, publish, revoke, reissue]

    static let actor = "operator"
    static let reason = CommandSyntax.Option.needed("--reason", "TEXT", "why, for the audit trail")
    static let inquiry = CommandSyntax.Operand.needed("INQUIRY", "inq_…")
    private static let states = ProcessingState.allCases.map(\.rawValue)

    /// Turns a refusal of the rooms into the operator's.
    static func check<Value>(_ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let error as KitActionError {
            switch error {
            case .reasonMissing, .invalid: throw UsageError(error.description)
            case .notFound: throw CommandFailure(.notFound, error.description)
            default: throw CommandFailure(.failed, error.description)
            }
        } catch let error as InquiryError {
            if case .invalid = error { throw UsageError(error.description) }
            throw CommandFailure(.notFound, error.description)
        }
    }

    /// Changes something in one transaction, then publishes the jobs that this caused.
    static func write<Value: Sendable>(
        _ context: CommandContext, _ body: @escaping @Sendable (Outbox, Connection) throws -> Value
    ) async throws -> Value {
        try await context.withDatabase { database in
            let outbox = context.relay(database).outbox
            let value = try await database.write { connection in try check { try body(outbox, connection) } }
            if let problem = try await context.publishOwnJobs(database) { context.output.error("quittance: \(problem)") }
            return value
        }
    }

    // MARK: Looking

    private static let list = Command(
        CommandSyntax(
            "kit list", "inquiries, newest first",
            options: [
                .value("--state", "STATE", "one of \(states.joined(separator: ", "))"),
                .value("--find", "TEXT", "a part of a name or an address, or an id"),
                .value("--limit", "N", "how many, 50 unless given"), .json,
            ])
    ) { invocation, context in
        let state = try invocation.choice("--state", of: states).flatMap(ProcessingState.init(rawValue:))
        let limit = try invocation.number("--limit", in: 1...10_000, standard: 50)
        let filter = InquiryFilter(state: state, text: invocation.value("--find"), limit: limit)
        let found = try await context.withDatabase { database in try await database.read { try InquiryStore.list(filter, in: $0) } }
        var table = Listing(
            ["inquiry", "organization", "state", "payment_status", .number("draft_version"), .time("created_at"), "failure"], none: "No inquiries.")
        for inquiry in found {
            table.add(
                .string(inquiry.id), .string(inquiry.organizationName), .string(inquiry.state.rawValue), .string(inquiry.paymentStatus),
                .int(inquiry.draftVersion), .int(inquiry.createdAtMs), .optional(inquiry.failure))
        }
        context.output.listing(table, asJSON: invocation.wantsJSON)
        return .ok
    }

    private static let show = Command(
        CommandSyntax("kit show", "an inquiry with its drafts, finals, attachments, what it cost and what was done to it", operands: [inquiry])
    ) { invocation, context in
        let id = invocation.operands[0]
        let life = try await context.withDatabase { database in try await database.read { try KitLife(id, in: $0) } }
        guard let life else { throw CommandFailure(.notFound, "there is no inquiry \(id.onOneLine)") }
        context.output.json(life.json)
        return .ok
    }

    // MARK: The draft

    private static let edit = Command(
        CommandSyntax(
            "kit edit", "correct texts of an inquiry; drafts that are there stay as they are", operands: [inquiry],
            options: [.several("--set", "FIELD=TEXT", "a text by its name in the form", isRequired: true), reason])
    ) { invocation, context in
        var fields: [String: String] = [:]
        for word in invocation.values("--set") {
            let halves = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard halves.count == 2 else { throw UsageError("--set takes FIELD=TEXT, not '\(word.onOneLine)'") }
            fields[halves[0]] = halves[1]
        }
        let (id, why, now, changes) = (invocation.operands[0], invocation.value("--reason") ?? "", context.nowMs(), fields)
        try await write(context) { _, connection in
            _ = try DraftWork.edit(id, changes, actor: actor, reason: why, nowMs: now, in: connection)
        }
        context.output.line("\(id) is changed")
        return .ok
    }

    private static let regenerate = Command(
        CommandSyntax(
            "kit regenerate", "have another version of the draft made; those before it stay", operands: [inquiry],
            options: [.flag("--keep-answer", "of the last text, which is not paid for again: after a template or a text was corrected"), reason])
    ) { invocation, context in
        let (id, why, now) = (invocation.operands[0], invocation.value("--reason") ?? "", context.nowMs())
        let keeps = invocation.has("--keep-answer")
        let version = try await write(context) { outbox, connection in
            try DraftWork.regenerate(id, keepingAnswer: keeps, outbox: outbox, actor: actor, reason: why, nowMs: now, in: connection)
        }
        context.output.line("version \(version) of the draft of \(id) is on its way")
        return .ok
    }

    // MARK: Publishing

    private static let publish = Command(
        CommandSyntax("kit publish", "let the customer download the final, and tell them", operands: [inquiry], options: [reason])
    ) { invocation, context in
        let (id, why, now, settings) = (invocation.operands[0], invocation.value("--reason") ?? "", context.nowMs(), context.settings)
        let grant = try await write(context) { outbox, connection in
            try Product.publication(settings, outbox: outbox).publish(id, actor: actor, reason: why, nowMs: now, in: connection)
        }
        context.output.line("\(id) is published: download \(grant.id) until \(Timestamp.rfc3339(grant.expiresAtMs))")
        return .ok
    }

    private static let revoke = Command(
        CommandSyntax("kit revoke", "take a publication back: its links are over", operands: [inquiry], options: [reason])
    ) { invocation, context in
        let (id, why, now, settings) = (invocation.operands[0], invocation.value("--reason") ?? "", context.nowMs(), context.settings)
        let count = try await write(context) { outbox, connection in
            try Product.publication(settings, outbox: outbox).revoke(id, actor: actor, reason: why, nowMs: now, in: connection)
        }
        context.output.line("\(id) is taken back; \(count) links were in force")
        return .ok
    }

    private static let reissue = Command(
        CommandSyntax("kit reissue", "send the customer another link in place of the last one", operands: [inquiry], options: [reason])
    ) { invocation, context in
        let (id, why, now, settings) = (invocation.operands[0], invocation.value("--reason") ?? "", context.nowMs(), context.settings)
        let grant = try await write(context) { outbox, connection in
            try Product.publication(settings, outbox: outbox).reissue(id, actor: actor, reason: why, nowMs: now, in: connection)
        }
        context.output.line("download \(grant.id) of \(id) is on its way, until \(Timestamp.rfc3339(grant.expiresAtMs))")
        return .ok
    }
}
