import EventLoop
import Formats
import JobQueue
import JobQueueTestKit
import Synchronization
import TestSupport
import Testing

private struct Hello: JobParameters, Equatable {
    static let kind = "hello"
    static let queue = "hello"
    let name: String
}

private struct Order: PaidOnlyParameters {
    static let kind = "order"
    static let queue = "orders"
}

private struct Everybody: JobGuard {
    func admit(_ job: JobEnvelope) async throws -> GuardVerdict { .run }
}

/// Writes down every hook that is called.
private struct Noted: JobMiddleware {
    let name: String
    let diary: Diary
    var refuses = false

    func onPushJob(_ job: JobEnvelope) async throws {
        diary.write("\(name) push \(job.kind)")
        if refuses { throw Unlucky() }
    }
    func onPopJob(context: JobContext) async throws { diary.write("\(name) pop \(context.attempt)") }
    func handleJob(context: JobContext, next: JobAttempt) async throws -> JobOutcome {
        diary.write("\(name) in")
        defer { diary.write("\(name) out") }
        return try await next()
    }
    func onCompletedJob(context: JobContext, result: Result<JobOutcome, any Error>) async {
        switch result {
        case .success(let outcome): diary.write("\(name) \(outcome)")
        case .failure(let error): diary.write("\(name) \(error)")
        }
    }
}

/// Turns its inner attempt away.
private struct Closed: JobMiddleware {
    func handleJob(context: JobContext, next: JobAttempt) async throws -> JobOutcome { .skipped(reason: "closed today") }
}

private struct Greeter: AsyncJob {
    let diary: Diary
    let retryStrategy = RetryPolicy.fixed(.seconds(1), attemptsMax: 2)
    var timeout: Duration? { .seconds(30) }

    func dequeue(_ context: JobContext, _ payload: Hello) async throws {
        diary.write("hello \(payload.name)")
        if payload.name == "nobody" { throw Unlucky() }
    }
    func error(_ context: JobContext, _ error: any Error, _ payload: Hello) async throws { diary.write("\(error) for \(payload.name)") }
}

@Suite("Middleware and registration")
struct MiddlewareTests {
    @Test("hooks are called around an attempt, the first middleware outermost; without them nothing changes")
    func order() async throws {
        let diary = Diary()
        let wanted = true
        let kit = JobTestKit {
            Noted(name: "a", diary: diary)
            if wanted { Noted(name: "b", diary: diary) }
            for name in [String]() { Noted(name: name, diary: diary) }
        } register: { jobs in
            jobs.registerJob(parameters: Hello.self) { _, _ in diary.write("work") }
        }
        try await kit.push(Hello(name: "Awa"))
        try await kit.drain()
        await kit.shutDown()
        #expect(diary.all == ["a pop 1", "a in", "b pop 1", "b in", "work", "b out", "b done", "a out", "a done"])
    }

    @Test("a failure passes every hook on its way out, and is retried as without them")
    func failure() async throws {
        let diary = Diary()
        let kit = JobTestKit {
            Noted(name: "a", diary: diary)
        } register: { jobs in
            jobs.registerJob(parameters: Hello.self, retryStrategy: .fixed(.seconds(5), attemptsMax: 2)) { _, context in
                if context.attempt == 1 { throw Unlucky() }
            }
        }
        try await kit.push(Hello(name: "Awa"))
        try await kit.drain()
        #expect(diary.all == ["a pop 1", "a in", "a out", "a no luck"])
        try await kit.drain(turning: .seconds(10))
        #expect(diary.all.suffix(4) == ["a pop 2", "a in", "a out", "a done"])
        await kit.shutDown()
    }

    @Test("a middleware may decide without the handler, and keep a job off its queue")
    func decides() async throws {
        let diary = Diary()
        let kit = JobTestKit {
            Closed()
        } register: { jobs in
            jobs.registerJob(parameters: Hello.self) { _, _ in diary.write("work") }
        }
        try await kit.push(Hello(name: "Awa"))
        try await kit.drain()
        #expect(diary.all.isEmpty)
        await kit.shutDown()

        let service = JobService(queues: InMemoryQueues()) { Noted(name: "a", diary: diary, refuses: true) }
        await #expect(throws: Unlucky.self) { try await service.push(Hello(name: "Awa")) }
        #expect(diary.all == ["a push hello"])
        #expect(try await service.queues.driver(of: "hello").counts() == QueueCounts())
    }

