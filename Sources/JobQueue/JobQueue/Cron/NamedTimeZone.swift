import Formats

/// A time zone by its name in the time zone database, such as `Europe/Paris`: what its clocks show at any moment.
public struct NamedTimeZone: Sendable, Equatable, CustomStringConvertible {
    public let name: String
    private let file: TimeZoneFile?

    /// Without any file.
    public static let utc = NamedTimeZone(name: "UTC", file: nil)

    private init(name: String, file: TimeZoneFile?) {
        self.name = name
        self.file = file
    }

    /// A zone from the bytes of its TZif file (RFC 8536).
    /// - Throws: ``TimeZoneError`` with the rule that the bytes break.
    public init(name: String, tzif bytes: [UInt8]) throws(TimeZoneError) {
        do {
            self.init(name: name, file: try TimeZoneFile(bytes))
        } catch {
            throw TimeZoneError(.malformed, zone: name, error.rule)
        }
    }

    public var description: String { name }

    /// How many seconds the zone's clock is ahead of UTC; negative west of Greenwich.
    public func secondsFromUTC(atMs ms: Int64) -> Int { Int(span(at: ms).offsetMs / 1000) }

    /// What the zone's calendar and clock show.
    public func civil(_ ms: Int64) -> CivilTime { Timestamp.civil(ms + span(at: ms).offsetMs) }

    /// The moment as the zone's clock shows it, with its distance to UTC: `2026-11-21T09:00:00.000+01:00`.
    public func rfc3339(_ ms: Int64) -> String {
        let seconds = secondsFromUTC(atMs: ms)
        if seconds == 0 { return Timestamp.rfc3339(ms) }
        // RFC 3339 knows no seconds of distance; the few places that had some are long past.
        let minutes = abs(seconds) / 60
        let digits = [minutes / 60, minutes % 60].map { $0 < 10 ? "0\($0)" : "\($0)" }
        return String(Timestamp.rfc3339(ms + Int64(seconds) * 1000).dropLast()) + (seconds < 0 ? "-" : "+") + digits.joined(separator: ":")
    }

    /// The stretch of time around a moment in which the distance to UTC is the same.
    func span(at ms: Int64) -> ZoneSpan { file?.span(at: ms) ?? ZoneSpan(startMs: .min, endMs: .max, offsetMs: 0) }
}
