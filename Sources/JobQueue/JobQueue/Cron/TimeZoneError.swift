/// Why there is no such time zone.
public struct TimeZoneError: Error, Equatable, CustomStringConvertible {
    public enum Code: Sendable, Equatable {
        /// No name of a zone: a retry never helps.
        case name
        /// The folder has no such zone.
        case unknown
        /// The file cannot be read just now: a retry may help.
        case unreadable
        /// The file is not what RFC 8536 describes, or counts leap seconds, which unix time does not.
        case malformed
    }

    public let code: Code
    /// The zone as it was asked for, cut off where it is long.
    public let zone: String
    public let rule: String

    init(_ code: Code, zone: String, _ rule: String) {
        self.code = code
        self.zone = String(zone.prefix(100))
        self.rule = rule
    }

    public var isTransient: Bool { code == .unreadable }
    public var description: String { "time zone '\(zone)': \(rule)" }
}
