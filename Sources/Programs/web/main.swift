import EventLoop
import HTTPClient
import ObjectStorage
import PaymentsService
import PrivateFiles
import ProgramStart
import Settings
import WebService
import WorkerService

let program = await WorkerProgram.begin("web", migrations: Product.migrations, sources: .seeding)
do {
    let client = HTTPClient(loop: program.loop)
    let files = PrivateFiles(root: program.settings.privateMediaRoot, pool: BlockingPool(name: "files", threads: 4))
    let storage = program.settings.objectStorage(files: files, client: client)
    await program.run([try WebServer(program, transport: CurlTransport(client), storage: storage, files: files)])
} catch {
    ProgramStart.fail("web: \(error)")
}
