import Formats

/// A volume or an image, as one answer tells of it.
struct DockerItem: Sendable, Equatable {
    /// A volume's name, an image's id without `sha256:`.
    let id: String
    /// The value of the label that names projects; nil without that label.
    var label: String?
    /// Nil is unknown: never zero, never in a sum.
    var size: Int64?
    /// Of an image: what it has in common with others.
    var shared: Int64?
    /// Of a volume: containers that use it.
    var references: Int64?
    /// Of an image: it has no name.
    var isDangling = false
}

/// The answer of `/system/df`, in the shape before API 1.52 or the one since.
struct DiskUsageAnswer: Sendable {
    let volumes: [DockerItem]
    /// Each id once.
    let images: [DockerItem]
    /// All layers of all images, each counted once; nil when it is not told.
    let layerBytes: Int64?
    /// The answer counts volumes or images that it does not name.
    let lacksItems: Bool

    init(parsing body: [UInt8], label: String, limit: Int) throws(DockerEngineError) {
        let json = try DockerJSON.parse(body, "/system/df", limit: limit)
        guard case .object = json else { throw DockerJSON.unreadable("/system/df", "it is no object") }
        let volumeUsage = Self.usage("Volume", in: json)
        let imageUsage = Self.usage("Image", in: json)
        volumes = DockerJSON.distinct((volumeUsage.items ?? json["Volumes"]?.array ?? []).compactMap { DockerJSON.volume($0, label: label) })
        images = DockerJSON.distinct((imageUsage.items ?? json["Images"]?.array ?? []).compactMap { DockerJSON.image($0, label: label) })
        lacksItems = (volumeUsage.count > 0 && volumes.isEmpty) || (imageUsage.count > 0 && images.isEmpty)
        // Podman before 5 says 0 whatever there is.
        let told = [imageUsage.totalSize, json["LayersSize"]?.int].compactMap { $0 }.first { $0 > 0 }
        layerBytes = told ?? (images.isEmpty && !lacksItems ? 0 : nil)
    }

    /// One of the new members. The change log's prose names them in the plural, the code in the singular.
    private static func usage(_ kind: String, in json: JSON) -> (items: [JSON]?, count: Int64, totalSize: Int64?) {
        let usage = json["\(kind)Usage"] ?? json["\(kind)sUsage"]
        // An empty list is left out by the engine, so it says nothing against the other shape.
        let items = usage?["Items"]?.array.flatMap { $0.isEmpty ? nil : $0 }
        return (items, usage?["TotalCount"]?.int ?? 0, usage?["TotalSize"]?.int)
    }
}

/// The answer of `/volumes`: the labels, no sizes.
struct VolumeList: Sendable {
    let volumes: [DockerItem]
    /// What the engine could not list, in its words.
    let warnings: Int

    init(parsing body: [UInt8], label: String, limit: Int) throws(DockerEngineError) {
        let json = try DockerJSON.parse(body, "/volumes", limit: limit)
        guard case .object = json else { throw DockerJSON.unreadable("/volumes", "it is no object") }
        volumes = DockerJSON.distinct((json["Volumes"]?.array ?? []).compactMap { DockerJSON.volume($0, label: label) })
        warnings = json["Warnings"]?.array?.count ?? 0
    }
}

/// The answer of `/images/json`.
struct ImageList: Sendable {
    let images: [DockerItem]

    init(parsing body: [UInt8], label: String, limit: Int) throws(DockerEngineError) {
        let json = try DockerJSON.parse(body, "/images/json", limit: limit)
        guard json.isNull || json.array != nil else { throw DockerJSON.unreadable("/images/json", "it is no array") }
        images = DockerJSON.distinct((json.array ?? []).compactMap { DockerJSON.image($0, label: label) })
    }
}

/// Reading what engines write: every array may be missing, null or empty, every number missing or -1, and members that nobody
/// knows may be there.
enum DockerJSON {
    /// One item has at most this many bytes; a larger figure is no size. No sum of an answer's items overflows.
    static let sizeMax: Int64 = 1 << 53

    static func parse(_ body: [UInt8], _ path: String, limit: Int) throws(DockerEngineError) -> JSON {
        do throws(JSONError) { return try JSON(parsing: body, sizeLimit: limit) } catch { throw unreadable(path, "\(error)") }
    }

    static func unreadable(_ path: String, _ why: String) -> DockerEngineError {
        DockerEngineError(code: .unreadable, message: "the engine's answer to \(path) cannot be read: \(why)")
    }

    /// Nil for something without a name.
    static func volume(_ json: JSON, label: String) -> DockerItem? {
        guard let name = json["Name"]?.string, !name.isEmpty else { return nil }
        var item = DockerItem(id: name, label: json["Labels"]?[label]?.string)
        if let usage = json["UsageData"], case .object = usage {
            item.size = size(usage["Size"])
            item.references = size(usage["RefCount"])
        }
        return item
    }

    /// Nil for something without an id.
    static func image(_ json: JSON, label: String) -> DockerItem? {
        guard let id = json["Id"]?.string, !id.isEmpty else { return nil }
        var item = DockerItem(id: id.hasPrefix("sha256:") ? String(id.dropFirst(7)) : id, label: json["Labels"]?[label]?.string)
        item.size = size(json["Size"])
        item.shared = size(json["SharedSize"])
        let names = (json["RepoTags"]?.array ?? []).compactMap(\.string)
        item.isDangling = names.allSatisfy { $0 == "<none>" || $0 == "<none>:<none>" }
        return item
    }

    /// A missing number is zero, since engines leave zeros out; a negative one is unknown, and so is what is no size at all.
    static func size(_ json: JSON?) -> Int64? {
        guard let json else { return 0 }
        guard let value = json.int, (0...sizeMax).contains(value) else { return nil }
        return value
    }

    /// Each id once: Podman lists an image once per name. What one entry knows and another does not is taken from either.
    static func distinct(_ items: [DockerItem]) -> [DockerItem] {
        var places: [String: Int] = [:]
        places.reserveCapacity(items.count)
        var kept: [DockerItem] = []
        kept.reserveCapacity(items.count)
        for item in items {
            guard let place = places[item.id] else {
                places[item.id] = kept.count
                kept.append(item)
                continue
            }
            kept[place].complete(with: item)
        }
        return kept
    }
}

extension DockerItem {
    /// Takes over what the other one knows and this one does not.
    mutating func complete(with other: DockerItem) {
        label = label ?? other.label
        size = size ?? other.size
        shared = shared ?? other.shared
        references = references ?? other.references
        isDangling = isDangling && other.isDangling
    }
}
