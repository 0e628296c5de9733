import Database
import EventLoop
import JobQueue
import Outbox
import Scheduling
import Settings
import Subprocess
import Telemetry
import WorkerService

#if canImport(Glibc)
    import Glibc
#endif

/// The backup of every night: a cron entry that adds a job, and the worker in the scheduler's process that carries it out.
///
/// The work itself is done by `quittance backup`, a process of its own: neither the scheduler's ticks nor its memory feel it, and an
/// operator who tries it by hand runs the same. A scheduler that is killed takes its child with it; a peer, or the same one started
/// again, does the job anew.
enum DailyBackup {
    static let entry = "backup"
    /// Before the storage run, at an hour at which little is sold.
    static let expression = "0 2 * * *"

    /// There where backups have a folder.
    static func entries(settings: Settings, outbox: Outbox) -> [CronEntry] {
        guard let folder = settings.backupDirectory else { return [] }
        return [
            CronEntry(name: entry, expression: expression, summary: "back up the installation into \(folder)") { run, connection in
                let job = try outbox.add(try MakeBackup(tick: run.tick).request(), nowMs: run.nowMs, in: connection)
                return job.map { "job \($0) added" } ?? "its job was there before"
            }
        ]
    }

    /// The worker of the job; none where backups have no folder.
    static func worker(_ program: WorkerProgram) throws -> JobWorker? {
        guard let folder = program.settings.backupDirectory else { return nil }
        let arguments = ["backup", folder, "--keep", "\(program.settings.backupKeep)"]
        let executable = try commandPath()
        let pool = BlockingPool(name: "backup", threads: 1)
        let (database, nowMs) = (program.database, program.nowMs)
        let worker = program.worker(queue: MakeBackup.queue)
        worker.register(MakeBackup.self, retry: MakeBackup.retry, timeout: MakeBackup.timeout) { _, context in
            let result = try await Subprocess.run(
                executable: executable, arguments: arguments, environment: Subprocess.inheritedEnvironment,
                limits: Subprocess.Limits(wallTime: MakeBackup.timeout), pool: pool)
            guard result.status.isSuccess else {
                throw JobFailure.retry("quittance backup ended with \(result.status): \(lastLine(of: result.errorText))")
            }
            let detail = lastLine(of: String(decoding: result.output, as: UTF8.self))
            context.log.info("backed up", ["detail": .string(detail)])
            _ = try await database.write { try Outbox.finish(context.job, as: .done, detail: detail, nowMs: nowMs(), in: $0) }
            return .done
        }
        return worker
    }

    private static func lastLine(of text: String) -> String {
        String(text.split(separator: "\n").last(where: { !$0.hasPrefix("removed ") })?.prefix(500) ?? "")
    }

    /// `quittance` as it was installed beside this program.
    private static func commandPath() throws -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { bytes in
            bytes.withMemoryRebound(to: CChar.self) { text in text.baseAddress.map { readlink("/proc/self/exe", $0, text.count) } ?? 0 }
        }
        guard count > 0, let slash = buffer[..<count].lastIndex(of: UInt8(ascii: "/")) else {
            throw JobFailure.bury("where this program is installed cannot be found out")
        }
        return String(decoding: buffer[..<slash], as: UTF8.self) + "/quittance"
    }
}
