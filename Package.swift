// swift-tools-version: 6.2
import PackageDescription

/// Settings of every Swift target: the strictest mode that the toolchain offers without unsafe flags.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

func shim(_ name: String, pkgConfig: String? = nil) -> Target {
    .systemLibrary(name: name, path: "Sources/Shims/\(name)", pkgConfig: pkgConfig)
}

func room(
    _ folder: String, _ name: String, _ dependencies: [String] = [], resources: [Resource]? = nil, settings: [SwiftSetting] = []
) -> Target {
    .target(
        name: name, dependencies: dependencies.map { .byName(name: $0) }, path: "Sources/\(folder)/\(name)",
        resources: resources, swiftSettings: strict + settings)
}

func program(_ name: String, _ dependencies: [String]) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies.map { .byName(name: $0) }, path: "Sources/Programs/\(name)", swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [String]) -> Target {
    .testTarget(
        name: name, dependencies: (dependencies + ["TestSupport"]).map { .byName(name: $0) }, path: "Tests/\(name)",
        swiftSettings: strict)
}

// Rooms in import order: a target may only depend on targets above it. `Tests/ArchitectureTests` enforces the same for imports.
let shims: [Target] = [
    shim("CEvent", pkgConfig: "libevent"),
    shim("CHTTPParser"),
    shim("CHiredis"),
    shim("CSQLite", pkgConfig: "sqlite3"),
    shim("CCurl", pkgConfig: "libcurl"),
    shim("CCrypto", pkgConfig: "libcrypto"),
    shim("CPango", pkgConfig: "pangocairo"),
    shim("CQREncode", pkgConfig: "libqrencode"),
    shim("CPNG", pkgConfig: "libpng"),
]

let platform: [Target] = [
    room("Platform", "Formats"),
    room("Platform", "Telemetry", ["Formats"]),
    room("Platform", "Settings", ["Formats"]),
    room("Platform", "Cryptography", ["CCrypto", "Formats"]),
    room("Platform", "EventLoop", ["CEvent", "Telemetry"]),
    room("Platform", "HTTPServer", ["CEvent", "CHTTPParser", "EventLoop", "Formats", "Telemetry"]),
    room("Platform", "HTTPClient", ["CCurl", "CEvent", "EventLoop", "Formats", "Telemetry"]),
    room("Platform", "ErrorReports", ["HTTPClient", "EventLoop", "Formats", "Telemetry"]),
    room("Platform", "RedisClient", ["CHiredis", "CEvent", "EventLoop", "Formats", "Telemetry"]),
    room("Platform", "Database", ["CSQLite", "EventLoop", "Formats", "Telemetry"]),
    room("Platform", "PrivateFiles", ["Cryptography", "EventLoop", "Formats"]),
    room("Platform", "ObjectStorage", ["PrivateFiles", "HTTPClient", "Cryptography", "Settings", "EventLoop", "Formats"]),
    room("Platform", "DiskUsage", ["EventLoop", "Formats"]),
    room("Platform", "Subprocess", ["EventLoop", "Formats"]),
    room("Platform", "Typesetting", ["CPango", "Formats"]),
    room("Platform", "QRCodes", ["CQREncode", "CPNG"]),
]

let jobQueue: [Target] = [
    // Asynchronous functions stay where their caller runs: a job passes through several, and each change of place costs as much as an
    // allocation.
    room(
        "JobQueue", "JobQueue", ["Formats", "Telemetry", "EventLoop"], settings: [.enableUpcomingFeature("NonisolatedNonsendingByDefault")]),
    room("JobQueue", "JobQueueRedis", ["JobQueue", "RedisClient", "EventLoop", "Formats", "Telemetry"], resources: [.embedInCode("Scripts")]),
    room("JobQueue", "JobQueueTestKit", ["JobQueue"]),
]

