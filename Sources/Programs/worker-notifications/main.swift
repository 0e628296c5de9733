import EventLoop
import HTTPClient
import JobQueue
import NotificationDelivery
import Notifications
import Outbox
import Payments
import PrivateFiles
import ProgramStart
import Settings
import WorkerService

let program = await WorkerProgram.begin(
    "worker-notifications", migrations: [Outbox.migrations, PaymentStore.migrations, NotificationRecord.migrations])
let pool = BlockingPool(name: "attachments", threads: 2)
guard let sender = MailAddress(parsing: program.settings.mailFrom) else {
    ProgramStart.fail("MAIL_FROM is no mail address", code: ProgramStart.badSettings)
}
do {
    let sending = NotificationSending(
        database: program.database, smtp: try SMTPClient(url: program.settings.smtpURL),
        files: PrivateFiles(root: program.settings.privateMediaRoot, pool: pool), from: sender,
        breaker: program.breaker(NotificationSending.dependency, isIllness: NotificationSending.isIllness))
    let worker = program.worker(queue: SendNotification.queue)
    worker.register(
        SendNotification.self, retry: SendNotification.retry, guard: NotificationGuard(database: program.database), timeout: .seconds(90)
    ) { parameters, context in
        try await sending.run(parameters, context: context, nowMs: program.nowMs)
    }
    await program.run([worker])
} catch {
    ProgramStart.fail("worker-notifications: \(error)")
}
