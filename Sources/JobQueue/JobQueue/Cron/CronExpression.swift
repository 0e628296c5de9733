import Formats

/// A crontab schedule of five fields (minute, hour, day of month, month, day of week). When it is due is a matter of the time zone too:
/// see ``next(after:in:)``.
///
/// Fields take `*`, numbers, names (`JAN`, `MON`), ranges `1-5`, steps `*/15` or `10-40/5`, and lists of these; `@hourly`, `@daily`
/// (`@midnight`), `@weekly`, `@monthly` and `@yearly` (`@annually`) stand for the usual five. Day 7 is Sunday, as 0 is. When both day
/// fields are restricted a day matches by either, as crontab(5) has it; a field that begins with `*` is not restricted.
public struct CronExpression: Sendable, Equatable, CustomStringConvertible {
    public let description: String

    let minutes: UInt64
    let hours: UInt64
    private let daysOfMonth: UInt64
    private let months: UInt64
    private let daysOfWeek: UInt64
    /// Both day fields are restricted: either may match.
    private let eitherDay: Bool

    /// - Throws: ``CronError`` naming the field and the rule.
    public init(_ text: String) throws(CronError) {
        let trimmed = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        description = trimmed
        let fields = (Self.named[trimmed.lowercased()] ?? trimmed).split(separator: " ")
        if fields.count == 1, let name = fields.first, name.hasPrefix("@") { throw CronError(field: "name", rule: "\(name) is not known") }
        guard fields.count == 5 else { throw CronError(field: "", rule: "a schedule has five fields, this has \(fields.count)") }
        minutes = try Self.set(fields[0], "minute", 0...59)
        hours = try Self.set(fields[1], "hour", 0...23)
        daysOfMonth = try Self.set(fields[2], "day of month", 1...31)
        months = try Self.set(fields[3], "month", 1...12, names: Self.monthNames)
        var weekdays = try Self.set(fields[4], "day of week", 0...7, names: Self.weekdayNames)
        if weekdays & (1 << 7) != 0 { weekdays = (weekdays | 1) & 0b111_1111 }
        daysOfWeek = weekdays
        eitherDay = !fields[2].hasPrefix("*") && !fields[4].hasPrefix("*")
    }

    /// Whether the schedule has ticks on a day.
    /// - Parameter midnightMs: the day as the calendar writes it, as if it were UTC.
    func matches(day midnightMs: Int64) -> Bool {
        let date = Timestamp.civil(midnightMs)
        guard Self.contains(months, date.month) else { return false }
        let byMonth = Self.contains(daysOfMonth, date.day)
        let byWeek = Self.contains(daysOfWeek, date.weekday)
        return eitherDay ? byMonth || byWeek : byMonth && byWeek
    }

    static func contains(_ set: UInt64, _ value: Int) -> Bool { set & (1 << UInt64(value)) != 0 }

    // MARK: Reading

    private static let named = [
        "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *",
        "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
    ]
    private static let monthNames = [
        "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
    ]
    private static let weekdayNames = ["sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6]

    private static func set(
        _ field: Substring, _ name: String, _ bounds: ClosedRange<Int>, names: [String: Int] = [:]
    ) throws(CronError) -> UInt64 {
        var result: UInt64 = 0
        for part in field.split(separator: ",", omittingEmptySubsequences: false) {
            let halves = part.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            var step = 1
            if halves.count == 2 {
                guard let given = number(halves[1]), (1...bounds.upperBound).contains(given) else {
                    throw CronError(field: name, rule: "the step in '\(part)' must be a number from 1 to \(bounds.upperBound)")
                }
                step = given
            }
            let range = try range(halves[0], name, bounds, names: names, openEnded: halves.count == 2)
            for value in stride(from: range.lowerBound, through: range.upperBound, by: step) { result |= 1 << UInt64(value) }
        }
        return result
    }

    /// - Parameter openEnded: a single number stands for everything from it on, as in `5/15`.
    private static func range(
        _ text: Substring, _ name: String, _ bounds: ClosedRange<Int>, names: [String: Int], openEnded: Bool
    ) throws(CronError) -> ClosedRange<Int> {
        // Sunday twice would make `*/2` uneven: a star ends at Saturday.
        if text == "*" { return bounds.lowerBound...(bounds == 0...7 ? 6 : bounds.upperBound) }
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        var values: [Int] = []
        for end in ends {
            guard let value = names[end.lowercased()] ?? number(end), bounds.contains(value) else {
                throw CronError(field: name, rule: "'\(end)' is not within \(bounds.lowerBound) to \(bounds.upperBound)")
            }
            values.append(value)
        }
        if values.count == 1 { return values[0]...(openEnded ? bounds.upperBound : values[0]) }
        // `fri-sun` ends on the Sunday after.
        if bounds == 0...7 && values[1] == 0 { values[1] = 7 }
        guard values[0] <= values[1] else { throw CronError(field: name, rule: "the range '\(text)' runs backwards") }
        return values[0]...values[1]
    }

    /// Digits only: `Int("+5")` would be a number too.
    private static func number(_ text: Substring) -> Int? {
        guard (1...3).contains(text.utf8.count), text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        return Int(text)
    }
}

/// Why a text is no schedule.
public struct CronError: Error, Equatable, CustomStringConvertible {
    public let field: String
    public let rule: String

    public var description: String { field.isEmpty ? rule : "cron \(field): \(rule)" }
}
