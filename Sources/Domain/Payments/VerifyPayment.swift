import Database
import Formats
import JobQueue
import Money
import Outbox
import ProviderPort

/// `payment.verify`: asks the provider what has become of an attempt and enters its answer. A job of its own, so that a slow
/// provider never holds up the events behind it, and any kill is survived.
public struct VerifyPayment: JobParameters {
    public static let kind = "payment.verify"
    public static let queue = "payments"

    public let attempt: String
    /// The event, cron tick or request that asks for it.
    public let cause: String
    /// Whether the answer is compared with what is booked; of a notification nothing is booked yet.
    public var reconciles: Bool?
    /// Set where nothing but somebody's word is the reason: what is not known then is not asked again for it.
    public var hint: Bool?

    /// Providers that are ill recover within minutes to hours; reconciliation goes on where this ends.
    public static let retry = RetryPolicy.exponential(base: .seconds(1), factor: 2, cap: .seconds(300), jitter: .equal, attemptsMax: 14)

    /// Has the provider asked about an attempt, once for a cause.
    public static func ask(about attempt: PaymentAttempt, cause: String, outbox: Outbox, nowMs: Int64, in connection: Connection) throws {
        try outbox.add(try request(attempt: attempt, cause: cause), nowMs: nowMs, in: connection)
    }

    /// The job for one cause; the same cause twice is one job.
    static func request(attempt: PaymentAttempt, cause: String, reconciles: Bool? = nil, isHint: Bool = false) throws -> JobRequest {
        try JobRequest(
            VerifyPayment(attempt: attempt.id, cause: cause, reconciles: reconciles, hint: isHint ? true : nil), payment: attempt.payment,
            unique: "verify:\(attempt.id):\(cause)")
    }
}

/// Carries out ``VerifyPayment``.
public struct PaymentVerification: Sendable {
    let database: Database
    let events: PaymentEvents
    let transport: any ProviderTransport
    let gates = ProviderGates()

    public init(database: Database, events: PaymentEvents, transport: any ProviderTransport) {
        self.database = database
        self.events = events
        self.transport = transport
    }

    /// Asks and applies.
    /// - Throws: ``ProviderError``; an unreachable provider is asked again later, never assumed to have said anything.
    public func run(_ parameters: VerifyPayment, job: JobEnvelope, nowMs: @Sendable () -> Int64) async throws -> JobOutcome {
        let (attempt, question) = try await database.read { connection in
            let attempt = try PaymentStore.requireAttempt(parameters.attempt, in: connection)
            return (attempt, try StatusQuestion(attempt, in: connection))
        }
        guard let adapter = events.providers.known(attempt.provider) else {
            throw ProviderError(.misconfigured, "provider \(attempt.provider) is off here")
        }
        let answer: ProviderNotice
        let heard = ListeningTransport(transport)
        do {
            answer = try await gates.pass(provider: attempt.provider, attempt: attempt.id) {
                try await adapter.status(of: question, over: heard)
            }
        } catch let error as ProviderError {
            let (asked, answers) = (nowMs(), heard.answers)
            let isUnknown = error.kind == .notFound
            let isOver = isUnknown && parameters.hint == true
            guard isUnknown || !answers.isEmpty else { throw error }
            try await database.write { connection in
                try ProviderAnswers.keep(answers, of: .status, attempt: attempt.id, nowMs: asked, in: connection)
                guard isUnknown else { return }
                try AttemptIntent.settle(attempt.id, isKnown: false, nowMs: asked, in: connection)
                try UnverifiedReferences.markAsked(question.unverified, attempt: attempt.id, in: connection)
                if isOver { _ = try Outbox.finish(job, as: .done, detail: "not known", nowMs: asked, in: connection) }
            }
            guard isOver else { throw error }
            return .done
        }
        let now = nowMs()
        try await database.write { [events] connection in
            guard try Outbox.finish(job, as: .done, detail: answer.claim.rawValue, nowMs: now, in: connection) else { return }
            try ProviderAnswers.keep(heard.answers, of: .status, attempt: attempt.id, nowMs: now, in: connection)
            try PaymentStore.noteAnswer(answer, of: attempt.id, in: connection)
            try AttemptIntent.settle(attempt.id, isKnown: answer.claim != .unknown, nowMs: now, in: connection)
            try UnverifiedReferences.markAsked(question.unverified, attempt: attempt.id, in: connection)
            let source = PaymentFacts.Source(actor: "provider:\(attempt.provider)", reference: job.id)
            guard parameters.reconciles == true else {
                try events.facts.recordTold(answer, attempt: attempt, source: source, nowMs: now, in: connection)
                return
            }
            // As it stands now: it may have been heard of since it was read.
            let standing = try PaymentStore.requireAttempt(attempt.id, in: connection)
            try events.facts.reconcile(answer, attempt: standing, source: source, nowMs: now, in: connection)
        }
        return .done
    }
}

extension ProviderError: EffectErrorClassifying {
    /// Refused, or not even sent: the provider has certainly not carried the call out.
    public var effectCannotHaveHappened: Bool {
        switch kind {
        case .rejected, .misconfigured, .notOffered, .throttled, .held, .notFound: true
        case .unavailable: ["connect", "resolve"].contains(code)
        case .unreadable: false
        }
    }
}

extension ProviderError: JobErrorClassifying {
    public var jobDisposition: JobDisposition {
        // Nothing was tried: the provider's illness and the pace of calls are no fault of the job.
        if kind == .held { return .snooze(.seconds(max(1, retryAfterSeconds ?? 10))) }
        if retryHelps { return .retry(after: retryAfterSeconds.map { .seconds($0) }) }
        return .bury
    }
}
