#if canImport(Glibc)
    import Glibc
#endif

/// A bounded queue between callers, which never wait on it, and threads of our own, which do.
///
/// `@unchecked Sendable`: every field but the two pointers is touched under the pthread mutex only.
final class CallQueue<Item: Sendable>: @unchecked Sendable {
    private let itemsMax: Int
    private var items: [Item?] = []
    private var head = 0
    private var closed = false
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let filled = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init(itemsMax: Int) {
        self.itemsMax = itemsMax
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(filled, nil)
    }

    deinit {
        pthread_cond_destroy(filled)
        pthread_mutex_destroy(mutex)
        filled.deallocate()
        mutex.deallocate()
    }

    /// Items that wait.
    var count: Int {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return items.count - head
    }

    /// Adds an item at the end.
    func push(_ item: Item) throws(DatabaseError) {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard !closed else { throw DatabaseError(kind: .closed, message: "the database is closed") }
        guard items.count - head < itemsMax else {
            throw DatabaseError(kind: .overloaded, message: "more than \(itemsMax) calls wait for the database")
        }
        items.append(item)
        pthread_cond_signal(filled)
    }

    /// The next item, waiting for one; nil once the queue is closed and empty.
    func next() -> Item? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let item = take() { return item }
            if closed { return nil }
            pthread_cond_wait(filled, mutex)
        }
    }

    /// The next item, if one waits.
    func poll() -> Item? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return take()
    }

    /// Refuses further items; those that wait are still given out.
    func close() {
        pthread_mutex_lock(mutex)
        closed = true
        pthread_cond_broadcast(filled)
        pthread_mutex_unlock(mutex)
    }

    private func take() -> Item? {
        guard head < items.count else { return nil }
        let item = items[head]
        items[head] = nil
        head += 1
        // Moving the rest down only when at least half is gone keeps taking cheap on average.
        if head == items.count {
            items.removeAll(keepingCapacity: items.count <= 1024)
            head = 0
        } else if head >= 1024 && head * 2 >= items.count {
            items.removeFirst(head)
            head = 0
        }
        return item
    }
}
