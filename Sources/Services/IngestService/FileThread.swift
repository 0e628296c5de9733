import EventLoop
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// One thread for one kind of file work. What is handed in while it works is taken together next time, so that many events
/// share one write and one fdatasync; what nobody waits for may in addition linger for company, since each write of a few
/// lines costs more than the lines.
///
/// `@unchecked Sendable`: the queue is guarded by its pthread mutex.
final class FileThread<Item: Sendable>: @unchecked Sendable {
    private let work: @Sendable ([Item]) -> Void
    private let linger: Duration
    private let isUrgent: @Sendable (Item) -> Bool
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let filled = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var waiting: [Item] = []
    private var somebodyWaits = false
    private var closed = false
    private var thread: pthread_t?

    /// - Parameters:
    ///   - linger: how long an item may wait for others.
    ///   - isUrgent: whether an item must not, nor what came before it. Asked on the thread that hands it in.
    init(
        name: String, linger: Duration = .zero, isUrgent: @escaping @Sendable (Item) -> Bool = { _ in true },
        work: @escaping @Sendable ([Item]) -> Void
    ) {
        self.linger = linger
        self.isUrgent = isUrgent
        self.work = work
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        // The time to linger must not be stretched by setting the clock on the wall.
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(filled, &attributes)
        pthread_condattr_destroy(&attributes)
        thread = ThreadLaunch.start(name: name) { self.run() }
    }

    deinit {
        pthread_cond_destroy(filled)
        pthread_mutex_destroy(mutex)
        filled.deallocate()
        mutex.deallocate()
    }

    /// Hands in an item, in order, from any thread.
    func submit(_ item: Item) {
        let urgent = isUrgent(item)
        pthread_mutex_lock(mutex)
        let wakes = waiting.isEmpty || urgent && !somebodyWaits
        waiting.append(item)
        somebodyWaits = somebodyWaits || urgent
        if wakes { pthread_cond_signal(filled) }
        pthread_mutex_unlock(mutex)
    }

    /// Finishes what was handed in and ends the thread. Blocks.
    func close() {
        pthread_mutex_lock(mutex)
        closed = true
        pthread_cond_signal(filled)
        pthread_mutex_unlock(mutex)
        if let thread { pthread_join(thread, nil) }
        thread = nil
    }

    private func run() {
        var items: [Item] = []
        while true {
            pthread_mutex_lock(mutex)
            while waiting.isEmpty && !closed { pthread_cond_wait(filled, mutex) }
            if !somebodyWaits && !closed { lingerForMore() }
            // The emptied array goes back with its room.
            swap(&items, &waiting)
            somebodyWaits = false
            pthread_mutex_unlock(mutex)
            if items.isEmpty { return }
            work(items)
            items.removeAll(keepingCapacity: items.count <= 1024)
        }
    }

    /// Called with the mutex held, which is free while it waits.
    private func lingerForMore() {
        let (seconds, attoseconds) = linger.components
        guard linger > .zero else { return }
        var until = timespec()
        clock_gettime(CLOCK_MONOTONIC, &until)
        let nanoseconds = Int64(until.tv_nsec) + attoseconds / 1_000_000_000
        until.tv_sec += Int(seconds + nanoseconds / 1_000_000_000)
        until.tv_nsec = Int(nanoseconds % 1_000_000_000)
        while !somebodyWaits && !closed && pthread_cond_timedwait(filled, mutex, &until) == 0 {}
    }
}
