import Access
import CinetPay
import Cryptography
import Database
import DraftGeneration
import EventLoop
import FeexPay
import Formats
import HTTPClient
import HTTPServer
import JobQueue
import JobQueueRedis
import KKiaPay
import Manual
import ObjectStorage
import OrangeMoney
import Outbox
import PaymentBackend
import Payments
import PaymentsService
import Plans
import PrivateFiles
import ProviderPort
import SandboxService
import Scheduling
import Settings
import StandardWebhooks
import Synchronization
import Teams
import Telemetry
import TestSupport
import Usage
import WebService

/// The web on a real socket and a real SQLite file, the sandbox as its providers, and a plain ingest that applies what it gets.
final class WebStage: Sendable {
    static let webhookSecret = "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="

    let database: Database
    let transport: SwitchedTransport
    let sandbox: Sandbox
    private let makeWeb: @Sendable () -> WebServer
    private let running: Mutex<WebServer>
    var web: WebServer { running.withLock { $0 } }
    let relay: OutboxRelay
    /// Where private files are.
    let storage: any ObjectStorage
    /// The bearer key of the shop.
    let key: String
    let queues: RedisQueues?
    private let folder: TemporaryFolder
    private let loop: EventLoop
    let client: HTTPClient
    private let ingest: HTTPServer
    private let clock: TurnedClock

    var webURL: String { "http://\(web.boundAddress)" }
    var address: SocketAddress { web.boundAddress }
    /// What the web takes for its public address.
    static let baseURL = "https://shop.example.org"

    /// - Parameters:
    ///   - serverClock: by which cron entries are due; the stage's turned one unless given.
    ///   - api: how much may be asked, by whom, from where; without limits unless given.
    ///   - address: where the web listens, for browsers: its public address is then the same; any free port unless given.
    ///   - streams: how many may watch payments.
    ///   - teamStreams: how many may follow teams' pages.
    ///   - redis: where queues can be looked at; nowhere unless given.
    ///   - storage: where private files are; a folder unless given.
    ///   - unpaidFilesMax: bytes of all files of unpaid inquiries; any number unless given.
    static func with(
        serverClock: ServerClock? = nil, api: APISettings = unlimited, address: SocketAddress? = nil, streams: StreamLimits = StreamLimits(),
        teamStreams: TeamStreamLimits = TeamStreamLimits(), redis: RedisServer? = nil, storage: ((HTTPClient) -> any ObjectStorage)? = nil,
        unpaidFilesMax: Int64? = nil, _ body: (WebStage) async throws -> Void
    ) async throws {
        let stage = try await WebStage(
            serverClock: serverClock, api: api, address: address, streams: streams, teamStreams: teamStreams, redis: redis, storage: storage,
            unpaidFilesMax: unpaidFilesMax)
        do { try await body(stage) } catch {
            await stage.stop()
            throw error
        }
        await stage.stop()
    }

    static let scopes = [APIKey.payments, APIKey.usage, APIKey.teams, APIKey.cron, APIKey.refunds]
    static let passwordCost = PasswordHash.Cost(n: 256, r: 8, p: 1)
    /// Signs the links to teams' pages.
    static let secret = "0123456789abcdef0123456789abcdef"

    /// Tries templates, for all stages; its process is started by the first trial.
    private static let templates = DocumentTemplates(
        python: "\(repositoryRoot)/.venv/bin/python", script: "\(repositoryRoot)/deploy/docx/fill_template.py", processes: 1)

    /// Threads for files, shared by all stages and never closed.
    private static let pool = BlockingPool(name: "web-files", threads: 4)

    static var unlimited: APISettings {
        var api = APISettings()
        (api.callsPerMinute, api.statusCallsPerMinute, api.openPostsPerMinute) = (0, 0, 0)
        return api
    }

