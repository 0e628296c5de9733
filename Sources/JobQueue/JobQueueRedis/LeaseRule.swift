import JobQueue

/// When a worker may sweep its peers, as a pure value. A lease that looks run out proves nothing while nobody could renew: after a lost
/// connection, a restarted server or a server that stood still, everybody has one lease of time to show that he lives.
struct LeaseRule {
    /// A renewal that took longer than this shows a server, a network or ourselves standing still.
    static let slow = Duration.seconds(1)
    /// A server that runs longer than this was not restarted under the peers' feet.
    static let serverAge = QueueLimits.lease + .seconds(2)

    private var quietUntil: ContinuousClock.Instant?
    private var isConnected = false

    /// - Parameter serverAge: how long the server has been running; nil when it does not say.
    mutating func connected(isFirst: Bool, serverAge: Duration?, now: ContinuousClock.Instant) {
        isConnected = true
        guard isFirst, let serverAge else { return becomeQuiet(now) }
        // A process that has just started was not cut off from anything; only the peers of a young server may still be on their way back.
        let rest = min(QueueLimits.lease, Self.serverAge - serverAge)
        quietUntil = rest > .zero ? now + rest : nil
    }

    mutating func disconnected() { isConnected = false }

    mutating func renewed(took: Duration, hadRunOut: Bool, now: ContinuousClock.Instant) {
        if hadRunOut || took > Self.slow { becomeQuiet(now) }
    }

    mutating func renewalFailed(now: ContinuousClock.Instant) { becomeQuiet(now) }

    func maySweep(now: ContinuousClock.Instant) -> Bool {
        guard isConnected else { return false }
        guard let quietUntil else { return true }
        return now >= quietUntil
    }

    /// How long it still has to wait, of those who are connected.
    func quietLeft(now: ContinuousClock.Instant) -> Duration? {
        guard isConnected, let quietUntil, quietUntil > now else { return nil }
        return quietUntil - now
    }

    private mutating func becomeQuiet(_ now: ContinuousClock.Instant) { quietUntil = now + QueueLimits.lease }
}
