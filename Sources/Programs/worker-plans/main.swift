import JobQueue
import Notifications
import Outbox
import Payments
import Plans
import Teams
import WorkerService

let program = await WorkerProgram.begin(
    "worker-plans",
    migrations: [Outbox.migrations, TeamStore.migrations, PaymentStore.migrations, NotificationRecord.migrations, PlanPurpose.migrations])
let activation = PlanActivation(database: program.database, outbox: program.outbox)
let worker = program.worker(queue: ActivatePlan.queue)
worker.register(ActivatePlan.self, retry: ActivatePlan.retry, guard: PaidGuard(database: program.database)) { parameters, context in
    try await activation.run(parameters, job: context.job, log: context.log, nowMs: program.nowMs())
}
await program.run([worker])
