import ProgramStart
import UsageService
import WorkerService

let program = await WorkerProgram.begin("worker-usage", migrations: UsageWorker.migrations)
do {
    await program.run(try UsageWorker.services(program))
} catch {
    ProgramStart.fail("worker-usage: \(error)")
}
