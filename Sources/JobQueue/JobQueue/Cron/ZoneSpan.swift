/// A stretch of time in which a zone's clock keeps one distance to UTC.
struct ZoneSpan: Sendable, Equatable {
    /// The first moment, unix ms; `Int64.min` when it has no beginning.
    let startMs: Int64
    /// The first moment after it; `Int64.max` when it has no end.
    let endMs: Int64
    /// What the zone's clock shows more than UTC.
    let offsetMs: Int64

    /// Moments that a calendar can be asked about, years -28,000 to 32,000 or so; what lies beyond counts as for ever.
    private static let secondsMax: Int64 = 1_000_000_000_000

    static func milliseconds(ofSeconds seconds: Int64) -> Int64 {
        if seconds <= -secondsMax { return .min }
        if seconds >= secondsMax { return .max }
        return seconds * 1000
    }
}
