import JobQueue
import MessagePort
import Telemetry

/// What every call to a carrier passes: a breaker that keeps calls from one that is ill, and a pace. Both are shared by all processes.
public struct CarrierGate: Sendable {
    /// How long a message waits for its turn before it is put off.
    static let patience = Duration.seconds(2)

    private let breakers: [String: CircuitBreaker]
    private let turns: (any CallTurnStore)?
    private let rates: [String: CallRate]
    private let clock: JobClock
    private let log: Log

    /// - Parameters:
    ///   - breakers: by carrier; see ``isIllness(_:)``.
    ///   - rates: by carrier; who is not named is called at any rate.
    public init(
        breakers: [String: CircuitBreaker] = [:], turns: (any CallTurnStore)? = nil, rates: [String: CallRate] = [:], clock: JobClock = .system,
        log: Log = Log()
    ) {
        self.breakers = breakers
        self.turns = turns
        self.rates = rates
        self.clock = clock
        self.log = log
    }

    /// The breaker's name of a carrier, as `quittance breakers` lists it.
    public static func dependency(_ carrier: String) -> String { carrier == MailCarrier.name ? carrier : "message.\(carrier)" }

    /// Whether an error says that the carrier itself is ill, not that it does not want this message.
    public static func isIllness(_ error: any Error) -> Bool { (error as? CarrierRefusal)?.outcome.fault?.isIllness ?? false }

    /// Makes the call, or keeps it back.
    /// - Throws: ``CarrierHeld``, `BreakerOpen`, or what the call throws.
    func pass<Value: Sendable>(_ carrier: String, _ call: @Sendable () async throws -> Value) async throws -> Value {
        try await takeTurn(carrier)
        guard let breaker = breakers[carrier] else { return try await call() }
        return try await breaker.run(call)
    }

    /// A store of turns that is away keeps no message back.
    private func takeTurn(_ carrier: String) async throws {
        guard let turns, let rate = rates[carrier] else { return }
        let turn: CallTurn
        do { turn = try await turns.take(Self.dependency(carrier), rate, within: Self.patience) } catch {
            log.warning("turns cannot be asked, the call passes", ["carrier": .string(carrier), "error": .string("\(error)")])
            return
        }
        switch turn {
        case .refused(let delay): throw CarrierHeld(carrier: carrier, retryAfter: delay)
        case .after(let wait): if wait > .zero { try await clock.sleep(wait) }
        }
    }
}

/// The carrier gets enough; nothing was sent, no attempt is spent.
struct CarrierHeld: JobErrorClassifying, EffectErrorClassifying, Equatable, CustomStringConvertible {
    let carrier: String
    let retryAfter: Duration

    var jobDisposition: JobDisposition { .snooze(retryAfter) }
    var effectCannotHaveHappened: Bool { true }
    var description: String { "\(carrier) is called often enough" }
}

/// What a carrier answered in place of taking a message.
struct CarrierRefusal: EffectErrorClassifying, CustomStringConvertible {
    let outcome: CarrierOutcome

    /// Whatever was answered, the message was not taken; only what was not answered may have been.
    var effectCannotHaveHappened: Bool { if case .unknown = outcome { false } else { true } }
    var description: String { outcome.fault?.description ?? "accepted" }
}
