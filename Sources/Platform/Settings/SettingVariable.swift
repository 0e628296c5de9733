/// What is known of one variable of the environment.
public struct SettingVariable: Sendable {
    public enum Privacy: Sendable {
        case open
        /// An address that may hold a password: shown without it.
        case mayHoldPassword
        /// Never shown.
        case secret
    }
    public let name: String
    public let section: String
    /// What counts when the variable is not set; nil when nothing does.
    public let standard: String?
    /// A value as it could look, where there is no standard one.
    public let sample: String
    public let privacy: Privacy
    /// One or two sentences for `.env.example`.
    public let explanation: String

    init(_ name: String, in section: String, standard: String? = nil, sample: String = "", _ privacy: Privacy, _ explanation: String) {
        self.name = name
        self.section = section
        self.standard = standard
        self.sample = sample
        self.privacy = privacy
        self.explanation = explanation
    }

    init(_ name: String, in section: String, standard: String? = nil, sample: String = "", _ explanation: String) {
        self.init(name, in: section, standard: standard, sample: sample, .open, explanation)
    }

    var example: String { "\(name)=\(standard ?? sample)" }
}

extension Settings {
    /// Every variable the programs know, in the order of `.env.example`.
    public static let variables: [SettingVariable] =
        general + ProviderDescription.all.flatMap(\.variables) + usage + collectorVariables + NotificationSettings.variables

    private static let general: [SettingVariable] = places + programs + api + console + services + storageVariables

    private static let places: [SettingVariable] = [
        SettingVariable(
            "REDIS_URL", in: "Stores", standard: "redis://127.0.0.1:6390/0", .mayHoldPassword,
            "The Redis that carries events and jobs: redis://[user:password@]host[:port][/database], rediss:// for TLS, or unix:///path/to/socket. "
                + "redis+sentinel:// is not built yet. deploy/redis-users.acl has a user for each program."),
        SettingVariable(
            "REDIS_CA_FILE", in: "Stores", sample: "/etc/quittance/redis-ca.pem",
            "With rediss://: PEM file of the authorities that may have signed the server's certificate; the system's unless set. Read at each "
                + "connection, as the two files below."),
        SettingVariable(
            "REDIS_CERTIFICATE_FILE", in: "Stores", sample: "/etc/quittance/redis-client.pem",
            "With rediss://: PEM file of our own certificate, for a server that asks for one; together with REDIS_KEY_FILE."),
        SettingVariable(
            "REDIS_KEY_FILE", in: "Stores", sample: "/etc/quittance/redis-client.key",
            "With rediss://: PEM file of the key of REDIS_CERTIFICATE_FILE, without a passphrase."),
        SettingVariable(
            "REDIS_SERVER_NAME", in: "Stores", sample: "redis.example.com",
            "With rediss://: whom the server's certificate must name; the host of REDIS_URL unless set."),
        SettingVariable(
            "REDIS_VERIFY", in: "Stores", standard: "yes",
            "With rediss://: no accepts any certificate, for a trial; refused once a provider is live."),
        SettingVariable(
            "DATABASE_URL", in: "Stores", standard: "sqlite:var/quittance.db", .mayHoldPassword,
            "Where the truth is kept: sqlite:path (relative to the working directory). postgres:// is not built yet."),
        SettingVariable(
            "VAR_DIRECTORY", in: "Stores", standard: "var",
            "The folder for everything a run makes. DATABASE_URL, PRIVATE_MEDIA_ROOT, SPOOL_DIRECTORY and SOURCES_FILE stand in it unless set "
                + "themselves."),
        SettingVariable(
            "PRIVATE_MEDIA_ROOT", in: "Stores", standard: "var/private",
            "The folder of drafts, invoices and templates. Never served by a web server directly."),
        SettingVariable(
            "SPOOL_DIRECTORY", in: "Stores", standard: "var/spool",
            "Where ingest keeps events while Redis cannot take them. It must survive a restart of the machine."),
        SettingVariable(
            "SOURCES_FILE", in: "Stores", standard: "var/sources.json",
            "Which sources are on, their modes, secrets and body limits, and the usage sources' keys. Made from PROVIDER_MODE_*, *_SECRET, "
                + "BODY_LIMIT_* and USAGE_SOURCE_KEYS at the first start; from then on the file rules, changed by `quittance source`, and a start "
                + "is refused where the environment says otherwise."),
        SettingVariable(
            "BACKUP_DIRECTORY", in: "Stores", sample: "/srv/backup/quittance",
            "Where the scheduler has a backup made every night at 02:00 UTC; none unless set. On another disk than VAR_DIRECTORY."),
        SettingVariable(
            "BACKUP_KEEP", in: "Stores", standard: "14", "How many backups stay there; older ones are removed after each new one."),
        SettingVariable(
            "QUEUE_PREFIX", in: "Stores", standard: "quittance:",
            "Stands before every Redis key, so that two installations can share one Redis. At most 64 letters, digits and _-.: signs."),
        SettingVariable(
            "DEAD_KEEP_DAYS", in: "Stores", standard: "90",
            "How many days a buried job stays in the dead set of its queue; 0 keeps it until an operator deletes it. Its record in SQL has its own time."
        ),
        SettingVariable(
            "DEAD_KEEP_COUNT", in: "Stores", standard: "100000",
            "How many buried jobs stay there at most; the oldest go first. 0 keeps them all."),
        SettingVariable(
            "EVENT_KEEP_DAYS", in: "Stores", standard: "90",
            "How many days the raw bytes of events and of providers' answers stay in SQL, 1 to 3650; what they came to stays. An unproven event that "
                + "nothing matched goes after two days."),
    ]

