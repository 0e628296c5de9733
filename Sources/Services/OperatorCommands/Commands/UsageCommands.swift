import Cryptography
import Database
import Formats
import Plans
import Settings
import Usage

/// `quittance usage …`: what is metered, how near the limits are, what the scheduled runs did.
enum UsageCommands {
    static let commands = [show, top, runs, alerts, rejected, origins, forget, key]
    private static let limit = CommandSyntax.Option.value("--limit", "N", "how many, 50 unless given")
    private static let keyBytes = 24

    // MARK: Teams

    private static let show = Command(
        CommandSyntax(
            "usage show", "what a team and its projects used in a UTC month", operands: [.needed("TEAM", "its id")],
            options: [.value("--period", "MONTH", "such as 2026-11; this month unless given"), .json])
    ) { invocation, context in
        let nowMs = context.nowMs()
        let period = try invocation.value("--period").map(period) ?? UsagePeriod(containing: nowMs)
        let id = invocation.operands[0]
        let usage = try await context.withDatabase { database in
            try await database.read { try UsageReading.team(id, period, nowMs: nowMs, in: $0) }
        }
        guard let usage else { throw CommandFailure(.notFound, "there is no team \(id)") }
        var projects = Listing(["project", .number("traffic_bytes"), .number("storage_bytes"), .time("updated_at")], none: "No projects.")
        for project in usage.projects {
            projects.add(.string(project.projectID), .int(project.trafficBytes), .int(project.storageBytes), .optional(project.updatedAtMs))
        }
        var metrics = Listing(["metric", .number("used_bytes"), .number("limit_bytes"), .number("percent"), "level"], none: "")
        for use in [usage.traffic, usage.storage] {
            metrics.add(
                .string(use.metric.rawValue), .int(use.used), .int(use.limit), .optional(use.percent), .string(use.level.rawValue))
        }
        let isStale = usage.gauge?.isStale(nowMs: nowMs)
        if invocation.wantsJSON {
            context.output.json([
                "team": .string(id), "plan": .string(usage.plan.name), "period": .string("\(period)"), "metrics": metrics.json,
                "storage_measured_at": .optional(usage.gauge?.measuredAtMs.map(Timestamp.rfc3339)), "storage_stale": isStale.map(JSON.bool) ?? .null,
                "storage_unknown_items": .optional(usage.gauge?.unknownItems), "projects": projects.json,
            ])
            return .ok
        }
        context.output.line("\(id), \(usage.plan.name), \(period)")
        context.output.text(metrics.text)
        if let gauge = usage.gauge { context.output.line("Storage: \(age(gauge, nowMs: nowMs))") }
        context.output.line("")
        context.output.text(projects.text)
        return .ok
    }

    private static func period(_ text: String) throws(UsageError) -> UsagePeriod {
        guard let period = UsagePeriod(text) else { throw UsageError("--period takes a month such as 2026-11, not '\(text)'") }
        return period
    }

    private static func age(_ gauge: StorageGauge, nowMs: Int64) -> String {
        let unknown = gauge.unknownItems > 0 ? ", \(gauge.unknownItems) volumes or images of unknown size" : ""
        guard let measuredAtMs = gauge.measuredAtMs else { return "never measured" + unknown }
        return "measured \(PlainTime.age(nowMs - measuredAtMs)) ago" + (gauge.isStale(nowMs: nowMs) ? ", stale" : "") + unknown
    }

