import Access
import Database
import Formats
import HTTPServer
import Teams
import Usage

/// `/api/usage/…`: what teams and their projects have used, and what fits under a team's other limits.
struct UsageCalls: Sendable {
    static let monthsMax: Int64 = 36
    static let daysMax: Int64 = 366
    /// A measurement may be told by a clock that goes ahead of ours by so much.
    static let futureMaxMs: Int64 = 5 * 60_000

    let database: Database
    let nowMs: @Sendable () -> Int64

    var routes: [Route] {
        let scope = Route.Kind.api(scope: APIKey.usage)
        return [
            Route("GET", "/api/teams/{team}/allowed", scope, bodyLimit: 0, allowed),
            Route("GET", "/api/usage/{team}", scope, bodyLimit: 0, summary), Route("GET", "/api/usage/{team}/history", scope, bodyLimit: 0, history),
            Route("GET", "/api/usage/{team}/export.csv", scope, bodyLimit: 0, export),
            Route("GET", "/api/usage/{team}/projects/{project}", scope, bodyLimit: 0, project),
            Route("PUT", "/api/usage/{project}/storage", .backEnd(scope: APIKey.usage), bodyLimit: 4096, setStorage),
            Route("DELETE", "/api/usage/{project}/storage", .backEnd(scope: APIKey.usage), bodyLimit: 0, forgetStorage),
        ]
    }

    // MARK: What fits

    private func allowed(_ call: WebCall) async throws -> HTTPResponse {
        let names = ResourceLimits.Resource.allCases.map(\.rawValue)
        guard let resource = ResourceLimits.Resource(rawValue: call.request.queryValue("resource") ?? "") else {
            throw WebProblem.invalid("resource", "must be one of \(names.joined(separator: ", "))")
        }
        let adding = try Self.adding(call, resource)
        let (team, now) = (call.value("team"), nowMs())
        return try await database.read { connection in
            guard try call.teams.allows(team, in: connection),
                let allowance = try ResourceLimits.check(resource, adding: adding, team: team, nowMs: now, in: connection)
            else { throw TeamReach.missing(team) }
            return .json(200, .object(ResourceRoom.json(allowance, resource)))
        }
    }

    private static func adding(_ call: WebCall, _ resource: ResourceLimits.Resource) throws(WebProblem) -> Int64 {
        guard resource == .cpu, let text = call.request.queryValue("adding") else {
            return try call.whole("adding", in: 0...1_000_000_000, else: resource == .cpu ? 1000 : 1)
        }
        guard let milli = Thousandths.parse(text), milli <= 1_000_000_000 else {
            throw .invalid("adding", "must be a decimal from 0 to 1000000 with at most 3 places")
        }
        return milli
    }

    // MARK: What was used

    private func summary(_ call: WebCall) async throws -> HTTPResponse {
        let now = nowMs()
        let period = try Self.period(call, "period") ?? UsagePeriod(containing: now)
        let team = call.value("team")
        return try await database.read { connection in
            guard try call.teams.allows(team, in: connection), let usage = try UsageReading.team(team, period, nowMs: now, in: connection) else {
                throw TeamReach.missing(team)
            }
            return .json(200, UsageAnswer.summary(usage, nowMs: now))
        }
    }

    private func history(_ call: WebCall) async throws -> HTTPResponse {
        let months = Int(try call.whole("months", in: 1...Self.monthsMax, else: 12))
        let days = try call.whole("days", in: 0...Self.daysMax, else: 31)
        let now = nowMs()
        let team = call.value("team")
        return try await database.read { connection in
            _ = try call.teams.team(team, in: connection)
            let today = now / UsagePeriod.dayMs
            return .json(
                200,
                [
                    "team": .string(team),
                    "months": .array(
                        try UsageReading.months(of: team, count: months, nowMs: now, in: connection).map { UsageAnswer.month($0, $1) }),
                    "days": .array(
                        try UsageReading.days(of: team, today - days + 1..<today + 1, in: connection).map { UsageAnswer.day($0, $1) }),
                ])
        }
    }

