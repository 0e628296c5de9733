// Sends mails in the background: the whole of what a small program needs. `swift run example-email` with a Redis on 127.0.0.1:6379.
import EventLoop
import Formats
import JobQueue
import JobQueueRedis
import Telemetry

struct SendEmail: JobParameters {
    static let kind = "email.send"
    static let queue = "email"
    let to: String
    let subject: String
    // Never shown in a listing or a log.
    @Sensitive var text: String
}

/// Says what each attempt took.
struct Timed: JobMiddleware {
    func handleJob(context: JobContext, next: JobAttempt) async throws -> JobOutcome {
        let began = ContinuousClock.now
        defer { context.log.info("attempt ended", ["took": .string("\(ContinuousClock.now - began)")]) }
        return try await next()
    }
}

Log.configure(format: .text, program: "email")
let place = RedisAddress.Place.tcp(SocketAddress("127.0.0.1", 6379))
let queues = RedisQueues(loop: try EventLoop.started(name: "email"), address: RedisAddress(place: place), name: "email")
// `.memory` checks that Redis will never evict a job; `.fsync` that each job is on disk before `push` returns.
let service = JobService(queues: queues, configuration: .init(name: "email", durability: .memory)) { Timed() }

service.registerJob(parameters: SendEmail.self, retryStrategy: .exponential(base: .seconds(2), attemptsMax: 8), timeout: .seconds(30)) {
    email, context in
    context.log.info("mail sent", ["subject": .string(email.subject), "attempt": .int(Int64(context.attempt))])
}

// In a real program the web process does this, and the worker process the rest.
try await service.push(SendEmail(to: "ada@example.com", subject: "Hello", text: "Only for you"))
let group = ServiceGroup(services: [service], grace: .seconds(25), log: Log("email"))
let exitCode = await group.run()
queues.close()
Log.flush()
if exitCode != 0 { fatalError("the service ended with a failure") }
