import EventLoop
import SandboxService
import Settings
import Telemetry

#if canImport(Glibc)
    import Glibc
#endif

ProcessSignals.prepare()
let settings: Settings
let loop: EventLoop
do {
    settings = try Settings.load()
    loop = try EventLoop.started(name: "sandbox")
} catch {
    Log("main").error("cannot start", ["reason": .string("\(error)")])
    Log.flush()
    exit(78)
}
Log.configure(
    format: Log.Format(rawValue: settings.logFormat.rawValue) ?? .json, program: "sandbox",
    level: Log.Level.allCases.first { $0.name == settings.logLevel.rawValue } ?? .info)
let sandbox = Sandbox(configuration: SandboxConfiguration(settings), loop: loop)
let group = ServiceGroup(services: [sandbox], grace: settings.shutdownGrace, log: Log("main"))
exit(await group.run())
