/// Which times of measurement are taken. A unit's name is kept for 90 days, and what is older than 75 days when it is to be counted
/// is not counted: a unit whose name is gone can therefore never count a second time.
public enum SampleWindow {
    private static let dayMs: Int64 = 24 * 60 * 60_000
    /// How far ahead of our clock a measurement may be that `POST /usage` takes.
    public static let futureMaxMs: Int64 = 5 * 60_000
    /// How far ahead one may be that is counted: what was taken by one machine's clock is not refused by another's.
    public static let applyFutureMaxMs = dayMs
    /// The oldest that `POST /usage` takes.
    public static let intakeAgeMaxMs = 60 * dayMs
    /// The oldest that is counted; what waited on a list for days still is.
    public static let applyAgeMaxMs = 75 * dayMs
    /// How long the name of a unit is kept after it was counted.
    public static let batchKeepMs = 90 * dayMs
}
