import PaymentsService
import ProgramStart
import Settings
import WorkerService

let program = await WorkerProgram.begin("worker-payments", migrations: Product.migrations, sources: .seeding)
do {
    await program.run(try PaymentsWorker.services(program))
} catch {
    ProgramStart.fail("worker-payments: \(error)")
}
