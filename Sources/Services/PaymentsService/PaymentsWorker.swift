import Database
import EventLoop
import HTTPClient
import JobQueue
import Outbox
import Payments
import ProviderPort
import Settings
import Telemetry
import WorkerService

/// The services of worker-payments: events in batches, and the jobs that ask providers.
public enum PaymentsWorker {
    public static func services(_ program: WorkerProgram) throws -> [any Service] {
        let providers = try Product.providers(program.settings, calls: program.outboundCalls(), log: program.log)
        let facts = PaymentFacts(purposes: Product.purposes, outbox: program.outbox, log: program.log)
        let events = PaymentEvents(facts: facts, providers: providers)
        let application = EventApplication(database: program.database, events: events, log: program.log, nowMs: program.nowMs)
        let transport = CurlTransport(HTTPClient(loop: program.loop))
        let verification = PaymentVerification(database: program.database, events: events, transport: transport)
        let nowMs = program.nowMs

        let jobs = program.worker(queue: VerifyPayment.queue)
        jobs.register(VerifyPayment.self, retry: VerifyPayment.retry, timeout: .seconds(60)) { parameters, context in
            try await verification.run(parameters, job: context.job, nowMs: nowMs)
        }
        jobs.register(IdentifyReference.self, retry: IdentifyReference.retry, timeout: .seconds(60)) { parameters, context in
            try await verification.identify(parameters, job: context.job, nowMs: nowMs)
        }
        let refunds = RefundSending(database: program.database, facts: facts, providers: providers, transport: transport)
        jobs.register(RefundPayment.self, retry: RefundPayment.retry, timeout: .seconds(60)) { parameters, context in
            try await refunds.run(parameters, context: context, nowMs: nowMs)
        }
        let reconciliation = BatchReconciliation(database: program.database, facts: facts, providers: providers, transport: transport)
        jobs.register(ReconcileBatch.self, retry: ReconcileBatch.retry, timeout: .seconds(300)) { parameters, context in
            try await reconciliation.run(parameters, job: context.job, attempt: context.attempt, nowMs: nowMs)
        }
        for name in providers.names {
            for outcome in ReconciliationOutcome.allCases { _ = ReconciliationOutcome.counter(name, outcome) }
        }
        let batches = BatchWorker(
            driver: program.queues.driver(of: EventApplication.queue),
            configuration: BatchWorker.Configuration(
                name: "\(program.name)-\(program.settings.slot)", batchMax: EventApplication.batchMax, log: program.log)
        ) { batch in try await application.apply(batch) }
        return [jobs, batches]
    }
}