let domain: [Target] = [
    room("Domain", "Money", ["Formats"]),
    room("Providers", "ProviderPort", ["Money", "Formats", "Cryptography"]),
    room("Providers", "MessagePort", ["ProviderPort", "Formats", "Cryptography"]),
    room("Domain", "Outbox", ["Database", "JobQueue", "Formats", "Telemetry", "EventLoop"], resources: [.embedInCode("Migrations")]),
    room("Domain", "Ledger", ["Database", "Money", "Formats"], resources: [.embedInCode("Migrations")]),
    room("Domain", "Access", ["Database", "Cryptography", "Formats"], resources: [.embedInCode("Migrations")]),
    room("Domain", "Teams", ["Database", "Formats"], resources: [.embedInCode("Migrations")]),
    room("Domain", "UsageSamples", ["Formats"]),
    room(
        "Domain", "Payments", ["Ledger", "Outbox", "ProviderPort", "Money", "Database", "JobQueue", "Formats", "Telemetry"],
        resources: [.embedInCode("Migrations")]),
    room("Domain", "Downloads", ["Access", "Payments", "Database", "Cryptography", "Formats"], resources: [.embedInCode("Migrations")]),
    room(
        "Domain", "Notifications",
        ["Payments", "MessagePort", "ProviderPort", "Outbox", "Money", "Database", "JobQueue", "Cryptography", "Formats", "Telemetry"],
        resources: [.embedInCode("Migrations")]),
    room(
        "Domain", "NotificationDelivery",
        [
            "Notifications", "Payments", "MessagePort", "ProviderPort", "Outbox", "HTTPClient", "PrivateFiles", "Database", "JobQueue", "Formats",
            "Telemetry",
        ]),
    room(
        "Domain", "Drafts",
        [
            "Notifications", "Payments", "Outbox", "ProviderPort", "Money", "ObjectStorage", "Cryptography", "Database", "JobQueue", "Formats",
            "Telemetry",
        ],
        resources: [.embedInCode("Migrations")]),
    room(
        "Domain", "DraftGeneration",
        [
            "Drafts", "Notifications", "Payments", "Outbox", "HTTPClient", "PrivateFiles", "Subprocess", "EventLoop", "Cryptography", "Database",
            "JobQueue", "Formats", "Telemetry",
        ]),
    room(
        "Domain", "Publication", ["Drafts", "Downloads", "NotificationDelivery", "Payments", "Outbox", "Database", "JobQueue", "Formats"]),
    room(
        "Domain", "Plans", ["Teams", "Notifications", "Payments", "Outbox", "Money", "Database", "JobQueue", "Formats", "Telemetry"],
        resources: [.embedInCode("Migrations")]),
    room(
        "Domain", "Invoicing",
        [
            "Notifications", "Payments", "ProviderPort", "Outbox", "PrivateFiles", "EventLoop", "Money", "Database", "JobQueue", "Formats",
            "Telemetry",
            "Cryptography",
        ], resources: [.embedInCode("Migrations")]),
    room("Domain", "InvoiceDocuments", ["Invoicing", "Typesetting", "Money", "Formats"]),
    room(
        "Domain", "Usage",
        ["UsageSamples", "Teams", "Plans", "Notifications", "Outbox", "Money", "Database", "JobQueue", "Formats", "Telemetry"],
        resources: [.embedInCode("Migrations")]),
    room(
        "Domain", "StorageMetering",
        ["Usage", "Teams", "Outbox", "HTTPClient", "DiskUsage", "EventLoop", "Database", "JobQueue", "Formats", "Telemetry"]),
    room(
        "Domain", "Scheduling", ["Payments", "Outbox", "Database", "JobQueue", "Formats", "Telemetry"], resources: [.embedInCode("Migrations")]),
    room(
        "Domain", "Staff", ["Access", "Payments", "Money", "Cryptography", "EventLoop", "Database", "Formats"],
        resources: [.embedInCode("Migrations")]),
]

/// One room per provider.
let providerRooms = [
    "CinetPay",
    "FeexPay",
    "ICount",
    "KKiaPay",
    "Manual",
    "OrangeMoney",
    "PaymentBackend",
    "StandardWebhooks",
    "Wave",
]

