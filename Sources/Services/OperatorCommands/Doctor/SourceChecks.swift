import Database
import Formats
import JobQueueRedis
import Payments
import PaymentsService
import ProviderCatalog
import ProviderPort
import RedisClient
import Settings

/// The sources that are on: what has to be entered at each provider, and what was last heard of it.
enum SourceChecks {
    /// A live source that customers pay at is not silent for longer.
    private static let silenceMs: Int64 = 24 * 3_600_000
    /// So many attempts in a row that nothing was heard of are no chance.
    private static let unheardMax: Int64 = 5

    static func findings(_ context: CommandContext) async -> [Finding] {
        // What is wrong with the sources themselves is said elsewhere.
        guard let sources = try? ProviderCatalog.sources(context.settings) else { return [] }
        let posting = sources.filter { $0.adapter.capabilities.hasWebhook }
        let names = posting.map(\.adapter.name)
        let nowMs = context.nowMs()
        let standings = try? await context.withDatabase { database in
            try await database.read { connection in try names.map { try SourceStanding.read($0, nowMs: nowMs, in: connection) } }
        }
        let refusals = await lastRefusals(of: names, context)
        return posting.flatMap { source -> [Finding] in
            let name = source.adapter.name
            return [
                mode(of: source, context), address(of: source, context), secret(of: source, context),
                heard(of: source, standings?.first { $0.provider == name }, refusal: refusals[name], context),
            ]
        }
    }

    private static func mode(of source: ProviderCatalog.Source, _ context: CommandContext) -> Finding {
        let capabilities = source.adapter.capabilities
        let isAsked = capabilities.hasStatus && !(capabilities.proofCoversMoney && source.policy.believesProofs)
        let addresses = source.addressCheck == .off ? "" : ", addresses: \(source.addressCheck.rawValue) (\(source.addresses.count))"
        return .ok(
            source.adapter.name,
            "\(source.mode), policy \(source.policy.rawValue), \(isAsked ? "asked before it is believed" : "believed")\(addresses)")
    }

    // MARK: What to enter where

    /// Where a provider's address and secret are entered.
    private struct Place {
        let url: String
        let secret: String
    }

    private static let places = [
        "cinetpay": Place(url: "sent with each payment", secret: "the secret key of CinetPay's dashboard, Integration"),
        "feexpay": Place(url: "FeexPay's dashboard, Webhook", secret: "FeexPay's dashboard, Webhook, header type Bearer"),
        "icount": Place(
            url: "sent with each payment; the webhook of documents in iCount, Settings",
            secret: "nowhere: it makes the addresses; the one that iCount shows beside its webhook stands behind it"),
        "kkiapay": Place(url: "KKiaPay's dashboard, Developers, Webhook", secret: "beside the address there"),
        "orange-money": Place(url: "sent with each payment", secret: "nowhere: it makes the addresses"),
        "payment-backend": Place(url: "the payment back end's callback", secret: "the payment back end, which signs by it"),
        "standard-webhooks": Place(url: "the sender's endpoint", secret: "the sender, which signs by it"),
        "wave": Place(url: "Wave's portal, Developers, Webhooks", secret: "Wave's portal shows it once, beside the webhook"),
    ]

    private static func address(of source: ProviderCatalog.Source, _ context: CommandContext) -> Finding {
        let name = source.adapter.name
        let isMade = source.adapter.addressSigner != nil
        let url = told(name, isMade, context) ?? "\(Product.ingestURL(context.settings))/webhooks/\(name)"
        let text = url + (isMade ? "/<payment>/<code>, made for each payment" : "") + (places[name].map { ": \($0.url)" } ?? "")
        let isLocal = ["http://127.0.0.1", "http://localhost", "http://[::1]"].contains { url.hasPrefix($0) }
        guard isLocal, source.mode == ProviderMode.live.rawValue else { return .ok("\(name) address", text) }
        return .warn("\(name) address", "\(text); no provider reaches this machine there: set BASE_URL")
    }

    /// Orange's notices may go to an address of their own, `OM_NOTIFY_URL`; where each payment has its own path only the host of it counts.
    private static func told(_ name: String, _ isMade: Bool, _ context: CommandContext) -> String? {
        guard let url = context.settings.provider(name)?.values["notify_url"] else { return nil }
        guard isMade else { return url }
        return url.split(separator: "/", maxSplits: 2).prefix(2).joined(separator: "//") + "/webhooks/\(name)"
    }

