import Cryptography
import Database
import Formats
import Settings
import Staff

/// `quittance user …`: who may sign in to the console. The first admin is made here; forgotten passwords can be reset here too.
enum UserCommands {
    static let commands = [add, list, disable, enable, resetPassword]

    private static let actor = "operator"
    private static let name = CommandSyntax.Operand.needed("NAME", "as `quittance user list` shows it")
    private static let source = CommandSyntax.Option.value("--from", "FILE", "where the password stands, one line; standard input unless given")
    private static let input = "The password never stands on the command line."

    private static let add = Command(
        CommandSyntax(
            "user add", "let somebody sign in to the console",
            operands: [.needed("NAME", "2 to 40 letters, digits or . - _ @ +; it stays for good")],
            options: [
                .value("--role", "ROLE", StaffRole.allCases.map(\.rawValue).joined(separator: ", ") + "; viewer unless given"),
                .value("--language", "LANGUAGE", "fr or en; fr unless given"),
                .flag("--must-change", "they choose a password of their own at the first sign-in"), source,
            ],
            notes: [
                input,
                "One-time codes are enrolled at the first sign-in. Each role may all that those before it may: viewer looks, staff works on "
                    + "documents, operator decides about money and queues, admin says who may do what.",
            ])
    ) { invocation, context in
        let role = try invocation.choice("--role", of: StaffRole.allCases.map(\.rawValue)).flatMap(StaffRole.init(rawValue:)) ?? .viewer
        let language = try invocation.choice("--language", of: ["fr", "en"]) ?? "fr"
        guard let name = StaffStore.name(invocation.operands[0]) else { throw UsageError("NAME has 2 to 40 letters, digits or . - _ @ +") }
        let mustChange = invocation.has("--must-change")
        let hash = try await password(for: name, invocation)
        let now = context.nowMs()
        let user = try await context.withDatabase { database in
            try await check {
                try await database.write { connection in
                    try StaffStore.add(
                        name, role: role, password: hash, mustChange: mustChange, language: language, actor: actor, nowMs: now, in: connection)
                }
            }
        }
        context.output.line("\(user.name) may sign in as \(user.role.rawValue): /console/")
        if context.settings.secretKey == nil {
            context.output.error("quittance user add: SECRET_KEY is not set; without it there is no console")
        }
        return .ok
    }

    private static let list = Command(CommandSyntax("user list", "who may sign in to the console", options: [.json])) { invocation, context in
        let users = try await context.withDatabase { database in try await database.read { try StaffStore.list(in: $0) } }
        var listing = Listing(
            ["name", "role", "codes", "must_change", .time("created_at"), .time("signed_in_at"), .time("disabled_at")], none: "No users.")
        for user in users {
            listing.add(
                .string(user.name), .string(user.role.rawValue), .bool(user.hasCodes), .bool(user.mustChangePassword), .int(user.createdAtMs),
                .optional(user.signedInAtMs), .optional(user.disabledAtMs))
        }
        context.output.listing(listing, asJSON: invocation.wantsJSON)
        return .ok
    }

    private static let disable = Command(
        CommandSyntax("user disable", "end what somebody may do, their sessions too", operands: [name])
    ) { try await setEnabled(false, $0, $1) }

    private static let enable = Command(
        CommandSyntax("user enable", "let somebody sign in again, with the password and the codes they had", operands: [name])
    ) { try await setEnabled(true, $0, $1) }

    private static func setEnabled(_ isEnabled: Bool, _ invocation: Invocation, _ context: CommandContext) async throws -> ExitCode {
        let (name, now) = (invocation.operands[0].lowercased(), context.nowMs())
        let isNew = try await context.withDatabase { database in
            try await check { try await database.write { try StaffStore.setEnabled(isEnabled, name, actor: actor, nowMs: now, in: $0) } }
        }
        context.output.line("\(name) \(isNew ? "is" : "was already") \(isEnabled ? "enabled" : "disabled")")
        return isNew ? .ok : .nothingDue
    }

    private static let resetPassword = Command(
        CommandSyntax(
            "user reset-password", "give somebody a new password; their sessions end", operands: [name],
            options: [.flag("--new-codes", "the telephone and the recovery codes are lost: codes are enrolled anew"), source],
            notes: [input, "They choose one of their own at the next sign-in."])
    ) { invocation, context in
        let (name, dropsCodes, now) = (invocation.operands[0].lowercased(), invocation.has("--new-codes"), context.nowMs())
        try await context.withDatabase { database in
            try await check {
                _ = try await database.read { try StaffStore.require(name, in: $0) }
                let hash = try await password(for: name, invocation)
                try await database.write { connection in
                    try StaffStore.setPassword(
                        hash, of: name, mustChange: true, dropsCodes: dropsCodes, actor: actor, nowMs: now, in: connection)
                }
            }
        }
        context.output.line("\(name) has a new password, to be changed at the next sign-in")
        return .ok
    }

    private static func password(for name: String, _ invocation: Invocation) async throws -> PasswordHash {
        let bytes = try SmallFile.read(invocation.value("--from") ?? "/dev/stdin", limit: 4096)
        guard let text = String(validating: bytes, as: UTF8.self) else { throw CommandFailure(.failed, "the password is no text") }
        let line = text.split(separator: "\n", omittingEmptySubsequences: false).first.map(String.init) ?? ""
        let password = line.hasSuffix("\r") ? String(line.dropLast()) : line
        return try await check {
            try PasswordRule.check(password, name: name)
            let room = PasswordRoom()
            defer { room.close() }
            return try await room.hash(password)
        }
    }

    /// What a rule of the staff's room forbids, as commands say it.
    private static func check<Value>(_ body: () async throws -> Value) async throws -> Value {
        do { return try await body() } catch let error as StaffError {
            if case .notFound = error { throw CommandFailure(.notFound, error.description) }
            throw CommandFailure(.failed, error.description)
        }
    }
}
