import Access
import CinetPay
import Database
import EventLoop
import FeexPay
import Formats
import HTTPClient
import HTTPServer
import ICount
import JobQueue
import KKiaPay
import Ledger
import Manual
import Money
import Notifications
import OrangeMoney
import Outbox
import PaymentBackend
import Payments
import PaymentsService
import ProviderPort
import SandboxService
import Scheduling
import Settings
import Telemetry
import TestSupport
import Testing
import Wave
import WebService

/// The web, the sandbox as every provider, a plain ingest that the sandbox posts to, and the jobs of payments, on real sockets.
final class ProvidersStage: Sendable {
    static let backendSecret = WebStage.webhookSecret

    let database: Database
    let transport: SwitchedTransport
    let ingest: PlainIngest
    let providers: ProviderRegistry
    let jobs: PaymentJobs
    private let key: String
    private let folder: TemporaryFolder
    private let loop: EventLoop
    private let client: HTTPClient
    private let sandbox: Sandbox
    private let door: HTTPServer
    private let web: WebServer
    private let relay: OutboxRelay
    private let facts: PaymentFacts
    private let clock: TurnedClock

    /// What the calls of a program pass.
    struct Guards: Sendable {
        let web: OutboundCalls
        let worker: OutboundCalls
    }

    /// - Parameters:
    ///   - guards: what calls to providers pass; nothing unless given.
    ///   - policy: what the posts of all sources are taken for; each adapter's own unless given.
    ///   - patience: how long a call to a provider may take.
    static func with(
        guards: Guards? = nil, policy: TrustPolicy? = nil, patience: Duration = .seconds(20), _ body: (ProvidersStage) async throws -> Void
    ) async throws {
        let stage = try await ProvidersStage(guards, policy, patience)
        do { try await body(stage) } catch {
            await stage.stop()
            throw error
        }
        await stage.stop()
    }

    private init(_ guards: Guards?, _ policy: TrustPolicy?, _ patience: Duration) async throws {
        folder = try TemporaryFolder("providers")
        loop = try EventLoop.started(name: "providers-stage")
        client = HTTPClient(loop: loop)
        database = try Database.open(.sqlite(path: folder.file("quittance.db")))
        _ = try database.migrate(Product.migrations)
        let clock = TurnedClock()
        self.clock = clock
        key = try await database.write { try APIKeys.create(name: "shop", scopes: WebStage.scopes, nowMs: clock.nowMs, in: $0).text }

        let ingest = PlainIngest(database: database, policy: policy, nowMs: { clock.nowMs })
        self.ingest = ingest
        door = HTTPServer(
            configuration: HTTPServerConfiguration(address: SocketAddress("127.0.0.1", 0)), loops: [loop], name: "plain ingest",
            handler: HTTPServer.asyncHandler { await ingest.take($0) })
        try await door.start()
        sandbox = Sandbox(configuration: Self.keys(ingestURL: "http://\(door.boundAddress)"), loop: loop)
        try await sandbox.start()
        let adapters = try Self.adapters("http://\(sandbox.boundAddress)")
        func registry(_ calls: OutboundCalls?) -> ProviderRegistry {
            ProviderRegistry(
                adapters.map { (calls?.guarding($0, callsPerSecond: nil) ?? $0, "sandbox") },
                policies: policy.map { policy in Dictionary(uniqueKeysWithValues: adapters.map { ($0.name, policy) }) } ?? [:])
        }
        providers = registry(guards?.web)
        let askable = registry(guards?.worker)

        transport = SwitchedTransport(CurlTransport(client, timeout: patience))
        jobs = PaymentJobs()
        relay = OutboxRelay(slot: "web.0", database: database, publisher: jobs, log: Log("relay"))
        facts = PaymentFacts(purposes: Product.purposes, outbox: relay.outbox)
        let events = PaymentEvents(facts: facts, providers: askable)
        jobs.serve(
            PaymentVerification(database: database, events: events, transport: transport),
            RefundSending(database: database, facts: facts, providers: askable, transport: transport),
            batches: BatchReconciliation(database: database, facts: facts, providers: askable, transport: transport),
            Effects(
                store: EffectTable(database: database), owners: TimedOwners(patience: .seconds(60), nowMs: { clock.nowMs }),
                clock: JobClock(now: { clock.nowMs }, sleep: JobClock.system.sleep), log: Log("effects")), nowMs: { clock.nowMs })
        ingest.open(events)
        web = WebServer(
            WebConfiguration(
                address: SocketAddress("127.0.0.1", 0), baseURL: WebStage.baseURL, ingestURL: "http://\(door.boundAddress)",
                payOrigins: ["http://\(sandbox.boundAddress)"], secretKey: Secret(WebStage.secret), api: WebStage.unlimited),
            database: database, relay: relay, providers: providers, transport: transport,
            cron: CronTable(entries: [], database: database, runner: "web.0"), loops: [loop], log: Log("web"), nowMs: { clock.nowMs })
        try await relay.start()
        try await web.start()
    }

