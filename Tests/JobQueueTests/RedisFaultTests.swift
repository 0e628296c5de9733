import EventLoop
import Formats
import JobQueue
import JobQueueRedis
import RedisClient
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// What can be wrong with a Redis, or with the way to it.
enum RedisFault: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case stopped = "restarted in good order"
    case killed = "killed and started again"
    case full = "OOM: full"
    case cannotSave = "MISCONF: cannot save"
    case readOnly = "READONLY: a replica"
    case loading = "LOADING: starts with much to load"
    case busy = "BUSY: held up by a script"
    case scriptsForgotten = "NOSCRIPT: scripts forgotten"
    case passwordChanged = "NOAUTH: password changed"
    case rightsTaken = "NOPERM: rights taken away"
    case standstill = "stands still"
    case pathStandstill = "nothing passes, then all that was held back"
    case resets = "connections reset"
    case halfOpen = "connections forgotten without a word"
    case answersVanish = "requests arrive, answers do not"
    case answersLost = "answers to scripts lost after they ran"

    var testDescription: String { rawValue }

    var config: [String: String] {
        switch self {
        case .cannotSave:
            ["appendonly": "yes", "appendfsync": "always", "save": "3600 1", "enable-protected-configs": "yes"]
        case .busy: ["appendonly": "yes", "appendfsync": "always", "busy-reply-threshold": "20"]
        default: ["appendonly": "yes", "appendfsync": "always"]
        }
    }

    /// What a producer is told meanwhile: where the server refuses, that somebody has to mend it; where it is away, that a retry helps.
    var told: (code: QueueDriverError.Code, word: String)? {
        switch self {
        case .full: (.refused, "OOM")
        case .cannotSave: (.refused, "MISCONF")
        case .readOnly: (.refused, "READONLY")
        case .passwordChanged: (.refused, "NOAUTH")
        case .rightsTaken: (.refused, "NOPERM")
        case .loading: (.unavailable, "LOADING")
        case .busy: (.unavailable, "BUSY")
        case .stopped, .killed, .standstill, .pathStandstill, .resets, .halfOpen, .answersVanish, .answersLost: (.unavailable, "")
        case .scriptsForgotten: nil
        }
    }

    /// How long it lasts: longer than a lease where it can.
    var length: Duration {
        switch self {
        case .stopped, .killed, .full, .cannotSave, .readOnly, .busy, .passwordChanged, .rightsTaken, .standstill, .pathStandstill: .seconds(4)
        case .loading, .scriptsForgotten, .resets, .halfOpen, .answersVanish, .answersLost: .zero
        }
    }

    func begin(_ stage: RedisFaultStage) async throws {
        switch self {
        case .stopped: try await stage.server.stop()
        case .killed: try await stage.server.kill9()
        case .full: try await stage.command("CONFIG", "SET", "maxmemory", "1")
        case .cannotSave:
            let gone = stage.server.folder.file("gone")
            mkdir(gone, 0o700)
            try await stage.command("CONFIG", "SET", "dir", gone)
            rmdir(gone)
            try await stage.command("BGSAVE")
            try await eventually("the save fails") {
                try await stage.admin.call("INFO", "persistence").string?.contains("rdb_last_bgsave_status:err") == true
            }
        case .readOnly: try await stage.command("REPLICAOF", "127.0.0.1", "1")
        case .loading:
            try await stage.writeMuch()
            // Microseconds for each key.
            try stage.server.configure(["key-load-delay": "100"])
            try await stage.server.kill9()
            try await stage.server.restart(waits: false)
        case .busy: try await stage.holdUp()
        case .scriptsForgotten: try await stage.command("SCRIPT", "FLUSH")
        case .passwordChanged:
            try await stage.command("CONFIG", "SET", "requirepass", "another")
            try await stage.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        case .rightsTaken: try await stage.command("ACL", "SETUSER", "default", "-evalsha", "-eval")
        case .standstill: stage.server.pause()
        case .pathStandstill: stage.network.stall()
        case .resets:
            for _ in 0..<5 {
                stage.network.reset()
                try await eventually("connected anew") { stage.network.connections >= 3 }
            }
        case .halfOpen: stage.network.abandon()
        case .answersVanish: stage.network.mute()
        case .answersLost:
            stage.network.loseAnswers(12, to: "EVALSHA")
            try await eventually(within: .seconds(30), "all are lost") { stage.network.answersToLose == 0 }
        }
    }

    func end(_ stage: RedisFaultStage) async throws {
        switch self {
        case .stopped, .killed: try await stage.server.restart()
        case .full: try await stage.command("CONFIG", "SET", "maxmemory", "0")
        case .cannotSave:
            try await stage.command("CONFIG", "SET", "dir", stage.server.folder.path)
            try await stage.command("BGSAVE")
            try await eventually("the save succeeds") {
                try await stage.admin.call("INFO", "persistence").string?.contains("rdb_last_bgsave_status:ok") == true
            }
        case .readOnly: try await stage.command("REPLICAOF", "NO", "ONE")
        case .loading: try await eventually(within: .seconds(60), "all is loaded") { try await stage.server.answers() }
        case .busy: try await stage.command("SCRIPT", "KILL")
        case .passwordChanged: try await stage.command("CONFIG", "SET", "requirepass", "")
        case .rightsTaken: try await stage.command("ACL", "SETUSER", "default", "+@all")
        case .standstill: stage.server.resume()
        case .pathStandstill: stage.network.resume()
        case .scriptsForgotten, .resets, .halfOpen, .answersVanish, .answersLost: break
        }
    }
}

