import Database
import Formats
import JobQueue
import Money
import Outbox
import ProviderPort

/// `payment.refund`: has the provider give money back, once.
public struct RefundPayment: JobParameters {
    public static let kind = "payment.refund"
    public static let queue = "payments"

    public let refund: String

    /// A provider that is ill recovers within minutes to hours.
    public static let retry = RetryPolicy.exponential(base: .seconds(2), factor: 2, cap: .seconds(600), jitter: .equal, attemptsMax: 14)

    static func request(_ refund: Refund) throws -> JobRequest {
        try JobRequest(RefundPayment(refund: refund.id), payment: refund.payment, unique: "\(kind):\(refund.id)")
    }
}

/// Carries out ``RefundPayment``.
public struct RefundSending: Sendable {
    private let database: Database
    private let refunds: Refunds
    private let providers: ProviderRegistry
    private let transport: any ProviderTransport

    /// The effect that the call is; its key is the refund.
    public static let effect = "provider.refund"
    /// A provider that is still at it is asked again after this.
    static let patience = Duration.seconds(60)
    /// The same once a person was told of it.
    static let longPatience = Duration.seconds(3600)
    /// A refund waits so long for an earlier one of the same attempt.
    static let turn = Duration.seconds(10)

    public init(database: Database, facts: PaymentFacts, providers: ProviderRegistry, transport: any ProviderTransport) {
        self.database = database
        refunds = Refunds(facts: facts, providers: providers)
        self.providers = providers
        self.transport = transport
    }

    public func run(_ parameters: RefundPayment, context: JobContext, nowMs: @Sendable () -> Int64) async throws -> JobOutcome {
        let (refund, order, provider, isBehind) = try await database.read { [refunds] connection in
            guard let refund = try Refund.find(parameters.refund, in: connection) else { throw PaymentError.notFound(parameters.refund) }
            let source = try refunds.source(of: refund, in: connection)
            let order = RefundOrder(
                question: try StatusQuestion(source.attempt, in: connection), amount: refund.amount, captured: source.captured,
                refundedBefore: source.refunded, key: refund.id, reason: refund.reason)
            return (refund, order, source.attempt.provider, try refund.isBehindAnother(in: connection))
        }
        guard !refund.state.isOver else { return .done }
        guard !isBehind else { throw JobFailure.snooze(Self.turn, "an earlier refund of attempt \(refund.attempt) is not over") }
        guard let adapter = providers.known(provider) else { throw ProviderError(.misconfigured, "provider \(provider) is off here") }
        let heard = ListeningTransport(transport)
        do {
            let said: Answered
            do { said = try await send(order, refund, adapter, context, over: heard) } catch {
                try await keep(heard, refund, nowMs: nowMs())
                throw error
            }
            try await keep(heard, refund, nowMs: nowMs())
            return try await conclude(said, refund, context.job, nowMs: nowMs())
        } catch let call as RefundCallError {
            guard call.isRefusal else { throw call }
            return try await fail(refund, call.error.message, kind: "refund_failed", context.job, nowMs: nowMs())
        } catch let stopped as RefundStopped {
            return try await fail(refund, stopped.reason, kind: "refund_stopped", context.job, nowMs: nowMs())
        }
    }

    private func keep(_ heard: ListeningTransport, _ refund: Refund, nowMs: Int64) async throws {
        let answers = heard.answers
        guard !answers.isEmpty else { return }
        try await database.write { try ProviderAnswers.keep(answers, of: .refund, attempt: refund.attempt, nowMs: nowMs, in: $0) }
    }