    private static let top = Command(
        CommandSyntax(
            "usage top", "the teams that use most this month",
            options: [
                .value("--by", "METRIC", "traffic or storage; traffic unless given"),
                .value("--level", "LEVEL", "only those that have come to warning (80 %), critical (95 %) or exceeded (100 %) of their limit"), limit,
                .json,
            ])
    ) { invocation, context in
        let metric = try invocation.choice("--by", of: UsageMetric.allCases.map(\.rawValue)).flatMap(UsageMetric.init(rawValue:)) ?? .traffic
        let level = try invocation.choice("--level", of: ["warning", "critical", "exceeded"]).flatMap(UsageLevel.init(rawValue:)) ?? .ok
        let most = try invocation.number("--limit", in: 1...10_000, standard: 50)
        let nowMs = context.nowMs()
        let standings = try await context.withDatabase { database in
            try await database.read { try UsageRanking.top(by: metric, atLeast: level, limit: most, nowMs: nowMs, in: $0) }
        }
        var listing = Listing(
            [
                "team", "plan", .number("traffic_bytes"), .number("traffic_percent"), "traffic_level", .number("storage_bytes"),
                .number("storage_percent"), "storage_level", "storage_stale",
            ], none: level == .ok ? "Nothing is used." : "No team is that near to its \(metric.rawValue) limit.")
        for standing in standings {
            listing.add(
                .string(standing.team), .string(standing.plan), .int(standing.traffic.used), .optional(standing.traffic.percent),
                .string(standing.traffic.level.rawValue), .int(standing.storage.used), .optional(standing.storage.percent),
                .string(standing.storage.level.rawValue), .bool(standing.gauge.bytes > 0 && standing.gauge.isStale(nowMs: nowMs)))
        }
        context.output.listing(listing, asJSON: invocation.wantsJSON)
        return .ok
    }

    // MARK: Records

    private static let runs = Command(
        CommandSyntax(
            "usage runs", "what the scheduled runs did, the latest first",
            options: [.value("--kind", "KIND", "storage or limits"), limit, .json])
    ) { invocation, context in
        let kind = try invocation.choice("--kind", of: UsageRun.Kind.allCases.map(\.rawValue)).flatMap(UsageRun.Kind.init(rawValue:))
        let most = try invocation.number("--limit", in: 1...10_000, standard: 50)
        let runs = try await context.withDatabase { database in try await database.read { try UsageRun.list(kind, limit: most, in: $0) } }
        var listing = Listing(
            ["kind", "tick", .time("started_at"), "outcome", .number("items"), .number("errors"), .number("duration_ms"), "detail"], none: "No runs.")
        for run in runs {
            listing.add(
                .string(run.kind.rawValue), .string(run.tick), .int(run.startedAtMs), .string(run.outcome.rawValue), .int(Int64(run.items)),
                .int(Int64(run.errors)), .optional(run.durationMs), .string(run.detail))
        }
        context.output.listing(listing, asJSON: invocation.wantsJSON)
        return .ok
    }

    private static let alerts = Command(
        CommandSyntax(
            "usage alerts", "what teams were told, the latest first", options: [.value("--team", "TEAM", "of this team only"), limit, .json])
    ) { invocation, context in
        let team = invocation.value("--team")
        let most = try invocation.number("--limit", in: 1...10_000, standard: 50)
        let alerts = try await context.withDatabase { database in
            try await database.read { try UsageAlert.list(team: team, limit: most, in: $0) }
        }
        var listing = Listing(
            ["team", "metric", "period", .number("threshold"), .number("used_bytes"), .number("limit_bytes"), "plan", "state", .time("created_at")],
            none: "No alerts.")
        for alert in alerts {
            listing.add(
                .string(alert.team), .string(alert.metric.rawValue), .string("\(alert.period)"), .int(alert.threshold.rawValue),
                .int(alert.usedBytes), .int(alert.limitBytes), .string(alert.plan), .string(alert.state.rawValue), .int(alert.createdAtMs))
        }
        context.output.listing(listing, asJSON: invocation.wantsJSON)
        return .ok
    }

