import JobQueue
import Outbox
import Payments
import ProviderPort
import Synchronization
import Telemetry

/// Does the jobs of worker-payments as soon as they are published; those whose retry helps wait to be tried again.
final class PaymentJobs: JobPublisher {
    private struct Desk: Sendable {
        let verification: PaymentVerification
        let refunds: RefundSending
        let batches: BatchReconciliation?
        let effects: Effects
        let nowMs: @Sendable () -> Int64
    }

    private struct State: Sendable {
        var desk: Desk?
        var waiting: [JobEnvelope] = []
        var over: Int64 = 0
        var troubles: [String] = []
    }

    private let state = Mutex(State())
    private let worker = WorkerIdentity(name: "worker-payments")

    func serve(
        _ verification: PaymentVerification, _ refunds: RefundSending, batches: BatchReconciliation? = nil, _ effects: Effects,
        nowMs: @escaping @Sendable () -> Int64
    ) {
        state.withLock { $0.desk = Desk(verification: verification, refunds: refunds, batches: batches, effects: effects, nowMs: nowMs) }
    }

    /// How many wait to be tried again.
    var waiting: Int { state.withLock { $0.waiting.count } }
    /// How many are done or given up.
    var over: Int64 { state.withLock { $0.over } }
    /// How many are done, given up or wait to be tried again.
    var tried: Int64 { state.withLock { $0.over + Int64($0.waiting.count) } }
    /// What jobs ended with that could not be done.
    var troubles: [String] { state.withLock { $0.troubles } }

    func publish(_ items: [PublishItem], slot: String, queue: String) async throws {
        for item in items { await run(try JobEnvelope(decoding: item.body)) }
    }

    /// Tries once more what waits.
    func tryAgain() async {
        let jobs = state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
        for job in jobs { await run(job) }
    }

    private func run(_ job: JobEnvelope) async {
        guard let desk = state.withLock({ $0.desk }), [VerifyPayment.kind, RefundPayment.kind, ReconcileBatch.kind].contains(job.kind) else { return }
        do {
            if job.kind == ReconcileBatch.kind {
                _ = try await desk.batches?.run(try job.parameters(as: ReconcileBatch.self), job: job, attempt: 1, nowMs: desk.nowMs)
            } else if job.kind == VerifyPayment.kind {
                _ = try await desk.verification.run(try job.parameters(as: VerifyPayment.self), job: job, nowMs: desk.nowMs)
            } else {
                let context = JobContext(job: job, attempt: 1, worker: worker, log: Log("jobs"), effects: desk.effects)
                _ = try await desk.refunds.run(try job.parameters(as: RefundPayment.self), context: context, nowMs: desk.nowMs)
            }
            state.withLock { $0.over += 1 }
        } catch {
            let isFinal = (error as? ProviderError)?.retryHelps == false
            state.withLock { state in
                state.troubles.append("\(job.kind): \(error)")
                if isFinal { state.over += 1 } else { state.waiting.append(job) }
            }
        }
    }
}
