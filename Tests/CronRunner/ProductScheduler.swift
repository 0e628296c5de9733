import Database
import Formats
import JobQueue
import Outbox
import PaymentsService
import Scheduling
import WorkerService

#if canImport(Glibc)
    import Glibc
#endif

/// The product's scheduler with one entry of every minute that misses nothing: each of its ticks is a row in `proof_fired`, which its test
/// has made and which takes the same tick as often as it comes, and a job in the outbox.
enum ProductScheduler {
    struct Proof: JobParameters {
        static let kind = "proof"
        static let queue = "proof"
        let tick: String
    }

    static func run() async -> Never {
        let program = await WorkerProgram.begin("cron-runner", migrations: Product.migrations)
        let outbox = program.outbox
        let entry = CronEntry(
            name: "proof", expression: "* * * * *", catchUp: .all(max: 1440), overlap: .allow, summary: "the proof of its ticks"
        ) { run, connection in
            try connection.execute(
                "INSERT INTO proof_fired (tick, runner, clock_ms) VALUES ($1, $2, $3)",
                [.text(run.tick), .text("\(getpid())"), .integer(WallClock.nowMs)])
            // Long enough that a kill at random finds it at work.
            usleep(5000)
            let job = try outbox.add(JobRequest(Proof(tick: run.tick)), nowMs: run.nowMs, in: connection)
            return CronWork(detail: "fired", job: job)
        }
        await program.run([SchedulerService(program: program, entries: [entry])])
    }
}
