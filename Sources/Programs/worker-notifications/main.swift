import NotificationsService
import ProgramStart
import WorkerService

let program = await WorkerProgram.begin("worker-notifications", migrations: NotificationsWorker.migrations)
do {
    await program.run(try NotificationsWorker.services(program))
} catch {
    ProgramStart.fail("worker-notifications: \(error)")
}
