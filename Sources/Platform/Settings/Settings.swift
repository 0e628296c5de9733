import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// Everything the environment says, read once in `main`, checked, and handed down. Below the programs nobody reads the
/// environment.
public struct Settings: Sendable, CustomStringConvertible, CustomReflectable {
    public enum LogFormat: String, Sendable, CaseIterable { case json, text }
    public enum LogLevel: String, Sendable, CaseIterable { case debug, info, warning, error }
    public enum Language: String, Sendable, CaseIterable { case fr, en }

    public struct OpenAI: Sendable, Equatable {
        public let apiKey: Secret?
        public let baseURL: String
        public let model: String
    }

    public let redis: RedisAddress
    public let database: DatabaseAddress
    /// The prefix of every Redis key.
    public let queuePrefix: String

    public let varDirectory: String
    public let privateMediaRoot: String
    public let spoolDirectory: String
    /// Where the ``SourceBook`` is kept.
    public let sourcesFile: String
    /// Where the backup of every night goes; nil makes none.
    public let backupDirectory: String?
    /// How many of them are kept.
    public let backupKeep: Int

    /// How long a dead record stays on its queue, and how many at most; nil for ever, and all.
    public let deadKeepDays: Int?
    public let deadKeepCount: Int?

    /// How long the events that came in, and providers' answers, stay as raw bytes in SQL.
    public let eventKeepDays: Int

    public let ingestAddress: SocketAddress
    public let webAddress: SocketAddress
    public let sandboxAddress: SocketAddress
    /// The proxies before ingest whose word on where a post comes from is taken.
    public let trustedProxies: [AddressRange]
    /// Where this process shows its metrics: the set port plus ``slot``; nil when it shows none.
    public let metricsAddress: SocketAddress?
    /// Without a slash at its end.
    public let baseURL: String

    public let workerConcurrency: Int
    public let shutdownGrace: Duration
    public let slot: Int
    public let logFormat: LogFormat
    public let logLevel: LogLevel
    public let secretKey: Secret?
    public let language: Language

    public let sentryDSN: Secret?
    public let traceEndpoint: String?
    public let openAI: OpenAI
    public let drafts: DraftSettings
    public let docxPython: String
    /// May hold user and password.
    public let smtpURL: String
    public let mailFrom: String
    /// The address that staff reads.
    public let staffEmail: String

    /// By name, every provider we know, those that are off too.
    public let providers: [String: ProviderSettings]
    /// The largest batch of usage samples in bytes.
    public let usageBodyLimit: Int
    public let usage: UsageSettings
    public let notifications: NotificationSettings
    public let storage: StorageSettings
    public let api: APISettings
    public let console: ConsoleSettings
    public let collector: CollectorSettings

    /// What the sources file says; nil where nobody has read it.
    public let sources: SourceBook?
    /// What was wrong with the sources file, for the log; nil when nothing was.
    public private(set) var sourcesProblem: String?

    /// What the environment itself says, and the same with the sources file's words in place of its own.
    let said: [String: String]
    private let environment: [String: String]

