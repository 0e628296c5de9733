import Formats
import StorageMetering
import TestSupport
import Testing
import Usage

#if canImport(Glibc)
    import Glibc
#endif

@Suite("What a Docker engine keeps")
struct DockerInventoryTests {
    private func sample(_ name: String) throws -> [UInt8] {
        let path = fixture("docker/\(name)")
        guard let stream = fopen(path, "r") else { throw FixtureError("\(path) cannot be read: error \(errno)") }
        defer { fclose(stream) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&bytes, 1, bytes.count, stream)
        return Array(bytes.prefix(count))
    }

    private func inventory(
        _ usage: String, volumes: String = "{}", images: String = "[]", label: String = "quittance.project"
    ) throws -> DockerInventory {
        try DockerInventory(diskUsage: Array(usage.utf8), volumes: Array(volumes.utf8), images: Array(images.utf8), label: label)
    }

    // MARK: Recorded answers

    @Test("one host's answers in both shapes give the same totals", arguments: ["system_df_v1.43_legacy.json", "system_df_v1.52_verbose.json"])
    func recorded(name: String) throws {
        let inventory = try DockerInventory(diskUsage: sample(name), volumes: Array("{}".utf8), images: Array("[]".utf8), label: "tenant")
        #expect(inventory.volumeBytes == 735_051_776)
        #expect(inventory.unknownVolumes == 1)
        #expect(inventory.reclaimableVolumeBytes == 1_048_576)
        #expect(inventory.layerBytes == 999_460_499)
        #expect(inventory.danglingImageBytes == 311_280_836)
        #expect(inventory.sharedLayerBytes == 77_831_168)
        #expect(inventory.volumes.map(\.label) == ["acme", nil, "globex"])
        #expect(inventory.images.map(\.label) == ["acme", nil, "acme"])
        let shares = StorageAttribution(inventory)
        #expect(shares.projects["acme"] == .init(bytes: 734_003_200 + (412_837_741 - 77_831_168) + 311_280_836))
        #expect(shares.projects["globex"] == .init(bytes: 0, unknownItems: 1))
        #expect(shares.projects.count == 2)
        #expect(shares.unattributedBytes == 1_048_576 + 275_341_922)
        #expect(shares.unattributedItems == 2)
        #expect(shares.unknownItems == 1)
        #expect(shares.sharedLayerBytes == 77_831_168)
    }

    @Test("Podman's answer: one image under two names counts once, labels come from the lists, ids match without their prefix")
    func podman() throws {
        let id = "8f6a88feef3ed01a300dafb87f208977f39dccda1fd120e878129463f7fa3b8f"
        let volumes = #"{"Volumes":[{"Name":"pay_pgdata","Driver":"local","Labels":{"tenant":"acme"}}],"Warnings":[]}"#
        let images = #"[{"Id":"sha256:\#(id)","RepoTags":["pay:1.8.2","pay:latest"],"Size":412837741,"SharedSize":0,"Labels":{"tenant":"acme"}}]"#
        let inventory = try DockerInventory(
            diskUsage: sample("podman_compat_system_df_legacy.json"), volumes: Array(volumes.utf8), images: Array(images.utf8), label: "tenant")
        #expect(inventory.volumeBytes == 734_003_200)
        let image = try #require(inventory.images.first)
        #expect(inventory.images.count == 1)
        #expect((image.id, image.label, image.bytes, image.sharedBytes) == (id, "acme", 412_837_741, 77_831_168))
        #expect(!image.isDangling)
        #expect(inventory.layerBytes == 412_837_741)
        let shares = StorageAttribution(inventory)
        #expect(shares.projects == ["acme": .init(bytes: 734_003_200 + 335_006_573)])
        #expect(shares.unattributedItems == 0)
        #expect(shares.unknownItems == 0)
    }

    // MARK: Decoding

