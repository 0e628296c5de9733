import IngestService
import ProgramStart
import ProviderCatalog
import ProviderPort
import Settings
import Telemetry

let (settings, log) = ProgramStart.begin("ingest")
do {
    let configuration = IngestConfiguration(
        address: settings.ingestAddress, redis: settings.redis, queuePrefix: settings.queuePrefix,
        spoolDirectory: settings.spoolDirectory, loops: ProgramStart.loops, secretKey: settings.secretKey?.value,
        sources: try ProviderCatalog.sources(settings).map { ($0.adapter, $0.mode, $0.bodyLimit, $0.otherPaths) },
        usage: UsageSources(keys: settings.usage.sources.map { ($0.name, $0.key.value) }, bodyLimit: settings.usageBodyLimit))
    let server = try IngestServer(configuration, log: log)
    await ProgramStart.run([server], settings: settings, log: log)
} catch {
    ProgramStart.fail("ingest: \(error)")
}
