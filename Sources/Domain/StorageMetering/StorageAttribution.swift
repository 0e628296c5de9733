import Usage

/// Whose the volumes and images of an engine are.
///
/// The rule: an item belongs to the projects that its label names, in equal parts. A volume counts with its size, an image with
/// its own bytes: layers that several images share are the host's, not a project's. What has no label, and the part of a name
/// that is no project's, is nobody's. An item of unknown size counts as such for each of its projects and is in no sum.
/// Each item is in exactly one of the sums: those of the projects, and ``unattributedBytes``.
public struct StorageAttribution: Sendable, Equatable {
    public typealias Part = StorageMeasurement.Part

    public private(set) var projects: [String: Part] = [:]
    /// Nobody's bytes.
    public private(set) var unattributedBytes: Int64 = 0
    /// Items of which at least a part is nobody's.
    public private(set) var unattributedItems = 0
    public private(set) var volumes = 0
    public private(set) var images = 0
    public private(set) var unknownItems = 0
    /// Labels that name something other than projects, or nothing; each bad name counts.
    public private(set) var labelErrors = 0
    /// Some of what is wrong in labels, for a person to look at.
    public private(set) var examples: [String] = []
    /// Layers in common of several images; nil when the engine does not tell.
    public let sharedLayerBytes: Int64?

    static let examplesMax = 5

    public init(_ inventory: DockerInventory) {
        sharedLayerBytes = inventory.sharedLayerBytes
        volumes = inventory.volumes.count
        images = inventory.images.count
        projects.reserveCapacity(inventory.volumes.count)
        for volume in inventory.volumes { add(volume.bytes, volume.label, of: "volume", volume.name) }
        for image in inventory.images { add(image.ownBytes, image.label, of: "image", image.id) }
    }

    /// From an engine's three answers as they came.
    public init(diskUsage: [UInt8], volumes: [UInt8], images: [UInt8], label: String) throws(DockerEngineError) {
        self.init(try DockerInventory(diskUsage: diskUsage, volumes: volumes, images: images, label: label))
    }

    private mutating func add(_ bytes: Int64?, _ value: String?, of kind: StaticString, _ name: String) {
        if bytes == nil { unknownItems += 1 }
        guard let value else { return addUnattributed(bytes) }
        let label = ProjectLabel(value)
        guard !label.names.isEmpty else {
            noteError("\(kind) \(name.prefix(80)): an empty label")
            return addUnattributed(bytes)
        }
        var isPartlyNobodys = false
        for share in label.shares(of: bytes ?? 0) {
            if ProjectLabel.isProject(share.name) {
                projects[share.name, default: Part(bytes: 0)].add(share.bytes, isUnknown: bytes == nil)
            } else {
                noteError("\(kind) \(name.prefix(80)): no project is named '\(share.name.prefix(40))'")
                unattributedBytes = StorageSum.add(unattributedBytes, share.bytes)
                isPartlyNobodys = true
            }
        }
        if isPartlyNobodys { unattributedItems += 1 }
    }

    private mutating func addUnattributed(_ bytes: Int64?) {
        unattributedItems += 1
        unattributedBytes = StorageSum.add(unattributedBytes, bytes ?? 0)
    }

    private mutating func noteError(_ sentence: @autoclosure () -> String) {
        labelErrors += 1
        if examples.count < Self.examplesMax { examples.append(sentence()) }
    }
}

extension StorageMeasurement.Part {
    mutating func add(_ more: Int64, isUnknown: Bool = false) {
        bytes = StorageSum.add(bytes, more)
        if isUnknown { unknownItems += 1 }
    }
}
