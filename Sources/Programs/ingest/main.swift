import EventLoop
import IngestService
import ProgramStart
import Settings

let (settings, log) = ProgramStart.begin("ingest", sources: .seeding)
do {
    let ingest = try IngestProgram(settings, loops: ProgramStart.loops, log: log)
    await ProgramStart.run(ingest.services, settings: settings, log: log) { group in
        ingest.server.whenHandedOver { group.stop(reason: "a successor serves") }
    }
} catch {
    ProgramStart.fail("ingest: \(error)")
}