let providers: [Target] = [
    room("Providers", "StandardWebhooks", ["ProviderPort", "Money", "Formats", "Cryptography"]),
    room("Providers", "PaymentBackend", ["StandardWebhooks", "ProviderPort", "Money", "Formats", "Cryptography"]),
    room("Providers", "Manual", ["ProviderPort", "Money", "Formats"]),
    room("Providers", "CinetPay", ["ProviderPort", "Money", "Formats", "Cryptography"]),
    room("Providers", "FeexPay", ["ProviderPort", "Money", "Formats", "Cryptography"]),
    room("Providers", "KKiaPay", ["ProviderPort", "Money", "Formats", "Cryptography"]),
    room("Providers", "OrangeMoney", ["ProviderPort", "Money", "Formats"]),
    room("Providers", "Wave", ["ProviderPort", "Money", "Formats", "Cryptography"]),
    room("Providers", "ICount", ["ProviderPort", "Money", "Formats", "Cryptography"]),
    room("Providers", "ProviderCatalog", providerRooms + ["ProviderPort", "Settings", "Formats"]),
]

/// One room per carrier of messages that is no mail server.
let carrierRooms = ["AfricasTalking", "OrangeSMS", "WhatsAppCloud"]

let carriers: [Target] = [
    room("Providers", "AfricasTalking", ["MessagePort", "ProviderPort", "Formats"]),
    room("Providers", "OrangeSMS", ["MessagePort", "ProviderPort", "Formats"]),
    room("Providers", "WhatsAppCloud", ["MessagePort", "ProviderPort", "Formats", "Cryptography"]),
    room("Providers", "MessageCatalog", carrierRooms + ["MessagePort", "ProviderPort", "Settings", "Formats"]),
]

let adapters = providerRooms + ["ProviderCatalog"]
let everyRoom = [
    "Payments", "Downloads", "Ledger", "Access", "Outbox", "Notifications", "Drafts", "Publication", "Plans", "Teams", "UsageSamples", "Usage",
    "Invoicing", "Scheduling", "Staff", "Money", "ProviderPort", "JobQueue", "Database", "Formats", "Telemetry", "Settings", "EventLoop",
    "Cryptography",
]

let services: [Target] = [
    room("Services", "ProgramStart", ["ErrorReports", "Settings", "Telemetry", "EventLoop"], resources: [.embedInCode("VERSION")]),
    room(
        "Services", "IngestService",
        [
            "ErrorReports", "UsageSamples", "ProviderPort", "MessagePort", "MessageCatalog", "JobQueue", "JobQueueRedis", "HTTPServer",
            "RedisClient", "Cryptography", "EventLoop", "Settings", "Telemetry", "Formats",
        ] + adapters),
    room(
        "Services", "WorkerService",
        [
            "ErrorReports", "ProviderPort", "Payments", "Outbox", "JobQueue", "JobQueueRedis", "RedisClient", "Database", "HTTPServer", "EventLoop",
            "Settings", "Telemetry", "Formats", "ProgramStart",
        ]),
    room(
        "Services", "PaymentsService",
        [
            "ErrorReports", "WorkerService", "Scheduling", "Staff", "Usage", "Teams", "Drafts", "Publication", "Plans", "Invoicing", "Notifications",
            "Downloads", "Payments", "Access", "Ledger", "Outbox", "HTTPClient", "Subprocess", "Database", "JobQueue", "EventLoop", "Settings",
            "Telemetry", "Formats", "ProviderPort", "Money",
        ] + adapters),
    room(
        "Services", "UsageService",
        [
            "WorkerService", "StorageMetering", "Usage", "UsageSamples", "Teams", "Plans", "Notifications", "Payments", "Outbox", "HTTPClient",
            "DiskUsage", "Database", "JobQueue", "EventLoop", "Settings", "Telemetry", "Formats",
        ]),
    room(
        "Services", "CollectorService",
        ["UsageSamples", "HTTPServer", "HTTPClient", "Cryptography", "EventLoop", "Settings", "Telemetry", "Formats"]),
    // What the command line and the console do alike.
    room("Services", "Operating", everyRoom + ["PaymentsService", "MessagePort", "RedisClient", "JobQueueRedis"]),
    room(
        "Services", "NotificationsService",
        [
            "WorkerService", "MessageCatalog", "MessagePort", "ProviderPort", "NotificationDelivery", "Teams", "Plans", "Notifications", "Payments",
            "Access", "Outbox", "HTTPClient", "PrivateFiles", "Database", "JobQueue", "EventLoop", "Settings", "Telemetry", "Formats",
        ]),
    room(
        "Services", "WebService",
        everyRoom + adapters + [
            "Operating", "MessagePort", "ErrorReports", "PaymentsService", "ProgramStart", "WorkerService", "HTTPServer", "HTTPClient",
            "PrivateFiles", "ObjectStorage", "DraftGeneration",
            "QRCodes", "RedisClient", "JobQueueRedis",
        ]),
    room(
        "Services", "SandboxService",
        ["HTTPServer", "HTTPClient", "EventLoop", "Cryptography", "Settings", "Telemetry", "Formats", "StandardWebhooks"]),
    room(
        "Services", "OperatorCommands",
        everyRoom + adapters + [
            "Operating",
            "PaymentsService", "ProgramStart", "IngestService", "WorkerService", "HTTPClient", "RedisClient", "JobQueueRedis", "PrivateFiles",
            "MessagePort", "MessageCatalog", "DraftGeneration", "ObjectStorage",
        ]),
    room(
        "Services", "Benchmarks",
        [
            "PaymentsService", "UsageService", "DraftGeneration", "Drafts", "InvoiceDocuments", "Invoicing", "StorageMetering", "Usage",
            "UsageSamples", "Teams", "Plans", "Outbox", "Access", "Downloads", "Payments", "Staff", "ProviderPort", "StandardWebhooks", "Money",
            "Database",
            "JobQueue", "JobQueueRedis", "RedisClient", "HTTPClient", "HTTPServer", "ObjectStorage", "PrivateFiles", "Cryptography",
            "Subprocess", "EventLoop", "Telemetry", "Formats",
        ]),
    room(
        "Services", "Chaos",
        [
            "WorkerService", "Outbox", "ProviderPort", "StandardWebhooks", "Database", "JobQueue", "RedisClient", "Subprocess", "EventLoop",
            "Settings", "Telemetry", "Formats",
        ]),
]

