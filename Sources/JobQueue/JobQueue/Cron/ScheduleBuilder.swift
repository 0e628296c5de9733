/// A schedule said in words. The last word, ``at(_:)-swift.method`` most often, adds the entry to its service.
///
/// ```swift
/// service.schedule(Cleanup()).daily().at("3:13pm")
/// service.schedule(Report()).weekly().on(.monday).at(.noon)
/// service.schedule(Dues()).monthly().on(1).at(6, 30)
/// service.schedule(Dues()).yearly().in(.may).on(23).at(.midnight)
/// service.schedule(Pulse()).hourly().at(30)
/// ```
/// Times are those of the zone that `schedule` was given; what happens when its clocks are turned is said in `docs/cron.md`.
public struct ScheduleBuilder: Sendable {
    private let add: @Sendable (CronExpression) -> Void

    init(_ add: @escaping @Sendable (CronExpression) -> Void) { self.add = add }

    /// Once a minute. Adds the entry.
    public func minutely() { add(CronExpression(of: "* * * * *")) }
    public func hourly() -> Hourly { Hourly(add: add) }
    public func daily() -> Daily { Daily(day: "* * *", add: add) }
    public func weekly() -> Weekly { Weekly(add: add) }
    public func monthly() -> Monthly { Monthly(month: "*", add: add) }
    public func yearly() -> Yearly { Yearly(add: add) }

    public struct Hourly: Sendable {
        let add: @Sendable (CronExpression) -> Void
        /// At this minute of each hour. Adds the entry.
        public func at(_ minute: Int) { add(CronExpression(of: "\(minute) * * * *")) }
    }

    public struct Daily: Sendable {
        /// The last three fields.
        let day: String
        let add: @Sendable (CronExpression) -> Void
        /// Adds the entry.
        public func at(_ time: TimeOfDay) { add(CronExpression(of: "\(time.minute) \(time.hour) \(day)")) }
        /// At this hour and minute, of 24 hours. Adds the entry.
        public func at(_ hour: Int, _ minute: Int) { at(TimeOfDay(hour, minute)) }
    }

    public struct Weekly: Sendable {
        let add: @Sendable (CronExpression) -> Void
        public func on(_ day: Weekday) -> Daily { Daily(day: "* * \(day.rawValue)", add: add) }
    }

    public struct Monthly: Sendable {
        let month: String
        let add: @Sendable (CronExpression) -> Void
        /// On this day of the month; months that do not have it are left out.
        public func on(_ day: Int) -> Daily { Daily(day: "\(day) \(month) *", add: add) }
    }

    public struct Yearly: Sendable {
        let add: @Sendable (CronExpression) -> Void
        public func `in`(_ month: Month) -> Monthly { Monthly(month: "\(month.rawValue)", add: add) }
    }

    public enum Weekday: Int, Sendable { case sunday, monday, tuesday, wednesday, thursday, friday, saturday }

    public enum Month: Int, Sendable {
        case january = 1
        case february, march, april, may, june, july, august, september, october, november, december
    }

    /// `"3:13pm"`, `"15:13"`, `.noon`, `.midnight`.
    public struct TimeOfDay: Sendable, Equatable, ExpressibleByStringLiteral {
        public let hour: Int
        public let minute: Int

        public static let midnight = TimeOfDay(0, 0)
        public static let noon = TimeOfDay(12, 0)

        public init(_ hour: Int, _ minute: Int) {
            precondition((0...23).contains(hour) && (0...59).contains(minute), "there is no time of day \(hour):\(minute)")
            self.hour = hour
            self.minute = minute
        }

        /// - Returns: nil when the text is no time of day.
        public init?(parsing text: String) {
            var digits = Substring(text.lowercased().filter { $0 != " " })
            let afternoon: Bool? = if digits.hasSuffix("pm") { true } else if digits.hasSuffix("am") { false } else { nil }
            if afternoon != nil { digits = digits.dropLast(2) }
            let parts = digits.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, parts[1].count == 2, parts.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) } }),
                let hour = Int(parts[0]), let minute = Int(parts[1]), (0...59).contains(minute)
            else { return nil }
            guard let afternoon else {
                guard (0...23).contains(hour) else { return nil }
                self.init(hour, minute)
                return
            }
            guard (1...12).contains(hour) else { return nil }
            self.init(hour % 12 + (afternoon ? 12 : 0), minute)
        }

        public init(stringLiteral text: String) {
            guard let time = TimeOfDay(parsing: text) else { preconditionFailure("'\(text)' is no time of day: write \"3:13pm\" or \"15:13\"") }
            self = time
        }
    }
}

extension CronExpression {
    /// A schedule made of numbers. One out of range is the programmer's mistake, as it is in a literal.
    init(of text: String) {
        do { try self.init(text) } catch { preconditionFailure("no such schedule: \(error)") }
    }
}
