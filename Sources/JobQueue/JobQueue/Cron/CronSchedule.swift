import Formats

/// When something is due, again and again.
public struct CronSchedule: Sendable, Equatable, CustomStringConvertible {
    private enum Rule: Sendable, Equatable {
        case cron(CronExpression, NamedTimeZone)
        case every(ms: Int64)
    }

    private let rule: Rule

    /// A crontab schedule by the clocks of a zone.
    public init(_ expression: CronExpression, zone: NamedTimeZone = .utc) { rule = .cron(expression, zone) }

    private init(everyMs: Int64) { rule = .every(ms: everyMs) }

    /// A crontab schedule by the clocks of a zone, both by their text.
    /// - Throws: ``CronError`` naming the field, `zone` among them, and the rule.
    public static func cron(_ text: String, zone: String = "UTC", zones: TimeZoneFolder = .system) throws(CronError) -> CronSchedule {
        let expression = try CronExpression(text)
        do {
            return CronSchedule(expression, zone: try zones.zone(zone))
        } catch {
            throw CronError(field: "zone", rule: "\(error)")
        }
    }

    /// The shortest interval between two ticks.
    public static let shortestInterval = Duration.milliseconds(10)

    /// At every multiple of an interval since 1970-01-01T00:00Z, for what runs more often than a minute; whole milliseconds.
    public static func every(_ interval: Duration) -> CronSchedule {
        precondition(interval >= shortestInterval, "an interval is at least \(shortestInterval)")
        return CronSchedule(everyMs: interval.wholeMilliseconds)
    }

    /// `0 6 * * * Europe/Paris`; without the zone when it is UTC.
    public var description: String {
        switch rule {
        case .cron(let expression, let zone): zone == .utc ? expression.description : "\(expression) \(zone)"
        case .every(let ms): "every \(ms) ms"
        }
    }

    /// By whose clocks; UTC for intervals.
    public var zone: NamedTimeZone { if case .cron(_, let zone) = rule { zone } else { .utc } }

    /// The first tick later than `ms`; nil when there is none.
    public func next(after ms: Int64) -> Int64? {
        switch rule {
        case .cron(let expression, let zone): expression.next(after: ms, in: zone)
        case .every(let interval): ms - Self.remainder(ms, interval) + interval
        }
    }

    /// The last tick that is not later than `ms`; nil when there is none.
    public func previousOrAt(_ ms: Int64) -> Int64? {
        switch rule {
        case .cron(let expression, let zone): expression.previousOrAt(ms, in: zone)
        case .every(let interval): ms - Self.remainder(ms, interval)
        }
    }

    /// The ticks to come, the first first.
    public func next(_ count: Int, after ms: Int64) -> [Int64] {
        var ticks: [Int64] = []
        while ticks.count < count, let tick = next(after: ticks.last ?? ms) { ticks.append(tick) }
        return ticks
    }

    /// The last ticks that are later than `start` and not later than `end`, at most `count`, the first first.
    public func last(_ count: Int, after start: Int64, upTo end: Int64) -> [Int64] {
        var ticks: [Int64] = []
        var moment = end
        while ticks.count < count, let tick = previousOrAt(moment), tick > start {
            ticks.append(tick)
            moment = tick - 1
        }
        return ticks.reversed()
    }

    private static func remainder(_ value: Int64, _ unit: Int64) -> Int64 {
        let remainder = value % unit
        return remainder < 0 ? remainder + unit : remainder
    }
}

/// Which ticks run that were missed while no scheduler ran, or none could reach the server.
public enum CronCatchUp: Sendable, Equatable, CustomStringConvertible {
    /// None: a tick runs within a minute of its time or not at all.
    case none
    /// One run for all of them, under the latest.
    case latest
    /// Each one, the earliest first, but no more than the latest so many.
    case all(max: Int)

    /// How late a tick may be that is not counted as missed.
    public static let punctualityMs: Int64 = 60_000

    /// `none`, `latest`, `all(24)`
    public var description: String {
        switch self {
        case .none: "none"
        case .latest: "latest"
        case .all(let count): "all(\(count))"
        }
    }

    /// The ticks to run of those that came due since `last`.
    public func due(_ schedule: CronSchedule, after last: Int64, nowMs: Int64) -> [Int64] {
        switch self {
        case .none: schedule.last(1, after: max(last, nowMs - Self.punctualityMs), upTo: nowMs)
        case .latest: schedule.last(1, after: last, upTo: nowMs)
        case .all(let count): schedule.last(max(1, count), after: last, upTo: nowMs)
        }
    }
}

/// What happens to a tick whose predecessor's job has not come to its end.
public enum CronOverlap: String, Sendable, Equatable, CaseIterable {
    /// It runs beside it.
    case allow
    /// It is passed over.
    case skip
    /// It waits for the end, and only the latest one of those that wait runs then.
    case queueOne = "queue-one"
}
