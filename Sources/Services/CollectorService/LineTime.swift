import Formats

/// The times that access logs write, as unix milliseconds; nil where it is none.
enum LineTime {
    /// `21/Nov/2026:08:00:00 +0000`
    static func common(_ text: LogLine.Text) -> Int64? {
        guard text.count == 26, text[2] == slash, text[6] == slash, text[11] == colon, text[14] == colon, text[17] == colon, text[20] == 0x20,
            let month = month(text[3], text[4], text[5]),
            let day = digits(text, 0, 2), let year = digits(text, 7, 4), let hour = digits(text, 12, 2), let minute = digits(text, 15, 2),
            let second = digits(text, 18, 2), let zoneHours = digits(text, 22, 2), let zoneMinutes = digits(text, 24, 2)
        else { return nil }
        let isEast: Bool
        switch text[21] {
        case UInt8(ascii: "+"): isEast = true
        case UInt8(ascii: "-"): isEast = false
        default: return nil
        }
        let zone = (isEast ? 1 : -1) * (zoneHours * 60 + zoneMinutes)
        return moment(year, month, day, hour, minute, second).map { $0 - Int64(zone) * 60_000 }
    }

    /// RFC 3339, with any number of digits behind the second.
    static func rfc3339(_ text: LogLine.Text) -> Int64? {
        guard text.count >= 20, text[4] == dash, text[7] == dash, text[10] == UInt8(ascii: "T"), text[13] == colon, text[16] == colon,
            let year = digits(text, 0, 4), let month = digits(text, 5, 2), let day = digits(text, 8, 2), let hour = digits(text, 11, 2),
            let minute = digits(text, 14, 2), let second = digits(text, 17, 2), let whole = moment(year, month, day, hour, minute, second)
        else { return nil }
        var at = 19
        var millis: Int64 = 0
        if text[at] == UInt8(ascii: ".") {
            at += 1
            var scale: Int64 = 100
            let first = at
            while at < text.count, text[at] &- 0x30 < 10 {
                millis += Int64(text[at] &- 0x30) * scale
                scale /= 10
                at += 1
            }
            guard at > first else { return nil }
        }
        guard at < text.count else { return nil }
        if text[at] == UInt8(ascii: "Z") { return at + 1 == text.count ? whole + millis : nil }
        guard at + 6 == text.count, text[at + 3] == colon, text[at] == UInt8(ascii: "+") || text[at] == dash,
            let zoneHours = digits(text, at + 1, 2), let zoneMinutes = digits(text, at + 4, 2)
        else { return nil }
        let zone = (text[at] == dash ? -1 : 1) * (zoneHours * 60 + zoneMinutes)
        return whole + millis - Int64(zone) * 60_000
    }

    private static let slash = UInt8(ascii: "/")
    private static let colon = UInt8(ascii: ":")
    private static let dash = UInt8(ascii: "-")

    @inline(__always)
    private static func digits(_ text: LogLine.Text, _ start: Int, _ count: Int) -> Int? {
        var value = 0
        for place in start..<start + count {
            let digit = text[place] &- 0x30
            guard digit < 10 else { return nil }
            value = value * 10 + Int(digit)
        }
        return value
    }

    private static func moment(_ year: Int, _ month: Int, _ day: Int, _ hour: Int, _ minute: Int, _ second: Int) -> Int64? {
        guard year >= 1970, (1...12).contains(month), (1...Timestamp.days(inMonth: month, year: year)).contains(day), hour < 24, minute < 60,
            second <= 60
        else { return nil }
        return Timestamp.ms(year: year, month: month, day: day, hour: hour, minute: minute, second: second)
    }

    private static func month(_ first: UInt8, _ second: UInt8, _ third: UInt8) -> Int? {
        switch (first, second, third) {
        case (UInt8(ascii: "J"), UInt8(ascii: "a"), UInt8(ascii: "n")): 1
        case (UInt8(ascii: "F"), UInt8(ascii: "e"), UInt8(ascii: "b")): 2
        case (UInt8(ascii: "M"), UInt8(ascii: "a"), UInt8(ascii: "r")): 3
        case (UInt8(ascii: "A"), UInt8(ascii: "p"), UInt8(ascii: "r")): 4
        case (UInt8(ascii: "M"), UInt8(ascii: "a"), UInt8(ascii: "y")): 5
        case (UInt8(ascii: "J"), UInt8(ascii: "u"), UInt8(ascii: "n")): 6
        case (UInt8(ascii: "J"), UInt8(ascii: "u"), UInt8(ascii: "l")): 7
        case (UInt8(ascii: "A"), UInt8(ascii: "u"), UInt8(ascii: "g")): 8
        case (UInt8(ascii: "S"), UInt8(ascii: "e"), UInt8(ascii: "p")): 9
        case (UInt8(ascii: "O"), UInt8(ascii: "c"), UInt8(ascii: "t")): 10
        case (UInt8(ascii: "N"), UInt8(ascii: "o"), UInt8(ascii: "v")): 11
        case (UInt8(ascii: "D"), UInt8(ascii: "e"), UInt8(ascii: "c")): 12
        default: nil
        }
    }
}
