import Synchronization

/// A server whose clock all its clients share.
public protocol ServerTime: Sendable {
    /// Unix ms.
    func serverNowMs() async throws(QueueDriverError) -> Int64
}

/// The time of a server, for deciding what is due: the machine's own clock, which may be wrong or be set, is never looked at.
///
/// Between two questions, and while the server is away, the time that has passed since its last answer is added.
public final class ServerClock: Sendable {
    private struct Anchor {
        let serverMs: Int64
        let at: ContinuousClock.Instant

        func nowMs(_ now: ContinuousClock.Instant) -> Int64 { serverMs + at.duration(to: now).wholeMilliseconds }
    }

    /// When the server last answered.
    public let pulse = QueuePulse()
    private let server: any ServerTime
    private let freshness: Duration
    private let anchor = Mutex<Anchor?>(nil)

    /// - Parameter freshness: how old an answer may be before the server is asked again.
    public init(server: any ServerTime, freshness: Duration = .milliseconds(500)) {
        self.server = server
        self.freshness = freshness
    }

    /// - Throws: when the server is away and has never answered: a guess could be years off.
    public func nowMs() async throws(QueueDriverError) -> Int64 {
        let known = anchor.withLock { $0 }
        let now = ContinuousClock.now
        // A clock that ran backwards counts nothing.
        if let known, known.at <= now, known.at.duration(to: now) < freshness { return known.nowMs(now) }
        do throws(QueueDriverError) {
            let serverMs = try await server.serverNowMs()
            pulse.beat()
            anchor.withLock { $0 = Anchor(serverMs: serverMs, at: .now) }
            return serverMs
        } catch {
            guard let known, error.isTransient else { throw error }
            return known.nowMs(.now)
        }
    }
}
