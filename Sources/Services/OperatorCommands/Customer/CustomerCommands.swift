import Database
import EventLoop
import Formats
import JobQueueRedis
import ObjectStorage
import Operating
import PrivateFiles
import Settings

/// `quittance customer …`: what is held of a person, and its end.
enum CustomerCommands {
    static let commands = [export, erase]

    private static let who = CommandSyntax.Operand.needed(
        "WHO", "an e-mail address, a phone number as +2250707123456, or a payment or inquiry of theirs")

    private static let export = Command(
        CommandSyntax(
            "customer export", "everything that is held of a person, as JSON", operands: [who],
            notes: [
                "Rows of every table, the raw bytes that providers sent and the names of files among them. Hand it to nobody but the person."
            ])
    ) { invocation, context in
        let who = invocation.operands[0]
        let person = try PersonNamed(who)
        let holding = try await context.withDatabase { database in try await database.read { try CustomerHolding(of: person, in: $0) } }
        guard holding.isSomebody else { throw unknown(person, .notFound) }
        var tables: [(String, JSON)] = []
        for table in Set(holding.found.map(\.shape.name)).sorted() {
            let rows = holding.found.filter { $0.shape.name == table }
            tables.append((table, .array(rows.map { row in .object(JSONObject(zip(row.row.names, row.row.values).map { ($0, $1.json) })) })))
        }
        context.output.json([
            "who": .string(who), "at": .string(Timestamp.rfc3339(context.nowMs())), "payments": .array(holding.payments.map(JSON.string)),
            "inquiries": .array(holding.inquiries.map(JSON.string)), "files": .array((holding.files + holding.objects).map(JSON.string)),
            "tables": .object(JSONObject(tables)),
        ])
        return .ok
    }

    private static let erase = Command(
        CommandSyntax(
            "customer erase", "overwrite everything personal that is held of a person; books and invoices stay", operands: [who],
            options: [.flag("--dry-run", "say what would be changed, change nothing"), .json],
            notes: [
                "Refused while a payment of theirs is open, or a refund or job under way. Invoices keep name and address: laws want them so. "
                    + "Drafts, finals and files that were handed in are deleted. The database is written anew, so that nothing of it stays on unused pages; writers wait meanwhile.",
                "Not reached: backups, journals of ingest (gone after 24 hours), mail that was sent, what providers hold.",
            ])
    ) { invocation, context in
        let person = try PersonNamed(invocation.operands[0])
        let isTrial = invocation.has("--dry-run")
        return try await context.withDatabase { database in
            let holding = try await database.read { try CustomerHolding(of: person, in: $0) }
            guard holding.isSomebody else { throw unknown(person, .nothingDue) }
            let drafts = holding.files.filter { $0.hasPrefix("drafts/") }
            let pool = BlockingPool(name: "erase", threads: 1)
            defer { pool.close() }
            let files = PrivateFiles(root: context.settings.privateMediaRoot, pool: pool)
            var standing: [String] = []
            for path in drafts where try await files.exists(path) { standing.append(path) }
            let objects = try await standingObjects(holding, context)

            let erasing = CustomerErasing(holding: holding, actor: "cli", nowMs: context.nowMs())
            if let obstacle = try await database.read({ try erasing.obstacle(in: $0) }) {
                throw CommandFailure(.failed, "it is too early: \(obstacle). Nothing was changed.")
            }
            let count = standing.count + objects.count
            let rows = try await (isTrial ? tried(erasing, count, database) : done(erasing, count, database, person))
            guard rows > 0 || count > 0 else {
                context.output.line("Nothing personal is held.")
                return .nothingDue
            }
            if !isTrial {
                for path in standing { _ = try await files.remove(path) }
                try await delete(objects, context)
                let dead = await forgetDead(of: holding.payments, context)
                try await pool.run { try database.compact() }
                if let dead { context.output.error("quittance: \(dead)") }
            }
            report(holding, rows: rows, files: count, isTrial: isTrial, invocation, context)
            return .ok
        }
    }