    @Test("a kind may be a type with what it needs, its error hook and its own policy")
    func typeRegistration() async throws {
        let diary = Diary()
        let kit = JobTestKit { jobs in jobs.registerJob(Greeter(diary: diary)) }
        try await kit.push(Hello(name: "Awa"))
        try await kit.push(Hello(name: "nobody"))
        try await kit.drain(turning: .seconds(5))
        await kit.shutDown()
        #expect(diary.all == ["hello Awa", "hello nobody", "no luck for nobody", "hello nobody", "no luck for nobody"])
        #expect(try await kit.queues.dead(on: "hello").map(\.record.reason) == ["no attempt left: no luck"])
    }

    @Test("a paid-only kind is pushed with its payment, and refused without one before it reaches its queue")
    func paidOnly() async throws {
        let diary = Diary()
        let kit = JobTestKit { jobs in
            jobs.registerJob(parameters: Order.self, guard: Everybody()) { _, context in diary.write(try context.payment) }
        }
        try await kit.push(Order(), options: JobOptions(payment: "pay_1"))
        await #expect(throws: ParametersError.paymentMissing(kind: "order")) { try await kit.push(Order(), options: JobOptions()) }
        try await kit.drain()
        await kit.shutDown()
        #expect(diary.all == ["pay_1"])
    }

    @Test("a delayed push waits for its time")
    func delayed() async throws {
        let diary = Diary()
        let kit = JobTestKit { jobs in jobs.registerJob(parameters: Hello.self) { hello, _ in diary.write(hello.name) } }
        try await kit.push(Hello(name: "later"), options: .delayUntil(ms: kit.clock.nowMs + 60_000))
        try await kit.push(Hello(name: "now"))
        try await kit.drain()
        #expect(diary.all == ["now"])
        try await kit.turn(by: .seconds(59))
        #expect(diary.all == ["now"])
        try await kit.turn(by: .seconds(1))
        #expect(diary.all == ["now", "later"])
        await kit.shutDown()
    }

    @Test("run works until its task is cancelled, lets what runs finish, and returns", arguments: Backend.allCases)
    func run(_ backend: Backend) async throws {
        let bench = try await backend.bench(queue: "hello-" + ULID.make().lowercased())
        let diary = Diary()
        let gate = Gate()
        let service = JobService(queues: OneQueue(bench.driver), configuration: .init(concurrency: 2, grace: .seconds(10)))
        service.registerJob(parameters: Hello.self) { hello, _ in
            diary.write("began")
            try await gate.pass()
            diary.write("ended")
        }
        let running = Task { try await service.run() }
        try await bench.driver.put([bench.driver.job("Awa", kind: Hello.kind)])
        try await eventually("it runs") { diary.all == ["began"] }
        running.cancel()
        try await eventually("it is told to stop") { service.worker(of: Hello.queue).isStopping }
        gate.unlock()
        try await running.value
        #expect(diary.all == ["began", "ended"])
        #expect(try await bench.driver.counts() == QueueCounts())
    }

    @Test("many jobs go in one call, each with an id of its own")
    func bulk() async throws {
        let queues = InMemoryQueues()
        let service = JobService(queues: queues)
        let ids = try await service.push(contentsOf: (0..<2500).map { Hello(name: "\($0)") })
        #expect(Set(ids).count == 2500)
        let first = try await queues.driver(of: Hello.queue).peek(limit: 1)
        #expect(try JobEnvelope(decoding: first[0]).id == ids[0])
        #expect(try await queues.driver(of: Hello.queue).counts() == QueueCounts(ready: 2500))
    }
}

/// A directory that leads everywhere to one queue.
final class OneQueue: QueueDirectory {
    private let only: any QueueDriver
    init(_ only: any QueueDriver) { self.only = only }
    func driver(of queue: String) -> any QueueDriver { only }
}
