import Formats
import Testing

@testable import Settings

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Settings") struct SettingsTests {
    private func problems(_ environment: [String: String]) -> String {
        do {
            _ = try Settings(environment: environment)
            return ""
        } catch {
            return error.description
        }
    }

    @Test("have standard values for everything")
    func standard() throws {
        let settings = try Settings(environment: [:])
        #expect(settings.redis == RedisAddress(place: .tcp(SocketAddress("127.0.0.1", 6390))))
        #expect(settings.database == .sqlite(path: "var/quittance.db"))
        #expect(settings.privateMediaRoot == "var/private")
        #expect(settings.spoolDirectory == "var/spool")
        #expect(settings.queuePrefix == "quittance:")
        #expect(settings.ingestAddress == SocketAddress("127.0.0.1", 8080))
        #expect(settings.webAddress == SocketAddress("127.0.0.1", 8081))
        #expect(settings.sandboxAddress == SocketAddress("127.0.0.1", 8082))
        #expect(settings.metricsAddress == nil)
        #expect(settings.baseURL == "http://127.0.0.1:8081")
        #expect(settings.workerConcurrency == 10)
        #expect(settings.shutdownGrace == .seconds(25))
        #expect(settings.logFormat == .json)
        #expect(settings.secretKey == nil)
        #expect(settings.smtpURL == "smtp://127.0.0.1:8025")
        #expect(settings.openAI == Settings.OpenAI(apiKey: nil, baseURL: "https://api.openai.com/v1", model: "gpt-4o-mini"))
        #expect(settings.usageBodyLimit == 2 << 20)
        #expect(settings.eventKeepDays == 90)
        #expect(settings.providers.count == 9)
        for provider in settings.providers.values {
            #expect(provider.mode == .off)
            #expect(provider.bodyLimit == 262_144)
            #expect(provider.secrets.isEmpty)
        }
    }

    @Test("are read from their variables, empty ones counting as not set")
    func reading() throws {
        let settings = try Settings(environment: [
            "REDIS_URL": "redis://app:p%40ss%3A@[::1]:7000/3", "DATABASE_URL": "sqlite:///srv/q.db", "VAR_DIRECTORY": "/srv/", "SPOOL_DIRECTORY": " ",
            "METRICS_ADDRESS": "127.0.0.1:9100", "SLOT": "3", "WEB_ADDRESS": "0.0.0.0:80", "SHUTDOWN_GRACE": "1500ms", "LOG_FORMAT": "TEXT",
            "QUEUE_PREFIX": "q2:", "PROVIDER_MODE_STANDARD_WEBHOOKS": "sandbox", "BODY_LIMIT_STANDARD_WEBHOOKS": "10MB",
            "STANDARD_WEBHOOKS_SECRET": " whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA   whsec_b2xkLXJvdGF0ZWQtc2VjcmV0LWtleS0wMTIzNDU2Nzg5 ",
            "PROVIDER_MODE_CINETPAY": "sandbox", "CINETPAY_SITE_ID": "445160", "PROVIDER_MODE_ORANGE_MONEY": "sandbox",
            "OM_API_URL": "https://api.orange.com/x/", "OPENAI_API_KEY": "sk-1", "HOME": "/root",
        ])
        #expect(
            settings.redis
                == RedisAddress(place: .tcp(SocketAddress("::1", 7000)), username: "app", password: "p@ss:", database: 3))
        #expect(settings.database == .sqlite(path: "/srv/q.db"))
        #expect(settings.privateMediaRoot == "/srv/private")
        #expect(settings.spoolDirectory == "/srv/spool")
        #expect(settings.metricsAddress == SocketAddress("127.0.0.1", 9103))
        #expect(settings.baseURL == "http://0.0.0.0:80")
        #expect(settings.shutdownGrace == .milliseconds(1500))
        #expect(settings.logFormat == .text)
        let webhooks = try #require(settings.provider("standard-webhooks"))
        #expect(webhooks.mode == .sandbox)
        #expect(webhooks.bodyLimit == 10_000_000)
        #expect(webhooks.secrets.count == 2)
        let cinetPay = try #require(settings.provider("cinetpay"))
        #expect(cinetPay.values == ["site_id": "445160", "api_url": "http://127.0.0.1:8082/cinetpay/v2"])
        let orange = try #require(settings.provider("orange-money"))
        #expect(!orange.hasProof)
        #expect(orange.apiURL == "https://api.orange.com/x")
        #expect(settings.openAI.apiKey?.value == "sk-1")
        #expect("\(settings.openAI)".contains("sk-1") == false)
    }

    @Test(
        "of Redis in all its spellings",
        arguments: [
            ("redis://localhost", RedisAddress(place: .tcp(SocketAddress("localhost", 6379)))),
            ("redis://:pw@h:1/", RedisAddress(place: .tcp(SocketAddress("h", 1)), password: "pw")),
            ("rediss://ops:pw@h", RedisAddress(place: .tcp(SocketAddress("h", 6379)), username: "ops", password: "pw", tls: RedisTLS())),
            ("unix:///run/redis.sock", RedisAddress(place: .unix(path: "/run/redis.sock"))),
            ("unix://var/redis.sock?db=2", RedisAddress(place: .unix(path: "var/redis.sock"), database: 2)),
            ("unix://u:p%20w@/run/r.sock", RedisAddress(place: .unix(path: "/run/r.sock"), username: "u", password: "p w")),
        ])
    func redis(text: String, address: RedisAddress) throws {
        #expect(try Settings(environment: ["REDIS_URL": text]).redis == address)
    }

    @Test("of Redis' certificates")
    func redisCertificates() throws {
        let settings = try Settings(environment: [
            "REDIS_URL": "rediss://h", "REDIS_CA_FILE": "/ca.pem", "REDIS_CERTIFICATE_FILE": "/c.pem", "REDIS_KEY_FILE": "/k.pem",
            "REDIS_SERVER_NAME": "redis.internal", "REDIS_VERIFY": "no",
        ])
        #expect(
            settings.redis.tls
                == RedisTLS(
                    authoritiesFile: "/ca.pem", certificateFile: "/c.pem", keyFile: "/k.pem", serverName: "redis.internal", verifiesServer: false))
    }

    @Test(
        "that are wrong are told with variable, fault, rule and example",
        arguments: [
            (
                ["REDIS_URL": "rediss://:hunter2@x", "REDIS_KEY_FILE": "/k.pem"],
                "REDIS_CERTIFICATE_FILE: it is not set, and its counterpart is. Rule: a certificate and its key are given together. "
                    + "Example: REDIS_CERTIFICATE_FILE=/etc/quittance/redis.pem"
            ),
            (
                ["REDIS_URL": "redis://:hunter2@x", "REDIS_CA_FILE": "/ca.pem"],
                "REDIS_CA_FILE: it is set, and REDIS_URL is not rediss://. Rule: certificates are for TLS only. "
                    + "Example: REDIS_URL=rediss://redis.example.com"
            ),
            (
                ["REDIS_URL": "redis+sentinel://a,b/mymaster"],
                "REDIS_URL: Sentinel is not built yet; name the Redis itself by redis://. "
                    + "Rule: redis:// or rediss://[user:password@]host[:port][/database], or unix:///path/to/socket. "
                    + "Example: REDIS_URL=redis://127.0.0.1:6390/0"
            ),
            (
                ["DATABASE_URL": "postgres://u:hunter2@db/x"],
                "DATABASE_URL: PostgreSQL is not built yet. Rule: sqlite: and the path of a file. Example: DATABASE_URL=sqlite:var/quittance.db"
            ),
            (
                ["INGEST_ADDRESS": "local\u{7}host"],
                "INGEST_ADDRESS: \"local?host\" is not an address. Rule: host:port with a port from 0 to 65535. Example: INGEST_ADDRESS=127.0.0.1:8080"
            ),
            (
                ["METRICS_ADDRESS": ":9100"],
                "METRICS_ADDRESS: \":9100\" is not an address. Rule: host:port with a port from 0 to 65535. Example: METRICS_ADDRESS=127.0.0.1:9100"
            ),
            (
                ["METRICS_ADDRESS": "127.0.0.1:65530", "SLOT": "6"],
                "METRICS_ADDRESS: port 65530 plus SLOT 6 is beyond 65535. Rule: host:port, where port plus SLOT is at most 65535. "
                    + "Example: METRICS_ADDRESS=127.0.0.1:9100"
            ),
            (
                ["WORKER_CONCURRENCY": "0"],
                "WORKER_CONCURRENCY: \"0\" is not such a number. Rule: a whole number from 1 to 1000. Example: WORKER_CONCURRENCY=10"
            ),
            (
                ["EVENT_KEEP_DAYS": "0"],
                "EVENT_KEEP_DAYS: \"0\" is not such a number. Rule: a whole number from 1 to 3650. Example: EVENT_KEEP_DAYS=90"
            ),
            (
                ["SHUTDOWN_GRACE": "1h"],
                "SHUTDOWN_GRACE: \"1h\" is not such a time. Rule: a whole number with ms, s or m, at most 10m. Example: SHUTDOWN_GRACE=25s"
            ),
            (["LOG_FORMAT": "xml"], "LOG_FORMAT: \"xml\" is not one of them. Rule: json or text. Example: LOG_FORMAT=json"),
            (
                ["BODY_LIMIT_CINETPAY": "10MiB"],
                "BODY_LIMIT_CINETPAY: \"10MiB\" is not such a size. Rule: bytes, or a number with KB, KiB, MB or MiB, at most 10MB. "
                    + "Example: BODY_LIMIT_CINETPAY=256KiB"
            ),
            (
                ["PROVIDER_MODE_WAVE": "on"],
                "PROVIDER_MODE_WAVE: \"on\" is not one of them. Rule: off, sandbox or live. Example: PROVIDER_MODE_WAVE=off"
            ),
            (
                ["SECRET_KEY": "short and secret"],
                "SECRET_KEY: it has 16 characters only. Rule: at least 32 characters nobody can guess. Example: SECRET_KEY=$(openssl rand -hex 32)"
            ),
            (
                ["STANDARD_WEBHOOKS_SECRET": "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA= whsec_AQID"],
                "STANDARD_WEBHOOKS_SECRET: value 2 of 2 holds 3 bytes only. Rule: whsec_ and Base64 of at least 16 bytes, several separated by blanks. "
                    + "Example: STANDARD_WEBHOOKS_SECRET=whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
            ),
            (
                ["SMTP_URL": "http://u:hunter2@x"],
                "SMTP_URL: the value is not such an address. Rule: smtp:// or smtps:// and a host, nothing behind #. Example: SMTP_URL=smtp://127.0.0.1:8025"
            ),
            (
                ["MAIL_FROM": "nobody"],
                "MAIL_FROM: it is not a sender. Rule: an address, or a name and an address in < >. Example: MAIL_FROM=Quittance <no-reply@example.com>"
            ),
            (
                ["API_CALLS_PER_MINUTE": "-1"],
                "API_CALLS_PER_MINUTE: \"-1\" is not such a number. Rule: a whole number from 0 to 10000000. Example: API_CALLS_PER_MINUTE=100"
            ),
            (
                ["API_JWT_SECRET": "new:0123456789abcdef0123456789abcdef old:hunter2"],
                "API_JWT_SECRET: value 2 of 2 is not such a secret. Rule: at least 32 characters nobody can guess, with kid: in front where tokens "
                    + "name it, several separated by blanks. Example: API_JWT_SECRET=2026-11:$(openssl rand -hex 32)"
            ),
            (
                ["API_CORS_ORIGINS": "https://shop.example https://shop.example/"],
                "API_CORS_ORIGINS: \"https://shop.example/\" is not the origin of a site. Rule: scheme, host and port as browsers send them, in "
                    + "lower case, or * alone. Example: API_CORS_ORIGINS=https://shop.example.com"
            ),
            (
                ["API_CORS_ORIGINS": "https://shop.example *"],
                "API_CORS_ORIGINS: \"*\" is not the origin of a site. Rule: scheme, host and port as browsers send them, in lower case, or * alone. "
                    + "Example: API_CORS_ORIGINS=https://shop.example.com"
            ),
            (
                ["QUEUE_PREFIX": "{q}"],
                "QUEUE_PREFIX: it holds other signs, or too many. Rule: at most 64 letters, digits and _-.: signs. Example: QUEUE_PREFIX=quittance:"
            ),
        ] as [([String: String], String)])
    func single(environment: [String: String], text: String) {
        #expect(problems(environment) == "1 setting is wrong:\n- " + text)
    }

    @Test("that are wrong are all told at once, and no secret is shown")
    func together() {
        let environment = [
            "PROVIDER_MODE_CINETPAY": "live", "PROVIDER_MODE_KKIAPAY": "live", "PROVIDER_MODE_ORANGE_MONEY": "live",
            "KKIAPAY_WEBHOOK_SECRET": "hunter2",
            "KKIAPAY_API_URL": "http://127.0.0.1:1", "PROVIDER_MODE_CINETPAI": "live", "SLOT": "x", "CINETPAY_API_KEY": "hunter2",
        ]
        #expect(
            problems(environment) == """
                6 settings are wrong:
                - SLOT: "x" is not such a number. Rule: a whole number from 0 to 999. Example: SLOT=0
                - CINETPAY_WEBHOOK_SECRET: it is not set, and PROVIDER_MODE_CINETPAY is live. Rule: a source whose webhooks bring a proof \
                goes live only with the secret that checks it. Example: CINETPAY_WEBHOOK_SECRET=...
                - KKIAPAY_API_URL: it is not https, and the provider is live. Rule: a live provider is only spoken to over https. \
                Example: KKIAPAY_API_URL=https://api.example.com
                - PROVIDER_MODE_CINETPAI: no provider has this name. Rule: one of PROVIDER_MODE_CINETPAY, PROVIDER_MODE_STANDARD_WEBHOOKS, \
                PROVIDER_MODE_PAYMENT_BACKEND, PROVIDER_MODE_KKIAPAY, PROVIDER_MODE_ORANGE_MONEY, PROVIDER_MODE_FEEXPAY, PROVIDER_MODE_WAVE, \
                PROVIDER_MODE_ICOUNT, PROVIDER_MODE_MANUAL, PROVIDER_MODE_AFRICAS_TALKING, PROVIDER_MODE_ORANGE_SMS, PROVIDER_MODE_WHATSAPP. \
                Example: PROVIDER_MODE_CINETPAY=…
                - BASE_URL: it is not https, and live is cinetpay, kkiapay, orange-money. Rule: customers and providers reach a live installation \
                over https only. Example: BASE_URL=https://pay.example.com
                - SECRET_KEY: it is not set, and live is cinetpay, kkiapay, orange-money. Rule: a live installation has a key of at least 32 \
                characters nobody can guess. Example: SECRET_KEY=$(openssl rand -hex 32)
                """)
    }

    @Test(
        "refuse live without the secret of a source that has a proof",
        arguments: ["CINETPAY", "STANDARD_WEBHOOKS", "PAYMENT_BACKEND", "KKIAPAY", "WAVE"])
    func liveNeedsProof(provider: String) {
        let live = ["PROVIDER_MODE_\(provider)": "live", "BASE_URL": "https://pay.example.com", "SECRET_KEY": String(repeating: "k", count: 32)]
        #expect(problems(live).contains("a source whose webhooks bring a proof goes live only with the secret"))
    }

    @Test("let a proofless source go live", arguments: ["ORANGE_MONEY", "FEEXPAY", "ICOUNT"])
    func proofless(provider: String) {
        let live = ["PROVIDER_MODE_\(provider)": "live", "BASE_URL": "https://pay.example.com", "SECRET_KEY": String(repeating: "k", count: 32)]
        #expect(problems(live) == "")
    }

    @Test("a network of FeexPay that does not exist cannot be switched off, and its V1 cannot be called")
    func feexPay() throws {
        let settings = try Settings(environment: ["FEEXPAY_NETWORKS_OFF": " moov  coris visa "])
        #expect(settings.provider("feexpay")?.words("networks_off") == ["moov", "coris", "visa"])
        #expect(try Settings(environment: [:]).provider("feexpay")?.words("networks_off") == [])
        let wrong = [
            "PROVIDER_MODE_FEEXPAY": "sandbox", "FEEXPAY_API_URL": "https://API.feexpay.me/api", "FEEXPAY_NETWORKS_OFF": "moov mtm,mtn orange",
            "SLOT": "x",
        ]
        let told = problems(wrong)
        #expect(told.hasPrefix("3 settings are wrong:"))
        #expect(told.contains("FEEXPAY_NETWORKS_OFF: \"mtm,mtn\", \"orange\" are none of its words. Rule: of mtn moov celtiis_bj"))
        #expect(told.contains("FEEXPAY_API_URL: api.feexpay.me is FeexPay's V1, which is withdrawn."))
        #expect(told.contains("Example: FEEXPAY_API_URL=https://api-v2.feexpay.me"))
        #expect(problems(["FEEXPAY_API_URL": "https://api.feexpay.me"]) == "")
    }

    @Test("of the API: limits, tokens' secrets with and without names, sites")
    func api() throws {
        let standard = try Settings(environment: [:]).api
        #expect(standard == APISettings())
        #expect((standard.callsPerMinute, standard.statusCallsPerMinute) == (100, 600))
        let key = String(repeating: "k", count: 32)
        let api = try Settings(environment: [
            "API_JWT_SECRET": "new:\(key)1 \(key)2", "API_JWT_SCOPES": "payments usage", "API_JWT_ISSUER": "https://shop.example",
            "API_CORS_ORIGINS": "https://shop.example http://localhost:5173",
        ]).api
        #expect(api.tokenSecrets.map(\.id) == ["new", nil])
        #expect(api.tokenSecrets.map(\.secret.value) == [key + "1", key + "2"])
        #expect(api.tokenScopes == ["payments", "usage"])
        #expect(api.tokenIssuer == "https://shop.example")
        #expect(api.origins == ["https://shop.example", "http://localhost:5173"])
        for wrong in [
            "shop.example", "HTTPS://shop.example", "https://Shop.example", "https://a:443", "http://a:80", "ftp://a", "https://u@a", "null",
        ] {
            #expect(problems(["API_CORS_ORIGINS": wrong]).contains("is not the origin of a site"), "\(wrong)")
        }
    }

    @Test("are listed with what counts, secrets and passwords masked")
    func listing() throws {
        let settings = try Settings(environment: [
            "REDIS_URL": "redis://app:hunter2@h/1", "CINETPAY_WEBHOOK_SECRET": "hunter2 hunter3", "CINETPAY_API_KEY": "hunter2",
            "VAR_DIRECTORY": "/srv",
            "PROVIDER_MODE_CINETPAY": "sandbox", "SMTP_URL": "smtps://me%40x:hunter2@mail:465",
        ])
        let listed = Dictionary(uniqueKeysWithValues: settings.describe().map { ($0.name, $0) })
        #expect(listed.count == Settings.variables.count)
        #expect(listed["REDIS_URL"] == Settings.Listed(name: "REDIS_URL", value: "redis://[redacted]@h/1", isSet: true))
        #expect(listed["CINETPAY_WEBHOOK_SECRET"]?.value == "[redacted], 2 values")
        #expect(listed["CINETPAY_API_KEY"]?.value == "[redacted]")
        #expect(listed["CINETPAY_API_URL"] == Settings.Listed(name: "CINETPAY_API_URL", value: "http://127.0.0.1:8082/cinetpay/v2", isSet: false))
        #expect(listed["DATABASE_URL"]?.value == "sqlite:/srv/quittance.db")
        #expect(listed["SMTP_URL"]?.value == "smtps://[redacted]@mail:465")
        #expect(listed["SECRET_KEY"] == Settings.Listed(name: "SECRET_KEY", value: "", isSet: false))
        #expect(!settings.describe().contains { $0.value.contains("hunter") })
        #expect(!"\(settings.providers)".contains("hunter"))
    }

    @Test(".env.example names exactly the variables that are read, each explained")
    func example() throws {
        let text = try #require(Self.read("\(Self.root)/.env.example"), "the repository has no .env.example")
        #expect(text == Settings.exampleFile)
        let names = text.split(separator: "\n").compactMap { line -> String? in
            guard line.hasPrefix("#"), !line.hasPrefix("# "), let equals = line.firstIndex(of: "=") else { return nil }
            return String(line[line.index(after: line.startIndex)..<equals])
        }
        #expect(names == Settings.variables.map(\.name))
        #expect(Set(names).count == names.count)
        for variable in Settings.variables { #expect(variable.explanation.hasSuffix(".") && variable.explanation.count > 10) }
    }

    @Test("standard values shown are those that count")
    func shownStandards() throws {
        var environment: [String: String] = [:]
        for variable in Settings.variables { environment[variable.name] = variable.standard }
        let spelled = try Settings(environment: environment)
        let silent = try Settings(environment: [:])
        for (one, other) in zip(spelled.describe(), silent.describe()) {
            #expect(one.value == other.value, "\(one.name)")
        }
    }

    @Test("of the process are read")
    func process() throws {
        setenv("DEFAULT_LANGUAGE", "en", 1)
        defer { unsetenv("DEFAULT_LANGUAGE") }
        #expect(ProcessEnvironment.all()["DEFAULT_LANGUAGE"] == "en")
        #expect(ProcessEnvironment.all()["PATH"] != nil)
    }

    /// The package's folder, three levels above this file.
    private static let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")

    private static func read(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 18)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}
