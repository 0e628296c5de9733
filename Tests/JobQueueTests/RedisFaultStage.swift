import EventLoop
import Formats
import JobQueue
import JobQueueRedis
import RedisClient
import Synchronization
import TestSupport
import Testing

/// A queue at work over a network that can fail: two workers and a producer, each with a loop and connections of its own as a process has
/// them, and an operator beside it whose own way to Redis stays whole.
final class RedisFaultStage: Sendable {
    let server: RedisServer
    let network: TCPProxy
    let queue = uniqueQueue()
    let admin: RedisConnection
    private let adminLoop: EventLoop
    private let adminDriver: RedisDriver
    private let workers: [JobWorker]
    private let processes: [RedisQueues]
    private let producer: RedisDriver
    private let record = Mutex(Record())
    private let endless: RedisConnection

    private struct Record {
        var put: [ContinuousClock.Instant] = []
        var done: [Int: [ContinuousClock.Instant]] = [:]
        var redelivered: [Int] = []
        var refusals: [QueueDriverError] = []
        var isOver = false
    }

    /// Jobs that the producer puts at most.
    private static let jobsMax = 20_000

    init(config: [String: String], tls: RedisServer.TLS? = nil) async throws {
        server = try await RedisServer.start(config: config, tls: tls)
        network = try TCPProxy(to: server.port)
        adminLoop = try EventLoop.started(name: "admin")
        admin = RedisConnection(loop: adminLoop, address: server.address, name: "admin", timeout: .seconds(10), waitsForConnection: true)
        endless = RedisConnection(loop: adminLoop, address: server.address, name: "endless", timeout: .seconds(60), waitsForConnection: true)
        admin.start()
        endless.start()
        adminDriver = RedisDriver(connection: admin, prefix: Self.prefix, queue: queue)
        var address = server.address
        address.place = .tcp(SocketAddress("127.0.0.1", network.port))
        let behind = address
        processes = try (0..<3).map {
            RedisQueues(loop: try EventLoop.started(name: "process"), address: behind, prefix: Self.prefix, name: "process-\($0)")
        }
        let queue = queue
        producer = processes[0].redisDriver(of: queue)
        workers = processes[1...].map { jobWorker($0.redisDriver(of: queue), concurrency: 16) }
        for worker in workers { register(worker) }
        _ = try await admin.connected(within: .seconds(10))
    }

    deinit {
        for process in processes { process.close() }
        admin.close()
        endless.close()
    }

    static let prefix = "test:"

    private func register(_ worker: JobWorker) {
        worker.register(Numbered.self, retry: .fixed(.zero, attemptsMax: 3)) { [weak self] parameters, context in
            if context.redeliveries > 0 { self?.record.withLock { $0.redelivered.append(parameters.number) } }
            try await Task.sleep(for: .milliseconds(2))
            self?.record.withLock { $0.done[parameters.number, default: []].append(.now) }
            return .done
        }
    }

    // MARK: At work

    func startWorkers() async throws { for worker in workers { try await worker.start() } }
    func stopWorkers() async { for worker in workers { await worker.stopped(within: .seconds(15)) } }

    /// Puts jobs under numbers of their own until told to stop; what may have been taken is put again under the same number.
    func produce() async {
        for number in 0..<Self.jobsMax {
            let job = producer.job("\(number)", kind: Numbered.kind, number: number)
            while true {
                if record.withLock(\.isOver) { return }
                do {
                    try await producer.publish(slot: "producer", items: [PublishItem(sequence: Int64(number + 1), body: job.encoded())])
                    record.withLock { $0.put.append(.now) }
                    break
                } catch {
                    record.withLock { $0.refusals.append(error) }
                    // The pace of a producer that is refused.
                    try? await Task.sleep(for: .milliseconds(20))
                }
            }
            // Not faster than two busy workers on a small machine.
            try? await Task.sleep(for: .milliseconds(3))
        }
    }

    func endProducing() { record.withLock { $0.isOver = true } }

    // MARK: What has happened

    var put: Int { record.withLock { $0.put.count } }
    var done: Int { record.withLock { $0.done.count } }
    /// Numbers that were done more than once.
    var doneTwice: [Int] { record.withLock { $0.done.filter { $0.value.count > 1 }.map(\.key).sorted() } }
    var redelivered: [Int] { record.withLock(\.redelivered) }
    var refusals: [QueueDriverError] { record.withLock(\.refusals) }

    /// When the first job that was put after `moment` was done; nil when none was.
    func firstDone(putAfter moment: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        record.withLock { record in
            guard let first = record.put.firstIndex(where: { $0 > moment }) else { return nil }
            return record.done.filter { $0.key >= first }.compactMap(\.value.first).min()
        }
    }

    /// Puts one job past the producer and its network.
    func putDirectly(_ number: Int, dueMs: Int64? = nil) async throws {
        let job = adminDriver.job("\(number)", kind: Numbered.kind, number: number)
        try await adminDriver.enqueue([EnqueueItem(body: job.encoded(), dueMs: dueMs)])
    }

    /// Sets one job aside for a worker, as a blocking read does whose client has gone.
    func setAside(_ number: Int) async throws {
        let keys = QueueKeys(prefix: Self.prefix, queue: queue)
        let worker = try await admin.call("ZRANGE", keys.leases, 0, 0).array?.first?.string ?? ""
        let job = adminDriver.job("\(number)", kind: Numbered.kind, number: number)
        _ = try await admin.call("LPUSH", keys.woken(worker), job.encoded())
    }

    /// Waits until both workers wait for work.
    func awaitIdle() async throws {
        try await eventually("both workers wait") {
            // Each has a read for bodies and one for the hint that something is due.
            try await admin.call("INFO", "clients").string?.contains("blocked_clients:4\r\n") == true
        }
    }

    func counts() async throws -> QueueCounts { try await adminDriver.counts() }

    // MARK: Hands on the server

    func command(_ name: String, _ arguments: any RedisArgument...) async throws {
        _ = try await admin.perform(RedisCommand(name, arguments: arguments))
    }

    /// Keeps the server busy with a script that never ends.
    func holdUp() async throws {
        let endless = endless
        Task { _ = try? await endless.call("EVAL", "while true do end", 0) }
        try await eventually("the server is busy") {
            do {
                _ = try await admin.call("SET", "busy", "1")
                return false
            } catch {
                return (error as? RedisError)?.serverCode == "BUSY"
            }
        }
    }

    /// Writes so much that it takes the server seconds to load it again.
    func writeMuch() async throws {
        let commands = (0..<20_000).map { RedisCommand("SET", "much:\($0)", "x") }
        for result in await admin.pipeline(commands, timeout: .seconds(30)) { _ = try result.get() }
    }
}

/// A job that is told from others by its number.
struct Numbered: JobParameters {
    static let kind = "numbered"
    static let queue = "ignored"
    let number: Int
}

extension QueueProducer {
    fileprivate func job(_ name: String, kind: String, number: Int) -> JobEnvelope {
        JobEnvelope(id: "job_\(name)", kind: kind, queue: queue, args: ["number": .int(Int64(number))], payment: nil, attempt: 0, enqueuedAtMs: 0)
    }
}