    private static func keys(ingestURL: String) -> SandboxConfiguration {
        var keys = SandboxConfiguration(address: SocketAddress("127.0.0.1", 0), ingestURL: ingestURL)
        (keys.cinetPayAPIKey, keys.cinetPaySiteID, keys.cinetPaySecret) = ("key", "900417", "cinetpay-secret")
        (keys.backendAPIKey, keys.backendSecret) = ("bearer", backendSecret)
        keys.houses["kkiapay"] = HouseKeys(values: ["public_key": "pk", "private_key": "sk", "secret": "s"], secrets: ["kkiapay-secret"])
        keys.houses["feexpay"] = HouseKeys(values: ["api_key": "fp_key", "shop_id": "shop-1"], secrets: ["feexpay-secret"])
        keys.houses["orange-money"] = HouseKeys(
            values: ["client_id": "om-id", "client_secret": "om-secret", "merchant_key": "a86b2087"], secrets: ["om-webhook-secret"])
        keys.houses["wave"] = HouseKeys(values: ["api_key": "wave_sn_key"], secrets: ["wave_sn_WHS_secret"])
        keys.houses["icount"] = HouseKeys(values: ["api_token": "icount-token", "paypage_id": "30512"], secrets: ["icount-secret"])
        return keys
    }

    private static func adapters(_ played: String) throws -> [any PaymentProvider] {
        [
            CinetPayProvider(apiKey: "key", siteID: "900417", secrets: ["cinetpay-secret"], apiURL: "\(played)/cinetpay/v2"),
            try PaymentBackendProvider(baseURL: "\(played)/payment-backend", apiKey: "bearer", secrets: [backendSecret]),
            try KKiaPayProvider(
                publicKey: "pk", privateKey: "sk", secret: "s", webhookSecrets: ["kkiapay-secret"], apiURL: "\(played)/kkiapay"),
            try FeexPayProvider(apiKey: "fp_key", shopID: "shop-1", secrets: ["feexpay-secret"], apiURL: "\(played)/feexpay"),
            try OrangeMoneyProvider(
                clientID: "om-id", clientSecret: "om-secret", merchantKey: "a86b2087", secrets: ["om-webhook-secret"],
                apiURL: "\(played)/orange-money/orange-money-webpay/ci/v1"),
            WaveProvider(apiKey: "wave_sn_key", secrets: ["wave_sn_WHS_secret"], apiURL: "\(played)/wave"),
            try ICountProvider(
                apiToken: "icount-token", paypageID: "30512", secrets: ["icount-secret"], apiURL: "\(played)/icount/api/v3.php"),
            ManualProvider(account: "Quittance SARL, IBAN BJ66 0001"),
        ]
    }

    private func stop() async {
        let deadline = ContinuousClock.now.advanced(by: .seconds(2))
        await web.stop(by: deadline)
        await sandbox.stop(by: deadline)
        await door.stop(by: deadline)
        await relay.stop(by: deadline)
        await client.close()
        await database.close()
        await loop.end()
    }

    func capabilities(of column: ProviderColumn) throws -> ProviderCapabilities {
        try #require(providers.known(column.name)).capabilities
    }

    // MARK: The shop

    func post(_ path: String, _ json: JSON, key idempotency: String = ULID.make(nowMs: WallClock.nowMs)) async throws -> WebStage.Answer {
        let headers: HTTPHeaders = [
            "authorization": "Bearer \(key)", "content-type": "application/json", "idempotency-key": idempotency,
        ]
        let response = try await client.send(
            HTTPClient.Request(
                method: "POST", url: "http://\(web.boundAddress)\(path)", headers: headers, body: json.bytes, timeout: Duration.seconds(20).stretched)
        )
        return WebStage.Answer(status: response.status, headers: response.headers, body: response.body)
    }

    /// An order of another system's shop. - Returns: its payment.
    func order(_ column: ProviderColumn) async throws -> String {
        let order: JSON = [
            "order_id": .string(ULID.make(nowMs: WallClock.nowMs)), "description": "A pen", "amount": .string(column.amount),
            "currency": .string(column.currency),
            "customer": ["name": "Awa Diop", "email": "awa@example.org", "phone": "+2250707123456", "language": "fr"],
        ]
        let answer = try await post("/api/v1/payments/", order)
        guard let payment = answer.string("id") else { throw FixtureError(answer.text) }
        return payment
    }

