#if canImport(Glibc)
    import Glibc
#endif

extension Duration {
    /// The time that something may take on this machine right now.
    ///
    /// Bounds in tests are those of a machine that has time to spare. On one with more to do than it has processors everything takes longer
    /// in proportion, which says nothing about the product: the bound grows by what waits for each processor. What the bounds really are is
    /// measured by `make bench` and `make chaos`.
    public var stretched: Duration {
        var load = 0.0
        guard getloadavg(&load, 1) == 1 else { return self * Sanitizer.slowness }
        let processors = Double(max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        return self * max(Sanitizer.slowness, min(8, load / processors))
    }
}