let programs: [Target] = [
    program("ingest", ["IngestService", "ProgramStart", "ProviderCatalog", "ProviderPort", "Settings", "Telemetry"]),
    program("worker-payments", ["PaymentsService", "WorkerService", "ProgramStart"]),
    program(
        "worker-drafts",
        [
            "WorkerService", "DraftGeneration", "Drafts", "HTTPClient", "ObjectStorage", "PrivateFiles", "EventLoop", "Formats", "JobQueue", "Outbox",
            "Payments", "Settings",
        ]),
    program("worker-plans", ["WorkerService", "Teams", "Plans", "Notifications", "Outbox", "Payments", "JobQueue"]),
    program(
        "worker-invoices",
        ["WorkerService", "InvoiceDocuments", "Invoicing", "PrivateFiles", "EventLoop", "JobQueue", "Outbox", "Payments", "Settings"]),
    program(
        "worker-notifications", ["NotificationsService", "Publication", "Downloads", "WorkerService", "ProgramStart", "Settings"]),
    program("worker-usage", ["UsageService", "WorkerService", "ProgramStart"]),
    program("quittance-collector", ["CollectorService", "ProgramStart", "EventLoop", "Settings", "Telemetry"]),
    program("scheduler", ["PaymentsService", "WorkerService", "ProgramStart"]),
    program(
        "web",
        [
            "WebService", "WorkerService", "PaymentsService", "HTTPClient", "ObjectStorage", "PrivateFiles", "EventLoop", "Settings", "ProgramStart",
        ]),
    program("sandbox", ["SandboxService", "ProgramStart", "EventLoop", "Telemetry"]),
    program("quittance", ["OperatorCommands"]),
    program("bench", ["Benchmarks"]),
    program("chaos", ["Chaos"]),
]

/// Small programs that show how the library is used; compiled with everything else, so that they stay true.
let examples: [Target] = [
    .executableTarget(
        name: "example-email", dependencies: ["JobQueue", "JobQueueRedis", "EventLoop", "Formats", "Telemetry"], path: "Examples/email",
        swiftSettings: strict)
]