    /// Asks for an attempt, or one more in place of those that wait.
    func tryStart(_ payment: String, _ column: ProviderColumn, again: Bool = false) async throws -> WebStage.Answer {
        var body = column.fields.map { ($0.key, JSON.string($0.value)) }
        if !again { body.append(("payment", .string(payment))) }
        return try await post("/api/v1/payments/\(column.name)/\(again ? "retry/\(payment)" : "initiate")/", .object(JSONObject(body)))
    }

    /// Starts an attempt, or one more in place of those that wait.
    func start(_ payment: String, _ column: ProviderColumn, again: Bool = false) async throws -> PaymentAttempt {
        let answer = try await tryStart(payment, column, again: again)
        guard answer.status == 201, let id = answer.string("attempt") else { throw FixtureError("\(answer.status) \(answer.text)") }
        return try await database.read { try PaymentStore.requireAttempt(id, in: $0) }
    }

    // MARK: The customer

    /// What the customer does about an attempt, and the scene it is played in.
    func play(_ action: String, _ attempt: PaymentAttempt, _ column: ProviderColumn, steps: [String] = []) async throws {
        let scene = JSON.array(steps.map { .string($0) })
        switch column.counter {
        case .page:
            if !steps.isEmpty { try await sandbox("/sandbox/scenario", ["reference": .string(attempt.id), "steps": scene]) }
            try await sandbox("/sandbox/\(action)", ["reference": .string(attempt.id)])
        case .widget:
            if !steps.isEmpty { try await sandbox("/sandbox/scenario", ["next": true, "steps": scene]) }
            let told = try #require(attempt.step).fields.merging(["action": action, "phone": "22966123456"]) { $1 }
            try await sandbox("/kkiapay/widget", .object(JSONObject(told.sorted { $0.key < $1.key }.map { ($0.key, JSON.string($0.value)) })))
        case .staff:
            let receipt: JSON = [
                "amount": .string(steps.contains("wrong_amount") ? "4995" : column.amount), "reference": .string("BOA-\(attempt.id)"),
                "method": "bank_transfer",
            ]
            let answer = try await post("/api/v1/payments/\(attempt.payment)/received/", receipt, key: "received-\(attempt.id)")
            guard answer.status == 201 else { throw FixtureError(answer.text) }
        }
    }

    /// A call to the sandbox's controls, or to its widget.
    func sandbox(_ path: String, _ json: JSON) async throws {
        let answer = try await client.send(
            HTTPClient.Request(
                method: "POST", url: "http://\(sandbox.boundAddress)\(path)", headers: ["content-type": "application/json"], body: json.bytes,
                timeout: .seconds(20)))
        guard answer.status == 200 else { throw FixtureError("\(path): \(answer.status) \(String(decoding: answer.body, as: UTF8.self))") }
    }

    // MARK: Posts

    /// Waits for the provider's posts, as many as there must be at least.
    func posts(_ count: Int) async throws -> [PlainIngest.Post] {
        try await eventually("\(count) posts") { ingest.posts.count >= count }
        return ingest.posts
    }

    /// An order with an attempt that the provider has told of, and that post, which did not get to ingest.
    /// - Parameter steps: what is out of the ordinary, as in ``play(_:_:_:steps:)``.
    func told(_ column: ProviderColumn, steps: [String] = []) async throws -> (payment: String, post: PlainIngest.Post) {
        let payment = try await order(column)
        return (payment, try await told(of: try await start(payment, column), column, steps: steps))
    }

    /// Has an attempt paid. - Returns: the provider's post of it, which did not get to ingest.
    func told(of attempt: PaymentAttempt, _ column: ProviderColumn, steps: [String] = []) async throws -> PlainIngest.Post {
        ingest.hold(true)
        defer { ingest.hold(false) }
        try await play("pay", attempt, column, steps: steps)
        guard let post = try await posts(1).last else { throw FixtureError("no post of \(attempt.id)") }
        return post
    }

    /// Posts to ingest what was posted before, or something like it. - Returns: the answer's status.
    func again(_ post: PlainIngest.Post) async throws -> Int {
        var headers = post.headers
        for name in ["host", "content-length", "connection", "transfer-encoding", "accept-encoding", "expect"] { headers[name] = nil }
        headers[PlainIngest.againHeader] = "1"
        let url = "http://\(door.boundAddress)\(post.target)"
        return try await client.send(HTTPClient.Request(method: post.method, url: url, headers: headers, body: post.body)).status
    }

