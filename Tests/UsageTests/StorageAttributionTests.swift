import Formats
import StorageMetering
import TestSupport
import Testing
import Usage

@Suite("Whose the storage is")
struct StorageAttributionTests {
    /// A volume or image as a short description.
    private struct Item {
        var label: String?
        var bytes: Int64?
        var shared: Int64 = 0
    }

    private func attribution(volumes: [Item] = [], images: [Item] = [], layers: Int64 = 0) throws -> StorageAttribution {
        func labels(_ item: Item) -> JSON { item.label.map { ["quittance.project": .string($0), "other": "x"] } ?? .null }
        var sizes: [JSON] = []
        var names: [JSON] = []
        for (index, volume) in volumes.enumerated() {
            names.append(["Name": .string("v\(index)"), "Labels": labels(volume)])
            sizes.append(["Name": .string("v\(index)"), "Labels": [:], "UsageData": ["Size": .int(volume.bytes ?? -1), "RefCount": 1]])
        }
        var imageSizes: [JSON] = []
        var imageNames: [JSON] = []
        for (index, image) in images.enumerated() {
            imageNames.append(["Id": .string("sha256:i\(index)"), "Labels": labels(image)])
            imageSizes.append(["Id": .string("i\(index)"), "Size": .int(image.bytes ?? -1), "SharedSize": .int(image.shared), "Labels": [:]])
        }
        let usage: JSON = ["LayersSize": .int(layers), "Volumes": .array(sizes), "Images": .array(imageSizes)]
        return try StorageAttribution(
            diskUsage: usage.bytes, volumes: JSON.object(["Volumes": .array(names)]).bytes, images: JSON.array(imageNames).bytes,
            label: "quittance.project")
    }

    @Test(
        "a label's projects share in equal whole parts that add up exactly, what is left over goes to the first in order",
        arguments: [
            ("shop", 100, ["shop": 100]), (" shop ", 100, ["shop": 100]), ("shop,blog", 100, ["shop": 50, "blog": 50]),
            ("shop,blog", 101, ["blog": 51, "shop": 50]), ("c,b,a", 100, ["a": 34, "b": 33, "c": 33]), ("c, b ,a", 101, ["a": 34, "b": 34, "c": 33]),
            ("b,a,b,,a,", 3, ["a": 2, "b": 1]), ("a,b,c", 2, ["a": 1, "b": 1, "c": 0]), ("a,b,c", 0, ["a": 0, "b": 0, "c": 0]),
            ("Z,a", 1, ["Z": 1, "a": 0]),
        ] as [(String, Int64, [String: Int64])])
    func shares(label: String, bytes: Int64, expected: [String: Int64]) throws {
        for shares in [
            try attribution(volumes: [Item(label: label, bytes: bytes)]), try attribution(images: [Item(label: label, bytes: bytes + 7, shared: 7)]),
        ] {
            #expect(shares.projects.mapValues(\.bytes) == expected)
            #expect(shares.projects.values.reduce(0) { $0 + $1.bytes } == bytes)
            #expect(shares.unattributedItems == 0)
            #expect(shares.labelErrors == 0)
        }
    }

    @Test(
        "a name that is no project's is an error, and its part is nobody's: nobody pays for another one's mistake",
        arguments: [
            ("shop,bad name", 100, ["shop": 50], 50, 1), ("a/b", 100, [:], 100, 1), ("", 100, [:], 100, 1), (" , ,", 100, [:], 100, 1),
            ("é,shop,x y", 100, ["shop": 34], 66, 2), (String(repeating: "p", count: 101), 9, [:], 9, 1),
            (String(repeating: "p", count: 100), 9, [String(repeating: "p", count: 100): 9], 0, 0),
        ] as [(String, Int64, [String: Int64], Int64, Int)])
    func badNames(label: String, bytes: Int64, expected: [String: Int64], nobodys: Int64, errors: Int) throws {
        let shares = try attribution(volumes: [Item(label: label, bytes: bytes)])
        #expect(shares.projects.mapValues(\.bytes) == expected)
        #expect(shares.unattributedBytes == nobodys)
        #expect(shares.unattributedItems == (errors > 0 ? 1 : 0))
        #expect(shares.labelErrors == errors)
        #expect(shares.examples.count == errors)
    }

    @Test("images that share layers: each project pays its image's own bytes, the layers in common are the host's")
    func sharedImages() throws {
        let shares = try attribution(
            images: [
                Item(label: "shop", bytes: 500, shared: 300), Item(label: "blog", bytes: 420, shared: 300),
                Item(label: "shop,blog", bytes: 331, shared: 300), Item(label: nil, bytes: 360, shared: 300),
                Item(label: "shop", bytes: 80, shared: 0), Item(label: "wiki", bytes: 300, shared: 300),
            ], layers: 300 + 200 + 120 + 31 + 60 + 80)
        #expect(shares.projects.mapValues(\.bytes) == ["shop": 200 + 80 + 15, "blog": 120 + 16, "wiki": 0])
        #expect(shares.unattributedBytes == 60)
        #expect(shares.sharedLayerBytes == 300)
        let all = shares.projects.values.reduce(0) { $0 + $1.bytes } + shares.unattributedBytes + (shares.sharedLayerBytes ?? 0)
        #expect(all == 791, "projects, nobody and the host together are what the layers take")
    }

    @Test("what is of unknown size is in no sum and counts for each of its projects")
    func unknown() throws {
        let shares = try attribution(
            volumes: [
                Item(label: "shop,blog", bytes: nil), Item(label: "shop", bytes: 5), Item(label: nil, bytes: nil), Item(label: "x y", bytes: nil),
            ],
            images: [Item(label: "shop", bytes: 10, shared: -1), Item(label: "blog", bytes: nil, shared: 4)])
        #expect(shares.projects == ["shop": .init(bytes: 5, unknownItems: 2), "blog": .init(bytes: 0, unknownItems: 2)])
        #expect(shares.unknownItems == 5)
        #expect(shares.unattributedItems == 2)
        #expect(shares.unattributedBytes == 0)
        #expect(shares.volumes == 4 && shares.images == 2)
    }

    @Test("20,000 volumes and 2,000 images of 5,000 projects: every byte is somebody's or nobody's")
    func many() throws {
        var generator = SystemRandomNumberGenerator()
        func label() -> String? {
            switch Int.random(in: 0..<10, using: &generator) {
            case 0: nil
            case 1: "p\(Int.random(in: 0..<5000)),p\(Int.random(in: 0..<5000)),p\(Int.random(in: 0..<5000))"
            default: "p\(Int.random(in: 0..<5000))"
            }
        }
        let volumes = (0..<20_000).map { _ in Item(label: label(), bytes: Int64.random(in: 0...(1 << 32))) }
        let images = (0..<2_000).map { _ in Item(label: label(), bytes: Int64.random(in: 1_000...(1 << 30)), shared: Int64.random(in: 0...1_000)) }
        let shares = try attribution(volumes: volumes, images: images)
        let known = volumes.reduce(0) { $0 + ($1.bytes ?? 0) } + images.reduce(0) { $0 + ($1.bytes ?? 0) - $1.shared }
        #expect(shares.projects.values.reduce(0) { $0 + $1.bytes } + shares.unattributedBytes == known)
        #expect(shares.unattributedItems == (volumes + images).filter { $0.label == nil }.count)
        #expect(shares.unknownItems == 0)
    }
}
