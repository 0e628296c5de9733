import DraftGeneration
import Drafts
import EventLoop
import HTTPClient
import JobQueue
import Outbox
import Payments
import PrivateFiles
import Settings
import WorkerService

let program = await WorkerProgram.begin("worker-drafts", migrations: [Outbox.migrations, PaymentStore.migrations, InquiryStore.migrations])
let settings = program.settings
let pool = BlockingPool(name: "drafts", threads: max(2, settings.workerConcurrency))
let generation = TextGeneration(
    baseURL: settings.openAI.baseURL, apiKey: settings.openAI.apiKey?.value, model: settings.openAI.model, client: HTTPClient(loop: program.loop),
    breaker: program.breaker(TextGeneration.dependency, isIllness: CircuitBreaker.retryHelps))
let making = DraftMaking(
    database: program.database, outbox: program.outbox, generation: generation,
    templates: DocumentTemplates(python: settings.docxPython, script: "deploy/docx/fill_template.py"),
    files: PrivateFiles(root: settings.privateMediaRoot, pool: pool), staffEmail: settings.staffEmail,
    price: TextPrice(
        promptMicros: settings.drafts.promptMicros, completionMicros: settings.drafts.completionMicros, currency: settings.drafts.currency,
        dailyBudgetMicros: settings.drafts.dailyBudgetMicros))
let note: JobNotice = { job, reason in try await making.failed(job, reason: reason, nowMs: program.nowMs()) }
let worker = program.worker(queue: GenerateDraft.queue, onSkip: note, onBury: note)
worker.register(GenerateDraft.self, retry: GenerateDraft.retry, guard: PaidGuard(database: program.database), timeout: .seconds(300)) {
    parameters, context in
    try await making.run(parameters, context: context, nowMs: program.nowMs)
}
await program.run([worker])
