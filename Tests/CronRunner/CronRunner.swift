import EventLoop
import Formats
import JobQueue
import JobQueueRedis
import RedisClient

#if canImport(Glibc)
    import Glibc
#endif

/// A scheduler as a process of its own, for the tests that kill it and set its clock:
/// `cron-runner PORT PREFIX ENTRIES INTERVAL_MS`. It says what its clock shows, over and over. `cron-runner product` is the product's own
/// scheduler with one entry, see ``ProductScheduler``.
@main
struct CronRunner {
    struct Beat: JobParameters {
        static let kind = "beat"
        static let queue = "cron"
        let at: Int64
    }

    static func main() async {
        let arguments = CommandLine.arguments
        if arguments.dropFirst() == ["product"] { await ProductScheduler.run() }
        guard arguments.count == 5, let port = Int(arguments[1]), let entries = Int(arguments[3]), let interval = Int64(arguments[4]) else {
            print("usage: cron-runner PORT PREFIX ENTRIES INTERVAL_MS")
            exit(2)
        }
        do {
            let loop = try EventLoop.started(name: "cron")
            let queues = RedisQueues(
                loop: loop, address: RedisAddress(place: .tcp(SocketAddress("127.0.0.1", port))), prefix: arguments[2], name: "cron-runner")
            let jobs = (0..<entries).map { number in
                CronJob("beat-\(number)", .every(.milliseconds(interval)), queue: Beat.queue, catchUp: .all(max: 100_000)) { tick in
                    try JobRequest(Beat(at: tick.atMs))
                }
            }
            let scheduler = CronScheduler(jobs: jobs) { queues.cronStore(of: $0) }
            let clock = Task {
                while true {
                    print("clock \(WallClock.nowMs)")
                    fflush(nil)
                    try await Task.sleep(for: .milliseconds(100))
                }
            }
            await scheduler.run()
            clock.cancel()
        } catch {
            print("\(error)")
            exit(1)
        }
    }
}