    private init(
        serverClock: ServerClock?, api: APISettings, address: SocketAddress?, streams: StreamLimits, teamStreams: TeamStreamLimits,
        redis: RedisServer?, storage: ((HTTPClient) -> any ObjectStorage)?, unpaidFilesMax: Int64?
    ) async throws {
        folder = try TemporaryFolder("web")
        loop = try EventLoop.started(name: "web-stage")
        client = HTTPClient(loop: loop)
        self.storage = storage?(client) ?? LocalStorage(PrivateFiles(root: folder.file("private"), pool: Self.pool))
        database = try Database.open(.sqlite(path: folder.file("quittance.db")))
        _ = try database.migrate(Product.migrations)
        let clock = TurnedClock()
        self.clock = clock
        key = try await database.write { try APIKeys.create(name: "shop", scopes: Self.scopes, nowMs: clock.nowMs, in: $0).text }

        var configuration = SandboxConfiguration(address: SocketAddress("127.0.0.1", 0), ingestURL: "http://127.0.0.1:9")
        (configuration.cinetPayAPIKey, configuration.cinetPaySiteID, configuration.cinetPaySecret) = ("key", "900417", "cinetpay-secret")
        (configuration.backendAPIKey, configuration.backendSecret) = ("bearer", Self.webhookSecret)
        configuration.houses["kkiapay"] = HouseKeys(values: ["public_key": "pk", "private_key": "sk", "secret": "s"], secrets: ["kkiapay-secret"])
        configuration.houses["feexpay"] = HouseKeys(values: ["api_key": "fp_key", "shop_id": "shop-1"], secrets: ["feexpay-secret"])
        configuration.houses["orange-money"] = HouseKeys(
            values: ["client_id": "om-id", "client_secret": "om-secret", "merchant_key": "a86b2087"], secrets: ["om-webhook-secret"])
        sandbox = Sandbox(configuration: configuration, loop: loop)
        try await sandbox.start()
        let played = "http://\(sandbox.boundAddress)"
        let providers = ProviderRegistry([
            (CinetPayProvider(apiKey: "key", siteID: "900417", secrets: ["cinetpay-secret"], apiURL: "\(played)/cinetpay/v2"), "sandbox"),
            (try PaymentBackendProvider(baseURL: "\(played)/payment-backend", apiKey: "bearer", secrets: [Self.webhookSecret]), "sandbox"),
            (try StandardWebhooksProvider(secrets: [Self.webhookSecret]), "sandbox"),
            (
                try KKiaPayProvider(
                    publicKey: "pk", privateKey: "sk", secret: "s", webhookSecrets: ["kkiapay-secret"], apiURL: "\(played)/kkiapay"), "sandbox"
            ),
            (try FeexPayProvider(apiKey: "fp_key", shopID: "shop-1", secrets: ["feexpay-secret"], apiURL: "\(played)/feexpay"), "sandbox"),
            (
                try OrangeMoneyProvider(
                    clientID: "om-id", clientSecret: "om-secret", merchantKey: "a86b2087", secrets: ["om-webhook-secret"],
                    apiURL: "\(played)/orange-money/orange-money-webpay/ci/v1"), "sandbox"
            ),
            (ManualProvider(account: "Quittance SARL, IBAN BJ66 0001"), "sandbox"),
        ])
        transport = SwitchedTransport(CurlTransport(client))
        let publisher = VerifyingPublisher()
        relay = OutboxRelay(slot: "web.0", database: database, publisher: publisher, log: Log("relay"))
        let events = PaymentEvents(facts: PaymentFacts(purposes: Product.purposes, outbox: relay.outbox), providers: providers)
        publisher.serve(PaymentVerification(database: database, events: events, transport: transport))
        ingest = HTTPServer(
            configuration: HTTPServerConfiguration(address: SocketAddress("127.0.0.1", 0)), loops: [loop], name: "plain ingest",
            handler: HTTPServer.asyncHandler { [database] in await WebStage.take($0, events, database) })
        try await ingest.start()
        var configured = WebConfiguration(
            address: address ?? SocketAddress("127.0.0.1", 0), baseURL: address.map { "http://\($0)" } ?? Self.baseURL,
            ingestURL: "http://\(ingest.boundAddress)", payOrigins: [played], secretKey: Secret(Self.secret), api: api)
        configured.streams = streams
        configured.teamStreams = teamStreams
        configured.unpaidFilesMax = unpaidFilesMax
        (configured.storage, configured.drafts) = (self.storage, self.storage)
        configured.templates = TemplateShelf(
            database: database, files: PrivateFiles(root: folder.file("private"), pool: Self.pool), templates: Self.templates)
        configured.drafting.dailyBudgetMicros = 5_000_000
        // Cheap to make, as tests sign in often.
        configured.passwordCost = Self.passwordCost
        configured.console.refundLimits = [("10000", "XOF"), ("20", "EUR")].map { ConsoleSettings.Sum(amount: $0, currency: $1) }
        queues = redis.map { [loop] in RedisQueues(loop: loop, address: $0.address, prefix: "console:", name: "web") }
        makeWeb = { [configured, database, relay, transport, loop, queues] in
            WebServer(
                configured, database: database, relay: relay, providers: providers, transport: transport,
                cron: CronTable(entries: Self.entries(relay.outbox), database: database, runner: "web.0"), serverClock: serverClock,
                queues: queues, loops: [loop], log: Log("web"), nowMs: { clock.nowMs })
        }
        running = Mutex(makeWeb())
        try await relay.start()
        try await web.start()
    }

