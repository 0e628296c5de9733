import Access
import Database
import Formats

/// `quittance apikey …`: keys that other systems call the API with.
enum AccessCommands {
    static let commands = [create, list, revoke]

    private static let create = Command(
        CommandSyntax(
            "apikey create", "make an API key; its text is shown this once",
            options: [
                .needed("--name", "NAME", "who will use it"), .several("--scope", "SCOPE", "what it may do; '\(APIKey.payments)' unless given"),
                .json,
            ])
    ) { invocation, context in
        let scopes = invocation.has("--scope") ? invocation.values("--scope") : [APIKey.payments]
        let name = invocation.value("--name") ?? ""
        let nowMs = context.nowMs()
        let (key, text) = try await context.withDatabase { database in
            do {
                return try await database.write { try APIKeys.create(name: name, scopes: scopes, nowMs: nowMs, in: $0) }
            } catch AccessError.invalid(let field, let rule) {
                throw UsageError("\(field) \(rule)")
            }
        }
        if invocation.wantsJSON {
            context.output.json([
                "id": .string(key.id), "name": .string(key.name), "scopes": .array(key.scopes.map(JSON.string)), "key": .string(text),
            ])
        } else {
            context.output.line(text)
            context.output.line("Keep it: only its digest is stored. It is listed as \(key.id) (\(key.name)).")
        }
        return .ok
    }

    private static let list = Command(CommandSyntax("apikey list", "API keys, without their text", options: [.json])) { invocation, context in
        let keys = try await context.withDatabase { database in try await database.read { try APIKeys.list(in: $0) } }
        var listing = Listing(
            ["id", "name", "scopes", .time("created_at"), .time("last_used_at"), .time("revoked_at")], none: "No API keys.")
        for key in keys {
            listing.add(
                .string(key.id), .string(key.name), .array(key.scopes.map(JSON.string)), .int(key.createdAtMs), .optional(key.lastUsedAtMs),
                .optional(key.revokedAtMs))
        }
        context.output.listing(listing, asJSON: invocation.wantsJSON)
        return .ok
    }

    private static let revoke = Command(
        CommandSyntax("apikey revoke", "end an API key, at once and for good", operands: [.needed("ID", "as listed; never the key itself")])
    ) { invocation, context in
        let id = invocation.operands[0]
        // The key's own text must not be repeated on a screen.
        guard !id.hasPrefix("qk_") else { throw UsageError("ID is what `quittance apikey list` shows, not the key") }
        let nowMs = context.nowMs()
        let isNew = try await context.withDatabase { database in
            do {
                return try await database.write { try APIKeys.revoke(id, nowMs: nowMs, in: $0) }
            } catch let error as AccessError {
                throw CommandFailure(.notFound, error.description)
            }
        }
        context.output.line("\(id) \(isNew ? "is" : "was already") revoked")
        return isNew ? .ok : .nothingDue
    }
}
