import Formats
import ProviderCatalog
import ProviderPort
import Settings
import Synchronization
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite("The sources file")
struct SourceFileTests {
    private static let secret = "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
    private static let other = "whsec_YW5vdGhlciBzZWNyZXQgZm9yIHRoZSByb3RhdGlvbiE="
    private static let key = "gateway-key-0123456789abcdef"

    private func environment(_ folder: TemporaryFolder, _ more: [String: String] = [:]) -> [String: String] {
        [
            "VAR_DIRECTORY": folder.path, "PROVIDER_MODE_STANDARD_WEBHOOKS": "sandbox", "STANDARD_WEBHOOKS_SECRET": Self.secret,
            "BODY_LIMIT_STANDARD_WEBHOOKS": "64KiB", "USAGE_SOURCE_KEYS": "gateway-1:\(Self.key)",
        ].merging(more) { $1 }
    }

    private func book(_ folder: TemporaryFolder) throws -> SourceBook {
        guard case .good(let book) = SourcesFile(path: folder.file("sources.json")).read() else { throw FixtureError("no good sources file") }
        return book
    }

    // MARK: Seeding

    @Test("the first start makes it from the environment, for its owner only; afterwards the environment need not say anything")
    func seeded() throws {
        let folder = try TemporaryFolder("sources")
        let first = try Settings.load(environment: environment(folder), .seeding)
        #expect(first.sourcesFile == folder.file("sources.json"))
        // The copy is made by who has made sources of the file.
        #expect(!fileExists(folder.file("sources.json.last-good")))
        _ = try SourcesWatch(first, keepsCopy: true) { _ in }.look()
        for name in ["sources.json", "sources.json.last-good", "sources.json.lock"] {
            var status = stat()
            #expect(stat(folder.file(name), &status) == 0 && status.st_mode & 0o777 == 0o600, "\(name)")
        }
        let bare = try Settings.load(environment: ["VAR_DIRECTORY": folder.path], .reading)
        for settings in [first, bare] {
            let provider = try #require(settings.provider("standard-webhooks"))
            #expect(provider.mode == .sandbox && provider.secrets == [Self.secret] && provider.bodyLimit == 65536)
            #expect(settings.usage.sources.map(\.name) == ["gateway-1"])
            #expect(!settings.describe().contains { $0.value.contains("whsec_") || $0.value.contains(Self.key) })
            #expect(!"\(settings)".contains(Self.secret) && !"\(settings)".contains(Self.key))
        }
    }

    @Test("only programs that follow it make it, and an environment that says nothing makes none")
    func unseeded() throws {
        let folder = try TemporaryFolder("sources")
        for use in [Settings.SourcesUse.reading, .tolerating] { _ = try Settings.load(environment: environment(folder), use) }
        _ = try Settings.load(environment: ["VAR_DIRECTORY": folder.path], .seeding)
        #expect(!fileExists(folder.file("sources.json")))
    }

    @Test("a source that the environment names later is added")
    func later() throws {
        let folder = try TemporaryFolder("sources")
        _ = try Settings.load(environment: environment(folder), .seeding)
        let more = ["PROVIDER_MODE_WAVE": "sandbox", "WAVE_WEBHOOK_SECRET": "wave-secret"]
        let settings = try Settings.load(environment: environment(folder, more), .seeding)
        #expect(settings.provider("wave")?.mode == .sandbox)
        #expect(try book(folder).sources["wave"]?.secrets?.map(\.value) == ["wave-secret"])
    }

    // MARK: Disagreement

