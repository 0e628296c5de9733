import Database
import EventLoop
import Formats
import ProviderPort
import RedisClient
import StandardWebhooks
import Subprocess
import Telemetry

/// What the second play found.
struct IngestFigures: Sendable {
    var posts = PostTally()
    var restarts = 0
    var slowestHandOver = 0.0
    var rotationSeconds = 0.0
    var listed = 0

    var text: String {
        "  \(posts.accepted.count) posts accepted, \(Number.fixed(posts.perSecond, 0)) a second, slowest \(Number.fixed(posts.slowestMs, 0)) ms; "
            + "failures \(posts.failures.values.reduce(0, +)); \(restarts) restarts, the slowest took \(Number.fixed(slowestHandOver, 2)) s; "
            + "the rotated secret was taken after \(Number.fixed(rotationSeconds, 2)) s; on the list \(listed)"
    }

    var json: JSON {
        [
            "accepted": .int(Int64(posts.accepted.count)), "per_second": Distribution.number(posts.perSecond),
            "failures": .int(Int64(posts.failures.values.reduce(0, +))), "slowest_ms": Distribution.number(posts.slowestMs),
            "restarts": .int(Int64(restarts)), "slowest_hand_over_seconds": Distribution.number(slowestHandOver),
            "rotation_seconds": Distribution.number(rotationSeconds), "listed": .int(Int64(listed)),
        ]
    }
}

/// The second play: a steady stream of posts at ingest through restarts by hand-over of its sockets and one rotation of its secret.
struct IngestPlay: Sendable {
    let field: ChaosField
    let options: ChaosOptions

    static let secret = "whsec_Y2hhb3Mgc2lnbnMgaXRzIHBvc3RzIHdpdGggdGhpcw=="
    static let newSecret = "whsec_YW5kIHdpdGggdGhpcyBhZnRlciB0aGUgcm90YXRpb24="
    private static let events = "quittance:{events}:ready"
    /// A rotation is to be known everywhere within it.
    private static let rotationLimit = 2.0
    private static let lines = 16

    func run() async throws -> IngestFigures {
        var figures = IngestFigures()
        let port = try Loopback.freePort()
        let environment = environment(port: port)
        try await field.run(try ChaosField.program("quittance"), ["migrate"], environment: environment)
        var ingest = try await start(environment)
        let first = StandardPosts(port: port)
        guard await field.eventually(within: .seconds(30), { try await first.isTaken(Self.secret, field) }) else {
            throw ChaosError("ingest takes no posts: see \(field.log(of: "ingest"))")
        }
        let stream = PostStream(port: port, rate: options.posts, lines: Self.lines, signer: try StandardWebhooksSigner(secret: Self.secret))
        for restart in 1...options.restarts {
            await letThrough(stream, seconds: 1)
            field.note("restart \(restart)")
            let begun = Monotonic.nowNs
            let next = try await start(environment)
            guard let status = await ingest.waitForExit(within: .seconds(30)) else {
                throw ChaosError("the old ingest does not end within 30 s of restart \(restart)")
            }
            if !status.isSuccess { field.violate("the old ingest ended with \(status) at restart \(restart)") }
            guard next.isRunning else { throw ChaosError("the new ingest has ended at restart \(restart)") }
            figures.slowestHandOver = max(figures.slowestHandOver, Double(Monotonic.nowNs - begun) / 1e9)
            figures.restarts += 1
            ingest = next
            if restart == (options.restarts + 1) / 2 { figures.rotationSeconds = try await rotate(stream, first, environment) }
        }
        await letThrough(stream, seconds: 1)
        let posts = await stream.end()
        figures.posts = posts
        for (failure, count) in posts.failures.sorted(by: { $0.key < $1.key }) { field.violate("\(count) posts failed: \(failure)") }
        try await check(posts, &figures)
        ingest.terminate()
        if await ingest.waitForExit(within: .seconds(20)) != .exited(0) { field.violate("the last ingest does not end well") }
        return figures
    }