    /// The web goes away, as when its process ends.
    func stopWeb() async { await web.stop(by: .now.advanced(by: .seconds(2))) }

    /// Another one takes its place, at the same address where one was given.
    func startWeb() async throws {
        let next = makeWeb()
        running.withLock { $0 = next }
        try await next.start()
    }

    /// The two entries of usage, whose work is a job, and two that do theirs at once, well and badly.
    private static func entries(_ outbox: Outbox) -> [CronEntry] {
        [
            CronEntry(name: UsageEntries.storage, expression: "* * * * *", summary: "measure storage") { run, connection in
                try outbox.add(try MeasureStorage(tick: run.tick).request(), nowMs: run.nowMs, in: connection).map { "job \($0) added" } ?? ""
            },
            CronEntry(name: UsageEntries.limits, expression: "* * * * *", summary: "check limits") { run, connection in
                try outbox.add(try CheckLimits(tick: run.tick).request(), nowMs: run.nowMs, in: connection).map { "job \($0) added" } ?? ""
            },
            CronEntry(name: "sweep", expression: "* * * * *", summary: "done at once") { _, _ in "3 swept" },
            CronEntry(name: "broken", expression: "* * * * *", summary: "always fails") { _, _ in throw FixtureError("the shelf is empty") },
        ]
    }

    private func stop() async {
        let deadline = ContinuousClock.now.advanced(by: .seconds(2))
        await web.stop(by: deadline)
        await sandbox.stop(by: deadline)
        await ingest.stop(by: deadline)
        await relay.stop(by: deadline)
        queues?.close()
        await client.close()
        await database.close()
        await loop.end()
    }

    /// The same SQL, as another process opens it.
    func openAgain() throws -> Database { try Database.open(.sqlite(path: folder.file("quittance.db"))) }

    /// The names in a folder of the private files.
    func privateFiles(_ name: String) -> [String] { folder.list("private/\(name)") }

    func turnClock(by ms: Int64) { clock.turn(by: ms) }
    var nowMs: Int64 { clock.nowMs }
    var ingestURL: String { "http://\(ingest.boundAddress)" }

