import PaymentsService
import ProgramStart
import WorkerService

let program = await WorkerProgram.begin("worker-payments", migrations: Product.migrations)
do {
    await program.run(try PaymentsWorker.services(program))
} catch {
    ProgramStart.fail("worker-payments: \(error)")
}
