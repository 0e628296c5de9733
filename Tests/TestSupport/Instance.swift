import EventLoop
import Subprocess
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// A whole Quittance of its own for one test: folder, Redis, ports, settings, and the real programs as processes that can be
/// stopped, killed and started again one by one. Everything is gone with the value.
public final class Instance: Sendable {
    /// How much of the surroundings a test needs.
    public struct Configuration: Sendable {
        /// Lines of redis.conf over the product's own.
        public var redis: [String: String]
        /// Settings over the usual ones.
        public var settings: [String: String]
        /// Whether a real mail server is started.
        public var hasMail: Bool
        /// What the mail server refuses.
        public var mailRefusals: [SMTPServer.Refusal]
        /// How long the mail server keeps silent once a message begins.
        public var mailStall: Duration?
        /// Whether the template of drafts is made.
        public var hasTemplate: Bool

        public init(
            redis: [String: String] = [:], settings: [String: String] = [:], hasMail: Bool = false, mailRefusals: [SMTPServer.Refusal] = [],
            mailStall: Duration? = nil, hasTemplate: Bool = false
        ) {
            self.redis = redis
            self.settings = settings
            self.hasMail = hasMail
            self.mailRefusals = mailRefusals
            self.mailStall = mailStall
            self.hasTemplate = hasTemplate
        }
    }

    public let folder: TemporaryFolder
    public let redis: RedisServer
    public let mail: SMTPServer?
    public let ingestPort: Int
    public let webPort: Int
    public let sandboxPort: Int
    /// What every program is started with, apart from SLOT.
    public let environment: [String: String]
    private let processes = Mutex(Processes())

    private struct Processes {
        var running: [String: ProcessFixture] = [:]
        /// Every process ever started, in order.
        var all: [(name: String, process: ProcessFixture)] = []
    }

    public static let webhookSecret = "whsec_cXVpdHRhbmNlIGVuZCB0byBlbmQgdGVzdCBzZWNyZXQh"
    public static let cinetPaySite = "900417"
    public static let cinetPaySecret = "cinetpay-secret-of-the-tests"
    public static let backendSecret = "payment-backend-secret-of-the-tests"
    /// Who may post usage samples, and its key.
    public static let usageSource = "gateway-1"
    public static let usageKey = "usage-key-of-the-tests-0123456789"