    /// Posts a signed message about an order to ingest.
    func report(_ type: String, order: String, amount: String, currency: String) async throws -> Int {
        let signer = try StandardWebhooksSigner(secret: Self.webhookSecret)
        let body = JSON.object(
            JSONObject([
                ("type", .string(type)), ("timestamp", .string(Timestamp.rfc3339(WallClock.nowMs))),
                ("data", ["id": .string("ext-\(order)"), "order_id": .string(order), "amount": .string(amount), "currency": .string(currency)]),
            ])
        ).bytes
        // The same message has the same id, whatever words it is made of.
        let id = "msg_\(Digest.sha256Hex(Array("\(type)_\(order)".utf8)))"
        var headers = signer.headers(id: id, timestamp: WallClock.nowMs / 1000, body: body)
        headers["content-type"] = "application/json"
        let request = HTTPClient.Request(method: "POST", url: "\(ingestURL)/webhooks/standard-webhooks", headers: headers, body: body)
        return try await client.send(request).status
    }

    /// Verifies and applies a webhook at once.
    private static func take(_ request: HTTPRequest, _ events: PaymentEvents, _ database: Database) async -> HTTPResponse {
        let pieces = request.path.split(separator: "/").map(String.init)
        let name = pieces.count > 1 ? pieces[1] : ""
        var grant: CapabilitySigner.Grant?
        if pieces.count == 4 {
            grant = events.providers[name]?.addressSigner?.verify(pieces[3], provider: name, payment: pieces[2])
            if grant == nil { return .text(401, "") }
        }
        let webhook = IncomingWebhook(
            method: request.method, headers: request.headers, body: request.body, cameByCapability: grant != nil)
        guard let verdict = events.providers[name]?.verifyWebhook(webhook, nowMs: WallClock.nowMs) else { return .text(404, "") }
        if case .refused = verdict { return .text(401, "") }
        guard case .accepted(let accepted) = verdict else { return .text(200, "") }
        let event = ProviderEvent(
            id: accepted.deliveryID, provider: name, mode: "sandbox", trust: accepted.trust, type: accepted.type, timeMs: WallClock.nowMs,
            contentType: webhook.contentType, body: request.body, headers: "", matchedKey: nil, payment: grant == nil ? nil : pieces[2],
            attemptNumber: grant?.attemptNumber, target: request.target, traceparent: nil)
        let read = ReadEvent(event, providers: events.providers)
        let outcome = try? await database.write { try events.apply(read, nowMs: WallClock.nowMs, in: $0) }
        return .text(outcome == nil ? 503 : 200, "")
    }

    // MARK: Calling

    struct Answer: Sendable {
        let status: Int
        let headers: HTTPHeaders
        let body: [UInt8]
        var text: String { String(decoding: body, as: UTF8.self) }
        var json: JSON { (try? JSON(parsing: body)) ?? .null }
        func string(_ name: String) -> String? { json[name]?.string }
    }

    func send(_ method: String, _ path: String, headers: HTTPHeaders = [:], body: [UInt8] = []) async throws -> Answer {
        let response = try await client.send(
            HTTPClient.Request(method: method, url: webURL + path, headers: headers, body: body, timeout: (.seconds(20) as Duration).stretched))
        return Answer(status: response.status, headers: response.headers, body: response.body)
    }

    func get(_ path: String) async throws -> Answer { try await send("GET", path, headers: ["authorization": "Bearer \(key)"]) }

    func post(_ path: String, _ json: JSON, headers more: HTTPHeaders = [:]) async throws -> Answer {
        var headers: HTTPHeaders = ["authorization": "Bearer \(key)", "content-type": "application/json"]
        more.forEach { headers[$0] = $1 }
        return try await send("POST", path, headers: headers, body: json.bytes)
    }

    func put(_ path: String, _ json: JSON, key: String? = nil) async throws -> Answer {
        try await send(
            "PUT", path, headers: ["authorization": "Bearer \(key ?? self.key)", "content-type": "application/json"], body: json.bytes)
    }

    func delete(_ path: String) async throws -> Answer { try await send("DELETE", path, headers: ["authorization": "Bearer \(key)"]) }

    func form(_ path: String, _ fields: [(String, String)], headers more: HTTPHeaders = [:]) async throws -> Answer {
        var headers: HTTPHeaders = ["content-type": "application/x-www-form-urlencoded"]
        more.forEach { headers[$0] = $1 }
        return try await send("POST", path, headers: headers, body: Array(FormURLEncoded.encode(fields).utf8))
    }