    @Test("where both speak and disagree the start is refused, with every difference and no secret")
    func disagreement() throws {
        let folder = try TemporaryFolder("sources")
        _ = try Settings.load(environment: environment(folder), .seeding)
        let changed = environment(
            folder,
            [
                "PROVIDER_MODE_STANDARD_WEBHOOKS": "off", "STANDARD_WEBHOOKS_SECRET": Self.other, "BODY_LIMIT_STANDARD_WEBHOOKS": "1KiB",
                "USAGE_SOURCE_KEYS": "gateway-1:\(Self.key) gateway-2:another-key-0123456789abcdef",
            ])
        let path = folder.file("sources.json")
        let error = try #require(throws: SettingsError.self) { _ = try Settings.load(environment: changed, .seeding) }
        #expect(error.problems.map(\.variable) == changed.keys.filter { $0 != "VAR_DIRECTORY" }.sorted(by: Self.order))
        #expect(error.problems.map(\.fault).contains("it says off, and \(path) says sandbox"))
        #expect(error.problems.map(\.fault).contains("it holds 1 value, \(path) holds 1 value, and they are not the same"))
        #expect(error.problems.map(\.fault).contains("it says 1024, and \(path) says 65536"))
        for secret in [Self.secret, Self.other, Self.key, "another-key"] { #expect(!error.description.contains(secret)) }
        // The commands that put it right work all the same, by the file.
        let tolerated = try Settings.load(environment: changed, .tolerating)
        #expect(tolerated.provider("standard-webhooks")?.secrets == [Self.secret])
        #expect(tolerated.differences(from: try book(folder)).count == 4)
    }

    private static func order(_ one: String, _ two: String) -> Bool {
        let names = ["PROVIDER_MODE_STANDARD_WEBHOOKS", "STANDARD_WEBHOOKS_SECRET", "BODY_LIMIT_STANDARD_WEBHOOKS", "USAGE_SOURCE_KEYS"]
        return (names.firstIndex(of: one) ?? 9) < (names.firstIndex(of: two) ?? 9)
    }

    @Test("an environment that still says what it said at the start says nothing new, however the file went on")
    func stale() throws {
        let folder = try TemporaryFolder("sources")
        let settings = try Settings.load(environment: environment(folder), .seeding)
        try SourcesFile(path: settings.sourcesFile).change { book in
            book.sources["standard-webhooks"]?.isOn = false
            book.sources["standard-webhooks"]?.secrets = [Secret(Self.other)]
        }
        let again = try Settings.load(environment: environment(folder), .seeding)
        #expect(again.provider("standard-webhooks")?.mode == .off)
        #expect(again.provider("standard-webhooks")?.secrets == [Self.other])
        // An environment that has followed agrees too.
        _ = try Settings.load(environment: environment(folder, ["STANDARD_WEBHOOKS_SECRET": Self.other]), .seeding)
        // And its old words, said with one more, are new ones.
        let both = environment(folder, ["STANDARD_WEBHOOKS_SECRET": "\(Self.secret) \(Self.other)"])
        #expect(throws: SettingsError.self) { _ = try Settings.load(environment: both, .seeding) }
    }

    // MARK: Damage

    @Test(
        "what is not such a file is refused, without its secrets",
        arguments: [
            ("", "it is no JSON"), ("{", "it is no JSON"), ("[]", "the file is no object"), ("{}", "its version, v, is not 1"),
            (#"{"v":2}"#, "its version, v, is not 1"), (#"{"v":1,"source":{}}"#, "the file has a member that nobody knows"),
            (#"{"v":1,"sources":{"paypal":{}}}"#, "sources names a provider that nobody knows"),
            (#"{"v":1,"sources":{"wave":{"on":1}}}"#, "wave: on is neither true nor false"),
            (#"{"v":1,"sources":{"wave":{"on":true}}}"#, "wave: it is on and has no mode"),
            (#"{"v":1,"sources":{"wave":{"mode":"off"}}}"#, "wave: mode is neither sandbox nor live"),
            (#"{"v":1,"sources":{"wave":{"secret":"hunter2"}}}"#, "wave has a member that nobody knows"),
            (#"{"v":1,"sources":{"wave":{"secrets":["hunter2","hunter2"]}}}"#, "wave: a secret stands in it twice"),
            (#"{"v":1,"sources":{"wave":{"secrets":["hunter2 x"]}}}"#, "wave: a secret is not a text of visible ASCII characters"),
            (#"{"v":1,"sources":{"wave":{"secrets":"hunter2"}}}"#, "wave: secrets is not a list of at most 10"),
            (#"{"v":1,"sources":{"wave":{"body_limit":0}}}"#, "wave: body_limit is not a number of bytes from 1 to 10000000"),
            (#"{"v":1,"usage":{"keys":[{"name":"g","key":"hunter2"}]}}"#, "usage: a key has no good name"),
            (#"{"v":1,"environment":{"X":1}}"#, "environment holds something other than texts"),
        ])
    func damage(text: String, reason: String) throws {
        let error = try #require(throws: SourceBookError.self) { _ = try SourceBook(decoding: Array(text.utf8)) }
        #expect(error.description.hasPrefix(reason), "\(error)")
        #expect(!error.description.contains("hunter2"))
    }

    @Test("every prefix of a good file is refused, and any byte of it may be anything")
    func mutations() throws {
        let folder = try TemporaryFolder("sources")
        _ = try Settings.load(environment: environment(folder), .seeding)
        let bytes = try #require(folder.read("sources.json"))
        #expect(try SourceBook(decoding: bytes).encoded() == bytes)
        for length in 0..<(bytes.count - 1) { #expect(throws: SourceBookError.self) { _ = try SourceBook(decoding: Array(bytes[..<length])) } }
        var generator = SystemRandomNumberGenerator()
        for place in bytes.indices {
            var changed = bytes
            changed[place] = UInt8.random(in: 0...255, using: &generator)
            // Refused or read; what is read can be written and read again.
            if let book = try? SourceBook(decoding: changed) { #expect(try SourceBook(decoding: book.encoded()) == book) }
        }
    }

    enum Spoiling: String, Sendable, CaseIterable { case torn, emptied, readable, gone, folder, rule }

    @Test("a file that is damaged leaves the last good copy in force, at a start and while running", arguments: Spoiling.allCases)
    func spoilt(_ how: Spoiling) throws {
        let folder = try TemporaryFolder("sources")
        let environment = environment(folder)
        let settings = try Settings.load(environment: environment, .seeding)
        let reports = Mutex<[SourcesWatch.Report]>([])
        let watch = try SourcesWatch(settings, keepsCopy: true, interval: .zero) { report in reports.withLock { $0.append(report) } }
        #expect(watch.look().sources.map(\.adapter.name) == ["standard-webhooks"])
        #expect(reports.withLock { $0.isEmpty })

        let path = settings.sourcesFile
        let good = try #require(folder.read("sources.json"))
        switch how {
        case .torn: try folder.write(String(decoding: good.prefix(60), as: UTF8.self), to: "sources.json")
        case .emptied: try folder.write("", to: "sources.json")
        case .readable: #expect(chmod(path, 0o644) == 0)
        case .gone: #expect(unlink(path) == 0)
        case .folder: #expect(unlink(path) == 0 && mkdir(path, 0o700) == 0)
        case .rule:
            // Well written, and live without what live needs.
            let live = String(decoding: good, as: UTF8.self).replacing("\"sandbox\"", with: "\"live\"")
            try folder.write(live, to: "sources.json")
        }
        let generation = watch.look().generation
        #expect(generation == watch.look().generation)
        #expect(watch.look().settings.provider("standard-webhooks")?.secrets == [Self.secret])
        guard case .refused = reports.withLock({ $0.first }) else {
            Issue.record("it was not told: \(reports.withLock { $0 })")
            return
        }
        #expect(reports.withLock { $0.count } == 1, "told once")
        let restarted = try Settings.load(environment: environment, .seeding)
        #expect(restarted.provider("standard-webhooks")?.mode == .sandbox)
        #expect(restarted.sourcesProblem?.contains("last good copy is in force") == true)

        // Put right, it is in force again.
        if how == .folder { #expect(rmdir(path) == 0) }
        try folder.write(String(decoding: good, as: UTF8.self), to: "sources.json")
        #expect(chmod(path, 0o600) == 0)
        _ = watch.look()
        #expect(reports.withLock { $0.last } == .changed(["the file can be used again"]))
    }

    @Test("with neither a good file nor a good copy the start is refused, and the commands still say why")
    func hopeless() throws {
        let folder = try TemporaryFolder("sources")
        for name in ["sources.json", "sources.json.last-good"] {
            try folder.write("{", to: name)
            #expect(chmod(folder.file(name), 0o600) == 0)
        }
        let error = try #require(throws: SettingsError.self) { _ = try Settings.load(environment: environment(folder), .seeding) }
        #expect(error.problems.map(\.variable) == ["SOURCES_FILE"])
        #expect(try Settings.load(environment: environment(folder), .tolerating).sourcesProblem != nil)
    }

    @Test("a source that lacks a value of its adapter keeps nobody from starting while there is a good copy")
    func lacking() throws {
        let folder = try TemporaryFolder("sources")
        let environment = environment(folder)
        let settings = try Settings.load(environment: environment, .seeding)
        _ = try SourcesWatch(settings, keepsCopy: true) { _ in }.look()
        try SourcesFile(path: settings.sourcesFile).change { $0.sources["cinetpay"] = SourceBook.Source(isOn: true, mode: .sandbox) }
        let restarted = try Settings.load(environment: environment, .seeding)
        let reports = Mutex<[SourcesWatch.Report]>([])
        let watch = try SourcesWatch(restarted, keepsCopy: true) { report in reports.withLock { $0.append(report) } }
        #expect(watch.look().sources.map(\.adapter.name) == ["standard-webhooks"])
        guard case .refused(let reason) = reports.withLock({ $0.first }) else {
            Issue.record("it was not told")
            return
        }
        #expect(reason.contains("cinetpay"))
        // Without a copy there is nothing to start with.
        #expect(unlink(folder.file("sources.json.last-good")) == 0)
        #expect(throws: ProviderError.self) { _ = try SourcesWatch(restarted) { _ in } }
    }

    // MARK: Watching

    @Test("a watch sees each change once, names it without secrets, and keeps a source that is off for what was begun")
    func watching() throws {
        let folder = try TemporaryFolder("sources")
        let settings = try Settings.load(environment: environment(folder), .seeding)
        let reports = Mutex<[SourcesWatch.Report]>([])
        let watch = try SourcesWatch(settings, keepsCopy: true, interval: .zero) { report in reports.withLock { $0.append(report) } }
        let file = SourcesFile(path: settings.sourcesFile)
        let before = watch.look()
        try file.change { $0.sources["standard-webhooks"]?.secrets = [Secret(Self.other), Secret(Self.secret)] }
        let after = watch.look()
        #expect(after.generation == before.generation + 1 && watch.look().generation == after.generation)
        #expect(after.settings.provider("standard-webhooks")?.secrets == [Self.other, Self.secret])
        try file.change { $0.sources["standard-webhooks"]?.isOn = false }
        let off = watch.look()
        #expect(off.sources.isEmpty && off.resting.map(\.adapter.name) == ["standard-webhooks"])
        #expect(
            reports.withLock { $0 } == [
                .changed(["standard-webhooks has 2 secrets"]), .changed(["standard-webhooks is off"]),
            ])
        #expect(file.readCopy() == (try book(folder)))
    }

    @Test("changes from several sides at once are all kept")
    func concurrent() async throws {
        let folder = try TemporaryFolder("sources")
        let file = SourcesFile(path: folder.file("sub/sources.json"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<8 {
                group.addTask {
                    try file.change { book in
                        let key = UsageSettings.Source(name: "source-\(number)", key: Secret("key-number-\(number)-0123456789ab"))
                        book.usageKeys = (book.usageKeys ?? []) + [key]
                    }
                }
            }
            try await group.waitForAll()
        }
        guard case .good(let book) = file.read() else { throw FixtureError("no good file") }
        #expect(Set(book.usageKeys?.map(\.name) ?? []) == Set((0..<8).map { "source-\($0)" }))
    }
}
