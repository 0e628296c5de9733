import EventLoop

#if canImport(Glibc)
    import Glibc
#endif

extension EventLoop {
    /// Stops the loop from a thread of its own: stopping waits for the loop's end, which must not hold up a thread of the cooperative pool.
    public func end() async {
        await withCheckedContinuation { continuation in
            let thread = ThreadLaunch.start(name: "loop-end") {
                self.stop()
                continuation.resume()
            }
            pthread_detach(thread)
        }
    }
}