let testTargets: [Target] = [
    .target(
        name: "TestSupport", dependencies: ["EventLoop", "Formats", "HTTPClient", "Subprocess"], path: "Tests/TestSupport", swiftSettings: strict),
    .systemLibrary(name: "CFuzzer", path: "Tests/CFuzzer"),
    .executableTarget(
        name: "fuzz",
        dependencies: [
            "CFuzzer", "StandardWebhooks", "PaymentBackend", "CinetPay", "FeexPay", "KKiaPay", "OrangeMoney", "Wave", "ICount", "ProviderPort",
            "HTTPServer", "EventLoop", "JobQueue", "UsageSamples", "Cryptography", "Money", "Formats",
        ],
        path: "Tests/Fuzz", swiftSettings: strict),
    .executableTarget(name: "torture-writer", dependencies: ["Database", "Formats"], path: "Tests/TortureWriter", swiftSettings: strict),
    .executableTarget(
        name: "cron-runner",
        dependencies: [
            "JobQueue", "JobQueueRedis", "RedisClient", "EventLoop", "Formats", "Database", "Scheduling", "Outbox", "PaymentsService",
            "WorkerService",
        ],
        path: "Tests/CronRunner", swiftSettings: strict),
    tests("ArchitectureTests", ["Formats"]),
    tests(
        "PlatformTests",
        [
            "Formats", "Telemetry", "Settings", "Cryptography", "EventLoop", "PrivateFiles", "ObjectStorage", "HTTPClient", "DiskUsage", "QRCodes",
            "Subprocess", "Typesetting",
        ]),
    tests("HTTPTests", ["HTTPServer", "HTTPClient", "EventLoop", "Formats", "Telemetry"]),
    tests("RedisClientTests", ["RedisClient", "EventLoop", "Formats"]),
    tests("DatabaseTests", ["Database", "Formats"]),
    tests("JobQueueTests", ["JobQueue", "JobQueueTestKit", "JobQueueRedis", "RedisClient", "EventLoop", "Formats"]),
    tests("PaymentsTests", ["Payments", "Ledger", "Outbox", "Money", "ProviderPort", "Database", "JobQueue", "Formats"]),
    tests(
        "ProviderTests",
        providerRooms + [
            "ProviderPort", "Money", "Formats", "Cryptography", "SandboxService", "HTTPServer", "HTTPClient", "EventLoop",
        ]),
    tests(
        "DomainTests",
        everyRoom + carrierRooms + [
            "DraftGeneration", "InvoiceDocuments", "NotificationDelivery", "PrivateFiles", "ObjectStorage", "HTTPClient", "HTTPServer", "RedisClient",
            "JobQueueRedis", "JobQueueTestKit", "SandboxService", "Subprocess", "Typesetting", "MessagePort", "MessageCatalog",
            "NotificationsService", "IngestService", "WorkerService",
        ]),
    tests(
        "UsageTests",
        everyRoom + ["StorageMetering", "DiskUsage", "UsageService", "WorkerService", "RedisClient", "JobQueueRedis", "HTTPClient", "HTTPServer"]),
    tests(
        "CollectorTests",
        ["CollectorService", "UsageSamples", "HTTPServer", "HTTPClient", "Cryptography", "EventLoop", "Settings", "Telemetry", "Formats"]),
    tests(
        "ServiceTests",
        everyRoom + adapters + [
            "IngestService", "WorkerService", "PaymentsService", "UsageService", "Operating", "WebService", "SandboxService", "OperatorCommands",
            "Benchmarks", "DraftGeneration",
            "ErrorReports", "ProgramStart", "HTTPServer", "HTTPClient", "RedisClient", "JobQueueRedis", "ObjectStorage", "PrivateFiles",
        ]),
    tests(
        "EndToEndTests",
        [
            "Chaos", "StandardWebhooks", "Staff", "HTTPServer", "HTTPClient", "RedisClient", "Database", "EventLoop", "Formats", "Cryptography",
        ]),
]

let package = Package(
    name: "quittance",
    products: [
        .library(name: "JobQueue", targets: ["JobQueue"]),
        .library(name: "JobQueueRedis", targets: ["JobQueueRedis"]),
        .library(name: "JobQueueTestKit", targets: ["JobQueueTestKit"]),
    ],
    targets: shims + platform + jobQueue + domain + providers + carriers + services + programs + examples + testTargets
)
