import Formats

// Times of day are looked for on the zone's calendar, written as unix ms as if the zone were UTC ("shown" below), and then turned into
// moments.
extension CronExpression {
    /// The first tick later than `ms`; nil when there is none (`0 0 30 2 *`).
    ///
    /// Where the zone's clock is turned:
    /// - a schedule of every hour (`*/10 * * * *`) runs whenever the clock shows a time of it, straight through both;
    /// - any other time of day runs once on its day, at the first moment at which the clock shows that time or a later one: a time that
    ///   is left out runs when the clock has jumped over it, a time that comes twice runs at its first coming.
    public func next(after ms: Int64, in zone: NamedTimeZone = .utc) -> Int64? {
        if runsEveryHour { return nextShown(from: ms + 1, in: zone) }
        let unseen = Self.unseen(at: ms, in: zone)
        return firstShown(from: unseen, before: unseen + Self.searchMs).map { Self.moment(showing: $0, in: zone) }
    }

    /// The last tick that is not later than `ms`; nil when there is none.
    public func previousOrAt(_ ms: Int64, in zone: NamedTimeZone = .utc) -> Int64? {
        if runsEveryHour { return previousShown(upTo: ms, in: zone) }
        let unseen = Self.unseen(at: ms, in: zone)
        return lastShown(before: unseen, from: unseen - Self.searchMs).map { Self.moment(showing: $0, in: zone) }
    }

    private var runsEveryHour: Bool { hours == (1 << 24) - 1 }

    private static let minuteMs: Int64 = 60_000
    private static let dayMs: Int64 = 86_400_000
    /// The longest gap between two ticks that can be: a 29 February on a given weekday around a year such as 2100.
    private static let searchMs = 41 * 366 * dayMs
    /// No zone's clock is further from UTC, and so no turn of a clock is longer than two of these.
    private static let offsetMaxMs = (TimeZoneFile.offsetSecondsMax + 1) * 1000

    // MARK: Every hour

    private func nextShown(from start: Int64, in zone: NamedTimeZone) -> Int64? {
        let limit = start + Self.searchMs
        var at = start
        while at < limit {
            let span = zone.span(at: at)
            if let shown = firstShown(from: at + span.offsetMs, before: min(span.endMs, limit) + span.offsetMs) { return shown - span.offsetMs }
            at = span.endMs
        }
        return nil
    }

    private func previousShown(upTo end: Int64, in zone: NamedTimeZone) -> Int64? {
        let limit = end - Self.searchMs
        var at = end
        while at >= limit {
            let span = zone.span(at: at)
            if let shown = lastShown(before: at + 1 + span.offsetMs, from: max(span.startMs, limit) + span.offsetMs) {
                return shown - span.offsetMs
            }
            guard span.startMs > limit else { return nil }
            at = span.startMs - 1
        }
        return nil
    }

    // MARK: Times of day

    /// The earliest time that the zone's clock has neither shown nor jumped over by the moment `ms`.
    private static func unseen(at ms: Int64, in zone: NamedTimeZone) -> Int64 {
        var span = zone.span(at: ms)
        var unseen = ms + span.offsetMs + 1
        while span.startMs > ms - 2 * offsetMaxMs {
            let end = span.startMs
            span = zone.span(at: end - 1)
            unseen = max(unseen, end + span.offsetMs)
        }
        return unseen
    }

    /// The first moment at which the zone's clock shows `time` or later.
    private static func moment(showing time: Int64, in zone: NamedTimeZone) -> Int64 {
        var span = zone.span(at: time - offsetMaxMs)
        while true {
            let moment = max(span.startMs, time - span.offsetMs)
            if moment < span.endMs { return moment }
            span = zone.span(at: span.endMs)
        }
    }

    // MARK: The calendar

    private func firstShown(from start: Int64, before end: Int64) -> Int64? {
        var day = Self.floor(start, Self.dayMs)
        // A begun minute is over.
        var earliest = Int((start - day + Self.minuteMs - 1) / Self.minuteMs)
        while day < end {
            if matches(day: day), let minute = firstMinute(from: earliest) {
                let found = day + Int64(minute) * Self.minuteMs
                return found < end ? found : nil
            }
            earliest = 0
            day += Self.dayMs
        }
        return nil
    }

    private func lastShown(before end: Int64, from start: Int64) -> Int64? {
        var day = Self.floor(end - 1, Self.dayMs)
        var latest = Int((end - 1 - day) / Self.minuteMs)
        while day + Self.dayMs > start {
            if matches(day: day), let minute = lastMinute(upTo: latest) {
                let found = day + Int64(minute) * Self.minuteMs
                return found >= start ? found : nil
            }
            latest = 24 * 60 - 1
            day -= Self.dayMs
        }
        return nil
    }

    private func firstMinute(from earliest: Int) -> Int? {
        for hour in 0..<24 where hour >= earliest / 60 && Self.contains(hours, hour) {
            for minute in (hour == earliest / 60 ? earliest % 60 : 0)..<60 where Self.contains(minutes, minute) { return hour * 60 + minute }
        }
        return nil
    }

    private func lastMinute(upTo latest: Int) -> Int? {
        for hour in (0...(latest / 60)).reversed() where Self.contains(hours, hour) {
            for minute in (0...(hour == latest / 60 ? latest % 60 : 59)).reversed() where Self.contains(minutes, minute) {
                return hour * 60 + minute
            }
        }
        return nil
    }

    /// The multiple of `unit` that is not above `value`.
    private static func floor(_ value: Int64, _ unit: Int64) -> Int64 {
        let remainder = value % unit
        return value - (remainder < 0 ? remainder + unit : remainder)
    }
}
