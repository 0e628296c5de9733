import Downloads
import NotificationsService
import ProgramStart
import Publication
import Settings
import WorkerService

let program = await WorkerProgram.begin("worker-notifications", migrations: NotificationsWorker.migrations + [Downloads.migrations])
do {
    let link = program.settings.secretKey.map { DownloadLink(secret: $0.value) }
    await program.run(try NotificationsWorker.services(program, downloads: link?.linking(baseURL: program.settings.baseURL)))
} catch {
    ProgramStart.fail("worker-notifications: \(error)")
}