/// Every fault with the real server in the real state, under load. Promised are 3 s from its end until work goes on; what was measured is
/// printed, and the test itself allows a machine that is busy with others' tests more.
@Suite("Faults of Redis", .timeLimit(.minutes(3)))
struct RedisFaultTests {
    static let allowed = Duration.seconds(9)
    /// So many at a time: what a fault costs is to be measured, not what the others cost.
    private static let places = Places(4)

    @Test("a fault loses nothing, does nothing twice, and work goes on", arguments: RedisFault.allCases)
    func fault(_ fault: RedisFault) async throws {
        try await Self.run(fault, on: try await RedisFaultStage(config: fault.config))
    }

    static func run(_ fault: RedisFault, on stage: RedisFaultStage, named name: String = "") async throws {
        await places.enter()
        defer { places.leave() }
        try await stage.startWorkers()
        async let producing: Void = stage.produce()
        do {
            try await eventually(within: .seconds(30), "work is under way") { stage.done > 150 }
            try await fault.begin(stage)
            let before = stage.refusals.count
            if fault == .full {
                try await eventually(within: .seconds(10), "a full Redis is drained") {
                    guard stage.done == stage.put else { return false }
                    return try await stage.counts() == QueueCounts(workers: 2)
                }
            }
            // The fault itself, not a wait for anything.
            try await Task.sleep(for: fault.length)
            try await fault.end(stage)
            let ended = ContinuousClock.now
            try await eventually(within: .seconds(30), "work goes on") { stage.firstDone(putAfter: ended) != nil }
            let recovery = ended.duration(to: stage.firstDone(putAfter: ended) ?? .now)
            print("recovery, \(name)\(fault.rawValue): \(recovery)")
            #expect(recovery < allowed, "\(recovery) after: \(fault.rawValue)")
            if let told = fault.told, fault.length > .zero {
                let refusals = Array(stage.refusals.dropFirst(before))
                let expected = refusals.filter { $0.code == told.code && $0.message.contains(told.word) }
                #expect(!expected.isEmpty, "\(refusals.map(\.message).prefix(3))")
                let final = refusals.filter { !$0.isTransient }.map(\.message)
                #expect(final == [])
            }
            let goal = stage.done + 150
            try await eventually(within: .seconds(30), "and on") { stage.done > goal }
        } catch {
            stage.endProducing()
            throw error
        }
        stage.endProducing()
        await producing
        try await eventually(within: .seconds(30), "all is done") { stage.done == stage.put }
        try await eventually(within: .seconds(10), "nothing is stuck") { try await stage.counts() == QueueCounts(workers: 2) }
        await stage.stopWorkers()
        #expect(stage.doneTwice == [])
        #expect(stage.redelivered == [])
        #expect(try await stage.counts() == QueueCounts())
    }

    /// How idle workers lose the way to Redis.
    enum Silence: String, CaseIterable, Sendable { case forgotten, mute, reset }

    @Test("idle workers are told of work though their connections hang", arguments: Silence.allCases)
    func idle(_ silence: Silence) async throws {
        let stage = try await RedisFaultStage(config: [:])
        try await stage.startWorkers()
        try await stage.awaitIdle()
        switch silence {
        case .forgotten: stage.network.abandon()
        case .mute: stage.network.mute()
        case .reset: stage.network.reset()
        }
        try await stage.putDirectly(0)
        let began = ContinuousClock.now
        try await eventually(within: .seconds(20), "it is done") { stage.done == 1 }
        let took = began.duration(to: .now)
        print("recovery, idle workers, \(silence.rawValue): \(took)")
        #expect(took < Self.allowed)
        try await eventually(within: .seconds(10), "nothing is stuck") { try await stage.counts() == QueueCounts(workers: 2) }
        await stage.stopWorkers()
        #expect(stage.doneTwice == [] && stage.redelivered == [])
    }

    @Test("what a read of a dead connection has set aside for an idle worker is found by its next sign of life")
    func setAside() async throws {
        let stage = try await RedisFaultStage(config: [:])
        try await stage.startWorkers()
        try await stage.awaitIdle()
        try await stage.setAside(0)
        try await eventually(within: .seconds(6), "it is done") { stage.done == 1 }
        try await eventually("nothing is stuck") { try await stage.counts() == QueueCounts(workers: 2) }
        await stage.stopWorkers()
    }

    @Test("what becomes due while Redis is away is done when it is back")
    func dueMeanwhile() async throws {
        let stage = try await RedisFaultStage(config: ["appendonly": "yes", "appendfsync": "always"])
        try await stage.startWorkers()
        for number in 0..<20 { try await stage.putDirectly(number, dueMs: WallClock.nowMs + 1000) }
        try await stage.server.kill9()
        // What is tried is that time passes.
        try await Task.sleep(for: .seconds(2))
        try await stage.server.restart()
        let began = ContinuousClock.now
        try await eventually(within: .seconds(20), "all are done") { stage.done == 20 }
        let took = began.duration(to: .now)
        print("recovery, due meanwhile: \(took)")
        #expect(took < Self.allowed)
        await stage.stopWorkers()
        #expect(stage.doneTwice == [])
    }
}
