import Testing

/// Money and messages go outside as effects only: the intent is written before the call, so that no crash makes two of one.
@Suite("Calls to the outside")
struct OutsideCallTests {
    /// Files above Platform that hold the means of a call, each with why that is right. A new one has to be thought about, and entered.
    private static let callers: [String: String] = [
        "Sources/Domain/NotificationDelivery/MailCarrier.swift": "mails: makes the call that NotificationSending has as an effect",
        "Sources/Services/NotificationsService/MessageTransport.swift": "carries the carriers' calls",
        "Sources/Services/NotificationsService/NotificationsWorker.swift": "makes the clients of mails and messages",
        "Sources/Domain/DraftGeneration/TextGeneration.swift": "paid texts: makes the call that DraftMaking has as an effect",
        "Sources/Domain/StorageMetering/DockerEngine.swift": "asks Docker how much is stored",
        "Sources/Domain/StorageMetering/DockerEngineError.swift": "words for its errors",
        "Sources/Domain/StorageMetering/StorageMeasuring.swift": "asks Docker how much is stored",
        "Sources/Services/PaymentsService/CurlTransport.swift": "carries the adapters' calls",
        "Sources/Services/PaymentsService/PaymentsWorker.swift": "makes the transport; payment.verify asks only",
        "Sources/Services/CollectorService/Collector.swift": "makes the client that posts samples to ingest",
        "Sources/Services/CollectorService/IngestPost.swift": "posts samples to ingest, where a batch counts once by its name",
        "Sources/Services/UsageService/UsageWorker.swift": "makes the client that asks Docker",
        "Sources/Services/OperatorCommands/Commands/KitFileCommands.swift": "reaches the storage of finals",
        "Sources/Services/OperatorCommands/Doctor/MailChecks.swift": "greets the mail server",
        "Sources/Services/OperatorCommands/Doctor/UsageChecks.swift": "asks Docker whether it is there",
        "Sources/Programs/web/main.swift": "makes the transport", "Sources/Programs/worker-drafts/main.swift": "makes the client of texts",
    ]
    /// The providers and the world played, loads and faults measured: nothing there is anybody's money.
    private static let played = ["Sources/Platform/", "Sources/Services/SandboxService/", "Sources/Services/Benchmarks/", "Sources/Services/Chaos/"]
    /// Calls that have an effect outside, and where they may be made without being one: in the adapters themselves.
    private static let effects = [".initiate(", "carrier.send(", "generation.generate("]
    private static let adapters = "Sources/Providers/"
    /// Carriers of messages call by themselves, whoever has that as an effect.
    private static let carriers = ["Sources/Domain/NotificationDelivery/MailCarrier.swift"]

    private static func sources() throws -> [String] {
        try SourceTree.files(below: "Sources", ending: ".swift").filter { path in !played.contains { path.hasPrefix($0) } }
    }

    @Test("only files that are known to call the outside have the means to")
    func callersAreKnown() throws {
        var seen: Set<String> = []
        for path in try Self.sources() where try Rooms.imports(of: path).contains(where: { $0.module == "HTTPClient" }) {
            seen.insert(path)
            #expect(Self.callers[path] != nil, "\(path) imports HTTPClient: is what it calls an effect?")
        }
        #expect(seen == Set(Self.callers.keys), "no longer there: \(Set(Self.callers.keys).subtracting(seen))")
    }

    @Test("no program is started that could call for us: one fills documents, one is ours and makes backups")
    func noOtherWay() throws {
        let known: Set = ["Sources/Domain/DraftGeneration/DocumentTemplates.swift", "Sources/Services/PaymentsService/DailyBackup.swift"]
        let starting = try Self.sources().filter { path in
            let text = try SourceTree.text(path)
            return text.contains("Subprocess.run(") || text.contains("ServingProcess(")
        }
        #expect(Set(starting) == known)
    }

    @Test("a payment is started, a mail sent and a text paid for inside an effect")
    func callsAreEffects() throws {
        var count = 0
        for path in try Self.sources() where !path.hasPrefix(Self.adapters) {
            let text = try SourceTree.text(path)
            for call in Self.effects {
                for place in Self.places(of: call, in: text) {
                    count += 1
                    #expect(Self.isInEffect(text, place), "\(path): '\(call)…' is no effect: its intent must be recorded before it")
                }
            }
        }
        #expect(count == 3)
    }

    @Test("mails are sent by their carrier alone, and every carrier's call is made in one place")
    func carriersCallOnce() throws {
        var places: [String] = []
        for path in try Self.sources() {
            let text = try SourceTree.text(path)
            if !Self.places(of: "smtp.send(", in: text).isEmpty { #expect(Self.carriers.contains(path), "\(path) sends a mail past its carrier") }
            if !Self.places(of: "carrier.send(", in: text).isEmpty { places.append(path) }
        }
        #expect(places == ["Sources/Domain/NotificationDelivery/NotificationSending.swift"])
    }

    @Test("adapters' calls are made by adapters only, over the transport that they are given")
    func transportIsForAdapters() throws {
        for path in try Self.sources() where !path.hasPrefix(Self.adapters) {
            let text = try SourceTree.text(path)
            #expect(!text.contains("transport.send("), "\(path) calls a provider past its adapter")
            #expect(!text.contains("ProviderCall("), "\(path) makes a provider's call")
        }
    }

    @Test(
        "a call outside an effect is found",
        arguments: [
            ("func a() {\n    try await context.effect(\"mail\", key: k, policy: .ask) { _ in\n        try await smtp.send(m)\n    }\n}", true),
            ("func a() {\n    try await effects.run(\"mail\", key: k) { _ in try await pass { try await smtp.send(m) } }\n}", true),
            ("func a() {\n    try await context.effect(\"mail\", key: k) { _ in }\n    try await smtp.send(m)\n}", false),
            ("func a() {\n    try await smtp.send(m)\n}", false),
        ])
    func found(text: String, isEffect: Bool) throws {
        let place = try #require(Self.places(of: "smtp.send(", in: text).first)
        #expect(Self.isInEffect(text, place) == isEffect)
    }

    private static func places(of call: String, in text: String) -> [String.Index] {
        text.ranges(of: call).map(\.lowerBound).filter { place in
            // A declaration is no call, and a comment neither.
            let line = text[..<place].split(separator: "\n", omittingEmptySubsequences: false).last ?? ""
            return !line.contains("func ") && !line.contains("//")
        }
    }

    /// Whether one of the braces around `place` belongs to a call of `effect` or `effects.run`.
    private static func isInEffect(_ text: String, _ place: String.Index) -> Bool {
        var open: [String.Index] = []
        for index in text[..<place].indices {
            if text[index] == "{" { open.append(index) }
            if text[index] == "}" { _ = open.popLast() }
        }
        return open.contains { brace in
            // The statement that the brace belongs to: back to the brace or the empty line before it.
            let before = text[..<brace]
            let start = before.lastIndex { $0 == "{" || $0 == "}" } ?? before.startIndex
            let statement = before[start...]
            return statement.contains(".effect(") || statement.contains("effects.run(")
        }
    }
}
