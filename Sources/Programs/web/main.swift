import HTTPClient
import PaymentsService
import ProgramStart
import Settings
import WebService
import WorkerService

let program = await WorkerProgram.begin("web", migrations: Product.migrations, sources: .seeding)
do {
    let transport = CurlTransport(HTTPClient(loop: program.loop))
    await program.run([try WebServer(program, transport: transport)])
} catch {
    ProgramStart.fail("web: \(error)")
}