    /// A volume named `v`, as the disk usage tells it, and the size understood.
    @Test(
        "a volume's size",
        arguments: [
            (#"{"Volumes":[{"Name":"v","UsageData":{"Size":7}}]}"#, 7), (#"{"Volumes":[{"Name":"v","UsageData":{"Size":-1}}]}"#, nil),
            (#"{"Volumes":[{"Name":"v","UsageData":{"Size":-5,"RefCount":-1}}]}"#, nil),
            (#"{"Volumes":[{"Name":"v","UsageData":{}}]}"#, 0), (#"{"Volumes":[{"Name":"v","UsageData":null}]}"#, nil),
            (#"{"Volumes":[{"Name":"v"}]}"#, nil), (#"{"Volumes":[]}"#, nil), (#"{"Volumes":null}"#, nil), ("{}", nil),
            (#"{"Volumes":[{"Name":"v","UsageData":{"Size":null}}]}"#, nil), (#"{"Volumes":[{"Name":"v","UsageData":{"Size":"7"}}]}"#, nil),
            (#"{"Volumes":[{"Name":"v","UsageData":{"Size":7.5}}]}"#, nil),
            (#"{"Volumes":[{"Name":"v","UsageData":{"Size":9223372036854775807}}]}"#, nil),
            (#"{"Volumes":[null,3,{},{"Name":null},{"Name":"v","UsageData":{"Size":7},"Unknown":[{}]}],"New":1}"#, 7),
            (#"{"VolumeUsage":{"Items":[{"Name":"v","UsageData":{"Size":8}}]},"Volumes":[{"Name":"v","UsageData":{"Size":7}}]}"#, 8),
            (#"{"VolumeUsage":{"Items":null},"Volumes":[{"Name":"v","UsageData":{"Size":7}}]}"#, 7),
            (#"{"VolumeUsage":{"Items":[]},"Volumes":[{"Name":"v","UsageData":{"Size":7}}]}"#, 7),
            (#"{"VolumeUsage":null,"Volumes":[{"Name":"v","UsageData":{"Size":7}}]}"#, 7),
            (#"{"VolumesUsage":{"Items":[{"Name":"v","UsageData":{"Size":9}}]}}"#, 9),
        ] as [(String, Int64?)])
    func volumeSizes(usage: String, expected: Int64?) throws {
        let inventory = try inventory(usage, volumes: #"{"Volumes":[{"Name":"v","Labels":{"quittance.project":"shop"}}]}"#)
        #expect(inventory.volumes.map(\.bytes) == [expected])
        let shares = StorageAttribution(inventory)
        #expect(shares.projects == ["shop": .init(bytes: expected ?? 0, unknownItems: expected == nil ? 1 : 0)])
    }

    @Test(
        "an image's own bytes",
        arguments: [
            (#"{"Size":100,"SharedSize":30}"#, 70), (#"{"Size":100,"SharedSize":0}"#, 100), (#"{"Size":100}"#, 100),
            (#"{"Size":100,"SharedSize":-1}"#, nil), (#"{"Size":-1,"SharedSize":3}"#, nil), (#"{"Size":10,"SharedSize":30}"#, nil),
            (#"{"Size":100,"SharedSize":100,"VirtualSize":500}"#, 0), (#"{"Size":100,"SharedSize":null}"#, nil),
        ] as [(String, Int64?)])
    func imageSizes(members: String, expected: Int64?) throws {
        let image = #"{"Id":"sha256:aa","# + members.dropFirst()
        for usage in [#"{"Images":[\#(image)]}"#, #"{"ImageUsage":{"TotalCount":1,"Items":[\#(image)]}}"#] {
            let inventory = try inventory(usage, images: #"[{"Id":"sha256:aa","Labels":{"quittance.project":"shop"},"SharedSize":-1,"Size":5}]"#)
            #expect(inventory.images.map(\.ownBytes) == [expected])
            #expect(StorageAttribution(inventory).projects == ["shop": .init(bytes: expected ?? 0, unknownItems: expected == nil ? 1 : 0)])
        }
    }

    @Test("null, missing and empty lists are nothing; a list without sizes is of unknown size; sizes without a list keep their labels")
    func emptiness() throws {
        for (volumes, images) in [("{}", "[]"), (#"{"Volumes":null,"Warnings":null}"#, "null"), (#"{"Volumes":[]}"#, "[]")] {
            let nothing = try inventory(#"{"Volumes":null,"Images":null,"Containers":null,"BuildCache":null}"#, volumes: volumes, images: images)
            #expect(nothing.volumes.isEmpty && nothing.images.isEmpty)
            #expect(nothing.layerBytes == 0)
        }
        let lost = try inventory(
            #"{"Volumes":[{"Name":"v","Labels":{"quittance.project":"shop"},"UsageData":{"Size":5}}],"Images":[{"Id":"a","Size":3,"Labels":null}]}"#)
        #expect(StorageAttribution(lost).projects == ["shop": .init(bytes: 5)])
        #expect(StorageAttribution(lost).unattributedBytes == 3)
        let remote = try inventory(
            "{}", volumes: #"{"Volumes":[{"Name":"nfs","Labels":{"quittance.project":"shop"}}],"Warnings":["plugin x does not answer"]}"#,
            images: #"[{"Id":"sha256:a","Size":9,"SharedSize":0,"Labels":{"quittance.project":"shop"}}]"#)
        #expect(StorageAttribution(remote).projects == ["shop": .init(bytes: 0, unknownItems: 2)])
        #expect(remote.warnings == 1)
    }

    @Test("a list's label wins over the disk usage's, also where the list has none")
    func labels() throws {
        let usage =
            #"{"Volumes":[{"Name":"a","Labels":{"quittance.project":"old"},"UsageData":{"Size":1}},"#
            + #"{"Name":"b","Labels":{},"UsageData":{"Size":2}}]}"#
        let volumes = #"{"Volumes":[{"Name":"a","Labels":null},{"Name":"b","Labels":{"quittance.project":"shop"}},{"Name":"b"}]}"#
        let shares = StorageAttribution(try inventory(usage, volumes: volumes))
        #expect(shares.projects == ["shop": .init(bytes: 2)])
        #expect(shares.unattributedBytes == 1)
    }

    @Test("layers in common are told only where every figure needed is known")
    func layers() throws {
        let images = #""Images":[{"Id":"a","Size":100,"SharedSize":40},{"Id":"b","Size":90,"SharedSize":40}]"#
        #expect(try inventory(#"{"LayersSize":150,\#(images)}"#).sharedLayerBytes == 40)
        #expect(try inventory(#"{"LayersSize":0,\#(images)}"#).sharedLayerBytes == nil, "Podman 4 always says 0")
        #expect(try inventory(#"{"LayersSize":-1,\#(images)}"#).sharedLayerBytes == nil)
        #expect(try inventory(#"{"LayersSize":150,"Images":[{"Id":"a","Size":100,"SharedSize":-1}]}"#).sharedLayerBytes == nil)
        #expect(try inventory(#"{"LayersSize":10,\#(images)}"#).sharedLayerBytes == 0)
    }

    @Test("sizes too large to be true end in no overflow")
    func enormous() throws {
        let most: Int64 = 1 << 53
        let volumes = (0..<3000).map { #"{"Name":"v\#($0)","Labels":{"quittance.project":"shop"},"UsageData":{"Size":\#(most)}}"# }
        let inventory = try inventory(#"{"Volumes":[\#(volumes.joined(separator: ","))]}"#)
        #expect(inventory.volumeBytes == most)
        #expect(StorageAttribution(inventory).projects == ["shop": .init(bytes: most)])
    }
}
