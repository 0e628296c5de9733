import Database
import DiskUsage
import EventLoop
import Formats
import HTTPClient
import StorageMetering
import Telemetry
import TestSupport
import Testing
import Usage

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Measuring storage")
struct StorageMeasuringTests {
    private typealias Answer = DockerFixture.Answer

    private let usage: UsageFixture
    private let folder: TemporaryFolder
    private let registry = MetricRegistry()
    private let loop: EventLoop
    private let client: HTTPClient
    private let pool = BlockingPool(name: "walks", threads: 2)

    init() throws {
        usage = try UsageFixture()
        folder = try TemporaryFolder("quittance-storage")
        loop = try EventLoop.started(name: "storage")
        client = HTTPClient(loop: loop)
    }

    private func measuring(_ configuration: StorageMeasuring.Configuration) -> StorageMeasuring {
        StorageMeasuring(
            configuration: configuration, database: usage.database, client: client, diskUsage: DiskUsage(pool: pool), registry: registry)
    }

    private func run(_ configuration: StorageMeasuring.Configuration, atMs: Int64 = UsageFixture.nowMs) async throws -> StorageReport {
        try await measuring(configuration).run(tick: "2026-11-21T04:00", job: "job_1", nowMs: { atMs })
    }

    private func gauge(_ project: String) async throws -> StorageGauge {
        try await usage.database.read { try UsageReading.gauge(of: project, in: $0) }
    }

    private func origins() async throws -> [StorageOrigin] { try await usage.database.read { try StorageGauges.origins(in: $0) } }

    /// Makes a folder with one file.
    /// - Returns: what both take.
    @discardableResult
    private func make(_ name: String, bytes: Int) throws -> Int64 {
        mkdir(folder.file(name), 0o700)
        try folder.write(String(repeating: "x", count: bytes), to: "\(name)/file")
        return [name, "\(name)/file"].reduce(0) { sum, name in
            var information = stat()
            return lstat(folder.file(name), &information) == 0 ? sum + Int64(information.st_blocks) * 512 : sum
        }
    }

    private static let volumes =
        #"{"Volumes":[{"Name":"a","Labels":{"quittance.project":"shop,blog"}},{"Name":"b","Labels":{"quittance.project":"nobody's"}}]}"#
    private static let sizes =
        #"{"Volumes":[{"Name":"a","UsageData":{"Size":101}},{"Name":"b","UsageData":{"Size":-1}}],"Images":[{"Id":"i","Size":9}]}"#

    // MARK: Both origins

