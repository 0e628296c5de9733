/// The pauses between attempts to connect: doubling from 50 ms to 1 s, each shortened by chance by up to a half, so that many clients of
/// one Redis do not come back at the same moment.
struct Backoff {
    static let first = Duration.milliseconds(50)
    static let longest = Duration.seconds(1)
    private var current = first

    /// - Parameter random: in 0..<1.
    mutating func next(random: Double) -> Duration {
        defer { current = min(current * 2, Self.longest) }
        return current * (1 - random / 2)
    }

    mutating func reset() { current = Self.first }
}
