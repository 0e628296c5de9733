import Database
import Formats
import PaymentsService

/// What a backup holds, and by which it is proved whole: written last, so that a folder without one is no backup.
struct BackupManifest: Sendable, Equatable {
    struct File: Sendable, Equatable {
        /// Within the backup.
        let path: String
        let bytes: Int64
        let sha256: String
    }

    static let name = "manifest.json"
    private static let version: Int64 = 1
    private static let sizeMax = 1 << 30

    let createdAtMs: Int64
    /// The number of the last migration of each room of tables.
    let schema: [String: Int]
    let files: [File]

    var bytes: Int64 { files.reduce(0) { $0 + $1.bytes } }

    /// The tables as this program knows them.
    static var ownSchema: [String: Int] {
        Dictionary(Product.migrations.map { ($0.room, $0.migrations.count) }) { max($0, $1) }
    }

    /// Rooms whose tables are newer than this program's, in a sentence's words.
    var newerRooms: [String] {
        let own = Self.ownSchema
        return schema.filter { $0.value > own[$0.key] ?? 0 }.map { "\($0.key) \($0.value)" }.sorted()
    }

    // MARK: JSON

    var encoded: [UInt8] {
        let entries = files.map { file -> JSON in ["path": .string(file.path), "bytes": .int(file.bytes), "sha256": .string(file.sha256)] }
        let rooms = JSONObject(schema.sorted { $0.key < $1.key }.map { ($0.key, JSON.int(Int64($0.value))) })
        let whole: JSON = [
            "v": .int(Self.version), "product": "quittance", "created_at": .string(Timestamp.rfc3339(createdAtMs)), "schema": .object(rooms),
            "files": .array(entries),
        ]
        return whole.bytes + [UInt8(ascii: "\n")]
    }

    init(createdAtMs: Int64, schema: [String: Int], files: [File]) {
        self.createdAtMs = createdAtMs
        self.schema = schema
        self.files = files
    }

    /// Reads the manifest of a backup.
    /// - Throws: ``CommandFailure`` when there is none, or it is not one that this program can go by.
    init(of backup: String) throws(CommandFailure) {
        let path = "\(backup)/\(Self.name)"
        let bytes = try SmallFile.read(path, limit: Self.sizeMax)
        guard let json = try? JSON(parsing: bytes, sizeLimit: Self.sizeMax), json["product"]?.string == "quittance" else {
            throw CommandFailure(.failed, "\(path) is no manifest of a backup")
        }
        guard json["v"]?.int == Self.version else { throw CommandFailure(.failed, "\(path) is of a version that this program does not know") }
        guard let created = json["created_at"]?.string.flatMap({ Timestamp.parse($0) }), let rooms = json["schema"]?.object,
            let entries = json["files"]?.array
        else { throw CommandFailure(.failed, "\(path) lacks what a manifest says") }
        var schema: [String: Int] = [:]
        for member in rooms {
            guard let number = member.value.int else { throw CommandFailure(.failed, "\(path) lacks what a manifest says") }
            schema[member.key] = Int(number)
        }
        var files: [File] = []
        for entry in entries {
            guard let name = entry["path"]?.string, let size = entry["bytes"]?.int, let sha256 = entry["sha256"]?.string, Self.leadsNowhereElse(name)
            else { throw CommandFailure(.failed, "\(path) names a file in a way that no backup does") }
            files.append(File(path: name, bytes: size, sha256: sha256))
        }
        self.init(createdAtMs: created, schema: schema, files: files)
    }

    private static func leadsNowhereElse(_ path: String) -> Bool {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        return !parts.isEmpty && parts.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }
    }
}
