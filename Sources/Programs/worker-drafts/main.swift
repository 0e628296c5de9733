import DraftGeneration
import Drafts
import EventLoop
import HTTPClient
import JobQueue
import ObjectStorage
import Outbox
import Payments
import PrivateFiles
import Settings
import WorkerService

let program = await WorkerProgram.begin("worker-drafts", migrations: [Outbox.migrations, PaymentStore.migrations, InquiryStore.migrations])
let settings = program.settings
let pool = BlockingPool(name: "drafts", threads: max(2, settings.workerConcurrency))
let client = HTTPClient(loop: program.loop)
let files = PrivateFiles(root: settings.privateMediaRoot, pool: pool)
let generation = TextGeneration(
    baseURL: settings.openAI.baseURL, apiKey: settings.openAI.apiKey?.value, model: settings.openAI.model, client: client,
    breaker: program.breaker(TextGeneration.dependency, isIllness: CircuitBreaker.retryHelps))
let making = DraftMaking(
    database: program.database, outbox: program.outbox, generation: generation,
    templates: DocumentTemplates(python: settings.docxPython, script: "deploy/docx/fill_template.py"),
    files: files, staffEmail: settings.staffEmail,
    price: TextPrice(
        promptMicros: settings.drafts.promptMicros, completionMicros: settings.drafts.completionMicros, currency: settings.drafts.currency,
        dailyBudgetMicros: settings.drafts.dailyBudgetMicros))
let note: JobNotice = { job, reason in try await making.failed(job, reason: reason, nowMs: program.nowMs()) }
let worker = program.worker(queue: GenerateDraft.queue, onSkip: note, onBury: note)
worker.register(GenerateDraft.self, retry: GenerateDraft.retry, guard: PaidGuard(database: program.database), timeout: .seconds(300)) {
    parameters, context in
    try await making.run(parameters, context: context, nowMs: program.nowMs)
}
let unpaid = UnpaidFiles(
    database: program.database, storage: settings.objectStorage(files: files, client: client), keepDays: settings.storage.unpaidKeepDays,
    log: program.log)
worker.register(PurgeAttachments.self, retry: PurgeAttachments.retry, timeout: PurgeAttachments.timeout) { _, context in
    try await unpaid.run(context, nowMs: program.nowMs)
}
await program.run([worker])