    /// A call to the sandbox's controls.
    func play(_ path: String, _ json: JSON) async throws -> Int {
        let request = HTTPClient.Request(
            method: "POST", url: "http://\(sandbox.boundAddress)/sandbox/\(path)", headers: ["content-type": "application/json"], body: json.bytes)
        return try await client.send(request).status
    }

    /// How often the sandbox was asked at paths that begin so.
    func callCount(under path: String) async throws -> Int {
        let answer = try await client.send(HTTPClient.Request(url: "http://\(sandbox.boundAddress)/sandbox/calls?path=\(path)"))
        return try JSON(parsing: answer.body)["calls"]?.array?.count ?? 0
    }

    // MARK: Teams

    /// A team with projects; limits are not asked.
    func team(_ id: String, owner: String? = nil, language: String = "en", plan: String = Plan.free, projects: [String] = []) async throws {
        let nowMs = nowMs
        try await database.write { connection in
            try TeamStore.put(
                Team(id: id, name: "Team \(id)", owner: owner ?? "owner-\(id)", language: language, createdAtMs: nowMs), in: connection)
            for project in projects { try TeamStore.put(Project(id: project, team: id, name: project, createdAtMs: nowMs), in: connection) }
            guard plan != Plan.free else { return }
            try connection.execute(
                """
                INSERT INTO plans_subscriptions (team, plan, version, status, period_start, renews_at, anchor_day, updated_at)
                VALUES ($1, $2, 1, 'active', $3, $4, 1, $3)
                """, [.text(id), .text(plan), .integer(nowMs), .integer(nowMs + 30 * UsagePeriod.dayMs)])
        }
    }

    /// Counts traffic, now unless told otherwise.
    func traffic(_ project: String, _ bytes: Int64, atMs: Int64? = nil) async throws {
        let nowMs = nowMs
        _ = try await database.write {
            try UsageCounters.recordTraffic(
                project: project, bytes: bytes, atMs: atMs ?? nowMs, unit: ULID.make(nowMs: nowMs), nowMs: nowMs, in: $0)
        }
    }

    /// Sets a project's storage, measured now unless told otherwise.
    func storage(_ project: String, _ bytes: Int64, atMs: Int64? = nil) async throws {
        let measuredAt = atMs ?? nowMs
        _ = try await database.write {
            try StorageGauges.set(project: project, bytes: bytes, origin: "api", measuredAtMs: measuredAt, in: $0)
        }
    }

    static let inquiry: JSON = [
        "organization_name": "Sève & <Racines>", "contact_name": "Aïcha \"A\" Koné", "email": "aicha@example.org", "phone": "+2250707123456",
        "mission_text": "Former.\nAccompagner.", "documents_count": 4,
    ]

    /// Takes an inquiry. - Returns: inquiry and payment.
    func inquire(_ form: JSON = inquiry) async throws -> (inquiry: String, payment: String) {
        let answer = try await post("/api/v1/kit/inquiries/", form)
        guard let inquiry = answer.string("inquiry"), let payment = answer.string("payment") else { throw FixtureError(answer.text) }
        return (inquiry, payment)
    }

    /// A payment of another system's order.
    func order(
        _ id: String = "order-1", amount: String = "12500", currency: String = "XOF", phone: String? = "+2290166000000", language: String = "fr"
    ) async throws -> String {
        let answer = try await post(
            "/api/v1/payments/",
            [
                "order_id": .string(id), "description": "Chaise <bleue>", "amount": .string(amount), "currency": .string(currency),
                "customer": ["name": "Aïcha Koné", "email": "aicha@example.org", "phone": .optional(phone), "language": .string(language)],
            ])
        guard let payment = answer.string("id") else { throw FixtureError(answer.text) }
        return payment
    }

