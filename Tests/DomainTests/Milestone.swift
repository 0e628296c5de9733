#if canImport(Glibc)
    import Glibc
#endif

/// A point that one thread reaches and another one waits for, blocking: for closures that cannot be async.
///
/// `@unchecked Sendable`: a semaphore is made for several threads.
final class Milestone: @unchecked Sendable {
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() { sem_init(semaphore, 0, 0) }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func reach() { sem_post(semaphore) }
    func wait() { while sem_wait(semaphore) != 0 && errno == EINTR {} }
}
