/// How long, and how many of, the records of buried bodies stay on their queue. The oldest go first.
public struct DeadRetention: Sendable, Equatable {
    /// Nil keeps them however old they are.
    public var maxAge: Duration?
    /// Nil keeps however many they are.
    public var maxCount: Int?

    public init(maxAge: Duration? = .seconds(90 * 86_400), maxCount: Int? = 100_000) {
        precondition(maxAge.map { $0 > .zero } ?? true && maxCount.map { $0 > 0 } ?? true, "a retention keeps something")
        self.maxAge = maxAge
        self.maxCount = maxCount
    }

    /// 90 days, and 100,000 of each queue.
    public static let usual = DeadRetention()
    public static let forever = DeadRetention(maxAge: nil, maxCount: nil)
}
