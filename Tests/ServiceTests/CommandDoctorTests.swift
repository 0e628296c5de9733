import Formats
import OperatorCommands
import Settings
import TestSupport
import Testing
import Usage

@Suite("quittance doctor, source list and verify-webhook")
struct CommandDoctorTests {
    private static let headers = [
        "--header", "webhook-id: msg_2ZkqT0vRcQ8mJb4sWnY1aX7dPfe", "--header", "webhook-timestamp: 1763712000", "--header",
        "webhook-signature: v1,x8DeYr9vHcENgoFzkAOaVToLlbQVzfUfEN2pwWGQEZ4=",
    ]

    private func run(_ stage: CommandStage, at: String?, _ headers: [String]) async throws -> CommandResult {
        let bytes = try CommandFixture.bytes("standard_webhooks/payment_succeeded.json")
        let file = try stage.folder.write(String(decoding: bytes, as: UTF8.self), to: "body.json")
        return await stage.run(["verify-webhook", "standard-webhooks", "--body", file] + headers + (at.map { ["--at", $0] } ?? []))
    }

    @Test("a good post is accepted, and what it says is read")
    func accepted() async throws {
        let stage = try await CommandStage.make(migrated: false)
        #expect(
            try await run(stage, at: "1763712000000", Self.headers)
                == CommandResult(
                    code: .ok,
                    out: """
                        provider     standard-webhooks
                        mode         sandbox
                        verdict      accepted
                        trust        signed
                        delivery     msg_2ZkqT0vRcQ8mJb4sWnY1aX7dPfe
                        type         payment.notification
                        matched key  0
                        claim        captured
                        references   ours ORD-2025-000184, order ORD-2025-000184, payment pay_01JD6ZK8T3R5W7Y9A1C3E5G7J9, transaction TCN4Y4ZC3FM
                        amount       15000 XOF

                        """, err: ""))
    }

    @Test("a refused post is refused with the reason that staff may know")
    func refused() async throws {
        let stage = try await CommandStage.make(migrated: false)
        let old = try await run(stage, at: "1763712400000", Self.headers + ["--json"])
        #expect(old.code == .failed)
        #expect(
            try JSON(parsing: Array(old.out.utf8)) == [
                "provider": "standard-webhooks", "mode": "sandbox", "verdict": "refused", "reason": "webhook-timestamp is 400 s old",
            ])
        #expect(try await run(stage, at: nil, []).code == .failed)
        #expect(!old.out.contains(CommandStage.webhookSecret))
    }

    @Test(
        "what is wrong with a verification is said",
        arguments: [
            (["nobody", "--body", "/dev/null"], ExitCode.notFound, "there is no provider 'nobody'; the providers are cinetpay, "),
            (["cinetpay", "--body", "/dev/null"], .failed, "cinetpay is off here: set PROVIDER_MODE_CINETPAY"),
            (["standard-webhooks", "--body", "/nowhere/x"], .notFound, "/nowhere/x: No such file or directory"),
            (["standard-webhooks", "--body", "/dev/zero"], .failed, "/dev/zero has more than the 262144 bytes that are taken"),
            (["standard-webhooks"], .usage, "--body FILE is missing"),
            (["standard-webhooks", "--body", "/dev/null", "--header", "x"], .usage, "--header takes 'NAME: VALUE', and one of them has no colon"),
            (["standard-webhooks", "--body", "/dev/null", "--at", "noon"], .usage, "--at takes unix milliseconds, not 'noon'"),
        ])
    func faults(arguments: [String], code: ExitCode, fault: String) async throws {
        let result = try await CommandStage.make(migrated: false).run(["verify-webhook"] + arguments)
        #expect(result.code == code && result.out == "")
        #expect(result.err.hasPrefix("quittance verify-webhook: \(fault)") || result.err.hasPrefix("quittance: verify-webhook: \(fault)"))
    }

    @Test("source list tells mode, proof and paths")
    func sources() async throws {
        let stage = try await CommandStage.make(migrated: false)
        #expect(
            await stage.run("source", "list")
                == CommandResult(
                    code: .ok,
                    out: """
                        source             mode     proof  policy  asked  secrets  body limit  addresses  paths
                        cinetpay           off      yes    -       -            0      262144  off        -
                        feexpay            off      no     -       -            0      262144  off        -
                        icount             off      no     -       -            0      262144  off        -
                        kkiapay            off      yes    -       -            0      262144  off        -
                        manual             off      no     -       -            0      262144  off        -
                        orange-money       off      no     -       -            0      262144  off        -
                        payment-backend    off      yes    -       -            0      262144  off        -
                        standard-webhooks  sandbox  yes    trust   no           1      262144  off        /webhooks/standard-webhooks
                        wave               off      yes    -       -            0      262144  off        -

                        """, err: ""))
    }

    // MARK: Doctor

    private func findings(_ stage: CommandStage) async throws -> (code: ExitCode, levels: [String: String], texts: [String: String]) {
        let result = await stage.run("doctor", "--json")
        let json = try JSON(parsing: Array(result.out.utf8))
        var levels: [String: String] = [:]
        var texts: [String: String] = [:]
        for finding in json["findings"]?.array ?? [] {
            guard let what = finding["what"]?.string else { continue }
            levels[what] = finding["level"]?.string
            texts[what] = finding["text"]?.string
        }
        return (result.code, levels, texts)
    }

    @Test("an installation that lacks everything fails, each line with what to do")
    func ill() async throws {
        let stage = try await CommandStage.make(migrated: false)
        let (code, levels, texts) = try await findings(stage)
        #expect(code == .failed)
        for what in ["VAR_DIRECTORY", "PRIVATE_MEDIA_ROOT", "SPOOL_DIRECTORY", "database", "Redis", "template", "DOCX_PYTHON", "mail"] {
            #expect(levels[what] == "fail", "\(what)")
        }
        #expect(levels["SECRET_KEY"] == "warn")
        #expect(texts["database"] == "there is none at \(stage.databasePath): run `quittance migrate`")
        #expect(texts["Redis"] == "\(CommandTraceTests.redisIsAway); start it (deploy/redis), or correct REDIS_URL")
        #expect(texts["mail"] == "127.0.0.1:1 cannot be reached: Connection refused: mails wait; start the server, or correct SMTP_URL")
    }

    @Test("an installation in order has nothing that fails")
    func well() async throws {
        let mail = try await SMTPServer.start()
        let folder = try TemporaryFolder()
        let more = ["SECRET_KEY": String(repeating: "k", count: 40), "SMTP_URL": mail.url, "DOCX_PYTHON": "/bin/sh"]
        let redis = ["appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"]
        let server = try await RedisServer.start(config: redis)
        let stage = try await CommandStage.make(more.merging(["REDIS_URL": server.url]) { $1 })
        _ = await stage.run("issuer", "example")
        stage.turn(byMs: WallClock.nowMs - stage.nowMs)
        _ = await stage.run("cron", "run", "outbox-sweep", "--now")
        let (code, levels, texts) = try await findings(stage)
        // Only what no test machine has: the drafts' template and docxtpl beside /bin/sh.
        #expect(code == .failed)
        #expect(levels.filter { $0.value == "fail" }.map(\.key) == ["template"])
        // The stage's clock stands still, so that a slow machine's Redis may be ahead of it.
        let mayWarn: Set<String> = ["docxtpl", "disk", "files", "scheduler", "clock", "Redis' latency", "backup"]
        #expect(Set(levels.filter { $0.value == "warn" }.map(\.key)).isSubset(of: mayWarn))
        #expect(texts["queue scripts"] == "none loaded yet: a worker loads them at its first step")
        #expect(texts["queues"] == "nothing waits without a worker, nothing is dead" && texts["handlers"] == "every kind that waits has one")
        #expect(levels["cron"] == "ok" && levels["Redis' latency"] != nil)
        #expect(texts["issuer"] == "sandbox: Exemple SARL, series EX")
        #expect(texts["appendfsync"] == "always")
        withExtendedLifetime((mail, folder, server)) {}
    }

    @Test("a Redis that evicts fails, one that forgets is a warning, an open folder too")
    func warnings() async throws {
        let server = try await RedisServer.start(config: ["maxmemory-policy": "allkeys-lru", "save": "60 1"])
        let stage = try await CommandStage.make(["REDIS_URL": server.url])
        #expect(chmodOpen(stage.folder.file("var/private")))
        let (_, levels, texts) = try await findings(stage)
        #expect(levels["maxmemory-policy"] == "fail")
        #expect(texts["maxmemory-policy"] == "allkeys-lru, should be noeviction: another policy throws away jobs when memory is short")
        #expect(levels["appendonly"] == "warn" && levels["save"] == "warn")
        #expect(texts["PRIVATE_MEDIA_ROOT"]?.contains("is open to other users (755)") == true)
        #expect(levels["issuer"] == "warn" && levels["scheduler"] == "warn")
        #expect(levels["integrity"] == "ok" && levels["migrations"] == "ok")
        withExtendedLifetime(server) {}
    }

    // MARK: Usage

    /// Answers like a Docker Engine, or not at all like one.
    private static let engine = """
        import http.server, socketserver, sys
        class Engine(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self):
                self.send_response(200 if self.path == "/_ping" else 404)
                if sys.argv[2] == "engine": self.send_header("Api-Version", "1.44")
                self.end_headers()
            def log_message(self, *_): pass
            def address_string(self): return "unix"
        server = socketserver.UnixStreamServer(sys.argv[1], Engine)
        print("listening", flush=True)
        server.serve_forever()
        """

    @Test("doctor asks the Docker socket for its version, looks at the measured folders and at stale gauges")
    func usage() async throws {
        let folder = try TemporaryFolder()
        let script = try folder.write(Self.engine, to: "engine.py")
        var engines: [ProcessFixture] = []
        for kind in ["engine", "other"] {
            let process = try await ProcessFixture.start("/usr/bin/python3", [script, folder.file(kind), kind])
            try await process.waitForLine(containing: "listening", within: .seconds(30))
            engines.append(process)
        }
        let usage = ["USAGE_SOURCE_KEYS": "gateway-1:0123456789abcdef01234567", "STORAGE_ROOT": folder.path, "DOCKER_SOCKET": folder.file("engine")]
        let well = try await CommandStage.make(usage)
        var (_, levels, texts) = try await findings(well)
        #expect(texts["DOCKER_SOCKET"] == "\(folder.file("engine")) speaks the Docker Engine API 1.44")
        #expect(levels["STORAGE_ROOT"] == "ok" && texts["USAGE_SOURCE_KEYS"] == "gateway-1")
        #expect(levels["storage"] == "warn" && texts["storage"]?.hasPrefix("was never measured") == true)

        let measuredMs = well.nowMs
        try await well.write { connection in
            _ = try StorageGauges.record(StorageMeasurement(origin: "docker", measuredAtMs: measuredMs, projects: [:]), in: connection)
        }
        well.turn(byMs: 36 * 60 * 60_000)
        (_, levels, texts) = try await findings(well)
        #expect(levels["storage"] == "ok" && texts["storage"] == "docker: measured 36 h ago")
        well.turn(byMs: 1)
        (_, levels, texts) = try await findings(well)
        #expect(levels["storage"] == "warn" && texts["storage"] == "docker: measured 36 h ago, so no storage limit is judged by it")

        let other = ["DOCKER_SOCKET": folder.file("other"), "STORAGE_ROOT": folder.file("nowhere"), "STORAGE_FOLDERS": "shop=\(folder.path)"]
        (_, levels, texts) = try await findings(try await CommandStage.make(other))
        #expect(levels["DOCKER_SOCKET"] == "fail" && texts["DOCKER_SOCKET"] == "\(folder.file("other")) answers 200 and is no Docker Engine API")
        #expect(levels["STORAGE_ROOT"] == "fail" && texts["STORAGE_FOLDERS"] == "shop: \(folder.path)")

        let gone = try await findings(try await CommandStage.make(["DOCKER_SOCKET": folder.file("gone")], migrated: false))
        #expect(gone.texts["DOCKER_SOCKET"] == "\(folder.file("gone")) is not there: start the engine, or correct DOCKER_SOCKET")
        #expect(gone.levels["storage"] == nil)
        // Where nothing is measured nothing is said of it.
        #expect(try await findings(try await CommandStage.make()).levels["storage"] == nil)
        withExtendedLifetime(engines) {}
    }

    @Test("no secret is ever shown")
    func secrets() async throws {
        let secrets = [
            "SECRET_KEY": "top-secret-key-of-forty-characters-0123456789", "OPENAI_API_KEY": "sk-very-secret-value",
            "CINETPAY_WEBHOOK_SECRET": "cinetpay-secret-value", "PAYMENT_API_KEY": "payment-key-value",
            "SMTP_URL": "smtp://user:mail-password@127.0.0.1:1", "REDIS_URL": "redis://:redis-password@127.0.0.1:1/0",
        ]
        let stage = try await CommandStage.make(secrets)
        for arguments in [["doctor", "--settings"], ["doctor", "--settings", "--json"], ["status"], ["queues"], ["source", "list"]] {
            let result = await stage.run(arguments)
            let hidden = ["top-secret", "very-secret", "secret-value", "key-value", "password", CommandStage.webhookSecret]
            for word in hidden { #expect(!(result.out + result.err).contains(word), "\(arguments): \(word)") }
        }
    }
}