    @Test("volumes, images and folders are recorded by origin; the report and the metrics say what was done")
    func both() async throws {
        let engine = try await DockerFixture.start(DockerFixture.usual("1.47", volumes: Self.volumes, usage: Self.sizes))
        mkdir(folder.file("root"), 0o700)
        let shop = try make("root/shop", bytes: 50_000)
        let wiki = try make("root/wiki", bytes: 9)
        let extra = try make("elsewhere", bytes: 20_000)
        let report = try await run(
            StorageMeasuring.Configuration(
                dockerSocket: engine.socket, root: folder.file("root"), folders: [StorageFolder(project: "shop", path: folder.file("elsewhere"))]))
        // The odd byte of the volume goes to the first of its projects.
        #expect(try await gauge("shop") == StorageGauge(bytes: 50 + shop + extra, measuredAtMs: UsageFixture.nowMs))
        #expect(try await gauge("blog").bytes == 51)
        #expect(try await gauge("wiki") == StorageGauge(bytes: wiki, measuredAtMs: UsageFixture.nowMs))
        #expect(report.items == 3 + 3)
        #expect(report.errors == 1)
        #expect(report.failures.isEmpty && !report.isWorthRetrying)
        #expect(report.projects == ["docker": 2, "folders": 2])
        let docker = "docker: 2 volumes and 1 images of 2 projects, 1 of unknown size, 2 of nobody with 9 bytes, 1 bad labels"
        #expect(report.detail == "\(docker); folders: 3 folders of 2 projects")
        let text = registry.prometheusText()
        for line in [
            #"storage_items{origin="docker",kind="volume"} 2"#, #"storage_items{origin="docker",kind="image"} 1"#,
            #"storage_items{origin="folders",kind="folder"} 3"#, #"storage_unknown_items{origin="docker"} 1"#,
            #"storage_unknown_items{origin="folders"} 0"#,
        ] { #expect(text.contains(line + "\n"), "\(line)") }
        let seconds = try #require(text.split(separator: "\n").first { $0.hasPrefix("storage_run_seconds ") }?.split(separator: " ").last)
        #expect(try #require(Double(seconds)) > 0)
    }

    @Test("an engine that fails keeps its figures, is marked, and does not stop the folders; the next run takes it back", arguments: [500, 404])
    func oneFails(status: Int) async throws {
        let engine = try await DockerFixture.start([
            "HEAD /_ping": [.ping("1.44")], "GET /v1.44/volumes": [.json(Self.volumes)], "GET /v1.44/images/json": [.json("[]")],
            "GET /v1.44/system/df": [.json(Self.sizes), .error(status, "no"), .json(Self.sizes)],
        ])
        let shop = try make("shop", bytes: 1)
        let configuration = StorageMeasuring.Configuration(
            dockerSocket: engine.socket, folders: [StorageFolder(project: "wiki", path: folder.file("shop"))])
        let first = try await run(configuration)
        #expect(first.failures.isEmpty)
        let later = UsageFixture.nowMs + UsageFixture.hourMs
        let second = try await run(configuration, atMs: later)
        #expect(second.failures.map(\.origin) == ["docker"])
        #expect(second.isWorthRetrying == (status == 500))
        #expect(second.errors == 1)
        #expect(second.items == 1)
        #expect(second.detail.contains("docker: failed, "))
        #expect(try await gauge("blog") == StorageGauge(bytes: 51, measuredAtMs: UsageFixture.nowMs), "kept, and as old as it is")
        #expect(try await gauge("wiki").bytes == shop)
        let docker = try #require(try await origins().first { $0.name == "docker" })
        #expect(docker.failedAtMs == later)
        #expect(docker.measuredAtMs == UsageFixture.nowMs)
        #expect(try #require(docker.error).contains("\(status)"))
        let third = try await run(configuration, atMs: later + 1)
        #expect(third.failures.isEmpty)
        #expect(try await gauge("blog") == StorageGauge(bytes: 51, measuredAtMs: later + 1))
        #expect(try await origins().allSatisfy { $0.failedAtMs == nil })
    }

    @Test("a second run of the same changes nothing; an origin that no setting names any more stands until it is forgotten")
    func again() async throws {
        let wiki = try make("wiki", bytes: 12_345)
        let configuration = StorageMeasuring.Configuration(folders: [StorageFolder(project: "wiki", path: folder.file("wiki"))])
        for _ in 0..<3 { #expect(try await run(configuration).items == 1) }
        #expect(try await gauge("wiki").bytes == wiki)
        let none = try await run(StorageMeasuring.Configuration())
        #expect(none.detail == "folders: no longer configured, its figures stand until it is forgotten")
        #expect(none.items == 0 && none.errors == 0)
        #expect(try await gauge("wiki").bytes == wiki)
        let forgotten = try await usage.database.write { try StorageGauges.forget(origin: "folders", nowMs: UsageFixture.nowMs, in: $0) }
        #expect(forgotten)
        #expect(try await gauge("wiki").measuredAtMs == nil)
        #expect(try await run(StorageMeasuring.Configuration()).detail == "nothing is configured to be measured")
    }

    // MARK: Folders

    @Test("the sub-folders of the root are projects by their names; what is no project's name is a problem, what is no folder is passed over")
    func root() async throws {
        mkdir(folder.file("root"), 0o700)
        let shop = try make("root/shop", bytes: 30_000)
        try make("root/not a project", bytes: 1)
        try make("root/.snapshots", bytes: 1)
        try make("root/lost+found", bytes: 1)
        try make("outside", bytes: 900_000)
        #expect(symlink(folder.file("outside"), folder.file("root/blog")) == 0)
        try folder.write("x", to: "root/readme")
        let report = try await run(StorageMeasuring.Configuration(root: folder.file("root")))
        #expect(try await gauge("shop").bytes == shop)
        #expect(report.projects == ["folders": 1])
        #expect(report.items == 1)
        #expect(report.errors == 1)
    }

    @Test("a root without folders is taken for a disk that is not mounted: the figures are kept", arguments: [true, false])
    func unmounted(isThere: Bool) async throws {
        mkdir(folder.file("root"), 0o700)
        let shop = try make("root/shop", bytes: 30_000)
        #expect(try await run(StorageMeasuring.Configuration(root: folder.file("root"))).failures.isEmpty)
        #expect(rename(folder.file("root"), folder.file("away")) == 0)
        if isThere { mkdir(folder.file("root"), 0o700) }
        let report = try await run(StorageMeasuring.Configuration(root: folder.file("root")), atMs: UsageFixture.nowMs + 1)
        #expect(report.failures.map(\.origin) == ["folders"])
        #expect(try await gauge("shop") == StorageGauge(bytes: shop, measuredAtMs: UsageFixture.nowMs))
    }

    @Test("one folder that is missing makes its project's figure incomplete and an error; the others are measured")
    func missingFolder() async throws {
        let shop = try make("shop", bytes: 30_000)
        let wiki = try make("wiki", bytes: 10)
        let folders = [("shop", "shop"), ("shop", "none"), ("wiki", "wiki")].map { StorageFolder(project: $0.0, path: folder.file($0.1)) }
        let report = try await run(StorageMeasuring.Configuration(folders: folders))
        #expect(try await gauge("shop") == StorageGauge(bytes: shop, unknownItems: 1, measuredAtMs: UsageFixture.nowMs))
        #expect(try await gauge("wiki") == StorageGauge(bytes: wiki, measuredAtMs: UsageFixture.nowMs))
        #expect(report.errors == 1)
        #expect(report.items == 2)
        let all = try await run(StorageMeasuring.Configuration(folders: [folders[1]]), atMs: UsageFixture.nowMs + 1)
        #expect(all.failures.map(\.reason) == ["\(folder.file("none")) is not there"])
        #expect(!all.isWorthRetrying)
        #expect(try await gauge("wiki").bytes == wiki)
    }

    @Test("a folder listed twice for one project counts once; for two projects it is the first one's, and an error")
    func twice() async throws {
        let shop = try make("shop", bytes: 30_000)
        let path = folder.file("shop")
        let same = [StorageFolder(project: "shop", path: path), StorageFolder(project: "shop", path: path + "/")]
        #expect(try await run(StorageMeasuring.Configuration(folders: same)).errors == 0)
        #expect(try await gauge("shop").bytes == shop)
        let other = same + [StorageFolder(project: "blog", path: path)]
        #expect(try await run(StorageMeasuring.Configuration(folders: other), atMs: UsageFixture.nowMs + 1).errors == 1)
        #expect(try await gauge("shop").bytes == shop)
        #expect(try await gauge("blog").bytes == 0)
    }

    @Test("a run that is cancelled records nothing of what it was measuring, and no failure")
    func cancelled() async throws {
        var answers = DockerFixture.usual("1.44", volumes: Self.volumes)
        answers["GET /v1.44/system/df"] = [Answer(body: Self.sizes, delay: 30)]
        let engine = try await DockerFixture.start(answers)
        let measuring = measuring(StorageMeasuring.Configuration(dockerSocket: engine.socket))
        let task = Task { try await measuring.run(tick: "t", job: "job_1", nowMs: { UsageFixture.nowMs }) }
        try await eventually("the disk usage is asked for") { try await engine.requests().contains { $0.contains("/df") } }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(try await origins().isEmpty)
    }
}
