import CEvent
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// One libevent loop on one thread of its own: all sockets, timers and Redis connections of that loop live there.
///
/// The loop is also a `SerialExecutor`, so an actor may declare it as its executor and share the thread with its sockets.
/// libevent's own locking is off: only the loop's thread ever touches the base, and other threads reach it through
/// ``execute(_:)``, which wakes the loop by an eventfd.
///
/// `@unchecked Sendable`: `base`, `wakeEvent` and `turnEnd` are touched by the loop's thread only (checked by
/// preconditions); everything else is behind a `Mutex` or an `Atomic`.
public final class EventLoop: SerialExecutor, @unchecked Sendable {
    public let name: String
    /// The `event_base`, for the rooms of Platform. Only to be touched on the loop's thread.
    package let base: OpaquePointer

    private enum Work {
        case closure(@Sendable () -> Void)
        case job(UnownedJob)
    }
    private enum Life { case fresh, running, stopped }

    private let wakeDescriptor: Int32
    private var wakeEvent: OpaquePointer?
    private var turnEnd: [() -> Void] = []
    /// Handed-in work; nil once the loop has ended. What comes later is let go: it could only keep alive what it holds, the loop among it.
    private let inbox = Mutex<[Work]?>([])
    private let wakePending = Atomic<Bool>(false)
    private let stopping = Atomic<Bool>(false)
    private let thread = Mutex<pthread_t?>(nil)
    private let life = Mutex<Life>(.fresh)

    /// Makes a loop that is not yet running.
    /// - Throws: ``EventLoopError`` when the system gives no base or no eventfd.
    public init(name: String) throws(EventLoopError) {
        self.name = name
        guard let configuration = event_config_new() else { throw EventLoopError.unavailable("event_config_new") }
        event_config_set_flag(configuration, Int32(EVENT_BASE_FLAG_NOLOCK.rawValue))
        event_config_set_flag(configuration, Int32(EVENT_BASE_FLAG_PRECISE_TIMER.rawValue))
        let made = event_base_new_with_config(configuration)
        event_config_free(configuration)
        guard let made else { throw EventLoopError.unavailable("event_base_new") }
        let descriptor = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
        guard descriptor >= 0 else {
            event_base_free(made)
            throw EventLoopError.unavailable("eventfd")
        }
        base = made
        wakeDescriptor = descriptor
    }

    deinit {
        if let wakeEvent { event_free(wakeEvent) }
        event_base_free(base)
        close(wakeDescriptor)
    }

    /// A loop that is already running.
    public static func started(name: String) throws(EventLoopError) -> EventLoop {
        let loop = try EventLoop(name: name)
        loop.start()
        return loop
    }

    /// Starts the loop's thread. A second call does nothing.
    public func start() {
        let fresh = life.withLock { state in
            guard state == .fresh else { return false }
            state = .running
            return true
        }
        guard fresh else { return }
        let event = event_new(base, wakeDescriptor, Int16(EV_READ | EV_PERSIST), wakeUpCallback, Unmanaged.passUnretained(self).toOpaque())
        wakeEvent = event
        event_add(event, nil)
        thread.withLock { $0 = ThreadLaunch.start(name: name) { self.run() } }
    }

    /// Ends the loop and waits for its thread. Work handed in before is still carried out. Never called on the loop itself.
    public func stop() {
        precondition(!isOnLoop, "an event loop cannot wait for itself")
        let wasRunning = life.withLock { state in
            defer { state = .stopped }
            return state == .running
        }
        guard wasRunning else { return }
        stopping.store(true, ordering: .releasing)
        wake()
        if let running = thread.withLock({ $0 }) { pthread_join(running, nil) }
    }

    // MARK: Work

    /// Whether the caller runs on this loop's thread.
    public var isOnLoop: Bool { ThreadLaunch.currentLoop == ObjectIdentifier(self) }

    /// Runs `body` on the loop's thread, in the order of the calls, from any thread.
    public func execute(_ body: @escaping @Sendable () -> Void) { submit(.closure(body)) }

    /// Runs `body` at the end of the current turn, after all sockets that were ready have been served: the place to write
    /// what the turn has gathered in one go. Only on the loop's thread.
    public func atTurnEnd(_ body: @escaping () -> Void) {
        preconditionOnLoop()
        turnEnd.append(body)
    }

    /// Runs `body` on the loop and gives its result to the caller.
    public func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            execute { continuation.resume(returning: body()) }
        }
    }

    public func preconditionOnLoop() {
        precondition(isOnLoop, "only on the thread of event loop \(name)")
    }

    // MARK: SerialExecutor

    public func enqueue(_ job: consuming ExecutorJob) { submit(.job(UnownedJob(job))) }
    public func checkIsolated() { preconditionOnLoop() }
    public func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    // MARK: The loop's thread

    private func submit(_ work: Work) {
        inbox.withLock { $0?.append(work) }
        if !isOnLoop { wake() }
    }

    private func wake() {
        guard !wakePending.exchange(true, ordering: .acquiringAndReleasing) else { return }
        var one: UInt64 = 1
        _ = write(wakeDescriptor, &one, MemoryLayout<UInt64>.size)
    }

    fileprivate func drainWakeUp() {
        var count: UInt64 = 0
        _ = read(wakeDescriptor, &count, MemoryLayout<UInt64>.size)
        wakePending.store(false, ordering: .releasing)
    }

    private func run() {
        ThreadLaunch.currentLoop = ObjectIdentifier(self)
        // Work may have been handed in before the thread started.
        finishTurn()
        while !stopping.load(ordering: .acquiring) {
            event_base_loop(base, Int32(EVLOOP_ONCE))
            finishTurn()
        }
        finishTurn(isLast: true)
    }

    /// Carries out handed-in work and what waits for the end of the turn, until neither is left.
    private func finishTurn(isLast: Bool = false) {
        while true {
            let isDone = isLast && turnEnd.isEmpty
            let work = inbox.withLock { waiting in
                let taken = waiting ?? []
                waiting = isDone && taken.isEmpty ? nil : []
                return taken
            }
            for item in work {
                switch item {
                case .closure(let body): body()
                case .job(let job): job.runSynchronously(on: asUnownedSerialExecutor())
                }
            }
            let ending = turnEnd
            turnEnd = []
            for body in ending { body() }
            if work.isEmpty && ending.isEmpty { return }
        }
    }
}

/// Why a loop could not be made. A retry helps only once the system has descriptors or memory again.
public struct EventLoopError: Error, CustomStringConvertible {
    public let operation: String
    static func unavailable(_ operation: String) -> EventLoopError { EventLoopError(operation: operation) }
    public var description: String { "the event loop could not be made: \(operation) failed" }
}

private func wakeUpCallback(_ descriptor: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<EventLoop>.fromOpaque(context).takeUnretainedValue().drainWakeUp()
}
