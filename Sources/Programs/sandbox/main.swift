import EventLoop
import ProgramStart
import SandboxService
import Telemetry

let (settings, log) = ProgramStart.begin("sandbox")
do {
    let loop = try EventLoop.started(name: "sandbox")
    let sandbox = Sandbox(configuration: SandboxConfiguration(settings), loop: loop, log: log.component("sandbox"))
    await ProgramStart.run([sandbox], settings: settings, log: log)
} catch {
    ProgramStart.fail("sandbox: \(error)")
}
