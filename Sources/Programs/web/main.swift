import HTTPClient
import PaymentsService
import ProgramStart
import WebService
import WorkerService

let program = await WorkerProgram.begin("web", migrations: Product.migrations)
do {
    let transport = CurlTransport(HTTPClient(loop: program.loop))
    let server = WebServer(
        WebConfiguration(program.settings), database: program.database, relay: program.relay,
        providers: try Product.providers(program.settings), transport: transport, log: program.log)
    await program.run([server])
} catch {
    ProgramStart.fail("web: \(error)")
}