    /// Makes the surroundings; no program runs yet and the database is not migrated.
    public static func make(_ configuration: Configuration = Configuration()) async throws -> Instance {
        let durable = ["appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "no", "maxmemory-policy": "noeviction"]
        let redis = try await RedisServer.start(config: durable.merging(configuration.redis) { $1 })
        let mail = configuration.hasMail ? try await SMTPServer.start(refusing: configuration.mailRefusals, stall: configuration.mailStall) : nil
        let instance = try Instance(redis: redis, mail: mail, settings: configuration.settings)
        if configuration.hasTemplate { try await instance.makeTemplate() }
        return instance
    }

    private init(redis: RedisServer, mail: SMTPServer?, settings: [String: String]) throws {
        self.redis = redis
        self.mail = mail
        folder = try TemporaryFolder("quittance-e2e")
        (ingestPort, webPort, sandboxPort) = (try freePort(), try freePort(), try freePort())
        // Of the surrounding environment only what programs need to run at all, and what counts or watches them.
        let needed: Set = [
            "PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "LD_PRELOAD", "LLVM_PROFILE_FILE", "TSAN_OPTIONS", "ASAN_OPTIONS", "LSAN_OPTIONS",
        ]
        var environment = Spawning.inheritedEnvironment().filter { needed.contains($0.key) }
        let own = [
            "REDIS_URL": redis.url, "DATABASE_URL": "sqlite:\(folder.path)/quittance.db", "VAR_DIRECTORY": folder.file("var"),
            "PRIVATE_MEDIA_ROOT": folder.file("private"), "SPOOL_DIRECTORY": folder.file("spool"), "INGEST_ADDRESS": "127.0.0.1:\(ingestPort)",
            "WEB_ADDRESS": "127.0.0.1:\(webPort)", "SANDBOX_ADDRESS": "127.0.0.1:\(sandboxPort)",
            "SECRET_KEY": "0123456789abcdef0123456789abcdef0123456789abcdef", "PROVIDER_MODE_CINETPAY": "sandbox",
            "CINETPAY_API_KEY": "sandbox-key-of-the-tests", "CINETPAY_SITE_ID": Self.cinetPaySite, "CINETPAY_WEBHOOK_SECRET": Self.cinetPaySecret,
            "PROVIDER_MODE_PAYMENT_BACKEND": "sandbox", "PAYMENT_API_KEY": "sandbox-backend-key", "PAYMENT_WEBHOOK_SECRET": Self.backendSecret,
            "PROVIDER_MODE_STANDARD_WEBHOOKS": "sandbox", "STANDARD_WEBHOOKS_SECRET": Self.webhookSecret, "OPENAI_API_KEY": "sandbox-openai-key",
            "API_CALLS_PER_MINUTE": "0", "OPEN_POSTS_PER_MINUTE": "0",
            "API_STATUS_CALLS_PER_MINUTE": "0", "USAGE_SOURCE_KEYS": "\(Self.usageSource):\(Self.usageKey)",
            "OPENAI_BASE_URL": "http://127.0.0.1:\(sandboxPort)/openai/v1", "OPENAI_MODEL": "sandbox-writer",
            "DOCX_PYTHON": repositoryRoot + "/.venv/bin/python", "SMTP_URL": mail?.url ?? "smtp://127.0.0.1:9", "LOG_LEVEL": "info",
        ]
        environment.merge(own) { $1 }
        environment.merge(settings) { $1 }
        self.environment = environment
    }

    deinit { end() }

    // MARK: Programs

    /// Starts a program and returns once it says that it has started.
    /// - Parameters:
    ///   - changes: settings for this process only.
    ///   - wrapper: a command in front of the program's path, such as `prlimit` with its options.
    @discardableResult
    public func start(
        _ program: String, slot: Int = 0, with changes: [String: String] = [:], arguments: [String] = [], through wrapper: [String] = [],
        waits: Bool = true
    ) async throws -> ProcessFixture {
        var settings = environment.merging(changes) { $1 }
        settings["SLOT"] = "\(slot)"
        let command = wrapper + [try builtProduct(program)] + arguments
        let process = try await ProcessFixture.start(
            command[0], Array(command.dropFirst()), environment: settings, inheriting: false, folder: repositoryRoot)
        let name = Self.name(program, slot)
        processes.withLock { processes in
            processes.running[name] = process
            processes.all.append((name, process))
        }
        guard waits else { return process }
        try await process.waitForLine(containing: "\"started\"", within: .seconds(60))
        return process
    }

    /// Starts several programs side by side, each in slot 0.
    public func start(all programs: [String]) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for program in programs { group.addTask { try await self.start(program) } }
            try await group.waitForAll()
        }
    }

    /// The process that was started last under this name.
    public func process(_ program: String, slot: Int = 0) throws -> ProcessFixture {
        let name = Self.name(program, slot)
        guard let process = processes.withLock({ $0.running[name] }) else { throw FixtureError("\(name) was never started") }
        return process
    }

    /// Kills without warning.
    public func kill9(_ program: String, slot: Int = 0) async throws {
        let process = try process(program, slot: slot)
        process.kill9()
        try await process.waitForExit()
    }

    /// Asks to stop, as a supervisor does, and waits for the end.
    @discardableResult
    public func stop(_ program: String, slot: Int = 0, within limit: Duration = .seconds(40)) async throws -> ProcessFixture.Ending {
        let process = try process(program, slot: slot)
        process.terminate()
        return try await process.waitForExit(within: limit)
    }

    /// What an operator's command came to.
    public struct CommandResult: Sendable {
        public let code: Int32
        public let output: String
        public let errors: String
    }

    /// Runs the operator's command to its end.
    public func quittance(_ arguments: String..., within limit: Duration = .seconds(60)) async throws -> CommandResult {
        try await quittance(arguments, within: limit)
    }

    /// Runs the operator's command to its end.
    public func quittance(_ arguments: [String], within limit: Duration = .seconds(60)) async throws -> CommandResult {
        let result = try await Subprocess.run(
            executable: try builtProduct("quittance"), arguments: arguments, environment: environment, input: [],
            limits: Subprocess.Limits(wallTime: limit), workingDirectory: repositoryRoot, pool: Self.commands)
        guard case .exited(let code) = result.status else {
            throw FixtureError("quittance \(arguments.joined(separator: " ")) ended by \(result.status): \(result.errorText)")
        }
        return CommandResult(code: code, output: String(decoding: result.output, as: UTF8.self), errors: result.errorText)
    }

    private static let commands = BlockingPool(name: "quittance", threads: 4)

    private func makeTemplate() async throws {
        let path = folder.file("private") + "/templates/kit_complet_template.docx"
        let python = try await ProcessFixture.start(
            repositoryRoot + "/.venv/bin/python", [repositoryRoot + "/deploy/docx/make_template.py", path])
        guard try await python.waitForExit(within: .seconds(60)) == .exited(0) else { throw FixtureError("no template:\n\(python.transcript)") }
    }

    /// Ends everything at once.
    public func end() {
        for entry in processes.withLock({ $0.all }) { entry.process.end() }
    }

    // MARK: What was said

    /// The last lines of every process, for a failure's message.
    public func transcript(linesMax: Int = 40) -> String {
        processes.withLock { $0.all }.map { name, process in
            let lines = process.lines
            let ending = process.ending.map { "\($0)" } ?? "running"
            return "── \(name) (\(ending), \(lines.count) lines)\n" + lines.suffix(linesMax).map(\.text).joined(separator: "\n")
        }.joined(separator: "\n")
    }

    /// Programs that run now.
    public var running: [String] { processes.withLock { $0.running.filter { $0.value.isRunning }.keys.sorted() } }

    private static func name(_ program: String, _ slot: Int) -> String { "\(program).\(slot)" }
}
