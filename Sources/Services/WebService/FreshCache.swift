/// A moment by two clocks: the one on the wall, which records name, and one that is never put back.
struct Moment: Sendable {
    let wallMs: Int64
    let steadyMs: Int64

    private static let start = ContinuousClock.now

    init(wallMs: Int64) {
        self.wallMs = wallMs
        let passed = Self.start.duration(to: .now).components
        steadyMs = passed.seconds * 1000 + passed.attoseconds / 1_000_000_000_000_000
    }

    /// How old it is by the clock that says more; nil when it seems to lie ahead, since the wall clock was put back.
    func age(at now: Moment) -> Int64? { now.wallMs < wallMs ? nil : max(now.wallMs - wallMs, now.steadyMs - steadyMs) }
}

/// Values that may be used for a while after they were read. It never holds more than `countMax`: what came first stays, so
/// that made-up names cannot push out those in use; what has run out makes room.
struct FreshCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    struct Found: Sendable {
        let value: Value
        let ageMs: Int64
    }

    let maxAgeMs: Int64
    let countMax: Int
    private var entries: [Key: (value: Value, readAt: Moment)] = [:]
    private var sweptAt: Moment?

    init(maxAgeMs: Int64, countMax: Int) {
        self.maxAgeMs = maxAgeMs
        self.countMax = countMax
    }

    var count: Int { entries.count }

    func find(_ key: Key, at now: Moment) -> Found? {
        guard let entry = entries[key], let age = entry.readAt.age(at: now), age <= maxAgeMs else { return nil }
        return Found(value: entry.value, ageMs: age)
    }

    /// Keeps a value, if there is room. - Parameter readAt: when it was known to be true.
    mutating func keep(_ value: Value, for key: Key, readAt: Moment, now: Moment) {
        sweep(at: now)
        guard entries[key] != nil || entries.count < countMax else { return }
        entries[key] = (value, readAt)
    }

    mutating func forget(_ key: Key) { entries[key] = nil }

    /// Removes what has run out: once in the life of an entry, so that its cost is spread over all of them.
    private mutating func sweep(at now: Moment) {
        if let sweptAt, let since = sweptAt.age(at: now), since <= maxAgeMs { return }
        sweptAt = now
        entries = entries.filter { entry in entry.value.readAt.age(at: now).map { $0 <= maxAgeMs } ?? false }
    }
}
