import Cryptography
import Formats
import ObjectStorage
import Settings

/// Where customers' files and finals are kept: an object is written there, read back, listed and taken away again.
enum StorageChecks {
    /// A service that says nothing for so long is as good as away.
    static let patience = Duration.seconds(15)
    private static let what = "files"

    static func findings(_ context: CommandContext) async -> [Finding] {
        let settings = context.settings
        guard let s3 = settings.storage.s3 else {
            // What is wrong with the folder itself stands in a line of its own.
            let root = settings.privateMediaRoot
            guard let mode = Folders.mode(of: root), mode.isFolder, Folders.isWritable(root) else { return [] }
            return [await finding(settings, at: root, remedy: "look at the disk of PRIVATE_MEDIA_ROOT")]
        }
        let place = "bucket \(s3.bucket) at \(s3.endpoint)" + (s3.prefix.isEmpty ? "" : ", below \(s3.prefix)")
        return [
            await finding(settings, at: place, remedy: "correct STORAGE_S3_*, or let the key get, put, delete and list there"),
            s3.endpoint.hasPrefix("https://")
                ? .ok("links", "customers' browsers are sent to \(s3.endpoint)")
                : .warn("links", "\(s3.endpoint) is not https: what customers download can be read on its way"),
        ]
    }

    private static func finding(_ settings: Settings, at place: String, remedy: String) async -> Finding {
        do {
            return try await KitFileCommands.withStorage(settings) { storage in await probe(storage, place, remedy) }
        } catch {
            return .fail(what, "\(place): \(error)")
        }
    }

    private static func probe(_ storage: any ObjectStorage, _ place: String, _ remedy: String) async -> Finding {
        await withTaskGroup(of: Finding?.self) { group in
            group.addTask { await tried(storage, place, remedy) }
            group.addTask {
                // Cut short when the probe has its answer.
                do { try await Task.sleep(for: patience) } catch { return nil }
                return .fail(what, "\(place): no answer within \(patience.components.seconds) s: \(remedy)")
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first ?? .fail(what, "\(place): not asked to the end")
        }
    }

    /// Each step by name, so that a key which lacks one right is told from a place that is away.
    private static func tried(_ storage: any ObjectStorage, _ place: String, _ remedy: String) async -> Finding {
        let bytes = SecureRandom.bytes(64)
        let key = "doctor/\(Hex.encode(SecureRandom.bytes(8)))"
        var step = "put"
        do throws(ObjectStorageError) {
            try await storage.put(bytes, key: key, type: "application/octet-stream")
            step = "get"
            guard try await storage.read(key, limit: bytes.count) == bytes else {
                return .fail(what, "\(place) gives back other bytes than were put")
            }
            step = "list"
            let listed = try await storage.list("doctor", after: nil, limit: 1000).contains { $0.key == key }
            step = "delete"
            try await storage.delete(key)
            step = "look"
            guard try await storage.size(key) == nil else { return .fail(what, "\(place) keeps what was deleted: \(remedy)") }
            guard listed else { return .warn(what, "\(place) does not list what was put: files that nothing leads to are not found") }
        } catch {
            // What was put is worth another try; it is 64 bytes.
            if step != "put" { try? await storage.delete(key) }
            return .fail(what, "\(place): \(step) fails: \(error.message); \(remedy)")
        }
        do throws(ObjectStorageError) { try await storage.checkRoom() } catch {
            return .warn(what, "\(place): \(error.message): forms with files are refused; make room, or lower STORAGE_FREE_MIN_MIB")
        }
        return .ok(what, "\(place): put, get, list and delete work")
    }
}
