import EventLoop
import InvoiceDocuments
import Invoicing
import JobQueue
import Outbox
import Payments
import PrivateFiles
import Settings
import WorkerService

let program = await WorkerProgram.begin("worker-invoices", migrations: [Outbox.migrations, PaymentStore.migrations, InvoiceStore.migrations])
let pool = BlockingPool(name: "invoices", threads: 2)
let creation = InvoiceCreation(
    database: program.database, outbox: program.outbox, files: PrivateFiles(root: program.settings.privateMediaRoot, pool: pool), pool: pool,
    render: { try InvoiceDocument($0).pdf() })
let worker = program.worker(queue: CreateInvoice.queue)
worker.register(CreateInvoice.self, retry: CreateInvoice.retry, guard: PaidGuard(database: program.database), timeout: .seconds(120)) {
    parameters, context in
    try await creation.run(parameters, job: context.job, log: context.log, nowMs: program.nowMs)
}
worker.register(CreateCreditNote.self, retry: CreateCreditNote.retry, timeout: .seconds(120)) { parameters, context in
    try await creation.run(parameters, job: context.job, log: context.log, nowMs: program.nowMs)
}
await program.run([worker])
