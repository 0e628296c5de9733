/// How many calls somebody has made of late: those of this minute, and of the minute before as much as still lies within sixty seconds if
/// they came evenly. So twice the limit never passes around the turn of a minute.
///
/// Several processes count together through a store that is told now and then what is new: what it said last, what it is being told, and what
/// it was not told yet make up the count.
struct CallWindow: Sendable, Equatable {
    static let lengthMs: Int64 = 60_000

    /// Which minute, since 1970.
    private(set) var number: Int64
    private(set) var before = 0
    private(set) var told = 0
    private(set) var underWay = 0
    private(set) var untold = 0

    init(nowMs: Int64) { number = Self.number(at: nowMs) }

    static func number(at ms: Int64) -> Int64 { ms / lengthMs }

    /// The calls of this minute.
    var count: Int { told + underWay + untold }

    /// Moves on to the minute of that moment. A clock that was put back changes nothing.
    mutating func move(to nowMs: Int64) {
        let next = Self.number(at: nowMs)
        guard next > number else { return }
        let last = next == number + 1 ? count : 0
        self = CallWindow(nowMs: nowMs)
        before = last
    }

    /// What counts at that moment, of this minute or the next one.
    private func used(elapsed: Int64) -> Int { count + Int(Int64(before) * (Self.lengthMs - elapsed) / Self.lengthMs) }

    private func elapsed(_ nowMs: Int64) -> Int64 { min(max(0, nowMs - number * Self.lengthMs), Self.lengthMs - 1) }

    /// Counts a call, if there is room for it.
    mutating func take(limit: Int, nowMs: Int64) -> Bool {
        move(to: nowMs)
        guard used(elapsed: elapsed(nowMs)) < limit else { return false }
        untold += 1
        return true
    }

    /// How many more there is room for now.
    func room(limit: Int, nowMs: Int64) -> Int { max(0, limit - used(elapsed: elapsed(nowMs))) }

    /// Until the count begins anew.
    func resetMs(nowMs: Int64) -> Int64 { Self.lengthMs - elapsed(nowMs) }

    /// How long until there is room for one call, unless others take it.
    func waitMs(limit: Int, nowMs: Int64) -> Int64 {
        let elapsed = elapsed(nowMs)
        guard used(elapsed: elapsed) >= limit, limit > 0 else { return 0 }
        let length = Self.lengthMs
        if count < limit {
            // The share of the minute before has to shrink below what this one leaves.
            return max(1, length - Int64(limit - count) * length / Int64(before) + 1 - elapsed)
        }
        return length - elapsed + max(0, length - Int64(limit) * length / Int64(count) + 1)
    }

    // MARK: The store

    /// What it is to be told now.
    mutating func tell() -> Int {
        defer { (underWay, untold) = (underWay + untold, 0) }
        return untold
    }

    /// It was told, and said what it knows of that minute and of the one before.
    mutating func told(_ new: Int, minute: Int64, counts: (this: Int, before: Int)) {
        if minute == number {
            underWay -= new
            // A store that has forgotten does not give anything back.
            told = max(told + new, counts.this)
            before = max(before, counts.before)
        } else if minute == number - 1 {
            before = max(before, counts.this)
        }
    }

    /// It could not be told.
    mutating func keep(_ new: Int, minute: Int64) {
        guard minute == number else { return }
        underWay -= new
        untold += new
    }
}
