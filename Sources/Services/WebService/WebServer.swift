import Cryptography
import Database
import Downloads
import DraftGeneration
import EventLoop
import Formats
import HTTPServer
import JobQueue
import JobQueueRedis
import ObjectStorage
import Outbox
import Payments
import PaymentsService
import PrivateFiles
import ProgramStart
import ProviderPort
import Scheduling
import Settings
import Telemetry
import WorkerService

/// Where the web listens and what it calls itself.
public struct WebConfiguration: Sendable {
    public var address: SocketAddress
    /// Our own address as browsers see it, without a slash at its end.
    public var baseURL: String
    /// Where providers send their notifications.
    public var ingestURL: String
    /// Sites besides ours and https ones that a pay button may lead to: the sandbox's.
    public var payOrigins: [String]
    /// Signs the links to payments and to teams' pages; without one there are none.
    public var secretKey: Secret?
    /// How much may be asked, by whom, and from which pages.
    public var api: APISettings
    /// Proxies whose word is taken for where a request comes from; those of this machine unless others are named.
    public var trustedProxies = ClientAddresses.loopback
    /// How many may watch payments at once.
    public var streams = StreamLimits()
    /// How many may follow a team's page.
    public var teamStreams = TeamStreamLimits()
    /// What the staff's console is told.
    public var console = ConsoleSettings()
    /// What a password's hash costs.
    public var passwordCost = PasswordHash.Cost.standard
    /// Where downloads come from; without one there are none.
    public var storage: (any ObjectStorage)?
    /// Bytes of all files that came with inquiries nobody has paid for; nil for any number.
    public var unpaidFilesMax: Int64?
    /// Where worker-drafts puts the drafts: always a folder of this installation.
    public var drafts: (any ObjectStorage)?
    /// Tries and keeps the templates of drafts; none can be installed without.
    public var templates: TemplateShelf?
    /// What the texts of a day may cost.
    public var drafting = DraftSettings()
    /// Event loops, where the server starts its own: files are sent by them.
    public var loops = 1
    /// How long and how often what staff publish may be downloaded.
    public var downloadTerms = DownloadTerms.standard

    public init(
        address: SocketAddress, baseURL: String, ingestURL: String, payOrigins: [String] = [], secretKey: Secret? = nil,
        api: APISettings = APISettings()
    ) {
        self.address = address
        self.baseURL = baseURL
        self.ingestURL = ingestURL
        self.payOrigins = payOrigins
        self.secretKey = secretKey
        self.api = api
    }

    public init(_ settings: Settings) {
        let sandboxes = settings.providers.values.filter { $0.mode == .sandbox }.compactMap(\.apiURL).map(CallerCheck.origin)
        self.init(
            address: settings.webAddress, baseURL: settings.baseURL, ingestURL: Product.ingestURL(settings),
            payOrigins: Set(sandboxes.filter { $0.hasPrefix("http://") }).sorted(),
            secretKey: settings.secretKey, api: settings.api)
        if !settings.trustedProxies.isEmpty { trustedProxies = settings.trustedProxies }
        console = settings.console
        drafting = settings.drafts
        unpaidFilesMax = settings.storage.unpaidMax
        downloadTerms = DownloadTerms(minutes: settings.storage.downloadMinutes, uses: settings.storage.downloadUses)
    }
}

/// The API, the checkout and the return pages.
public final class WebServer: Service {
    public let name = "web"
    private let server: HTTPServer
    private let site: Site

    /// - Parameters:
    ///   - relay: publishes the jobs that a call causes. It is started and stopped by the caller, before and after this server.
    ///   - transport: the way to the providers' APIs.
    ///   - cron: the entries that may be run over HTTP; without a table there are none.
    ///   - serverClock: by which they are due; `nowMs` unless given.
    ///   - queues: the Redis through which several processes count a caller's calls together; each counts alone without.
    ///   - loops: loops that already run; without them the server starts its own.
    public init(
        _ configuration: WebConfiguration, database: Database, relay: OutboxRelay, providers: ProviderRegistry,
        transport: any ProviderTransport, cron: CronTable? = nil, serverClock: ServerClock? = nil,
        queues: RedisQueues? = nil, loops: [EventLoop]? = nil, log: Log,
        nowMs: @escaping @Sendable () -> Int64 = { WallClock.nowMs }
    ) {
        let facts = PaymentFacts(purposes: Product.purposes, outbox: relay.outbox)
        let site = Site(
            configuration, database: database, events: PaymentEvents(facts: facts, providers: providers), transport: transport, cron: cron,
            dueNowMs: { if let serverClock { try await serverClock.nowMs() } else { nowMs() } },
            queues: queues, log: log, nowMs: nowMs)
        self.site = site
        let http = HTTPServerConfiguration(address: configuration.address, loops: configuration.loops, bodyLimit: { site.router.bodyLimit($0) })
        let uploads: HTTPServer.Streaming = { head in
            guard site.router.takesUpload(head) else { return nil }
            return UploadBody { body, responder in
                Task {
                    await site.respond(to: HTTPRequest(head: head, body: []), upload: body).give(to: responder)
                    body.letGo()
                }
            }
        }
        server = HTTPServer(configuration: http, loops: loops, name: "web", log: log, streaming: uploads) { request, responder in
            if let answer = site.respondAtOnce(to: request) { return responder.respond(answer) }
            Task { await site.respond(to: request).give(to: responder) }
        }
    }

    /// Calls to one provider at a time: each has a customer waiting for it.
    static let callsToProviderMax = 32

    /// The web of an installation.
    /// - Parameters:
    ///   - storage: where private files are.
    ///   - files: the folder of drafts.
    public convenience init(
        _ program: WorkerProgram, transport: any ProviderTransport, storage: any ObjectStorage, files: PrivateFiles
    ) throws {
        let entries = try SchedulerService.entries(settings: program.settings, relay: program.relay, database: program.database)
        var configuration = WebConfiguration(program.settings)
        configuration.storage = storage
        configuration.drafts = LocalStorage(files)
        configuration.templates = TemplateShelf(
            database: program.database, files: files,
            templates: DocumentTemplates(python: program.settings.docxPython, script: "deploy/docx/fill_template.py", processes: 1))
        configuration.loops = ProgramStart.loops
        self.init(
            configuration, database: program.database, relay: program.relay,
            providers: try Product.providers(
                program.settings, calls: program.outboundCalls(simultaneousMax: Self.callsToProviderMax), log: program.log),
            transport: transport,
            cron: CronTable(entries: entries, database: program.database, runner: "\(program.name).\(program.settings.slot)"),
            serverClock: SchedulerService.clock(program), queues: program.queues as? RedisQueues, log: program.log)
    }

    /// Where it listens, once started.
    public var boundAddress: SocketAddress { server.boundAddress }

    /// Every method and path it answers.
    var routes: [String] { site.router.routes.map { "\($0.method) \($0.pattern)" } }

    /// Those that take files.
    var uploadRoutes: [String] { site.router.routes.filter { $0.uploadLimit != nil }.map { "\($0.method) \($0.pattern)" } }

    /// Every method and path of the console.
    var consoleEntries: [ConsoleEntry] { site.console?.entries ?? [] }

    public func start() async throws { try await server.start() }
    public func stop(by deadline: ContinuousClock.Instant) async {
        await server.stop(by: deadline)
        site.close()
    }
}
