import Formats
import JobQueueRedis
import RedisClient
import Settings

/// `quittance refused`: posts that ingest did not believe.
enum RefusedCommand {
    static let command = Command(
        CommandSyntax(
            "refused", "posts that ingest refused, the latest first: why, from where, what they looked like",
            operands: [.optional("SOURCE", "only this provider's or carrier's, or usage: the samples'; all unless given")],
            options: [.value("--limit", "N", "how many of each source, 20 unless given"), .json],
            notes: ["The last 200 of each source are kept. With --json each has its masked headers and the beginning of its body."])
    ) { invocation, context in
        let sources = try sources(invocation, context)
        let limit = try invocation.number("--limit", in: 1...200, standard: 20)
        let prefix = context.settings.queuePrefix
        let records = try await context.withRedis { redis in
            var records: [JSON] = []
            for source in sources {
                let reply = try await redis.connection.call("LRANGE", "\(prefix){refused}:\(source)", 0, limit - 1)
                records += (reply.array ?? []).compactMap { value in value.bytes.flatMap { try? JSON(parsing: $0) } }
            }
            return records
        }
        if invocation.wantsJSON {
            context.output.json(.array(records))
            return .ok
        }
        var table = Listing([.time("time"), "source", "reason", "from", "target"], none: "Nothing was refused.")
        for record in records {
            let atMs = record["time"]?.string.flatMap { Timestamp.parse($0) }
            table.add(
                .optional(atMs), record["source"] ?? .null, record["reason"] ?? .null, record["remote_address"] ?? .null,
                record["target"] ?? .null)
        }
        context.output.text(table.text)
        return .ok
    }

    /// What ingest lists posts of usage samples under.
    private static let samples = "usage"

    private static func sources(_ invocation: Invocation, _ context: CommandContext) throws(CommandFailure) -> [String] {
        let known = context.settings.providers.keys.sorted() + context.settings.notifications.carriers.keys.sorted() + [samples]
        guard let source = invocation.operand(0) else { return known }
        guard known.contains(source) else {
            throw CommandFailure(.notFound, "there is no source '\(source.onOneLine)'; the sources are \(known.joined(separator: ", "))")
        }
        return [source]
    }
}