    private static let programs: [SettingVariable] = [
        SettingVariable(
            "INGEST_ADDRESS", in: "Programs", standard: "127.0.0.1:8080", "Where ingest listens for webhooks, host:port. Port 0 takes a free one."),
        SettingVariable(
            "TRUSTED_PROXIES", in: "Programs", sample: "127.0.0.1 ::1",
            "Addresses and ranges of the proxies before ingest and web, by blanks. Only their X-Forwarded-For tells where a post comes from; without any the "
                + "connection does, and for web what a proxy on this machine says."),
        SettingVariable(
            "WEB_ADDRESS", in: "Programs", standard: "127.0.0.1:8081", "Where the API, the checkout pages and the console listen, host:port."),
        SettingVariable("SANDBOX_ADDRESS", in: "Programs", standard: "127.0.0.1:8082", "Where the played providers listen, host:port."),
        SettingVariable(
            "METRICS_ADDRESS", in: "Programs", sample: "127.0.0.1:9100",
            "Where a worker shows /metrics, /livez, /readyz and /autoscale, host:port; off unless set. Each process adds its SLOT to the port; "
                + "port 0 takes a free one."),
        SettingVariable(
            "BASE_URL", in: "Programs", standard: "http://127.0.0.1:8081",
            "The address customers and providers reach us under, used in every link. Unless set it follows WEB_ADDRESS; https is a must "
                + "once a provider is live."),
        SettingVariable(
            "WORKER_CONCURRENCY", in: "Programs", standard: "10", "How many jobs one worker process runs at a time, 1 to 1000."),
        SettingVariable(
            "SHUTDOWN_GRACE", in: "Programs", standard: "25s",
            "How long a program may take to finish its work when asked to stop (ms, s or m; at most 10m). What is left goes back to its queue."),
        SettingVariable(
            "SLOT", in: "Programs", standard: "0",
            "Which of several processes of one kind this is, 0 to 999. The supervisor sets it; set it by hand only without one."),
        SettingVariable("LOG_FORMAT", in: "Programs", standard: "json", "json, one object a line, or text for people."),
        SettingVariable("LOG_LEVEL", in: "Programs", standard: "info", "The least that is logged: debug, info, warning or error."),
        SettingVariable(
            "SECRET_KEY", in: "Programs", sample: "$(openssl rand -hex 32)", .secret,
            "Signs links and the paths of webhooks that bring no proof. At least 32 characters; a must once a provider is live."),
        SettingVariable(
            "DEFAULT_LANGUAGE", in: "Programs", standard: "fr", "The language of mails and invoices when the customer chose none: fr or en."),
    ]

    private static let api: [SettingVariable] = [
        SettingVariable(
            "API_CALLS_PER_MINUTE", in: "API", standard: "100",
            "How many calls a caller of the API (a key, or a token's subject) may make in a minute; what is more is answered 429. 0 lets everything "
                + "pass."),
        SettingVariable(
            "API_STATUS_CALLS_PER_MINUTE", in: "API", standard: "600",
            "The same for questions where a payment stands, which are counted apart: whoever asks too often can still start payments."),
        SettingVariable(
            "OPEN_POSTS_PER_MINUTE", in: "API", standard: "60",
            "How many forms and orders anybody may post from one address in a minute where no key is asked for; 0 lets everything pass."),
        SettingVariable(
            "API_JWT_SECRET", in: "API", sample: "2026-11:$(openssl rand -hex 32)", .secret,
            "Signs the tokens (JWT, HS256) of a merchant who calls the API with them; none are taken unless set. At least 32 characters; kid: in "
                + "front where tokens name their secret. Several while it is changed: all verify."),
        SettingVariable(
            "API_JWT_ISSUER", in: "API", sample: "https://shop.example.com", "What tokens must say as iss; not looked at unless set."),
        SettingVariable(
            "API_JWT_AUDIENCE", in: "API", sample: "quittance", "What tokens must say as aud. Unless set, tokens that say one are refused."),
        SettingVariable(
            "API_JWT_SCOPES", in: "API", standard: "payments",
            "What tokens may do at most, separated by blanks, and may do when they say no scope: payments, plans, refunds, teams, usage, cron."),
        SettingVariable(
            "API_CORS_ORIGINS", in: "API", sample: "https://shop.example.com",
            "Sites whose pages may call the API from the browser, exactly as browsers name them, separated by blanks; * for all. None unless set."),
    ]