    private func project(_ call: WebCall) async throws -> HTTPResponse {
        let now = nowMs()
        let period = try Self.period(call, "period") ?? UsagePeriod(containing: now)
        let (team, id) = (call.value("team"), call.value("project"))
        return try await database.read { connection in
            guard let project = try call.teams.project(id, in: connection), project.team == team else {
                throw WebProblem.notFound("there is no project \(id.prefix(100)) of team \(team.prefix(80))")
            }
            var answer = UsageAnswer.project(try UsageReading.project(id, period, nowMs: now, in: connection))
            if period == UsagePeriod(containing: now) {
                let gauge = try UsageReading.gauge(of: id, in: connection)
                answer["storage_measured_at"] = PaymentAnswer.time(gauge.measuredAtMs)
                answer["storage_stale"] = .bool(gauge.isStale(nowMs: now))
            }
            return .json(200, .object(answer))
        }
    }

    private func export(_ call: WebCall) async throws -> HTTPResponse {
        let now = nowMs()
        let through = try Self.period(call, "to") ?? UsagePeriod(containing: now)
        let from = try Self.period(call, "from") ?? through.adding(months: -11)
        guard from <= through else { throw WebProblem.invalid("from", "must not lie after to") }
        guard through < from.adding(months: Int(Self.monthsMax)) else {
            throw WebProblem.invalid("from", "must lie at most \(Self.monthsMax) months before the end of to")
        }
        let team = call.value("team")
        let text = try await database.read { connection in
            _ = try call.teams.team(team, in: connection)
            let names = Dictionary(
                try TeamStore.projects(of: team, removedSinceMs: from.startMs, in: connection).map { ($0.id, $0.name) },
                uniquingKeysWith: { first, _ in first })
            var csv = CSVText(header: UsageAnswer.columns)
            for usage in try UsageReading.export(of: team, from: from, through: through, nowMs: now, in: connection) {
                csv.append(UsageAnswer.line(usage, team: team, name: names[usage.projectID] ?? ""))
            }
            return csv.text
        }
        let headers: HTTPHeaders = [
            "Content-Type": "text/csv; charset=utf-8; header=present",
            // A team's id is a slug: nothing in it could end the quotes.
            "Content-Disposition": "attachment; filename=\"usage-\(team)-\(from)-\(through).csv\"",
        ]
        return HTTPResponse(status: 200, headers: headers, body: Array(text.utf8))
    }

    private static func period(_ call: WebCall, _ name: String) throws(WebProblem) -> UsagePeriod? {
        guard let text = call.request.queryValue(name) else { return nil }
        guard let period = UsagePeriod(text) else { throw .invalid(name, "must be a month such as 2026-11") }
        return period
    }

    // MARK: Storage measured elsewhere

    /// The origin of what comes over this call.
    private static let origin = "api"

    private func forgetStorage(_ call: WebCall) async throws -> HTTPResponse {
        let (id, now) = (call.value("project"), nowMs())
        return try await database.write { connection in
            guard try StorageGauges.remove(project: id, origin: Self.origin, nowMs: now, in: connection) else {
                throw WebProblem.notFound("nothing was told here of the storage of \(id.prefix(100))")
            }
            return HTTPResponse(status: 204)
        }
    }

