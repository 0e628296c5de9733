import Chaos
import Formats
import RedisClient
import StandardWebhooks
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Restarts of ingest", .timeLimit(.minutes(4)))
struct RestartTests {
    static let newSecret = "whsec_YW5vdGhlciBzZWNyZXQgZm9yIHRoZSByb3RhdGlvbiE="

    @Test("ten restarts and a rotated secret under a steady load: no connection is refused, no post fails, no event is lost")
    func tenRestarts() async throws {
        try await Stage.run(["ingest"]) { stage in
            try await stage.awaitRedisAtIngest()
            let posts = PostStream(port: stage.ingestPort, rate: 2000, lines: 8, signer: try StandardWebhooksSigner(secret: Instance.webhookSecret))
            for restart in 1...10 {
                try await Self.letThrough(400, posts)
                let old = try stage.instance.process("ingest")
                let new = try await stage.instance.start("ingest")
                #expect(try await old.waitForExit(within: .seconds(30)) == .exited(0), "restart \(restart)")
                #expect(new.isRunning)
                if restart == 5 {
                    let took = try await Self.rotate(to: Self.newSecret, stage)
                    #expect(took < (.seconds(3) as Duration).stretched, "the new secret was taken after \(took)")
                    posts.sign(with: try StandardWebhooksSigner(secret: Self.newSecret))
                }
            }
            try await Self.letThrough(400, posts)
            let tally = await posts.end()
            #expect(tally.failures.isEmpty, "\(tally.failures) beside \(tally.accepted.count) accepted")
            print("ten restarts: \(tally.accepted.count) posts, \(Int(tally.perSecond)) a second, slowest \(Int(tally.slowestMs)) ms")
            // The machine of the tests decides how many there are.
            #expect(tally.perSecond > 200, "\(tally.perSecond) a second")

            let events = try await stage.waiting(on: "events").map { try JSON(parsing: $0) }
            let listed = events.compactMap { $0["id"]?.string }
            #expect(tally.accepted.subtracting(listed).isEmpty, "every accepted event is on the list")
            // Who saw which secret: the old one alone, then the old one beside the new one, then the new one.
            let numbers = Set(events.filter { tally.accepted.contains($0["id"]?.string ?? "") }.compactMap { $0["matchedkey"]?.int })
            #expect(numbers.isSubset(of: [0, 1]) && numbers.contains(0))
            let retired = try await stage.instance.quittance("source", "rotate", "standard-webhooks", "--retire")
            #expect(retired.code == 0, "\(retired.errors)")
            let message = Message.unmatched()
            try await eventually(within: .seconds(5), "the old secret is refused") {
                try await stage.post(message, headers: message.headers(secret: Instance.webhookSecret)).status == 401
            }
            #expect(try await stage.post(message, headers: message.headers(secret: Self.newSecret)).status == 200)
        }
    }

    private static func letThrough(_ count: Int, _ posts: PostStream) async throws {
        let before = posts.accepted
        try await eventually(within: .seconds(30), "\(count) more posts") { posts.accepted >= before + count }
    }

    /// Rotates, and returns how long the new secret was refused. The old one is good all the while, as number 1 in the end.
    private static func rotate(to secret: String, _ stage: Stage) async throws -> Duration {
        let path = try stage.instance.folder.write(secret + "\n", to: "new-secret")
        let result = try await stage.instance.quittance("source", "rotate", "standard-webhooks", "--from", path)
        #expect(result.code == 0 && !(result.output + result.errors).contains(secret), "\(result.output) \(result.errors)")
        let begun = ContinuousClock.now
        let message = Message.unmatched()
        try await eventually(within: .seconds(10), "the new secret is taken") {
            try await stage.post(message, headers: message.headers(secret: secret)).status == 200
        }
        let took = begun.duration(to: .now)
        let old = Message.unmatched()
        #expect(try await stage.post(old, headers: old.headers(secret: Instance.webhookSecret)).status == 200)
        try await eventually("its event names the older secret") {
            let events = try await stage.waiting(on: "events").map { try JSON(parsing: $0) }
            return events.contains { $0["id"]?.string == old.id && $0["matchedkey"]?.int == 1 }
                && events.contains { $0["id"]?.string == message.id && $0["matchedkey"]?.int == 0 }
        }
        return took
    }

    @Test("a killed ingest leaves nobody to ask: the next one binds for itself")
    func killed() async throws {
        try await Stage.run(["ingest"]) { stage in
            let socket = stage.instance.folder.file("var/handover/ingest.0")
            #expect(fileExists(socket))
            try await stage.instance.kill9("ingest")
            #expect(fileExists(socket), "its socket's file stays")
            try await stage.instance.start("ingest")
            #expect(try await stage.post(.unmatched()).status == 200)
        }
    }

