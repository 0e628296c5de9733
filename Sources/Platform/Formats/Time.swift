#if canImport(Glibc)
    import Glibc
#endif

/// The time of day as the machine knows it. Leases and due times use the time of Redis or SQL instead.
public enum WallClock {
    /// Unix milliseconds, UTC.
    public static var nowMs: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}

/// A moment taken apart by the calendar, UTC.
public struct CivilTime: Sendable, Equatable {
    public var year: Int
    /// 1…12
    public var month: Int
    /// 1…31
    public var day: Int
    public var hour: Int
    public var minute: Int
    public var second: Int
    public var millisecond: Int
    /// 0 is Sunday, 6 Saturday, as cron counts.
    public var weekday: Int
}

/// Unix milliseconds to and from the calendar and RFC 3339, without Foundation and always in UTC.
public enum Timestamp {
    /// `2026-11-21T08:00:00.000Z`. Years 0000…9999; a moment beyond is a mistake of the caller.
    public static func rfc3339(_ ms: Int64) -> String {
        var output: [UInt8] = []
        output.reserveCapacity(24)
        appendRFC3339(ms, to: &output)
        return String(decoding: output, as: UTF8.self)
    }

    package static func appendRFC3339(_ ms: Int64, to output: inout [UInt8]) {
        precondition(writable.contains(ms), "a timestamp outside the years 0 to 9999")
        let time = civil(ms)
        func digits(_ value: Int, _ width: Int, then next: UInt8) {
            let unit = width == 4 ? 1000 : width == 3 ? 100 : 10
            var scale = unit
            while scale > 0 {
                output.append(UInt8(ascii: "0") + UInt8(value / scale % 10))
                scale /= 10
            }
            output.append(next)
        }
        digits(time.year, 4, then: UInt8(ascii: "-"))
        digits(time.month, 2, then: UInt8(ascii: "-"))
        digits(time.day, 2, then: UInt8(ascii: "T"))
        digits(time.hour, 2, then: UInt8(ascii: ":"))
        digits(time.minute, 2, then: UInt8(ascii: ":"))
        digits(time.second, 2, then: UInt8(ascii: "."))
        digits(time.millisecond, 3, then: UInt8(ascii: "Z"))
    }

    /// `2026-11-21`
    public static func date(_ ms: Int64) -> String { String(rfc3339(ms).prefix(10)) }

    /// Unix milliseconds of an RFC 3339 text; nil when it is none. Digits beyond milliseconds are cut off; a leap second
    /// counts as the first second of the next minute.
    public static func parse(_ text: String) -> Int64? {
        var scanner = DigitScanner(bytes: Array(text.utf8))
        guard let year = scanner.number(4), scanner.skip("-"), let month = scanner.number(2), scanner.skip("-"),
            let day = scanner.number(2), scanner.skipAny("Tt "), let hour = scanner.number(2), scanner.skip(":"),
            let minute = scanner.number(2), scanner.skip(":"), let second = scanner.number(2)
        else { return nil }
        guard (1...12).contains(month), (1...days(inMonth: month, year: year)).contains(day), hour < 24, minute < 60, second <= 60 else {
            return nil
        }
        var millis = 0
        if scanner.skip(".") {
            guard let fraction = scanner.fraction() else { return nil }
            millis = fraction
        }
        guard let offset = scanner.offsetMinutes(), scanner.isAtEnd else { return nil }
        let moment = ms(year: year, month: month, day: day, hour: hour, minute: minute, second: second)
        let result = moment + Int64(millis) - Int64(offset) * 60_000
        // An offset may lead out of the years that can be written again.
        return writable.contains(result) ? result : nil
    }

    /// The first moment of year 0 to the last of year 9999.
    private static let writable = Int64(-62_167_219_200_000)...253_402_300_799_999

    /// The calendar's parts of a moment.
    public static func civil(_ ms: Int64) -> CivilTime {
        let days = floorDivide(ms, 86_400_000)
        let rest = Int(ms - days * 86_400_000)
        // Days are counted from 0000-03-01, so that the leap day ends a year; 146,097 days are 400 years.
        let shifted = days + 719_468
        let era = floorDivide(shifted, 146_097)
        let dayOfEra = Int(shifted - era * 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + Int(era) * 400 + (month <= 2 ? 1 : 0)
        return CivilTime(
            year: year, month: month, day: dayOfYear - (153 * shiftedMonth + 2) / 5 + 1, hour: rest / 3_600_000,
            minute: rest / 60_000 % 60, second: rest / 1000 % 60, millisecond: rest % 1000,
            weekday: Int(days + 4 - floorDivide(days + 4, 7) * 7))
    }

    /// Unix milliseconds of a calendar moment. The parts are not checked; a day or hour too many runs over into the next.
    public static func ms(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) -> Int64 {
        let shiftedYear = Int64(month <= 2 ? year - 1 : year)
        let era = floorDivide(shiftedYear, 400)
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = Int64((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1)
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        return ((days * 24 + Int64(hour)) * 60 + Int64(minute)) * 60_000 + Int64(second) * 1000
    }

    public static func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    public static func days(inMonth month: Int, year: Int) -> Int {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    private static func floorDivide(_ value: Int64, _ by: Int64) -> Int64 {
        let quotient = value / by
        return value % by < 0 ? quotient - 1 : quotient
    }
}

/// Reads fixed groups of digits.
private struct DigitScanner {
    let bytes: [UInt8]
    var at = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { at == bytes.count }

    mutating func number(_ width: Int) -> Int? {
        guard at + width <= bytes.count else { return nil }
        var value = 0
        for place in at..<(at + width) {
            guard ASCII.isDigit(bytes[place]) else { return nil }
            value = value * 10 + Int(bytes[place] - 0x30)
        }
        at += width
        return value
    }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard at < bytes.count, bytes[at] == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }

    mutating func skipAny(_ characters: String) -> Bool {
        guard at < bytes.count, characters.utf8.contains(bytes[at]) else { return false }
        at += 1
        return true
    }

    /// Milliseconds from at least one digit of a fraction.
    mutating func fraction() -> Int? {
        var millis = 0
        var scale = 100
        let start = at
        while at < bytes.count, ASCII.isDigit(bytes[at]) {
            millis += Int(bytes[at] - 0x30) * scale
            scale /= 10
            at += 1
        }
        return at > start ? millis : nil
    }

    /// `Z`, `+hh:mm` or `-hh:mm`.
    mutating func offsetMinutes() -> Int? {
        if skipAny("Zz") { return 0 }
        let sign: Int
        if skip("+") { sign = 1 } else if skip("-") { sign = -1 } else { return nil }
        guard let hours = number(2), skip(":"), let minutes = number(2), hours < 24, minutes < 60 else { return nil }
        return sign * (hours * 60 + minutes)
    }
}