    /// - Parameter code: of an address or a number; an erased one is as unknown as one that never was.
    private static func unknown(_ person: PersonNamed, _ code: ExitCode) -> CommandFailure {
        switch person {
        case .record(let id): CommandFailure(.notFound, "there is no payment or inquiry \(id.onOneLine)")
        case .email(let text), .phone(let text):
            CommandFailure(code, "no payment, inquiry or member of a team is of \(text.onOneLine). Nothing was done.")
        }
    }

    /// Objects of theirs that are there, not erased before.
    private static func standingObjects(_ holding: CustomerHolding, _ context: CommandContext) async throws -> [String] {
        guard !holding.objects.isEmpty else { return [] }
        return try await KitFileCommands.withStorage(context.settings) { storage in
            var standing: [String] = []
            for key in holding.objects where try await storage.exists(key) { standing.append(key) }
            return standing
        }
    }

    private static func delete(_ objects: [String], _ context: CommandContext) async throws {
        guard !objects.isEmpty else { return }
        try await KitFileCommands.withStorage(context.settings) { storage in
            for key in objects { try await storage.delete(key) }
        }
    }

    /// The record is read again where it is changed: something may have come in the meantime.
    private static func done(_ erasing: CustomerErasing, _ files: Int, _ database: Database, _ person: PersonNamed) async throws -> Int {
        try await database.write { connection in
            let now = CustomerErasing(holding: try CustomerHolding(of: person, in: connection), actor: erasing.actor, nowMs: erasing.nowMs)
            if let obstacle = try now.obstacle(in: connection) {
                throw CommandFailure(.failed, "it is too early: \(obstacle). Nothing was changed.")
            }
            return try now.erase(files: files, in: connection)
        }
    }

    private struct Trial: Error { let rows: Int }

    private static func tried(_ erasing: CustomerErasing, _ files: Int, _ database: Database) async throws -> Int {
        do {
            return try await database.write { connection in throw Trial(rows: try erasing.erase(files: files, in: connection)) }
        } catch let trial as Trial {
            return trial.rows
        }
    }

    /// Takes the jobs of theirs that were given up, with what they hold, out of Redis.
    /// - Returns: nil, or what is to be done by hand.
    private static func forgetDead(of payments: [String], _ context: CommandContext) async -> String? {
        guard !payments.isEmpty else { return nil }
        let advice = "jobs that were given up may hold personal data still: `quittance dead delete --payment ID` for each payment"
        do {
            let answer = try await context.withRedisIfThere { redis in
                for queue in try ProductQueues.named(nil) {
                    let driver = redis.redisDriver(of: queue)
                    let found = try await QueueInspection(queue, redis).jobs(in: [.dead], limit: .max) { entry in
                        entry.payment.map(payments.contains) ?? false
                    }
                    for entry in found { if let record = entry.record { _ = try await driver.deleteDead(record) } }
                }
            }
            return answer.problem.map { "\($0); \(advice)" }
        } catch {
            return "\(error); \(advice)"
        }
    }

    private static func report(
        _ holding: CustomerHolding, rows: Int, files: Int, isTrial: Bool, _ invocation: Invocation, _ context: CommandContext
    ) {
        let kept = holding.found.filter { CustomerHolding.isKeptByLaw($0.shape.name) }.count
        if invocation.wantsJSON {
            return context.output.json([
                "erased": .bool(!isTrial), "payments": .int(Int64(holding.payments.count)), "rows": .int(Int64(rows)), "files": .int(Int64(files)),
                "kept_by_law": .int(Int64(kept)),
            ])
        }
        let what = "\(rows) rows of \(holding.payments.count) payments and \(files) files"
        context.output.line(isTrial ? "Would be erased: \(what)." : "Erased: \(what).")
        if kept > 0 { context.output.line("\(kept) rows of ledger and invoices stay, as laws want them.") }
    }
}
