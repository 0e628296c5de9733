import ProviderPort
import Synchronization

/// Keeps calls apart: iCount tells no limit, and two a second of one program are modest.
final class RequestPace: Sendable {
    /// Who would wait longer is told to come back.
    static let waitMax: Duration = .seconds(5)

    private let interval: Duration
    private let next = Mutex<ContinuousClock.Instant>(.now)

    init(interval: Duration = .milliseconds(500)) { self.interval = interval }

    /// Waits for a turn. - Throws: ``ProviderError`` `throttled`; nothing was sent then.
    func pass() async throws(ProviderError) {
        let wait = next.withLock { next -> Duration? in
            let now = ContinuousClock.now
            let turn = max(next, now)
            guard turn - now <= Self.waitMax else { return nil }
            next = turn + interval
            return turn - now
        }
        guard let wait else { throw ProviderError(.throttled, "iCount is being asked enough", retryAfterSeconds: 5) }
        guard wait > .zero else { return }
        do {
            try await Task.sleep(for: wait)
        } catch {
            throw ProviderError(.throttled, "the call was given up before its turn")
        }
    }
}