    private static let rejected = Command(
        CommandSyntax(
            "usage rejected", "samples that were not counted, the latest first", options: [limit, .json],
            notes: ["Reasons: too_old (over 75 days), in_future (over 5 minutes ahead), conflict (the batch's name was used for other samples)."])
    ) { invocation, context in
        let most = try invocation.number("--limit", in: 1...10_000, standard: 50)
        let rejections = try await context.withDatabase { database in
            try await database.read { try UsageRejection.list(limit: most, in: $0) }
        }
        var listing = Listing(
            ["source", "batch", "reason", .number("samples"), .number("bytes"), .time("rejected_at")], none: "Nothing was rejected.")
        for rejection in rejections {
            listing.add(
                .string(rejection.source), .string(rejection.batch), .string(rejection.reason), .int(rejection.samples), .int(rejection.bytes),
                .int(rejection.rejectedAtMs))
        }
        context.output.listing(listing, asJSON: invocation.wantsJSON)
        return .ok
    }

    static func originListing(_ connection: Connection, nowMs: Int64) throws -> Listing {
        var listing = Listing(
            ["origin", "scheduled", .time("measured_at"), "age", "stale", .time("failed_at"), "error"], none: "Storage was never measured.")
        for origin in try StorageGauges.origins(in: connection) {
            listing.add(
                .string(origin.name), .bool(origin.isWhole), .optional(origin.measuredAtMs),
                .optional(origin.measuredAtMs.map { PlainTime.age(nowMs - $0) }), .bool(origin.isStale(nowMs: nowMs)),
                .optional(origin.failedAtMs), .optional(origin.error))
        }
        return listing
    }

    private static let origins = Command(
        CommandSyntax(
            "usage origins", "where storage is measured, when it last was, and whether that is too long ago", options: [.json],
            notes: ["A gauge older than 36 hours is stale: no storage limit is judged by it."])
    ) { invocation, context in
        let nowMs = context.nowMs()
        let listing = try await context.withDatabase { database in try await database.read { try originListing($0, nowMs: nowMs) } }
        context.output.listing(listing, asJSON: invocation.wantsJSON)
        return .ok
    }

    private static let forget = Command(
        CommandSyntax(
            "usage forget", "forget where storage is measured no more, with its figures",
            operands: [.needed("ORIGIN", "a name that `quittance usage origins` shows")],
            notes: ["Storage that no setting names any more keeps its last figures until then, and goes stale: a setting may be missing by mistake."])
    ) { invocation, context in
        let (origin, nowMs) = (invocation.operands[0], context.nowMs())
        let isForgotten = try await context.withDatabase { database in
            try await database.write { try StorageGauges.forget(origin: origin, nowMs: nowMs, in: $0) }
        }
        guard isForgotten else { throw CommandFailure(.notFound, "storage is not measured at '\(origin)'") }
        context.output.line("\(origin) and its figures are forgotten")
        return .ok
    }

    // MARK: Sources

    private static let key = Command(
        CommandSyntax(
            "usage key", "make a random key for a source of samples, and print the word for USAGE_SOURCE_KEYS",
            operands: [.needed("NAME", "of the source: letters, digits, '-', '_' and '.'")],
            notes: [
                "Nothing is stored: put the word into USAGE_SOURCE_KEYS before the first start, beside those that are there, separated by a blank. "
                    + "Afterwards `quittance source rotate usage/NAME --generate` makes a key and enters it, without a restart. "
                    + "The source sends what follows the colon: Authorization: Bearer KEY.",
                "A name may stand twice while its key is changed.",
            ])
    ) { invocation, context in
        let name = invocation.operands[0]
        guard Slug.isValid(name, most: 100) else { throw UsageError("NAME \(Slug.rule(most: 100))") }
        let word = "\(name):\(Hex.encode(SecureRandom.bytes(keyBytes)))"
        context.output.line("USAGE_SOURCE_KEYS=\(word)")
        let others = Set(context.settings.usage.sources.map(\.name)).sorted()
        if !others.isEmpty {
            context.output.error("Keep what is set now (\(others.joined(separator: ", "))), and add the new word behind it, separated by a blank.")
        }
        return .ok
    }
}