    private func setStorage(_ call: WebCall) async throws -> HTTPResponse {
        let now = nowMs()
        var fields = FieldReader(try RequestBody.json(call.request))
        let bytes = fields.whole("bytes", in: 0...ByteFigure.counterMax, required: true)
        var measuredAt = now
        if let text = fields.text("measured_at", limit: 40) {
            let earliest = UsagePeriod(containing: now).adding(months: -1).startMs
            if let told = Timestamp.parse(text), (earliest...now + Self.futureMaxMs).contains(told) {
                measuredAt = min(told, now)
            } else {
                fields.fault("measured_at", "must be an RFC 3339 time of this month or the last, and not in the future")
            }
        }
        try fields.check()
        let (id, size, at) = (call.value("project"), bytes ?? 0, measuredAt)
        return try await database.write { connection in
            guard try TeamStore.project(id, in: connection) != nil else { throw WebProblem.notFound("there is no project \(id.prefix(100))") }
            let isTaken = try StorageGauges.set(project: id, bytes: size, origin: Self.origin, measuredAtMs: at, in: connection)
            let gauge = try UsageReading.gauge(of: id, in: connection)
            return .json(
                200,
                [
                    "project": .string(id), "taken": .bool(isTaken), "storage_bytes": .int(gauge.bytes),
                    "measured_at": PaymentAnswer.time(gauge.measuredAtMs), "stale": .bool(gauge.isStale(nowMs: now)),
                ])
        }
    }
}

/// Usage as the API tells it. Bytes are exact; MB (1024² bytes) and GB (1024³) are for reading, with two decimals.
enum UsageAnswer {
    static func summary(_ usage: TeamUsage, nowMs: Int64) -> JSON {
        var storage = metric(usage.storage)
        storage["measured_at"] = PaymentAnswer.time(usage.gauge?.measuredAtMs)
        storage["stale"] = usage.gauge.map { .bool($0.isStale(nowMs: nowMs)) } ?? .null
        storage["unknown_items"] = .optional(usage.gauge?.unknownItems)
        return [
            "team": .string(usage.team), "plan": TeamAnswer.plan(usage.plan), "period": .string(usage.period.description),
            "year": .int(Int64(usage.period.year)), "month": .int(Int64(usage.period.month)), "traffic": .object(metric(usage.traffic)),
            "storage": .object(storage), "level": .string(max(usage.traffic.level, usage.storage.level).rawValue),
            "projects": .array(usage.projects.map { .object(project($0)) }),
        ]
    }

    private static func metric(_ use: MetricUse) -> JSONObject {
        [
            "limit": .string(use.limitName), "bytes": .int(use.used), "mb": .number(ByteFigure.decimal(use.used, per: ByteFigure.mb)),
            "gb": .number(ByteFigure.decimal(use.used, per: ByteFigure.gb)), "limit_bytes": .int(use.limit),
            "percent": .optional(use.percent), "level": .string(use.level.rawValue),
        ]
    }

    /// The seed's ProjectUsage.
    static func project(_ usage: ProjectUsage) -> JSONObject {
        [
            "id": .string(usage.id), "project_id": .string(usage.projectID), "month": .int(Int64(usage.month)), "year": .int(Int64(usage.year)),
            "traffic_bytes": .int(usage.trafficBytes), "storage_bytes": .int(usage.storageBytes),
            "created_at": PaymentAnswer.time(usage.createdAtMs), "updated_at": PaymentAnswer.time(usage.updatedAtMs),
        ]
    }

    static func month(_ period: UsagePeriod, _ point: UsagePoint) -> JSON {
        [
            "period": .string(period.description), "year": .int(Int64(period.year)), "month": .int(Int64(period.month)),
            "traffic_bytes": .int(point.trafficBytes), "storage_bytes": .optional(point.storageBytes),
        ]
    }

    static func day(_ day: Int64, _ point: UsagePoint) -> JSON {
        [
            "date": .string(Timestamp.date(day * UsagePeriod.dayMs)), "traffic_bytes": .int(point.trafficBytes),
            "storage_bytes": .optional(point.storageBytes),
        ]
    }

    static let columns = ["team", "project_id", "project_name", "year", "month", "traffic_bytes", "storage_bytes", "created_at", "updated_at"]

    static func line(_ usage: ProjectUsage, team: String, name: String) -> [String] {
        [
            team, usage.projectID, name, String(usage.year), String(usage.month), String(usage.trafficBytes),
            usage.isStorageMeasured ? String(usage.storageBytes) : "",
            usage.createdAtMs.map(Timestamp.rfc3339) ?? "", usage.updatedAtMs.map(Timestamp.rfc3339) ?? "",
        ]
    }
}