    private static let console: [SettingVariable] = [
        SettingVariable(
            "CONSOLE_REFUND_LIMIT", in: "Console", standard: "100000 XOF, 100000 XAF, 150 EUR, 150 USD, 600 ILS",
            "The largest refund that one person alone may send out, by currency; above it, and of any other currency, a second person agrees."),
        SettingVariable(
            "CONSOLE_IDLE_MINUTES", in: "Console", standard: "30", "After so many minutes without a request a session ends, 5 to 480."),
        SettingVariable(
            "CONSOLE_SESSION_HOURS", in: "Console", standard: "12", "After so many hours a session ends whatever happens, 1 to 72."),
    ]

    private static let services: [SettingVariable] = [
        SettingVariable(
            "SENTRY_DSN", in: "Services", sample: "https://key@sentry.example/1", .mayHoldPassword, "Where errors are reported; off unless set."),
        SettingVariable(
            "OTEL_EXPORTER_OTLP_ENDPOINT", in: "Services", sample: "http://127.0.0.1:4318", .mayHoldPassword,
            "Where traces are sent (OTLP over HTTP); off unless set."),
        SettingVariable(
            "OPENAI_API_KEY", in: "Services", sample: "sk-...", .secret, "The key of the service that writes drafts. A local one needs none."),
        SettingVariable(
            "OPENAI_BASE_URL", in: "Services", standard: "https://api.openai.com/v1",
            "Any endpoint that speaks OpenAI's chat completions: OpenAI, Ollama, vLLM, the sandbox."),
        SettingVariable("OPENAI_MODEL", in: "Services", standard: "gpt-4o-mini", "The model drafts are written with."),
        SettingVariable(
            "AI_PRICE_PROMPT", in: "Services", standard: "0", "What a million tokens cost that are sent to that service, such as 0.15."),
        SettingVariable("AI_PRICE_COMPLETION", in: "Services", standard: "0", "What a million tokens cost that it writes, such as 0.60."),
        SettingVariable("AI_PRICE_CURRENCY", in: "Services", standard: "USD", "The currency of these prices, and of the budget."),
        SettingVariable(
            "AI_DAILY_BUDGET", in: "Services", sample: "5.00",
            "What texts may cost in a day (UTC): above it drafts wait for the next day, and a task tells staff. Any amount unless set. Texts that are "
                + "being written when it is reached still come."),
        SettingVariable(
            "DOCX_PYTHON", in: "Services", standard: ".venv/bin/python", "The Python that has docxtpl, which fills the templates of drafts."),
        SettingVariable(
            "SMTP_URL", in: "Services", standard: "smtp://127.0.0.1:8025", .mayHoldPassword,
            "The mail server: smtp://[user:password@]host[:port], or smtps:// for TLS from the start."),
        SettingVariable(
            "MAIL_FROM", in: "Services", standard: "Quittance <no-reply@localhost>", "The sender of every mail: an address, or a name with one."),
        SettingVariable(
            "STAFF_EMAIL", in: "Services", sample: "staff@example.com",
            "Who is written to when a draft is ready or storage is no longer measured; the address of MAIL_FROM unless set."),
    ]

    private static let usage: [SettingVariable] = [
        SettingVariable("BODY_LIMIT_USAGE", in: "usage", standard: "2MiB", "The largest batch of usage samples, at most 10MB."),
        SettingVariable(
            "USAGE_SOURCE_KEYS", in: "usage", sample: "gateway-1:$(openssl rand -hex 24)", .secret,
            "Who may post usage samples: name:key, several separated by blanks. A key has at least 24 characters; a name may stand twice while "
                + "its key is changed. Without any, POST /usage takes nothing."),
        SettingVariable(
            "USAGE_ALERT_OVER_LIMIT", in: "usage", standard: "on",
            "Whether a team is also told when it has reached 100 % of a limit, on or off. 80 % and 95 % are always told."),
        SettingVariable(
            "DOCKER_SOCKET", in: "usage", sample: "/var/run/docker.sock",
            "The unix socket of the Docker Engine API (or Podman's) whose volumes and images are measured; none unless set. Read only: "
                + "a filtering proxy is enough."),
        SettingVariable(
            "DOCKER_PROJECT_LABEL", in: "usage", standard: "quittance.project",
            "The label of volumes and images that names the project they belong to; several projects separated by commas share."),
        SettingVariable(
            "STORAGE_ROOT", in: "usage", sample: "/srv/projects",
            "A folder whose sub-folders are named by project and measured as their storage; none unless set."),
        SettingVariable(
            "STORAGE_FOLDERS", in: "usage", sample: "shop=/srv/shop blog=/srv/blog",
            "Single folders that are measured as a project's storage: project=/path, several separated by blanks."),
    ]

    /// The text of `.env.example`.
    public static var exampleFile: String {
        var text = """
            # Every setting of Quittance. A line that is commented out shows what counts unless it is set, or how a value could look.
            # Copy to .env and change what you need; what the environment already says wins over the file.
            # Every *_SECRET may hold several values separated by blanks: all verify, the first signs.

            """
        var section = ""
        for variable in variables {
            if variable.section != section {
                section = variable.section
                text += "\n# --- \(section) ---\n"
            }
            text += "\n# \(variable.explanation)\n#\(variable.example)\n"
        }
        return text
    }
}
