import CollectorService
import EventLoop
import ProgramStart
import Settings
import Telemetry

let (settings, log) = ProgramStart.begin("quittance-collector")
do {
    let loop = try EventLoop.started(name: "collector")
    let collector = try Collector(settings.collector, loop: loop, log: log)
    var services: [any Service] = [collector]
    if let address = settings.metricsAddress {
        services.append(CollectorPages.server(for: collector, at: address, loop: loop, log: log))
    }
    await ProgramStart.run(services, settings: settings, log: log)
} catch {
    ProgramStart.fail("quittance-collector: \(error)")
}
