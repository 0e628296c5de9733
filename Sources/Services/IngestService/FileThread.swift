import EventLoop
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// One thread for one kind of file work. What is handed in while it works is taken together next time, so that many events
/// share one write and one fdatasync.
///
/// `@unchecked Sendable`: the queue is guarded by its pthread mutex.
final class FileThread<Item: Sendable>: @unchecked Sendable {
    private let work: @Sendable ([Item]) -> Void
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let filled = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var waiting: [Item] = []
    private var closed = false
    private var thread: pthread_t?

    init(name: String, work: @escaping @Sendable ([Item]) -> Void) {
        self.work = work
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(filled, nil)
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
        pthread_mutex_lock(mutex)
        waiting.append(item)
        if waiting.count == 1 { pthread_cond_signal(filled) }
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
        while true {
            pthread_mutex_lock(mutex)
            while waiting.isEmpty && !closed { pthread_cond_wait(filled, mutex) }
            let items = waiting
            waiting = []
            pthread_mutex_unlock(mutex)
            if items.isEmpty { return }
            work(items)
        }
    }
}