    /// A link to a payment. - Returns: its path.
    func link(to payment: String, _ body: JSON = [:]) async throws -> String {
        let answer = try await post("/api/v1/payments/\(payment)/link/", body)
        guard let token = answer.string("token") else { throw FixtureError(answer.text) }
        return "/pay/\(token)"
    }

    func initiate(_ payment: String, key: String, at provider: String = "cinetpay") async throws -> Answer {
        try await post("/api/v1/payments/\(provider)/initiate/", ["payment": .string(payment)], headers: ["idempotency-key": key])
    }

    /// Everything that a call could change, as one text.
    func content() async throws -> String {
        try await database.read { connection in
            var text = ""
            let tables = [
                "payments_payments", "payments_attempts", "payments_references", "payments_facts", "payments_audit", "drafts_inquiries",
                "drafts_orders", "outbox_jobs", "access_calls",
            ]
            for table in tables {
                try connection.forEach("SELECT * FROM \(table) ORDER BY rowid") { text += "\(table) \($0.values)\n" }
            }
            return text
        }
    }

    /// All of an order comes in by hand: the quickest way to paid.
    func receive(_ payment: String, _ amount: String = "12500") async throws {
        let answer = try await post(
            "/api/v1/payments/\(payment)/received/", ["amount": .string(amount), "reference": .string("R-\(payment)"), "method": "cash"],
            headers: ["idempotency-key": "receive-\(payment)"])
        guard answer.string("status") == "paid" else { throw FixtureError(answer.text) }
    }

    func newestPayment() async throws -> String? {
        try await database.read { try PaymentStore.list(limit: 1, in: $0).first?.id }
    }

    func attempts(of payment: String) async throws -> [PaymentAttempt] {
        try await database.read { try PaymentStore.attempts(of: payment, in: $0) }
    }
}

/// The wall clock, turned forward.
final class TurnedClock: Sendable {
    private let offset = Mutex<Int64>(0)
    var nowMs: Int64 { WallClock.nowMs + offset.withLock { $0 } }
    func turn(by ms: Int64) { offset.withLock { $0 += ms } }
}

/// The way to the providers, which can be cut or held up.
final class SwitchedTransport: ProviderTransport {
    enum Way: Sendable {
        case open
        /// Every call ends so.
        case failing(ProviderError)
        /// Calls reach the provider, but their answers are lost.
        case answersLost
        /// Calls wait until the way is another one.
        case held
    }

    private let inner: any ProviderTransport
    private let way = Mutex(Way.open)
    private let count = Mutex(0)

    /// How many calls were made.
    var calls: Int { count.withLock { $0 } }

    init(_ inner: any ProviderTransport) { self.inner = inner }

    func set(_ new: Way) { way.withLock { $0 = new } }

    func send(_ call: ProviderCall) async throws(ProviderError) -> ProviderAnswer {
        count.withLock { $0 += 1 }
        while case .held = way.withLock({ $0 }) {
            do { try await Task.sleep(for: .milliseconds(5)) } catch { throw ProviderError(.unavailable, "cancelled") }
        }
        switch way.withLock({ $0 }) {
        case .failing(let error): throw error
        case .answersLost:
            _ = try await inner.send(call)
            throw ProviderError(.unavailable, "timed out", code: "timeout")
        case .open, .held: return try await inner.send(call)
        }
    }
}

/// Does `payment.verify` jobs as soon as they are published, and keeps the others.
final class VerifyingPublisher: JobPublisher {
    private let verification = Mutex<PaymentVerification?>(nil)
    private let seen = Mutex<[JobEnvelope]>([])

    func serve(_ verification: PaymentVerification) { self.verification.withLock { $0 = verification } }

    func publish(_ items: [PublishItem], slot: String, queue: String) async throws {
        for item in items {
            let job = try JobEnvelope(decoding: item.body)
            seen.withLock { $0.append(job) }
            guard job.kind == VerifyPayment.kind, let verification = verification.withLock({ $0 }) else { continue }
            _ = try await verification.run(try job.parameters(as: VerifyPayment.self), job: job, nowMs: { WallClock.nowMs })
        }
    }
}