    private static func secret(of source: ProviderCatalog.Source, _ context: CommandContext) -> Finding {
        let name = source.adapter.name
        let what = "\(name) secret"
        let count = context.settings.provider(name)?.secrets.count ?? 0
        let place = places[name].map { ": \($0.secret)" } ?? ""
        let set = "`quittance source rotate \(name)\(Settings.choosesSecret(of: name) ? " --generate" : "")`"
        switch count {
        case 0 where context.settings.provider(name)?.hasProof == true && !source.policy.takesUnproven:
            return .warn(what, "none: every webhook of it is refused; \(set)\(place)")
        case 0: return .warn(what, "none: its webhooks prove nothing; \(set)\(place)")
        case 1: return .ok(what, "1\(place)")
        default: return .ok(what, "\(count), being rotated (`quittance source rotate \(name) --retire` ends the older)\(place)")
        }
    }

    // MARK: What was heard

    private static func heard(
        of source: ProviderCatalog.Source, _ standing: SourceStanding?, refusal: (atMs: Int64, reason: String)?, _ context: CommandContext
    ) -> Finding {
        let name = source.adapter.name
        let nowMs = context.nowMs()
        let accepted = standing?.last.map { "last accepted \(PlainTime.text($0.receivedAtMs)) (\($0.outcome))" } ?? "nothing accepted yet"
        let refused = refusal.map { "last refused \(PlainTime.text($0.atMs)): \($0.reason)" } ?? "nothing refused"
        let text = "\(accepted), \(refused)"
        guard let standing else { return .ok("\(name) heard", text) }
        if standing.unheardAttempts >= unheardMax {
            let count = standing.unheardAttempts
            return .warn("\(name) heard", "\(text); \(count) attempts since, and nothing heard of them: is the address entered?")
        }
        if source.mode == ProviderMode.live.rawValue, let silence = standing.silentMs(nowMs: nowMs), silence > silenceMs {
            return .warn("\(name) heard", "\(text); silent for \(PlainTime.age(silence))")
        }
        return .ok("\(name) heard", text)
    }

    private static func lastRefusals(of names: [String], _ context: CommandContext) async -> [String: (atMs: Int64, reason: String)] {
        let prefix = context.settings.queuePrefix
        let answer = try? await context.withRedisIfThere { redis in
            var found: [String: (atMs: Int64, reason: String)] = [:]
            for name in names {
                guard let bytes = try await redis.connection.call("LINDEX", "\(prefix){refused}:\(name)", 0).bytes,
                    let record = try? JSON(parsing: bytes), let atMs = record["time"]?.string.flatMap({ Timestamp.parse($0) })
                else { continue }
                found[name] = (atMs, record["reason"]?.string ?? "")
            }
            return found
        }
        return answer?.value ?? [:]
    }
}

/// The backups: whether any are made, and how old the newest is.
enum BackupChecks {
    /// One is made every night.
    private static let ageMaxMs: Int64 = 26 * 3_600_000

    static func findings(_ context: CommandContext) -> [Finding] {
        let what = "backup"
        guard let folder = context.settings.backupDirectory else {
            return [.warn(what, "none is made here by itself: set BACKUP_DIRECTORY, or have `quittance backup FOLDER` run every night")]
        }
        guard let newest = BackupShelf(folder: folder).names.last, let atMs = moment(newest) else {
            return [.warn(what, "there is none in \(folder) yet: `quittance cron run backup --now` makes one")]
        }
        let age = context.nowMs() - atMs
        let text = "\(folder)/\(newest), \(PlainTime.age(age)) old"
        return [age > ageMaxMs ? .warn(what, "\(text): is the scheduler running? `quittance cron run backup --now` makes one") : .ok(what, text)]
    }

    /// Of a name such as `20261121T020000Z`.
    private static func moment(_ name: String) -> Int64? {
        let digits = name.prefix(15).filter { $0 != "T" }
        guard digits.count == 14 else { return nil }
        let parts = [4, 2, 2, 2, 2, 2].reduce(into: (rest: digits[...], found: [Substring]())) { state, count in
            state.found.append(state.rest.prefix(count))
            state.rest = state.rest.dropFirst(count)
        }.found
        return Timestamp.parse("\(parts[0])-\(parts[1])-\(parts[2])T\(parts[3]):\(parts[4]):\(parts[5])Z")
    }
}
