import Database
import Payments
import ProviderPort

/// Ends what waits for the customer, where its provider agrees. A provider that could not be asked has neither agreed nor refused, and is told
/// as that.
struct PaymentCancelling: Sendable {
    let database: Database
    let events: PaymentEvents
    let transport: any ProviderTransport
    let nowMs: @Sendable () -> Int64

    struct Outcome: Sendable {
        /// As it stands afterwards.
        let payment: Payment
        let agreed: Bool
        /// What was said against it.
        let refusal: String?
        let trouble: CancelTrouble?
    }

    private struct Waiting: Sendable {
        let attempt: PaymentAttempt
        let question: StatusQuestion
    }

    /// - Parameter find: the payment, if the caller may cancel it: asked before anything is done.
    /// - Throws: what `find` throws; ``WebProblem`` 409 where nothing can be cancelled any more.
    func callAsFunction(by caller: String, _ find: @escaping @Sendable (Connection) throws -> Payment) async throws -> Outcome {
        let (payment, waiting) = try await database.read { connection in
            let payment = try find(connection)
            let waiting = try PaymentStore.attempts(of: payment.id, in: connection).filter(\.isOpen)
            return (payment, try waiting.map { Waiting(attempt: $0, question: try StatusQuestion($0, in: connection)) })
        }
        guard payment.state.isOpen else {
            throw WebProblem.conflict("payment \(payment.id) is \(payment.state.rawValue): there is nothing to cancel")
        }
        var refusal: String?
        var trouble: CancelTrouble?
        for one in waiting {
            do {
                let said = try await ask(one)
                let now = nowMs()
                let source = PaymentFacts.Source(actor: caller, reference: "cancel \(one.attempt.id)")
                _ = try await database.write { [events] in try events.facts.record(said, attempt: one.attempt, source: source, nowMs: now, in: $0) }
                if said.claim != .cancelled { refusal = "\(one.attempt.provider) says that it is \(said.claim.rawValue)" }
            } catch let error as ProviderError {
                if let met = CancelTrouble(error, one.attempt) { trouble = trouble ?? met } else { refusal = error.message }
            }
        }
        if waiting.isEmpty { refusal = "nothing was started that could be cancelled" }
        return Outcome(
            payment: try await database.read { try PaymentStore.require(payment.id, in: $0) }, agreed: refusal == nil && trouble == nil,
            refusal: refusal, trouble: trouble)
    }

    private func ask(_ waiting: Waiting) async throws -> ProviderNotice {
        let name = waiting.attempt.provider
        guard let adapter = events.providers.known(name) else { throw ProviderError(.misconfigured, "\(name) is off here") }
        // Nobody else knows of an attempt that is carried out by hand.
        if !adapter.capabilities.hasStatus && !adapter.capabilities.hasWebhook {
            return ProviderNotice(references: [], claim: .cancelled)
        }
        return try await adapter.cancel(waiting.question, over: transport)
    }
}
