import Formats

/// The rule for all times after a file's table, as POSIX writes it in TZ: `CET-1CEST,M3.5.0,M10.5.0/3`, with the hours beyond a day
/// that RFC 8536 adds.
struct PosixTimeZone: Sendable, Equatable {
    /// The day on which a change happens.
    enum Day: Sendable, Equatable {
        /// `Jn`: 1…365, where 29 February is never counted.
        case julian(Int)
        /// `n`: 0…365, where it is.
        case ordinal(Int)
        /// `Mm.w.d`: the w-th weekday d of month m, the last one when w is 5.
        case weekday(month: Int, week: Int, day: Int)
    }

    struct Change: Sendable, Equatable {
        let day: Day
        /// Seconds after midnight of that day, -167 to 167 hours.
        let seconds: Int64
    }

    struct Summer: Sendable, Equatable {
        let offsetMs: Int64
        let start: Change
        let end: Change
    }

    let standardMs: Int64
    let summer: Summer?

    /// - Parameter lowerBound: where the table ends and this rule begins.
    func span(at ms: Int64, from lowerBound: Int64) -> ZoneSpan {
        guard let summer else { return ZoneSpan(startMs: lowerBound, endMs: .max, offsetMs: standardMs) }
        let year = Timestamp.civil(ms).year
        var current = ZoneSpan(startMs: lowerBound, endMs: .max, offsetMs: standardMs)
        // A change may lie a week outside its year, so the neighbours' neighbours are looked at too.
        for change in (year - 2...year + 2).flatMap({ Self.changes(summer, standardMs, year: $0) }).sorted(by: { $0.at < $1.at }) {
            if change.at > ms { return ZoneSpan(startMs: current.startMs, endMs: change.at, offsetMs: current.offsetMs) }
            current = ZoneSpan(startMs: max(lowerBound, change.at), endMs: .max, offsetMs: change.offsetMs)
        }
        return current
    }

    /// Both changes of a year, in their order: where two fall on one moment (summer all the year round) the later in line holds.
    private static func changes(_ summer: Summer, _ standardMs: Int64, year: Int) -> [(at: Int64, offsetMs: Int64)] {
        let start = (at: local(summer.start, year) - standardMs, offsetMs: summer.offsetMs)
        let end = (at: local(summer.end, year) - summer.offsetMs, offsetMs: standardMs)
        return start.at <= end.at ? [start, end] : [end, start]
    }

    /// What the clock shows at the change, before it.
    private static func local(_ change: Change, _ year: Int) -> Int64 {
        let newYear = Timestamp.ms(year: year, month: 1, day: 1)
        let day: Int64 =
            switch change.day {
            case .julian(let number): newYear + Int64(number - (Timestamp.isLeap(year) && number >= 60 ? 0 : 1)) * dayMs
            case .ordinal(let number): newYear + Int64(number) * dayMs
            case .weekday(let month, let week, let weekday): midnight(year, month, week, weekday)
            }
        return day + change.seconds * 1000
    }

    private static func midnight(_ year: Int, _ month: Int, _ week: Int, _ weekday: Int) -> Int64 {
        let first = Timestamp.ms(year: year, month: month, day: 1)
        var day = 1 + (weekday - Timestamp.civil(first).weekday + 7) % 7 + (week - 1) * 7
        while day > Timestamp.days(inMonth: month, year: year) { day -= 7 }
        return first + Int64(day - 1) * dayMs
    }

    private static let dayMs: Int64 = 86_400_000
}

// MARK: Reading

extension PosixTimeZone {
    /// - Returns: nil when the text is no rule, or lacks the days on which it changes.
    init?(_ text: String) {
        var reader = PosixReader(bytes: Array(text.utf8))
        guard let zone = reader.zone() else { return nil }
        self = zone
    }
}

private struct PosixReader {
    let bytes: [UInt8]
    private var at = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func zone() -> PosixTimeZone? {
        guard name(), let west = hours(most: 24) else { return nil }
        if at == bytes.count { return PosixTimeZone(standardMs: -west * 1000, summer: nil) }
        guard name() else { return nil }
        var summerWest = west - 3600
        if at < bytes.count, bytes[at] != UInt8(ascii: ",") {
            guard let given = hours(most: 24) else { return nil }
            summerWest = given
        }
        guard take(","), let start = change(), take(","), let end = change(), at == bytes.count else { return nil }
        return PosixTimeZone(
            standardMs: -west * 1000, summer: PosixTimeZone.Summer(offsetMs: -summerWest * 1000, start: start, end: end))
    }

    /// At least three letters, or letters, digits and signs in angle brackets.
    private mutating func name() -> Bool {
        let start = at
        if take("<") {
            while at < bytes.count, bytes[at] != UInt8(ascii: ">") {
                guard ASCII.isDigit(bytes[at]) || Self.isLetter(bytes[at]) || "+-".utf8.contains(bytes[at]) else { return false }
                at += 1
            }
            return at - start >= 4 && take(">")
        }
        while at < bytes.count, Self.isLetter(bytes[at]) { at += 1 }
        return at - start >= 3
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }

    /// `[+-]hh[:mm[:ss]]` in seconds.
    private mutating func hours(most: Int64) -> Int64? {
        let sign: Int64 = take("-") ? -1 : 1
        if sign == 1 { _ = take("+") }
        guard let hours = number(0...most) else { return nil }
        var seconds = hours * 3600
        if take(":") {
            guard let minutes = number(0...59) else { return nil }
            seconds += minutes * 60
            if take(":") {
                guard let rest = number(0...59) else { return nil }
                seconds += rest
            }
        }
        return sign * seconds
    }

    private mutating func change() -> PosixTimeZone.Change? {
        let day: PosixTimeZone.Day
        if take("J") {
            guard let number = number(1...365) else { return nil }
            day = .julian(Int(number))
        } else if take("M") {
            guard let month = number(1...12), take("."), let week = number(1...5), take("."), let weekday = number(0...6) else { return nil }
            day = .weekday(month: Int(month), week: Int(week), day: Int(weekday))
        } else {
            guard let number = number(0...365) else { return nil }
            day = .ordinal(Int(number))
        }
        guard take("/") else { return PosixTimeZone.Change(day: day, seconds: 7200) }
        return hours(most: 167).map { PosixTimeZone.Change(day: day, seconds: $0) }
    }

    private mutating func number(_ bounds: ClosedRange<Int64>) -> Int64? {
        let start = at
        var value: Int64 = 0
        while at < bytes.count, at - start < 3, ASCII.isDigit(bytes[at]) {
            value = value * 10 + Int64(bytes[at] - 0x30)
            at += 1
        }
        return at > start && bounds.contains(value) ? value : nil
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard at < bytes.count, bytes[at] == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }
}
