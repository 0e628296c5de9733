import PaymentsService
import ProgramStart
import WorkerService

let program = await WorkerProgram.begin("scheduler", migrations: Product.migrations)
do {
    await program.run(try SchedulerService.services(program))
} catch {
    ProgramStart.fail("scheduler: \(error)")
}
