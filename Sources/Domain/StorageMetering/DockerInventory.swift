/// What an engine keeps, sizes and projects joined.
public struct DockerInventory: Sendable {
    public struct Volume: Sendable, Equatable {
        public let name: String
        /// The value of the project label.
        public let label: String?
        /// Nil is unknown.
        public let bytes: Int64?
        /// Containers that use it; nil is unknown.
        public let references: Int64?
    }

    public struct Image: Sendable, Equatable {
        /// Without `sha256:`.
        public let id: String
        public let label: String?
        /// With what it shares with others.
        public let bytes: Int64?
        public let sharedBytes: Int64?
        /// It has no name.
        public let isDangling: Bool

        /// What would be freed without it; nil unless both figures are known.
        public var ownBytes: Int64? {
            guard let bytes, let sharedBytes, sharedBytes <= bytes else { return nil }
            return bytes - sharedBytes
        }
    }

    public let volumes: [Volume]
    public let images: [Image]
    /// All layers of all images, each once; nil when the engine does not tell.
    public let layerBytes: Int64?
    /// Things that the engine said it could not list.
    public let warnings: Int
    public let version: DockerAPIVersion
    public let isPodman: Bool

    /// Joins the three answers.
    ///
    /// The lists say what there is and whose it is; the disk usage says how large. A volume of the list that it does not name
    /// (NFS, plugins, drivers with options) is of unknown size. What only it names is taken with the labels that it has.
    init(usage: DiskUsageAnswer, volumes list: VolumeList, images imageList: ImageList, version: DockerAPIVersion, isPodman: Bool) {
        volumes = Self.join(list.volumes, usage.volumes).map {
            Volume(name: $0.id, label: $0.label, bytes: $0.size, references: $0.references)
        }
        images = Self.join(imageList.images, usage.images).map {
            Image(id: $0.id, label: $0.label, bytes: $0.size, sharedBytes: $0.shared, isDangling: $0.isDangling)
        }
        layerBytes = usage.layerBytes
        warnings = list.warnings
        self.version = version
        self.isPodman = isPodman
    }

    /// The engine's three answers as they came.
    /// - Parameter label: the label that names the projects of an item.
    public init(
        diskUsage: [UInt8], volumes: [UInt8], images: [UInt8], label: String, limit: Int = 64 << 20
    ) throws(DockerEngineError) {
        let list = try VolumeList(parsing: volumes, label: label, limit: limit)
        let imageList = try ImageList(parsing: images, label: label, limit: limit)
        let usage = try DiskUsageAnswer(parsing: diskUsage, label: label, limit: limit)
        self.init(usage: usage, volumes: list, images: imageList, version: .highest, isPodman: false)
    }

    /// Figures are those of the disk usage only: Podman's list of images says that nothing is shared.
    private static func join(_ listed: [DockerItem], _ sized: [DockerItem]) -> [DockerItem] {
        var sizes: [String: DockerItem] = [:]
        sizes.reserveCapacity(sized.count)
        for item in sized { sizes[item.id] = item }
        var joined: [DockerItem] = []
        joined.reserveCapacity(max(listed.count, sized.count))
        for item in listed {
            var whole = sizes.removeValue(forKey: item.id) ?? DockerItem(id: item.id, isDangling: item.isDangling)
            whole.label = item.label
            whole.isDangling = item.isDangling
            joined.append(whole)
        }
        // In the answer's order.
        for item in sized where sizes[item.id] != nil { joined.append(item) }
        return joined
    }

    // MARK: Totals

    /// Of all volumes whose size is known.
    public var volumeBytes: Int64 { sum(volumes.lazy.compactMap(\.bytes)) }
    public var unknownVolumes: Int { volumes.lazy.filter { $0.bytes == nil }.count }
    /// Of volumes that no container uses.
    public var reclaimableVolumeBytes: Int64 { sum(volumes.lazy.filter { $0.references == 0 }.compactMap(\.bytes)) }
    /// Of images without a name, without what they share.
    public var danglingImageBytes: Int64 { sum(images.lazy.filter(\.isDangling).compactMap(\.ownBytes)) }
    public var unknownImages: Int { images.lazy.filter { $0.ownBytes == nil }.count }
    /// Layers that several images have in common, each once; nil when a figure needed for it is unknown.
    public var sharedLayerBytes: Int64? {
        guard let layerBytes, unknownImages == 0 else { return nil }
        return max(layerBytes - sum(images.lazy.compactMap(\.ownBytes)), 0)
    }

    private func sum(_ sizes: some Sequence<Int64>) -> Int64 { sizes.reduce(0) { StorageSum.add($0, $1) } }
}

/// Sums that end at a bound rather than overflow: what an engine says is not ours to trust.
enum StorageSum {
    static let max: Int64 = 1 << 53

    static func add(_ left: Int64, _ right: Int64) -> Int64 { Swift.min(left + right, max) }
}