    private func environment(port: Int) -> [String: String] {
        [
            "REDIS_URL": "redis://127.0.0.1:\(field.redisPort)/0", "DATABASE_URL": "sqlite:\(field.folder)/quittance.db",
            "VAR_DIRECTORY": field.folder + "/var", "SPOOL_DIRECTORY": field.folder + "/spool", "LOG_LEVEL": "info",
            "INGEST_ADDRESS": "127.0.0.1:\(port)", "PROVIDER_MODE_STANDARD_WEBHOOKS": "sandbox", "STANDARD_WEBHOOKS_SECRET": Self.secret,
        ]
    }

    private func start(_ environment: [String: String]) async throws -> ChildProcess {
        try await field.start("ingest", try ChaosField.program("ingest"), environment: environment)
    }

    /// Lets so many seconds' worth of posts through.
    private func letThrough(_ stream: PostStream, seconds: Double) async {
        let before = stream.accepted
        let wanted = Int(Double(options.posts) * seconds / 2)
        _ = await field.eventually(within: .seconds(20), pause: .milliseconds(20)) { stream.accepted >= before + wanted }
    }

    /// Rotates, and signs with the new secret once it is taken.
    private func rotate(_ stream: PostStream, _ posts: StandardPosts, _ environment: [String: String]) async throws -> Double {
        let path = field.folder + "/new-secret"
        try TextFile.write(Self.newSecret + "\n", to: path)
        try await field.run(
            try ChaosField.program("quittance"), ["source", "rotate", "standard-webhooks", "--from", path], environment: environment)
        let begun = Monotonic.nowNs
        let isTaken = await field.eventually(within: .seconds(20)) { try await posts.isTaken(Self.newSecret, field) }
        let seconds = Double(Monotonic.nowNs - begun) / 1e9
        field.note("the new secret is taken after \(Number.fixed(seconds, 3)) s")
        if !isTaken || seconds > Self.rotationLimit { field.violate("the rotated secret was refused for \(Number.fixed(seconds, 2)) s") }
        stream.sign(with: try StandardWebhooksSigner(secret: Self.newSecret))
        return seconds
    }

    /// Every accepted event is on the list, once.
    private func check(_ posts: PostTally, _ figures: inout IngestFigures) async throws {
        var listed: [String: Int] = [:]
        // An event that went through the spool may still be on its way.
        _ = await field.eventually(within: .seconds(20), pause: .milliseconds(200)) {
            listed = try await events()
            return posts.accepted.isSubset(of: listed.keys)
        }
        figures.listed = listed.count
        let lost = posts.accepted.subtracting(listed.keys)
        if !lost.isEmpty { field.violate("\(lost.count) events that were answered 200 are lost, such as \(lost.sorted()[0])") }
        let doubled = listed.filter { $0.value > 1 }
        if !doubled.isEmpty { field.violate("\(doubled.count) events are on the list twice, such as \(doubled.keys.sorted()[0])") }
    }

    private func events() async throws -> [String: Int] {
        var found: [String: Int] = [:]
        let length = Int(try await field.redis.call("LLEN", Self.events).int ?? 0)
        for start in stride(from: 0, to: length, by: 2000) {
            let bodies = try await field.redis.call("LRANGE", Self.events, start, start + 1999).array ?? []
            for body in bodies.compactMap(\.bytes) {
                if let id = try JSON(parsing: body)["id"]?.string { found[id, default: 0] += 1 }
            }
        }
        return found
    }
}

/// Single posts, outside of the stream.
struct StandardPosts: Sendable {
    let port: Int

    /// Whether a post signed with a secret is answered 200.
    func isTaken(_ secret: String, _ field: ChaosField) async throws -> Bool {
        let signer = try StandardWebhooksSigner(secret: secret)
        let port = port
        return try await field.pool.run {
            var line = try PostLine(port: port)
            defer { line.close() }
            return try line.post(SignedPost(signer: signer)) == 200
        }
    }
}
