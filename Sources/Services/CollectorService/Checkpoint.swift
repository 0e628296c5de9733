import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// How far every log has been read and sent, and the batch that is on its way. On disk it is one file, replaced as a whole.
struct Checkpoint: Equatable, Sendable {
    /// A log by its path.
    struct Trail: Equatable, Sendable {
        /// Files that are read, the oldest first; the last one is the log itself, as far as it is there.
        var files: [FilePosition] = []
        /// Files that were read to their end and let go.
        var finished: [FilePosition] = []
        /// When the log was last seen in its place, in nanoseconds: what was rotated away since, nobody may have read. Nil in checkpoints of
        /// older releases.
        var lookedAt: Int64?
    }

    /// A batch that is on its way. Its bytes are kept: whatever happens to the logs meanwhile, a repeat is the same to the last bit.
    struct Pending: Equatable, Sendable {
        var id: String
        var body: String
        /// How far the logs are read once ingest has it.
        var after: [String: Trail]
    }

    /// Files that were finished and are remembered, of each log.
    static let finishedMax = 8
    private static let version: Int64 = 1

    /// Stands in the batches' names, so that those of two collectors never meet.
    var collector: String
    var trails: [String: Trail] = [:]
    var pending: Pending?

    /// What is not named keeps its place, also when the settings no longer name it.
    mutating func advance(to places: [String: Trail]) { trails.merge(places) { $1 } }
}

extension Checkpoint {
    var json: [UInt8] {
        var members: [(String, JSON)] = [("v", .int(Self.version)), ("collector", .string(collector)), ("logs", Self.json(of: trails))]
        if let pending {
            members.append(("pending", ["id": .string(pending.id), "body": .string(pending.body), "after": Self.json(of: pending.after)]))
        }
        return JSON.object(JSONObject(members)).bytes
    }

    init(json bytes: [UInt8]) throws(CollectorError) {
        guard let json = try? JSON(parsing: bytes, sizeLimit: CheckpointFile.sizeMax), json["v"]?.int == Self.version,
            let collector = json["collector"]?.string, let logs = json["logs"], let trails = Self.trails(of: logs)
        else { throw CollectorError("it is no checkpoint of this version") }
        self.init(collector: collector, trails: trails)
        guard let pending = json["pending"] else { return }
        guard let id = pending["id"]?.string, let body = pending["body"]?.string, let after = pending["after"].flatMap(Self.trails) else {
            throw CollectorError("its batch cannot be read")
        }
        self.pending = Pending(id: id, body: body, after: after)
    }

    private static func json(of trails: [String: Trail]) -> JSON {
        .object(
            JSONObject(
                trails.sorted { $0.key < $1.key }.map { path, trail in
                    (path, json(of: trail))
                }))
    }

    private static func json(of trail: Trail) -> JSON {
        var members: [(String, JSON)] = [("files", .array(trail.files.map(json))), ("finished", .array(trail.finished.map(json)))]
        if let lookedAt = trail.lookedAt { members.append(("looked", .int(lookedAt))) }
        return .object(JSONObject(members))
    }

    private static func json(of position: FilePosition) -> JSON {
        [
            "device": .string(String(position.identity.device)), "inode": .string(String(position.identity.inode)), "offset": .int(position.offset),
            "skipping": .bool(position.isSkipping), "head": .int(Int64(position.fingerprint.length)), "hash": .string(position.fingerprint.hash),
        ]
    }

    private static func trails(of json: JSON) -> [String: Trail]? {
        guard let members = json.object else { return nil }
        var trails: [String: Trail] = [:]
        for member in members {
            guard let files = member.value["files"]?.array, let finished = member.value["finished"]?.array else { return nil }
            let positions = (files.compactMap(position), finished.compactMap(position))
            guard positions.0.count == files.count, positions.1.count == finished.count else { return nil }
            trails[member.key] = Trail(files: positions.0, finished: positions.1, lookedAt: member.value["looked"]?.int)
        }
        return trails
    }

    /// Fills in what older releases did not write.
    fileprivate mutating func setLookedAt(_ moment: Int64) {
        let dated = { (trail: Trail) in Trail(files: trail.files, finished: trail.finished, lookedAt: trail.lookedAt ?? moment) }
        trails = trails.mapValues(dated)
        if let after = pending?.after { pending?.after = after.mapValues(dated) }
    }

    private static func position(of json: JSON) -> FilePosition? {
        guard let device = json["device"]?.string.flatMap({ UInt64($0) }), let inode = json["inode"]?.string.flatMap({ UInt64($0) }),
            let offset = json["offset"]?.int, offset >= 0, let isSkipping = json["skipping"]?.bool, let length = json["head"]?.int,
            (0...Int64(Fingerprint.lengthMax)).contains(length), let hash = json["hash"]?.string
        else { return nil }
        return FilePosition(
            identity: FileIdentity(device: device, inode: inode), fingerprint: Fingerprint(length: Int(length), hash: hash), offset: offset,
            isSkipping: isSkipping)
    }
}

/// The file of the checkpoint, and the lock that keeps a second collector away from it.
final class CheckpointFile: Sendable {
    static let sizeMax = 32 << 20

    let path: String
    private let folder: String
    private let lock: Int32

    /// Makes the folder unless it is there.
    /// - Throws: ``CollectorError`` when another collector has it.
    init(folder: String) throws(CollectorError) {
        self.folder = folder
        path = "\(folder)/checkpoint.json"
        do throws(FileError) { try FolderPath.make(folder) } catch { throw CollectorError(error) }
        lock = open("\(folder)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw .system("\(folder)/lock cannot be opened") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            close(lock)
            throw CollectorError("another collector keeps its place in \(folder): give this one a COLLECTOR_STATE of its own")
        }
    }

    deinit { close(lock) }

    /// Lets another collector have it; nothing is written here any more.
    func release() { _ = flock(lock, LOCK_UN) }

    /// Nil when there is none yet.
    func read() throws(CollectorError) -> Checkpoint? {
        guard access(path, F_OK) == 0 else { return nil }
        do {
            var checkpoint = try Checkpoint(json: try WholeFile.read(path, most: Self.sizeMax))
            if let writtenAt { checkpoint.setLookedAt(writtenAt) }
            return checkpoint
        } catch {
            throw CollectorError("\(path): \(error); move it away to begin the logs as COLLECTOR_START says")
        }
    }

    /// In nanoseconds.
    private var writtenAt: Int64? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
    }

    /// Replaces it; when this returns it is on the disk.
    func write(_ checkpoint: Checkpoint) throws(CollectorError) {
        do throws(FileError) { try WholeFile.replace(path, with: checkpoint.json, draft: path + ".new") } catch { throw CollectorError(error) }
    }
}
