#if canImport(Glibc)
    import Glibc
#endif

/// The clock of deadlines: never set back, cheap to read.
enum Monotonic {
    static var nanoseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

extension Duration {
    /// Whole nanoseconds, at most a century.
    var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        return min(seconds, 3_155_760_000) * 1_000_000_000 + attoseconds / 1_000_000_000
    }
}
