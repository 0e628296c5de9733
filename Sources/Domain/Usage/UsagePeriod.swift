import Formats

/// A month of the calendar, in UTC: what traffic is counted by.
public struct UsagePeriod: Sendable, Hashable, Comparable, CustomStringConvertible {
    public static let dayMs: Int64 = 24 * 60 * 60_000

    public let year: Int
    /// 1 to 12.
    public let month: Int

    private init(year: Int, month: Int) {
        self.year = year
        self.month = month
    }

    /// The month that a moment lies in.
    public init(containing ms: Int64) {
        let civil = Timestamp.civil(ms)
        self.init(year: civil.year, month: civil.month)
    }

    /// The month of a day, counted from 1970-01-01.
    init(day: Int64) { self.init(containing: day * Self.dayMs) }

    /// Reads `2026-11`.
    public init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        guard bytes.count == 7, bytes[4] == UInt8(ascii: "-"), (bytes[..<4] + bytes[5...]).allSatisfy(ASCII.isDigit),
            let year = Int(String(decoding: bytes[..<4], as: UTF8.self)), let month = Int(String(decoding: bytes[5...], as: UTF8.self)),
            year >= 1970, (1...12).contains(month)
        else { return nil }
        self.init(year: year, month: month)
    }

    /// Such a month in the database.
    init(year: Int64, month: Int64) { self.init(year: Int(year), month: Int(month)) }

    /// `2026-11`
    public var description: String { (month < 10 ? "\(year)-0" : "\(year)-") + String(month) }

    /// Its first moment, and the first one after it, in unix milliseconds.
    public var startMs: Int64 { Timestamp.ms(year: year, month: month, day: 1) }
    public var endMs: Int64 { adding(months: 1).startMs }
    /// Its days, counted from 1970-01-01.
    public var days: Range<Int64> { startMs / Self.dayMs..<endMs / Self.dayMs }

    public func adding(months: Int) -> UsagePeriod {
        let index = year * 12 + month - 1 + months
        return UsagePeriod(year: index / 12, month: index % 12 + 1)
    }

    public static func < (left: UsagePeriod, right: UsagePeriod) -> Bool { (left.year, left.month) < (right.year, right.month) }
}
