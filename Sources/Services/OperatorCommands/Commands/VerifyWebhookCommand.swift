import Formats
import Money
import ProviderCatalog
import ProviderPort
import Settings

/// `quittance verify-webhook`: what ingest would say to a post, and why, without sending it.
enum VerifyWebhookCommand {
    static let command = Command(
        CommandSyntax(
            "verify-webhook", "say whether a post would be believed, and why, without sending it",
            operands: [.needed("PROVIDER", "as in /webhooks/<provider>")],
            options: [
                .needed("--body", "FILE", "the exact bytes of its body; /dev/stdin reads them from standard input"),
                .several("--header", "'NAME: VALUE'", "one of its headers"),
                .value("--at", "MS", "the moment it arrived, unix milliseconds; now unless given"),
                .value("--method", "METHOD", "POST unless given"), .json,
            ], notes: ["Nothing is sent and nothing stored. Exit codes: 0 it would be accepted or ignored, 1 it would be refused."])
    ) { invocation, context in
        let name = invocation.operands[0]
        let source = try source(name, context)
        let headers = try headers(invocation)
        let body = try SmallFile.read(invocation.value("--body") ?? "", limit: source.bodyLimit)
        let nowMs = try moment(invocation, context)
        let webhook = IncomingWebhook(
            method: invocation.value("--method")?.uppercased() ?? "POST", headers: headers, body: body, policy: source.policy)
        let verdict = source.adapter.verifyWebhook(webhook, nowMs: nowMs)
        let members = members(of: verdict, webhook, source)
        if invocation.wantsJSON {
            context.output.json(.object(JSONObject(members)))
        } else {
            for line in Columns.lines(members.map { ($0.0.replacing("_", with: " "), $0.1.string ?? $0.1.text) }) {
                context.output.line(String(line.dropFirst(2)).onOneLine)
            }
        }
        if case .refused = verdict { return .failed }
        return .ok
    }

    private static func source(_ name: String, _ context: CommandContext) throws -> ProviderCatalog.Source {
        guard context.settings.provider(name) != nil else {
            let known = context.settings.providers.keys.sorted().joined(separator: ", ")
            throw CommandFailure(.notFound, "there is no provider '\(name.onOneLine)'; the providers are \(known)")
        }
        guard let source = try ProviderCatalog.sources(context.settings).first(where: { $0.adapter.name == name }) else {
            let variable = "PROVIDER_MODE_" + name.uppercased().replacing("-", with: "_")
            throw CommandFailure(.failed, "\(name) is off here: set \(variable)")
        }
        return source
    }

    private static func headers(_ invocation: Invocation) throws(UsageError) -> HTTPHeaders {
        var headers = HTTPHeaders()
        for line in invocation.values("--header") {
            guard let colon = line.firstIndex(of: ":"), colon > line.startIndex else {
                throw UsageError("--header takes 'NAME: VALUE', and one of them has no colon")
            }
            headers.append(String(line[..<colon]), String(line[line.index(after: colon)...].drop { $0 == " " }))
        }
        return headers
    }

    private static func moment(_ invocation: Invocation, _ context: CommandContext) throws(UsageError) -> Int64 {
        guard let text = invocation.value("--at") else { return context.nowMs() }
        guard let ms = Int64(text), ms >= 0 else { throw UsageError("--at takes unix milliseconds, not '\(text)'") }
        return ms
    }

    private static func members(of verdict: WebhookVerdict, _ webhook: IncomingWebhook, _ source: ProviderCatalog.Source) -> [(String, JSON)] {
        let head: [(String, JSON)] = [("provider", .string(source.adapter.name)), ("mode", .string(source.mode))]
        switch verdict {
        case .refused(let reason): return head + [("verdict", "refused"), ("reason", .string(reason))]
        case .ignored(let reason): return head + [("verdict", "ignored"), ("reason", .string(reason))]
        case .accepted(let accepted):
            var members =
                head + [
                    ("verdict", "accepted"), ("trust", .string(accepted.trust.rawValue)), ("delivery", .string(accepted.deliveryID)),
                    ("type", .string(accepted.type)),
                ]
            if let key = accepted.matchedKey { members.append(("matched_key", .int(Int64(key)))) }
            if let note = accepted.note { members.append(("note", .string(note))) }
            return members + reading(webhook, source)
        }
    }

    /// What worker-payments would read in it.
    private static func reading(_ webhook: IncomingWebhook, _ source: ProviderCatalog.Source) -> [(String, JSON)] {
        do {
            let notice = try source.adapter.parse(body: webhook.body, contentType: webhook.contentType)
            let references = notice.references.map { "\($0.kind) \($0.value)" }.joined(separator: ", ")
            var members: [(String, JSON)] = [("claim", .string(notice.claim.rawValue)), ("references", .string(references))]
            if let amount = notice.amount { members.append(("amount", .string("\(amount.decimalText) \(amount.currency.code)"))) }
            if let problem = notice.amountProblem { members.append(("amount_problem", .string(problem))) }
            if let text = notice.errorText { members.append(("error", .string(text))) }
            return members
        } catch {
            return [("unreadable", .string(error.message))]
        }
    }
}