    // MARK: Time

    func turnClock(by ms: Int64) { clock.turn(by: ms) }

    /// A run of the reconciliation over everything that waits.
    func reconcile() async throws {
        let now = clock.nowMs
        let cause = ULID.make(nowMs: now)
        try await database.write { [facts, providers] connection in
            let reconciliation = Reconciliation(facts: facts, providers: providers)
            let findings = try reconciliation.findings(minimumAgeMs: 0, onlyDue: false, nowMs: now, limit: 100, in: connection)
            _ = try reconciliation.carryOut(findings, cause: cause, nowMs: now, in: connection)
        }
    }

    // MARK: Where a payment stands

    /// Everything of a payment that a message could change.
    struct Standing: Sendable, Equatable {
        let state: String
        /// Kinds of the jobs that the purpose asked for.
        let work: [String]
        /// `debit credit amount` of each entry.
        let ledger: [String]
        let tasks: [String]
        let facts: Int64
    }

    func standing(of payment: String) async throws -> Standing {
        try await database.read { connection in
            Standing(
                state: try PaymentStore.require(payment, in: connection).state.rawValue,
                work: try JobRecord.of(payment: payment, in: connection).map(\.kind)
                    .filter { $0 != VerifyPayment.kind && $0 != RefundPayment.kind }.sorted(),
                ledger: try Ledger.entries(of: payment, in: connection).map { "\($0.debit.code) \($0.credit.code) \($0.amount.minorUnits)" },
                tasks: try PaymentTask.open(of: payment, in: connection).map(\.kind),
                facts: try connection.first("SELECT COUNT(*) AS n FROM payments_facts WHERE payment = $1", [.text(payment)])?.int("n") ?? 0)
        }
    }

    /// How many mails were asked for; that of a refund names no payment.
    func mails() async throws -> Int64 {
        try await database.read { connection in
            try connection.first("SELECT COUNT(*) AS n FROM outbox_jobs WHERE kind = $1", [.text(SendNotification.kind)])?.int("n") ?? 0
        }
    }

    /// Waits until the payment is in a state; jobs that must be tried again are.
    func becomes(_ state: String, _ payment: String) async throws {
        do {
            try await eventually("\(payment) is \(state)") {
                await jobs.tryAgain()
                return try await standing(of: payment).state == state
            }
        } catch {
            throw FixtureError("\(error): \(try await standing(of: payment)); \(jobs.troubles)")
        }
    }

    /// The work of a shop's order that is paid.
    static let work = ["invoice.create", "notification.send"]

    /// Waits until the order is paid, and looks whether it was once.
    func expectPaidOnce(_ payment: String, _ column: ProviderColumn) async throws {
        try await becomes("paid", payment)
        let standing = try await standing(of: payment)
        #expect(standing.work == Self.work)
        #expect(standing.ledger == ["provider:\(column.name) sales:order \(column.amount.filter(\.isNumber))"])
        #expect(standing.tasks.isEmpty)
    }

    /// Waits until every job of payments that was asked for is done, or given up.
    func settles() async throws {
        try await eventually("the jobs of payments are over") {
            await jobs.tryAgain()
            return try await asked() == jobs.over
        }
    }

    /// Waits until every job of payments was tried: done, given up, or waiting to be tried again.
    func askedOnce() async throws {
        try await eventually("the jobs of payments were tried") { try await asked() == jobs.tried }
    }

    private func asked() async throws -> Int64 {
        try await database.read { connection in
            try connection.first(
                "SELECT COUNT(*) AS n FROM outbox_jobs WHERE kind IN ($1, $2, $3)",
                [.text(VerifyPayment.kind), .text(RefundPayment.kind), .text(ReconcileBatch.kind)]
            )?.int("n") ?? 0
        }
    }

    /// A body in which every name of one attempt and its payment is another's.
    func renamed(_ body: [UInt8], from mine: PaymentAttempt, to yours: PaymentAttempt) async throws -> [UInt8] {
        let (old, new) = try await database.read { connection in
            (try PaymentStore.references(of: mine.id, in: connection), try PaymentStore.references(of: yours.id, in: connection))
        }
        var text = String(decoding: body, as: UTF8.self).replacing(mine.id, with: yours.id).replacing(mine.payment, with: yours.payment)
        for reference in old {
            guard let other = new.first(where: { $0.kind == reference.kind }) else { continue }
            text = text.replacing(reference.value, with: other.value)
        }
        return Array(text.utf8)
    }
}
