import Glibc
import TestSupport
import Testing

/// A Procfile of its own under a supervisord of its own, stopped whatever the test does.
private struct Instance {
    let folder: TemporaryFolder
    let environment: [String: String]

    static func with(_ procfile: String, _ body: (Instance) async throws -> Void) async throws {
        let folder = try TemporaryFolder("quittance-supervise")
        let environment = [
            "PROCFILE": try folder.write(procfile, to: "Procfile"), "VAR_DIRECTORY": folder.path, "ENV_FILE": folder.file("env"),
            "SHUTDOWN_GRACE": "2s",
        ]
        let instance = Instance(folder: folder, environment: environment)
        do {
            try await body(instance)
        } catch {
            _ = try await instance.supervise("stop")
            throw error
        }
        #expect(try await instance.supervise("stop").status == 0)
    }

    func supervise(_ arguments: String) async throws -> ScriptResult {
        try await Script.run("deploy/supervise \(arguments)", environment: environment)
    }

    func pids(of program: String) async throws -> [Int32] {
        try await supervise("pid \(program)").output.split(separator: "\n").compactMap { Int32($0) }
    }
}

@Suite("deploy/supervise")
struct SupervisionTests {
    private static let procfile = """
        # comments are allowed
        web: exec sleep 1000
        worker-a: echo "slot $SLOT"; exec sleep 1000
        worker-b: exec sleep 1000
        """

    @Test("one worker of one kind is added and removed while every other process stays")
    func scales() async throws {
        try await Instance.with(Self.procfile) { instance in
            let started = try await instance.supervise("start")
            #expect(started.status == 0, "\(started.output) \(started.errors)")
            let web = try await instance.pids(of: "web")
            let other = try await instance.pids(of: "worker-b")
            let first = try await instance.pids(of: "worker-a")
            #expect(web.count == 1 && other.count == 1 && first.count == 1)

            #expect(try await instance.supervise("scale worker-a 3").status == 0)
            let three = try await instance.pids(of: "worker-a")
            #expect(three.count == 3 && Set(three).count == 3)
            #expect(three.first == first.first)
            for slot in 0..<3 {
                let log = instance.folder.read("log/worker-a-\(slot).log").map { String(decoding: $0, as: UTF8.self) }
                #expect(log == "slot \(slot)\n")
            }

            #expect(try await instance.supervise("scale worker-a 1").status == 0)
            #expect(try await instance.pids(of: "worker-a") == first)
            #expect(try await instance.pids(of: "web") == web)
            #expect(try await instance.pids(of: "worker-b") == other)
            #expect(three.dropFirst().allSatisfy { !processExists($0) })
        }
    }

    @Test("a killed program is started again, and only that one")
    func restartsTheKilled() async throws {
        try await Instance.with(Self.procfile) { instance in
            #expect(try await instance.supervise("start").status == 0)
            let web = try await instance.pids(of: "web")
            let victim = try #require(try await instance.pids(of: "worker-a").first)
            kill(victim, SIGKILL)
            try await eventually("another process of worker-a") {
                let now = try await instance.pids(of: "worker-a")
                return now.count == 1 && now.first != victim
            }
            #expect(try await instance.pids(of: "web") == web)
        }
    }

    @Test("when supervisord itself is killed its programs end, and a new start finds the place free")
    func leavesNoOrphans() async throws {
        try await Instance.with(Self.procfile) { instance in
            #expect(try await instance.supervise("start").status == 0)
            let orphans = try await instance.pids(of: "web") + instance.pids(of: "worker-a")
            let file = try #require(instance.folder.read("supervisord.pid"))
            let supervisord = try #require(Int32(String(decoding: file, as: UTF8.self).filter(\.isNumber)))
            kill(supervisord, SIGKILL)
            try await eventually("its programs are gone") { orphans.allSatisfy { !processExists($0) } }
            #expect(try await instance.supervise("start").status == 0)
        }
    }

    @Test(
        "what cannot be is refused with a reason",
        arguments: [
            ("scale web 2", "holds an address"), ("scale nobody 2", "no program 'nobody'"), ("scale worker-a many", "not a count"),
            ("scale worker-a 65", "not a count"), ("pid web", "nothing runs"), ("status", "nothing runs"),
        ])
    func refuses(command: String, reason: String) async throws {
        try await Instance.with(Self.procfile) { instance in
            let result = try await instance.supervise(command)
            #expect(result.status == 1)
            #expect(result.errors.contains(reason), "\(result.errors)")
        }
    }

    @Test("supervisor kills nobody before SHUTDOWN_GRACE has passed", arguments: [("25s", 30), ("1500ms", 7), ("2m", 125), ("3", 8)])
    func graceBecomesStopWait(grace: String, seconds: Int) async throws {
        let folder = try TemporaryFolder("quittance-supervise")
        let environment = ["VAR_DIRECTORY": folder.path, "ENV_FILE": folder.file("env"), "SHUTDOWN_GRACE": grace]
        let result = try await Script.run("deploy/supervise config", environment: environment)
        #expect(result.output.contains("stopwaitsecs=\(seconds)\n"))
    }
}
