#if canImport(Glibc)
    import Glibc
#endif

/// A run that could not be played. The sentence says what is to be done.
struct ChaosError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }

    /// Of a call that has just failed.
    static func system(_ call: String) -> ChaosError { ChaosError("\(call): \(String(cString: strerror(errno)))") }
}

/// Nanoseconds of a clock that all processes of one machine share and that nobody sets.
enum Monotonic {
    static var nowNs: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

/// The same numbers in every run with the same seed.
struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
