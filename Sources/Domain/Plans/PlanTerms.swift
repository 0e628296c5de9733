/// What holds for the end of every paid period.
public enum PlanTerms {
    private static let dayMs: Int64 = 86_400_000

    /// How long a plan goes on after the end of its period while its payment is waited for.
    public static let graceMs = 7 * dayMs
    /// How long before a period's end a team is told of it.
    public static let weekMs = 7 * dayMs
    /// How long before a period's end it is told again.
    public static let lastDayMs = dayMs
}

/// What a team is told of a period's end, once each.
enum PlanNotice: String, Sendable {
    case week, day, grace, ended
}

extension Subscription {
    /// Until when the plan goes on although its period is over and the next one is not paid.
    public var graceEndsAtMs: Int64 { min(renewsAtMs, Int64.max - PlanTerms.graceMs) + PlanTerms.graceMs }

    /// Whether the team has the plan: its period runs, or its grace.
    public var isRunning: Bool { status != "ended" }
}
