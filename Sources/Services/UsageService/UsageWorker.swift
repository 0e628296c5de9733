import Database
import DiskUsage
import EventLoop
import HTTPClient
import JobQueue
import Notifications
import Outbox
import Payments
import Plans
import Settings
import StorageMetering
import Teams
import Telemetry
import Usage
import WorkerService

/// The services of worker-usage: samples in batches, and the jobs of the two scheduled runs.
public enum UsageWorker {
    /// The rooms' migrations it stands on.
    public static let migrations: [MigrationSet] = [
        Outbox.migrations, TeamStore.migrations, PaymentStore.migrations, NotificationRecord.migrations, PlanPurpose.migrations,
        UsageStore.migrations,
    ]

    public static func services(_ program: WorkerProgram) throws -> [any Service] {
        let nowMs = program.nowMs
        let settings = program.settings
        let counting = SampleCounting(database: program.database, log: program.log, nowMs: nowMs)
        let samples = BatchWorker(
            driver: program.queues.driver(of: SampleCounting.queue),
            configuration: BatchWorker.Configuration(
                name: "\(program.name)-\(settings.slot)", batchMax: SampleCounting.batchMax, log: program.log)
        ) { try await counting.count($0) }

        let staff = LimitsCheck.Staff(email: settings.staffEmail, language: settings.language.rawValue)
        let limits = LimitsCheck(
            database: program.database, outbox: program.outbox, overLimit: settings.usage.alertsOverLimit, staff: staff, log: program.log,
            nowMs: nowMs)
        let runner = UsageRunner(database: program.database, log: program.log, nowMs: nowMs)
        let measuring = StorageMeasuring(
            configuration: StorageMeasuring.Configuration(settings.usage), database: program.database, client: HTTPClient(loop: program.loop),
            diskUsage: DiskUsage(pool: BlockingPool(name: "storage", threads: 4)), log: program.log)

        let jobs = program.worker(queue: MeasureStorage.queue)
        jobs.register(CheckLimits.self, retry: CheckLimits.retry, timeout: .seconds(600)) { parameters, context in
            try await limits.run(parameters, job: context.job)
        }
        jobs.register(MeasureStorage.self, retry: MeasureStorage.retry, timeout: .seconds(3600)) { parameters, context in
            try await runner.run(.storage, tick: parameters.tick, job: context.job) {
                UsageRun.Report(try await measuring.run(tick: parameters.tick, job: context.job.id, nowMs: nowMs))
            }
        }
        return [samples, jobs]
    }
}

extension StorageMeasuring.Configuration {
    /// What the settings name.
    init(_ usage: UsageSettings) {
        self.init(
            dockerSocket: usage.dockerSocket, projectLabel: usage.projectLabel, root: usage.storageRoot,
            folders: usage.storageFolders.map { StorageFolder(project: $0.project, path: $0.path) })
    }
}

extension UsageRun.Report {
    /// A measurement whose origin may answer in a while is tried again.
    init(_ report: StorageReport) {
        self.init(items: report.items, errors: report.errors, detail: report.detail, isWorthRetrying: report.isWorthRetrying)
    }
}