    @Test("a successor that does not start changes nothing: the one that serves goes on")
    func failing() async throws {
        try await Stage.run(["ingest"]) { stage in
            let old = try stage.instance.process("ingest")
            // Another environment than the one that the sources file was made from.
            let broken = try await stage.instance.start("ingest", with: ["PROVIDER_MODE_CINETPAY": "off"], waits: false)
            #expect(try await broken.waitForExit() == .exited(78))
            #expect(broken.errors.contains { $0.hasPrefix("- PROVIDER_MODE_CINETPAY: it says off, and ") })
            // One that gets as far as the sockets and then ends: they are given, and nobody serves.
            let script = try stage.instance.folder.write(Self.deserter, to: "deserter.py")
            let path = stage.instance.folder.file("var/handover/ingest.0")
            let deserter = try await ProcessFixture.start("/usr/bin/python3", [script, path, "127.0.0.1:\(stage.ingestPort)"])
            #expect(try await deserter.waitForExit() == .exited(0), "\(deserter.transcript)")
            #expect(deserter.output.first?.hasPrefix("sockets 1 with ") == true, "\(deserter.output)")
            #expect(old.isRunning)
            #expect(try await stage.post(.unmatched()).status == 200)
            try await stage.instance.start("ingest")
            #expect(try await old.waitForExit() == .exited(0))
            #expect(try await stage.post(.unmatched()).status == 200)
        }
    }

    /// Asks for the sockets and goes.
    private static let deserter = """
        import array, socket, sys
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect(sys.argv[1])
        connection.send(("sockets 1 " + sys.argv[2]).encode())
        text, control, _, _ = connection.recvmsg(512, socket.CMSG_SPACE(64 * 4))
        descriptors = array.array("i")
        for level, kind, data in control:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS: descriptors.frombytes(data)
        print(text.decode(), "with", len(descriptors), flush=True)
        """

    @Test("the sockets are for the same user only", .enabled(if: geteuid() == 0, "only root can be somebody else"))
    func otherUser() async throws {
        try await Stage.run(["ingest"]) { stage in
            let folder = stage.instance.folder
            let script = try folder.write(Self.deserter, to: "deserter.py")
            let path = folder.file("var/handover/ingest.0")
            for open in [folder.path, folder.file("var"), folder.file("var/handover"), path, script] { #expect(chmod(open, 0o777) == 0) }
            let stranger = try await ProcessFixture.start(
                "setpriv", ["--reuid", "65534", "--clear-groups", "/usr/bin/python3", script, path, "127.0.0.1:\(stage.ingestPort)"])
            try await stranger.waitForExit()
            #expect(stranger.output == ["refused: another user with 0"], "\(stranger.transcript)")
            try await stage.instance.process("ingest").waitForLine(containing: "a process of another user asked")
            #expect(try await stage.post(.unmatched()).status == 200)
        }
    }

    @Test("what the old one has spooled is the new one's, and reaches the list once")
    func spool() async throws {
        try await Stage.run(["ingest"]) { stage in
            try await stage.awaitRedisAtIngest()
            try await stage.instance.redis.kill9()
            let messages = (0..<40).map { _ in Message.unmatched() }
            #expect(try await EventStream.post(messages, port: stage.ingestPort, lines: 1).statuses == [200: 40])
            let old = try stage.instance.process("ingest")
            let new = try await stage.instance.start("ingest")
            #expect(try await old.waitForExit(within: .seconds(30)) == .exited(0))
            try await new.waitForLine(containing: "adopted a spool file")
            try await stage.instance.redis.restart()
            try await eventually(within: .seconds(30), "the spool is empty") {
                stage.instance.folder.list("spool").allSatisfy { !$0.hasPrefix("spool-") }
            }
            #expect(try await stage.waiting(on: "events").compactMap(Stage.id(ofEvent:)) == messages.map(\.id))
        }
    }

    @Test("a process with more loops, or fewer, takes over all the same", arguments: [("0", "0,1"), ("0,1", "0")])
    func loops(before: String, after: String) async throws {
        try await Stage.run([]) { stage in
            func start(_ cores: String) async throws -> ProcessFixture {
                try await stage.instance.start("ingest", through: ["/usr/bin/taskset", "--cpu-list", cores])
            }
            let old = try await start(before)
            let posts = PostStream(port: stage.ingestPort, rate: 300, lines: 4, signer: try StandardWebhooksSigner(secret: Instance.webhookSecret))
            try await Self.letThrough(50, posts)
            _ = try await start(after)
            #expect(try await old.waitForExit(within: .seconds(30)) == .exited(0))
            try await Self.letThrough(50, posts)
            let tally = await posts.end()
            #expect(tally.failures.isEmpty, "\(tally.failures)")
        }
    }
}