    /// Reads and checks an environment.
    /// - Parameter sources: overrules the environment in what it says.
    /// - Throws: all problems together, each naming its variable and rule.
    public init(environment: [String: String], sources: SourceBook? = nil) throws(SettingsError) {
        let whole = environment.merging(sources?.variables ?? [:]) { $1 }
        var reader = SettingsReader(environment: whole)
        let known = Set(Self.variables.map(\.name))
        said = environment.filter { known.contains($0.key) }
        self.environment = whole.filter { known.contains($0.key) }
        self.sources = sources
        sourcesProblem = nil
        sourcesFile = Self.sourcesPath(in: environment)

        redis = reader.redisAddress()
        varDirectory = Self.withoutSlash(reader.value("VAR_DIRECTORY") ?? "var")
        database = reader.databaseAddress(in: varDirectory)
        privateMediaRoot = reader.raw("PRIVATE_MEDIA_ROOT").map(Self.withoutSlash) ?? "\(varDirectory)/private"
        spoolDirectory = reader.raw("SPOOL_DIRECTORY").map(Self.withoutSlash) ?? "\(varDirectory)/spool"
        backupDirectory = reader.path("BACKUP_DIRECTORY")
        backupKeep = reader.whole("BACKUP_KEEP", 1...1000)
        queuePrefix = reader.queuePrefix()
        let (days, count) = (reader.whole("DEAD_KEEP_DAYS", 0...36_500), reader.whole("DEAD_KEEP_COUNT", 0...100_000_000))
        deadKeepDays = days == 0 ? nil : days
        deadKeepCount = count == 0 ? nil : count
        eventKeepDays = reader.whole("EVENT_KEEP_DAYS", 1...3650)

        ingestAddress = reader.address("INGEST_ADDRESS") ?? SocketAddress("127.0.0.1", 8080)
        webAddress = reader.address("WEB_ADDRESS") ?? SocketAddress("127.0.0.1", 8081)
        sandboxAddress = reader.address("SANDBOX_ADDRESS") ?? SocketAddress("127.0.0.1", 8082)
        trustedProxies = reader.addressRanges("TRUSTED_PROXIES")
        slot = reader.whole("SLOT", 0...999)
        metricsAddress = reader.metricsAddress(slot: slot)
        baseURL = reader.baseURL(webAddress: webAddress)

        workerConcurrency = reader.whole("WORKER_CONCURRENCY", 1...1000)
        shutdownGrace = reader.duration("SHUTDOWN_GRACE", most: .seconds(600))
        logFormat = reader.choice("LOG_FORMAT", LogFormat.self)
        logLevel = reader.choice("LOG_LEVEL", LogLevel.self)
        secretKey = reader.secretKey()
        language = reader.choice("DEFAULT_LANGUAGE", Language.self)

        sentryDSN = reader.url("SENTRY_DSN", schemes: ["https", "http"]).map { Secret($0) }
        traceEndpoint = reader.url("OTEL_EXPORTER_OTLP_ENDPOINT", schemes: ["http", "https"])
        openAI = OpenAI(
            apiKey: reader.raw("OPENAI_API_KEY").map { Secret($0) },
            baseURL: reader.url("OPENAI_BASE_URL", schemes: ["https", "http"]) ?? "", model: reader.value("OPENAI_MODEL") ?? "")
        drafts = reader.drafts()
        docxPython = reader.value("DOCX_PYTHON") ?? ""
        smtpURL = reader.url("SMTP_URL", schemes: ["smtp", "smtps"]) ?? ""
        mailFrom = reader.mailFrom()
        staffEmail = reader.staffEmail(mailFrom: mailFrom)

        var providers: [String: ProviderSettings] = [:]
        for description in ProviderDescription.all {
            providers[description.name] = reader.provider(description, sandbox: sandboxAddress.description)
        }
        self.providers = providers
        usageBodyLimit = reader.byteCount("BODY_LIMIT_USAGE", most: 10_000_000)
        usage = reader.usage()
        notifications = reader.notifications(sandbox: sandboxAddress.description)
        storage = reader.storage()
        api = reader.api()
        console = reader.console()
        collector = reader.collector(varDirectory: varDirectory, ingestAddress: ingestAddress)
        reader.refuseUnknown(
            prefix: "PROVIDER_MODE_", known: ProviderDescription.all.map(\.modeVariable) + NotificationSettings.modeVariables)
        reader.refuseUnknown(
            prefix: "PROVIDER_RATE_", known: ProviderDescription.all.filter(\.hasAPI).map(\.rateVariable) + NotificationSettings.rateVariables)
        reader.refuseUnknown(prefix: "BODY_LIMIT_", known: ProviderDescription.all.map(\.bodyLimitVariable) + ["BODY_LIMIT_USAGE"])
        let posting = ProviderDescription.all.filter(\.hasWebhook)
        reader.refuseUnknown(prefix: "ALLOWED_ADDRESSES_", known: posting.map(\.addressesVariable))
        reader.refuseUnknown(prefix: "ADDRESS_CHECK_", known: posting.map(\.addressCheckVariable))
        reader.refuseUnknown(prefix: "TRUST_POLICY_", known: posting.map(\.trustVariable))

        let live = ProviderDescription.all.filter { providers[$0.name]?.mode == .live }
        reader.checkLive(live.map(\.name), baseURL: baseURL, hasSecretKey: secretKey != nil, redis: redis)
        guard reader.problems.isEmpty else { throw SettingsError(problems: reader.problems) }
    }

    func noting(_ problem: String) -> Settings {
        var copy = self
        copy.sourcesProblem = problem
        return copy
    }

    /// Without any value: secrets are among them. See ``describe()``.
    public var description: String { "settings of \(varDirectory)" }
    public var customMirror: Mirror { Mirror(self, children: []) }

    /// The provider of that name; nil when we know none.
    public func provider(_ name: String) -> ProviderSettings? { providers[name] }

    static func withoutSlash(_ path: String) -> String { path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path }

    // MARK: Listing

    /// One line of `quittance doctor`.
    public struct Listed: Sendable, Equatable {
        public let name: String
        /// Masked where it is secret; empty when nothing counts.
        public let value: String
        public let isSet: Bool
    }

    /// Every variable with what counts for it; secrets masked.
    public func describe() -> [Listed] {
        let reader = SettingsReader(environment: environment)
        return Self.variables.map { variable in
            let given = reader.raw(variable.name)
            return Listed(name: variable.name, value: shown(variable, given ?? standard(of: variable)), isSet: given != nil)
        }
    }

    /// The standard value as it works here: some follow another variable.
    private func standard(of variable: SettingVariable) -> String {
        switch variable.name {
        case "DATABASE_URL": "sqlite:\(varDirectory)/quittance.db"
        case "PRIVATE_MEDIA_ROOT": privateMediaRoot
        case "SPOOL_DIRECTORY": spoolDirectory
        case "SOURCES_FILE": sourcesFile
        case "BASE_URL": baseURL
        case "STAFF_EMAIL": staffEmail
        case "COLLECTOR_INGEST_URL": collector.ingestURL
        case "COLLECTOR_STATE": collector.folder
        default:
            ProviderDescription.all.first { $0.values.contains { $0.variable.name == variable.name && $0.key == "api_url" } }
                .flatMap { providers[$0.name]?.apiURL } ?? variable.standard ?? ""
        }
    }

    private func shown(_ variable: SettingVariable, _ value: String) -> String {
        switch variable.privacy {
        case .open: return value
        case .mayHoldPassword: return URLParts.masked(value)
        case .secret:
            let count = value.split(whereSeparator: \.isWhitespace).count
            return count == 0 ? "" : count == 1 ? "[redacted]" : "[redacted], \(count) values"
        }
    }
}

/// The environment of this process.
enum ProcessEnvironment {
    /// The variables we know, and those whose names the system lists: Swift refuses C's `environ`, a shared variable.
    static func all() -> [String: String] {
        var found: [String: String] = [:]
        for name in Set(Settings.variables.map(\.name)).union(listedNames()) {
            if let text = getenv(name) { found[name] = String(cString: text) }
        }
        return found
    }

    private static func listedNames() -> [String] {
        let descriptor = open("/proc/self/environ", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while bytes.count < 4 << 20 {
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return bytes.split(separator: 0).compactMap { pair in
            pair.firstIndex(of: UInt8(ascii: "=")).map { String(decoding: pair[..<$0], as: UTF8.self) }
        }
    }
}
