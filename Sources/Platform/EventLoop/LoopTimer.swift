import CEvent

#if canImport(Glibc)
    import Glibc
#endif

/// A timer of one loop. Made, started and cancelled on the loop's thread only; its body runs there too.
///
/// `@unchecked Sendable`: the event is touched on the loop's thread only, which each method checks.
public final class LoopTimer: @unchecked Sendable {
    private let loop: EventLoop
    private let body: () -> Void
    private var event: OpaquePointer?
    private var keptAlive: LoopTimer?

    public init(on loop: EventLoop, _ body: @escaping () -> Void) {
        loop.preconditionOnLoop()
        self.loop = loop
        self.body = body
        event = event_new(loop.base, -1, 0, timerCallback, Unmanaged.passUnretained(self).toOpaque())
        precondition(event != nil, "out of memory for a timer")
    }

    deinit { if let event { event_free(event) } }

    /// (Re)starts the timer: its body runs once, after `delay` (not negative). A running timer is kept alive by itself.
    public func start(after delay: Duration) {
        loop.preconditionOnLoop()
        var time = delay.timeval
        event_add(event, &time)
        keptAlive = self
    }

    /// Stops the timer; its body does not run any more.
    public func cancel() {
        loop.preconditionOnLoop()
        event_del(event)
        keptAlive = nil
    }

    fileprivate func fire() {
        // The body may start the timer again, which sets `keptAlive` anew.
        let alive = keptAlive
        keptAlive = nil
        body()
        withExtendedLifetime(alive) {}
    }
}

extension EventLoop {
    /// Runs `body` on the loop after `delay`, from any thread.
    public func schedule(after delay: Duration, _ body: @escaping @Sendable () -> Void) {
        execute { LoopTimer(on: self, body).start(after: delay) }
    }

    /// Runs `body` on the loop every `interval`, until the returned handle is cancelled (from any thread).
    public func repeating(every interval: Duration, _ body: @escaping @Sendable () -> Void) -> RepeatingTimer {
        let handle = RepeatingTimer(loop: self)
        execute { handle.begin(every: interval, body) }
        return handle
    }
}

/// Stops a repeating timer. `@unchecked Sendable`: `timer` is touched on the loop's thread only.
public final class RepeatingTimer: @unchecked Sendable {
    private let loop: EventLoop
    private var timer: LoopTimer?
    private var cancelled = false

    init(loop: EventLoop) { self.loop = loop }

    func begin(every interval: Duration, _ body: @escaping @Sendable () -> Void) {
        guard !cancelled else { return }
        let timer = LoopTimer(on: loop) { [weak self] in
            body()
            if let self, !self.cancelled { self.timer?.start(after: interval) }
        }
        self.timer = timer
        timer.start(after: interval)
    }

    public func cancel() {
        loop.execute { [self] in
            cancelled = true
            timer?.cancel()
            timer = nil
        }
    }
}

private func timerCallback(_ descriptor: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<LoopTimer>.fromOpaque(context).takeUnretainedValue().fire()
}

extension Duration {
    /// The duration as C's `timeval`, never negative, rounded up to a microsecond.
    package var timeval: Glibc.timeval {
        guard self > .zero else { return Glibc.timeval(tv_sec: 0, tv_usec: 0) }
        let (seconds, attoseconds) = components
        let micros = (attoseconds + 999_999_999_999) / 1_000_000_000_000
        return Glibc.timeval(tv_sec: Int(seconds) + Int(micros / 1_000_000), tv_usec: Int(micros % 1_000_000))
    }

    /// Whole milliseconds, rounded down.
    public var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1000 + attoseconds / 1_000_000_000_000_000
    }
}