    /// Calls, or finds out what became of a call that nobody came back from.
    private func send(
        _ order: RefundOrder, _ refund: Refund, _ adapter: any PaymentProvider, _ context: JobContext, over transport: any ProviderTransport
    ) async throws -> Answered {
        if refund.state == .sent {
            let now = try await adapter.status(of: order.question, over: transport)
            return Answered(isDone: order.isIn(now), reference: now.transaction)
        }
        let policy: EffectPolicy<Answered> =
            adapter.capabilities.hasStatus
            ? .ask { _ in
                let now = try await adapter.status(of: order.question, over: transport)
                if order.isIn(now) { return .happened(Answered(isDone: true, reference: now.transaction)) }
                return now.claim == .captured ? .didNotHappen : .unknown
            } : .onceThenTask
        return try await context.effect(Self.effect, key: refund.id, policy: policy) { [database, refunds] _ in
            // Behind the intent: whoever ends the refund from now on sees that its call is under way.
            if let reason = try await database.read({ try refunds.stops(refund, in: $0) }) { throw RefundStopped(reason: reason) }
            do throws(ProviderError) {
                let said = try await adapter.refund(order, over: transport)
                return Answered(isDone: said.claim == .refunded, reference: said.transaction)
            } catch {
                throw RefundCallError(error: error)
            }
        }
    }

    private func conclude(_ said: Answered, _ refund: Refund, _ job: JobEnvelope, nowMs: Int64) async throws -> JobOutcome {
        guard said.isDone else {
            try await database.write { try Refund.move(refund.id, to: .sent, reference: said.reference, nowMs: nowMs, in: $0) }
            let isOverdue = nowMs - refund.createdAtMs > Refunds.deadlineMs
            throw JobFailure.snooze(isOverdue ? Self.longPatience : Self.patience, "the provider is still at refund \(refund.id)")
        }
        try await database.write { [refunds] connection in
            guard try Outbox.finish(job, as: .done, detail: "refunded", nowMs: nowMs, in: connection) else { return }
            try refunds.settle(refund, reference: said.reference, nowMs: nowMs, in: connection)
        }
        return .done
    }

    /// The provider refuses, or we do: nothing went back, and a person must look.
    private func fail(_ refund: Refund, _ reason: String, kind: String, _ job: JobEnvelope, nowMs: Int64) async throws -> JobOutcome {
        try await database.write { connection in
            guard try Outbox.finish(job, as: .done, detail: "refused: \(reason)", nowMs: nowMs, in: connection) else { return }
            // One that somebody ended meanwhile stays as it is.
            guard try Refund.find(refund.id, in: connection)?.state.isOver == false else { return }
            try Refund.move(refund.id, to: .failed, detail: reason, nowMs: nowMs, in: connection)
            let detail = "refund \(refund.id) of \(refund.amount.description) was refused: \(reason.prefix(300))"
            try PaymentTask.open(payment: refund.payment, kind: kind, detail: detail, nowMs: nowMs, in: connection)
            try Refunds.closeOverdue(refund, nowMs: nowMs, in: connection)
        }
        return .done
    }

    /// The money may not go out any more; nothing was called.
    private struct RefundStopped: EffectErrorClassifying, JobErrorClassifying, CustomStringConvertible {
        let reason: String
        var effectCannotHaveHappened: Bool { true }
        var jobDisposition: JobDisposition { .bury }
        var description: String { reason }
    }

    /// Why a call that gives money back was not answered with yes. Only the call itself can refuse: a question about it that goes wrong
    /// says nothing of the money.
    struct RefundCallError: EffectErrorClassifying, JobErrorClassifying, CustomStringConvertible {
        let error: ProviderError

        var effectCannotHaveHappened: Bool { error.effectCannotHaveHappened }
        var isRefusal: Bool { effectCannotHaveHappened && !error.retryHelps }
        /// What nobody knows the end of is asked about, or put before a person, when it is tried again.
        var jobDisposition: JobDisposition { error.kind == .unreadable ? .retry(after: nil) : error.jobDisposition }
        var description: String { error.description }
    }

    /// What is kept of the provider's answer.
    private struct Answered: Codable, Sendable {
        let isDone: Bool
        let reference: String?
    }
}

extension RefundOrder {
    /// Whether the provider's answer about the attempt says that this refund was made.
    fileprivate func isIn(_ now: ProviderNotice) -> Bool {
        now.claim == .refunded && now.amount?.minorUnits ?? captured >= refundedBefore + amount.minorUnits
    }
}
