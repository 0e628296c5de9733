/// One thing that goes wrong. Times are how long it lasts.
indirect enum Fault: Sendable, Equatable, CustomStringConvertible {
    case killWorker(Int, downMs: Int)
    case killAllWorkers(downMs: Int)
    case killProducer(downMs: Int)
    /// SIGTERM under load, and a new process.
    case stopWorker(Int)
    /// SIGSTOP, longer than a lease, then SIGCONT.
    case freezeWorker(Int, forMs: Int)
    case freezeAllWorkers(forMs: Int)
    case shutDownRedis(awayMs: Int)
    case killRedis(awayMs: Int)
    /// SIGSTOP and SIGCONT of Redis: connected, and silent.
    case freezeRedis(forMs: Int)
    /// CLIENT KILL of every connection at once.
    case cutEveryConnection
    /// The sockets of one process are reset.
    case cutLink(Int)
    /// One process's packets are swallowed, in one or both directions; the sockets stay open.
    case halfOpen(Int, FaultyProxy.Silence, forMs: Int)
    /// Redis carries a command out, its answer is thrown away and the connection cut.
    case loseReply(Int)
    case both(Fault, Fault)

    var kind: String {
        switch self {
        case .killWorker: "kill -9 of a worker"
        case .killAllWorkers: "kill -9 of all workers"
        case .killProducer: "kill -9 of the producer"
        case .stopWorker: "restart of a worker"
        case .freezeWorker: "SIGSTOP of a worker"
        case .freezeAllWorkers: "SIGSTOP of all workers"
        case .shutDownRedis: "SHUTDOWN of Redis"
        case .killRedis: "kill -9 of Redis"
        case .freezeRedis: "SIGSTOP of Redis"
        case .cutEveryConnection: "CLIENT KILL of all"
        case .cutLink: "connections reset"
        case .halfOpen: "half-open connections"
        case .loseReply: "reply lost"
        case .both: "two at once"
        }
    }

    var description: String {
        switch self {
        case .killWorker(let slot, let ms): "kill -9 of worker \(slot), back after \(ms) ms"
        case .killAllWorkers(let ms): "kill -9 of all workers, back after \(ms) ms"
        case .killProducer(let ms): "kill -9 of the producer, back after \(ms) ms"
        case .stopWorker(let slot): "SIGTERM of worker \(slot)"
        case .freezeWorker(let slot, let ms): "SIGSTOP of worker \(slot) for \(ms) ms"
        case .freezeAllWorkers(let ms): "SIGSTOP of all workers for \(ms) ms"
        case .shutDownRedis(let ms): "SHUTDOWN of Redis, away for \(ms) ms"
        case .killRedis(let ms): "kill -9 of Redis, away for \(ms) ms"
        case .freezeRedis(let ms): "SIGSTOP of Redis for \(ms) ms"
        case .cutEveryConnection: "CLIENT KILL TYPE normal"
        case .cutLink(let link): "connections of \(FaultPlan.linkName(link)) reset"
        case .halfOpen(let link, let silence, let ms): "\(FaultPlan.linkName(link)) half open, \(silence.rawValue) swallowed for \(ms) ms"
        case .loseReply(let link): "a reply to \(FaultPlan.linkName(link)) lost"
        case .both(let first, let second): "(\(first)) and (\(second))"
        }
    }
}

/// The faults of a run, in their order, by the seed alone: what happens meanwhile changes nothing of it.
struct FaultPlan: Sendable {
    static let workers = 4
    /// The producer's place among those who are linked to Redis.
    static let producerLink = workers

    private var random: SeededRandom
    private var kindsLeft: [Int] = []

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    static func linkName(_ link: Int) -> String { link == producerLink ? "the producer" : "worker \(link)" }

    /// The load runs undisturbed for so long before the next fault.
    mutating func nextCalm() -> Duration { .milliseconds(Int.random(in: 200...900, using: &random)) }

    /// Kinds are dealt like cards, so that even a short run sees most of them.
    mutating func next() -> Fault {
        if kindsLeft.isEmpty { kindsLeft = Self.deck.shuffled(using: &random) }
        let kind = kindsLeft.removeLast()
        guard kind == Self.combination else { return single(kind) }
        while true {
            let (first, second) = (
                single(Int.random(in: 0..<Self.combination, using: &random)), single(Int.random(in: 0..<Self.combination, using: &random))
            )
            if Self.agree(first, second) { return .both(first, second) }
        }
    }

    private static let combination = 13
    /// The commonest accidents come more often.
    private static let deck = [0, 0, 0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 7, 8, 9, 10, 10, 11, 11, 12, 13, 13, 13]

    private mutating func single(_ kind: Int) -> Fault {
        let slot = Int.random(in: 0..<Self.workers, using: &random)
        let link = Int.random(in: 0...Self.producerLink, using: &random)
        let down = Int.random(in: 0...1500, using: &random)
        let frozen = Int.random(in: 4000...6000, using: &random)
        switch kind {
        case 0: return .killWorker(slot, downMs: down)
        case 1: return .killAllWorkers(downMs: down)
        case 2: return .killProducer(downMs: down)
        case 3: return .stopWorker(slot)
        case 4: return .freezeWorker(slot, forMs: frozen)
        case 5: return .freezeAllWorkers(forMs: frozen)
        case 6: return .shutDownRedis(awayMs: down)
        case 7: return .killRedis(awayMs: down)
        case 8: return .cutEveryConnection
        case 9: return .cutLink(link)
        case 10:
            let silence = FaultyProxy.Silence.allCases[Int.random(in: 0..<FaultyProxy.Silence.allCases.count, using: &random)]
            return .halfOpen(link, silence, forMs: Int.random(in: 1000...8000, using: &random))
        case 11: return .loseReply(link)
        default: return .freezeRedis(forMs: Int.random(in: 500...5000, using: &random))
        }
    }

    /// Whether two faults may be played at once: not where both start and end the same process.
    private static func agree(_ first: Fault, _ second: Fault) -> Bool {
        let shared = processes(of: first).intersection(processes(of: second))
        return shared.isEmpty
    }

    private static func processes(of fault: Fault) -> Set<String> {
        let all = Set((0..<workers).map { "worker \($0)" })
        switch fault {
        case .killWorker(let slot, _), .stopWorker(let slot), .freezeWorker(let slot, _): return ["worker \(slot)"]
        case .killAllWorkers, .freezeAllWorkers: return all
        case .killProducer: return ["producer"]
        case .shutDownRedis, .killRedis, .freezeRedis: return ["redis"]
        case .cutEveryConnection, .cutLink, .halfOpen, .loseReply: return []
        case .both(let first, let second): return processes(of: first).union(processes(of: second))
        }
    }
}
