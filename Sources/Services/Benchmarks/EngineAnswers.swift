import Formats

/// What an engine with many volumes and images answers, in either shape, with all members that real engines write.
struct EngineAnswers: Sendable {
    enum Shape: String, Sendable, CaseIterable {
        /// Before API 1.52.
        case legacy = "1.43"
        /// With `verbose=1`.
        case verbose = "1.52"
    }

    static let label = "quittance.project"

    let diskUsage: [UInt8]
    let volumes: [UInt8]
    let images: [UInt8]
    /// What is to be found in them.
    let projects: Int
    let attributedBytes: Int64
    let unknownItems: Int

    private struct Volume {
        let name: String
        let label: String?
        /// -1 is unknown.
        let size: Int64
    }

    private struct Image {
        let id: String
        let label: String?
        let size: Int64
        let shared: Int64
    }

    /// Four volumes a project. One in twenty has no label, one in fifty is two projects', one in five hundred has no known size.
    init(volumes volumeCount: Int, images imageCount: Int, shape: Shape) {
        var random = SeededRandom(seed: 7)
        let projectCount = max(1, volumeCount / 4)
        let volumes = (0..<volumeCount).map { number in
            let name = number % 3 == 0 ? Self.hex(&random) : "stack\(number % projectCount)_data\(number)"
            return Volume(
                name: name, label: Self.label(number, of: projectCount), size: number % 500 == 3 ? -1 : Int64(random.next() % (8 << 30)))
        }
        let images = (0..<imageCount).map { number in
            let shared = Int64(random.next() % (200 << 20))
            return Image(
                id: "sha256:" + Self.hex(&random), label: Self.label(number, of: projectCount), size: shared + Int64(random.next() % (900 << 20)),
                shared: shared)
        }
        diskUsage = Self.diskUsage(volumes, images, shape)
        self.volumes = Self.list(volumes)
        self.images = Self.list(images)
        attributedBytes =
            volumes.reduce(0) { $0 + ($1.label == nil ? 0 : max(0, $1.size)) } + images.reduce(0) { $0 + ($1.label == nil ? 0 : $1.size - $1.shared) }
        unknownItems = volumes.count { $0.size < 0 }
        projects = Set((volumes.map(\.label) + images.map(\.label)).compactMap { $0 }.flatMap { $0.split(separator: ",") }).count
    }

    var bytes: Int { diskUsage.count + volumes.count + images.count }

    private static func hex(_ random: inout SeededRandom) -> String {
        Hex.encode((0..<4).flatMap { _ in withUnsafeBytes(of: random.next()) { Array($0) } })
    }

    private static func label(_ number: Int, of projects: Int) -> String? {
        if number % 20 == 7 { return nil }
        let own = "project-\(number % projects)"
        return number % 50 == 9 ? "\(own),project-\((number + 1) % projects)" : own
    }

    // MARK: Writing

    private static func diskUsage(_ volumes: [Volume], _ images: [Image], _ shape: Shape) -> [UInt8] {
        var writer = JSONWriter(reserving: volumes.count * 512)
        let layers = images.reduce(Int64(200 << 20)) { $0 + $1.size - $1.shared }
        writer.beginObject()
        switch shape {
        case .legacy:
            writer.member("LayersSize", layers)
            writer.key(literal: "Images")
            for image in array(images, &writer) { write(image, &writer, isLegacy: true) }
            writer.endArray()
            writer.key(literal: "Volumes")
            for volume in array(volumes, &writer) { write(volume, &writer, isSized: true) }
            writer.endArray()
        case .verbose:
            writer.key(literal: "ImageUsage")
            writer.beginObject()
            writer.member("ActiveCount", Int64(images.count / 2))
            writer.key(literal: "Items")
            for image in array(images, &writer) { write(image, &writer, isLegacy: false) }
            writer.endArray()
            writer.member("TotalCount", Int64(images.count))
            writer.member("TotalSize", layers)
            writer.endObject()
            writer.key(literal: "VolumeUsage")
            writer.beginObject()
            writer.member("ActiveCount", Int64(volumes.count / 2))
            writer.key(literal: "Items")
            for volume in array(volumes, &writer) { write(volume, &writer, isSized: true) }
            writer.endArray()
            writer.member("TotalCount", Int64(volumes.count))
            writer.member("TotalSize", volumes.reduce(0) { $0 + max(0, $1.size) })
            writer.endObject()
        }
        writer.endObject()
        return writer.bytes
    }

    private static func array<Item>(_ items: [Item], _ writer: inout JSONWriter) -> [Item] {
        writer.beginArray()
        return items
    }

    private static func list(_ volumes: [Volume]) -> [UInt8] {
        var writer = JSONWriter(reserving: volumes.count * 512)
        writer.beginObject()
        writer.key(literal: "Volumes")
        for volume in array(volumes, &writer) { write(volume, &writer, isSized: false) }
        writer.endArray()
        writer.key(literal: "Warnings")
        writer.null()
        writer.endObject()
        return writer.bytes
    }

    private static func list(_ images: [Image]) -> [UInt8] {
        var writer = JSONWriter(reserving: images.count * 512)
        for image in array(images, &writer) { write(image, &writer, isLegacy: false) }
        writer.endArray()
        return writer.bytes
    }

    private static func write(_ volume: Volume, _ writer: inout JSONWriter, isSized: Bool) {
        writer.beginObject()
        writer.member("CreatedAt", "2026-10-02T09:14:33Z")
        writer.member("Driver", "local")
        writer.key(literal: "Labels")
        write(label: volume.label, ("com.docker.compose.project", "stack"), ("com.docker.compose.volume", "data"), to: &writer)
        writer.member("Mountpoint", "/var/lib/docker/volumes/\(volume.name)/_data")
        writer.member("Name", volume.name)
        writer.key(literal: "Options")
        writer.null()
        writer.member("Scope", "local")
        if isSized {
            writer.key(literal: "UsageData")
            writer.beginObject()
            writer.member("RefCount", volume.size < 0 ? -1 : 1 as Int64)
            writer.member("Size", volume.size)
            writer.endObject()
        }
        writer.endObject()
    }

    private static func write(_ image: Image, _ writer: inout JSONWriter, isLegacy: Bool) {
        writer.beginObject()
        writer.member("Containers", 1 as Int64)
        writer.member("Created", 1_763_540_012 as Int64)
        writer.member("Id", image.id)
        writer.key(literal: "Labels")
        write(
            label: image.label, ("org.opencontainers.image.source", "https://example.org/shop"), ("org.opencontainers.image.version", "1.8.2"),
            to: &writer)
        writer.member("ParentId", "")
        let names = ["RepoDigests": "registry.example.org/shop@\(image.id)", "RepoTags": "registry.example.org/shop:\(image.id.suffix(8))"]
        for (name, value) in names.sorted(by: { $0.key < $1.key }) {
            writer.key(name)
            writer.beginArray()
            writer.string(value)
            writer.endArray()
        }
        writer.member("SharedSize", image.shared)
        writer.member("Size", image.size)
        if isLegacy { writer.member("VirtualSize", image.size) }
        writer.endObject()
    }

    private static func write(label: String?, _ others: (String, String)..., to writer: inout JSONWriter) {
        writer.beginObject()
        for (name, value) in others {
            writer.key(name)
            writer.string(value)
        }
        if let label {
            writer.key(Self.label)
            writer.string(label)
        }
        writer.endObject()
    }
}
