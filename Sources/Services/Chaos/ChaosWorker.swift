import Database
import JobQueue
import Outbox
import WorkerService

#if canImport(Glibc)
    import Glibc
#endif

/// `chaos worker FOLDER`: one of the worker processes of the play, made of what the product's own workers are made of.
public enum ChaosWorker {
    public static let command = "worker"
    /// The program's name in locks, keys and listings.
    static let name = "chaos-worker"
    /// An argument that makes every fiftieth effect be left out: a check of the check.
    static let losing = "--lose-effects"

    /// Works until it is asked to stop.
    /// - Parameter arguments: the folder that is the other side of its calls outside.
    public static func run(arguments: [String]) async -> Never {
        guard let folder = arguments.first else { exit(64) }
        let outside = Outside(folder: folder)
        let losesEffects = arguments.contains(losing)
        let program = await WorkerProgram.begin(name, migrations: ChaosEffects.everyMigration)
        let database = program.database
        let worker = program.worker(queue: ChaosJob.queue)
        let retry = RetryPolicy.exponential(base: .milliseconds(50), cap: .milliseconds(400), jitter: .equal, attemptsMax: 20)
        worker.register(ChaosJob.self, retry: retry, timeout: .seconds(60)) { parameters, context in
            let beganNs = Monotonic.nowNs
            try await Task.sleep(for: .milliseconds(parameters.runMs))
            guard context.attempt > parameters.failures else { return .retry(after: nil, reason: "told to fail") }
            if losesEffects && parameters.number % 50 == 7 { return .done }
            if parameters.callsOutside {
                try await context.effect(Outside.effect, key: context.job.id, policy: .ask { outside.ask($0) }) { try await outside.call($0) }
            }
            let (job, identity) = (context.job, context.worker)
            try await database.write { connection in
                try ChaosEffects.have(job, number: parameters.number, worker: identity, beganNs: beganNs, in: connection)
            }
            return .done
        }
        await program.run([worker])
    }
}
