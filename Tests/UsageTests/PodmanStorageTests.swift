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

@Suite("Storage measured at a real engine")
struct PodmanStorageTests {
    /// What a file of so many bytes can take more than its bytes: its last block, and its folder's.
    private static let rounding: Int64 = 2 * 4096

    @Test("labelled volumes and images of known size at Podman give their projects' figures, equal within the rounding of blocks")
    func podman() async throws {
        let podman = try await PodmanServer.start()
        let usage = try UsageFixture()
        let loop = try EventLoop.started(name: "podman")
        let client = HTTPClient(loop: loop)
        let diskUsage = DiskUsage(pool: BlockingPool(name: "walks", threads: 2))
        let label = "quittance.project"
        let shopFiles = try await podman.createVolume("shop-data", labels: [label: "shop"], bytes: 5_000_001)
        let sharedFiles = try await podman.createVolume("uploads", labels: [label: "shop,blog", "tenant": "acme"], bytes: 3_000_001)
        try await podman.createVolume("scratch", bytes: 700_000)
        try await podman.createVolume("wrong", labels: [label: "no project"], bytes: 11_000)
        let image = try await podman.importImage("localhost/blog:1", labels: [label: "blog"], bytes: 2_000_000)
        try await podman.tag("localhost/blog:1", as: "localhost/blog:2")
        let base = try await podman.importImage("localhost/base:1", bytes: 400_000)

        let inventory = try await DockerEngine(socket: podman.socketPath, client: client).inventory(label: label)
        #expect(inventory.isPodman)
        #expect(inventory.version <= .highest)
        #expect(Set(inventory.volumes.map(\.name)) == ["shop-data", "uploads", "scratch", "wrong"])
        #expect(Set(inventory.images.map { "sha256:\($0.id)" }) == [image.id, base.id])

        let measuring = StorageMeasuring(
            configuration: StorageMeasuring.Configuration(dockerSocket: podman.socketPath), database: usage.database, client: client,
            diskUsage: diskUsage, registry: MetricRegistry())
        let report = try await measuring.run(tick: "2026-11-21T04:00", job: "job_1", nowMs: { UsageFixture.nowMs })
        #expect(report.failures.isEmpty)
        #expect(report.items == 6)
        #expect(report.errors == 1, "one label names no project")
        #expect(report.projects == ["docker": 2])

        func gauge(_ project: String) async throws -> StorageGauge {
            try await usage.database.read { try UsageReading.gauge(of: project, in: $0) }
        }
        // The disk agrees with the engine.
        let shopOnDisk = try await diskUsage.size(of: MeasuredFolder(shopFiles)).bytes
        let sharedOnDisk = try await diskUsage.size(of: MeasuredFolder(sharedFiles)).bytes
        #expect(abs(shopOnDisk - 5_000_001) <= Self.rounding)
        let shop = try await gauge("shop")
        #expect(shop.unknownItems == 0)
        #expect(shop.measuredAtMs == UsageFixture.nowMs)
        #expect(abs(shop.bytes - (5_000_001 + 1_500_001)) <= 2 * Self.rounding)
        #expect(abs(shop.bytes - (shopOnDisk + sharedOnDisk / 2)) <= 2 * Self.rounding)
        // An image is its layer, and a description of a few kilobytes.
        let blog = try await gauge("blog")
        #expect(blog.unknownItems == 0)
        #expect(abs(blog.bytes - (1_500_000 + Int64(image.layerBytes))) <= 2 * Self.rounding)

        // What is gone is gone from the figures, and what is new is in them.
        try await podman.removeVolume("shop-data")
        try await podman.createVolume("shop-more", labels: [label: "shop"], bytes: 1_000_000)
        _ = try await measuring.run(tick: "2026-11-22T04:00", job: "job_2", nowMs: { UsageFixture.nowMs + 1 })
        #expect(abs(try await gauge("shop").bytes - (1_000_000 + 1_500_001)) <= 2 * Self.rounding)

        // An engine that has ended keeps its figures.
        podman.stop()
        let failed = try await measuring.run(tick: "2026-11-23T04:00", job: "job_3", nowMs: { UsageFixture.nowMs + 2 })
        #expect(failed.failures.map(\.origin) == ["docker"])
        #expect(failed.isWorthRetrying)
        #expect(abs(try await gauge("shop").bytes - (1_000_000 + 1_500_001)) <= 2 * Self.rounding)
        await client.close()
    }
}
