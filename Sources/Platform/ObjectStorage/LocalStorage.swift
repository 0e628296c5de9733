import Formats
import PrivateFiles

/// Objects in a folder of this machine, which only we may read.
public struct LocalStorage: ObjectStorage {
    private let files: PrivateFiles
    private let freeMin: Int64

    /// - Parameter freeMin: bytes of the disk that strangers' uploads may not use.
    public init(_ files: PrivateFiles, freeMin: Int64 = 0) {
        self.files = files
        self.freeMin = freeMin
    }

    public var kind: String { "local" }
    public var linkOrigin: String? { nil }

    public func begin(_ key: String, type: String) async throws(ObjectStorageError) -> any ObjectWriter {
        do throws(PrivateFilesError) {
            return LocalWriter(writer: try await files.begin(key))
        } catch {
            throw ObjectStorageError(error)
        }
    }

    public func read(_ key: String, limit: Int) async throws(ObjectStorageError) -> [UInt8] {
        do throws(PrivateFilesError) {
            return try await files.read(key, limit: limit)
        } catch {
            throw ObjectStorageError(error)
        }
    }

    public func open(_ key: String, as presentation: ObjectPresentation) async throws(ObjectStorageError) -> ObjectSending {
        do throws(PrivateFilesError) {
            return .file(try await files.open(key))
        } catch {
            throw ObjectStorageError(error)
        }
    }

    public func size(_ key: String) async throws(ObjectStorageError) -> Int64? {
        do throws(PrivateFilesError) {
            return try await files.size(key)
        } catch {
            throw ObjectStorageError(error)
        }
    }

    public func delete(_ key: String) async throws(ObjectStorageError) {
        do throws(PrivateFilesError) {
            try await files.remove(key)
        } catch {
            throw ObjectStorageError(error)
        }
    }

    public func list(_ folder: String, after: String?, limit: Int) async throws(ObjectStorageError) -> [ListedObject] {
        do throws(PrivateFilesError) {
            return try await files.list(folder, after: after, limit: limit).map {
                ListedObject(key: $0.path, size: $0.size, changedAtMs: $0.changedAtMs)
            }
        } catch {
            throw ObjectStorageError(error)
        }
    }

    public func checkRoom() async throws(ObjectStorageError) {
        guard freeMin > 0 else { return }
        let free: Int64
        do throws(PrivateFilesError) { free = try await files.freeBytes() } catch { throw ObjectStorageError(error) }
        guard free < freeMin else { return }
        throw ObjectStorageError(
            code: .full, message: "the disk has \(free >> 20) MiB free, and \(freeMin >> 20) MiB are kept free", isTransient: true)
    }
}

private struct LocalWriter: ObjectWriter {
    let writer: PrivateFileWriter

    func write(_ bytes: [UInt8]) async throws(ObjectStorageError) {
        do throws(PrivateFilesError) {
            try await writer.write(bytes)
        } catch {
            throw ObjectStorageError(error)
        }
    }

    func finish() async throws(ObjectStorageError) -> StoredObject {
        do throws(PrivateFilesError) {
            let stored = try await writer.finish()
            return StoredObject(key: stored.path, size: Int64(stored.size), sha256: stored.sha256Hex)
        } catch {
            throw ObjectStorageError(error)
        }
    }

    func discard() async { await writer.discard() }
}
