import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// A few threads of our own for calls that block (files, fsync, waiting for a child), so that Swift's shared pool never does.
///
/// Threads are started on demand, at most `threads` of them, and end with the pool's ``close()``.
///
/// `@unchecked Sendable`: the queue is guarded by its pthread mutex, the threads' number likewise.
public final class BlockingPool: @unchecked Sendable {
    private let name: String
    private let threadsMax: Int
    private var threads: [pthread_t] = []
    private var idle = 0
    private var closed = false
    private var waiting: [@Sendable () -> Void] = []
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let filled = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    /// - Parameter threads: 1…64 threads at most.
    public init(name: String, threads: Int) {
        precondition((1...64).contains(threads), "a blocking pool has 1 to 64 threads")
        self.name = name
        threadsMax = threads
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(filled, nil)
    }

    deinit {
        pthread_cond_destroy(filled)
        pthread_mutex_destroy(mutex)
        filled.deallocate()
        mutex.deallocate()
    }

    /// Runs `body` on one of the pool's threads, in order of the calls.
    public func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            submit { continuation.resume(with: Result { try body() }) }
        }
    }

    /// Runs `body` on one of the pool's threads without waiting for it.
    public func submit(_ body: @escaping @Sendable () -> Void) {
        pthread_mutex_lock(mutex)
        precondition(!closed, "the pool \(name) is closed")
        waiting.append(body)
        // An idle thread that was signalled still counts as idle until it wakes, so each waiting call needs one of its own.
        if waiting.count > idle && threads.count < threadsMax {
            threads.append(ThreadLaunch.start(name: name) { self.work() })
        }
        pthread_cond_signal(filled)
        pthread_mutex_unlock(mutex)
    }

    /// Finishes what was handed in and ends the threads. Blocks; nothing may be handed in afterwards.
    public func close() {
        pthread_mutex_lock(mutex)
        closed = true
        let ending = threads
        threads = []
        pthread_cond_broadcast(filled)
        pthread_mutex_unlock(mutex)
        for thread in ending { pthread_join(thread, nil) }
    }

    private func work() {
        pthread_mutex_lock(mutex)
        while true {
            if waiting.isEmpty {
                if closed { break }
                idle += 1
                pthread_cond_wait(filled, mutex)
                idle -= 1
                continue
            }
            let body = waiting.removeFirst()
            pthread_mutex_unlock(mutex)
            body()
            pthread_mutex_lock(mutex)
        }
        pthread_mutex_unlock(mutex)
    }
}
