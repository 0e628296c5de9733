import CEvent

#if canImport(Glibc)
    import Glibc
#endif

/// Starts threads of our own: event loops, the SQL writer, file writers. Never Swift's shared pool, which must not block.
package enum ThreadLaunch {
    /// The loop that owns the current thread, if any. A C thread-local, since Swift has none for synchronous code.
    static var currentLoop: ObjectIdentifier? {
        get {
            guard let raw = pthread_getspecific(loopKey) else { return nil }
            return ObjectIdentifier(Unmanaged<AnyObject>.fromOpaque(raw).takeUnretainedValue())
        }
        set {
            // An ObjectIdentifier is the object's address; the loop outlives its thread.
            let raw = newValue.flatMap { UnsafeRawPointer(bitPattern: UInt(bitPattern: $0)) }
            pthread_setspecific(loopKey, raw)
        }
    }

    private static let loopKey: pthread_key_t = {
        var key = pthread_key_t()
        precondition(pthread_key_create(&key, nil) == 0, "no thread-local key left")
        return key
    }()

    private final class Body {
        let name: String
        let run: @Sendable () -> Void
        init(name: String, run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }

    /// Starts a thread that runs `body` once; joinable. The name (15 bytes are shown) appears in `top -H`.
    package static func start(name: String, _ body: @escaping @Sendable () -> Void) -> pthread_t {
        let payload = Unmanaged.passRetained(Body(name: name, run: body)).toOpaque()
        var thread = pthread_t()
        let failure = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                let body = Unmanaged<Body>.fromOpaque(context).takeRetainedValue()
                quittance_name_thread(String(body.name.prefix(15)))
                body.run()
                return nil
            }, payload)
        precondition(failure == 0, "the system refuses a thread (\(failure))")
        return thread
    }
}
