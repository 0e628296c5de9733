import Cryptography
import Formats
import HTTPClient
import Settings

/// Objects in a bucket of a service that speaks S3: AWS, MinIO, Ceph and others.
///
/// Whoever downloads one gets it from the service, by a link that is good for seconds and for this object only.
public struct S3Storage: ObjectStorage {
    /// Where the objects are, and by whose key.
    public struct Bucket: Sendable {
        /// Scheme, host and port.
        public var endpoint: String
        public var region: String
        public var name: String
        /// Stands before every key; empty, or with a slash at its end.
        public var prefix: String
        /// Whether the bucket's name is the host's first part; otherwise it is the path's.
        public var isInHost: Bool
        public var accessKey: String
        public var secretKey: Secret

        public init(
            endpoint: String, region: String, name: String, prefix: String = "", isInHost: Bool = false, accessKey: String, secretKey: Secret
        ) {
            self.endpoint = endpoint
            self.region = region
            self.name = name
            self.prefix = prefix
            self.isInHost = isInHost
            self.accessKey = accessKey
            self.secretKey = secretKey
        }
    }

    let calls: S3Calls
    private let linkSeconds: Int
    private let partSize: Int

    /// Of a service's own limits: a part but the last has at least so many bytes.
    static let partSizeMin = 5 << 20

    /// - Parameters:
    ///   - linkSeconds: how long a link is good for.
    ///   - partSize: what is held in memory of an object that is being written; larger ones go in parts.
    public init(
        _ bucket: Bucket, client: HTTPClient, linkSeconds: Int = 30, partSize: Int = 8 << 20,
        nowMs: @escaping @Sendable () -> Int64 = { WallClock.nowMs }
    ) {
        precondition(partSize >= Self.partSizeMin, "a part has at least 5 MiB")
        calls = S3Calls(bucket: bucket, client: client, nowMs: nowMs)
        self.linkSeconds = linkSeconds
        self.partSize = partSize
    }

    public var kind: String { "s3" }
    public var linkOrigin: String? { calls.origin }

    public func begin(_ key: String, type: String) async throws(ObjectStorageError) -> any ObjectWriter {
        try S3Calls.check(key)
        return S3Writer(calls, key: key, type: type, partSize: partSize)
    }

    public func read(_ key: String, limit: Int) async throws(ObjectStorageError) -> [UInt8] {
        // Room for the service's own words too, where it refuses.
        let body = try await calls.send(S3Call("GET", key, answerLimit: max(limit, 64 * 1024))).body
        guard body.count <= limit else {
            throw ObjectStorageError(code: .tooLarge, message: "\(key) is larger than \(limit) bytes", isTransient: false)
        }
        return body
    }

    public func open(_ key: String, as presentation: ObjectPresentation) async throws(ObjectStorageError) -> ObjectSending {
        .link(try calls.link(to: key, as: presentation, seconds: linkSeconds))
    }

    public func size(_ key: String) async throws(ObjectStorageError) -> Int64? {
        do throws(ObjectStorageError) {
            let answer = try await calls.send(S3Call("HEAD", key))
            guard let size = answer.headers["content-length"].flatMap({ Int64($0) }) else {
                throw ObjectStorageError(code: .unavailable, message: "\(key): the service does not say how long it is", isTransient: false)
            }
            return size
        } catch {
            if error.code == .notFound { return nil }
            throw error
        }
    }

    public func delete(_ key: String) async throws(ObjectStorageError) {
        do throws(ObjectStorageError) {
            _ = try await calls.send(S3Call("DELETE", key))
        } catch {
            guard error.code == .notFound else { throw error }
        }
    }
}

/// An object on its way into the bucket: in one call when it is small, in parts otherwise. What is not finished is no object.
actor S3Writer: ObjectWriter {
    private let calls: S3Calls
    private let key: String
    private let type: String
    private let partSize: Int
    private var waiting: [UInt8] = []
    private var hasher = SHA256Hasher()
    private var size: Int64 = 0
    /// Once there is more than one part.
    private var upload: String?
    private var tags: [String] = []

    init(_ calls: S3Calls, key: String, type: String, partSize: Int) {
        self.calls = calls
        self.key = key
        self.type = type
        self.partSize = partSize
    }

    func write(_ bytes: [UInt8]) async throws(ObjectStorageError) {
        hasher.update(bytes)
        size += Int64(bytes.count)
        waiting += bytes
        while waiting.count > partSize {
            let part = Array(waiting[..<partSize])
            waiting.removeFirst(partSize)
            try await send(part)
        }
    }

    func finish() async throws(ObjectStorageError) -> StoredObject {
        let last = waiting
        waiting = []
        if let upload {
            try await send(last)
            try await calls.complete(upload, of: key, tags: tags)
            self.upload = nil
        } else {
            _ = try await calls.send(S3Call("PUT", key, type: type, body: last))
        }
        return StoredObject(key: key, size: size, sha256: Hex.encode(hasher.finish()))
    }

    func discard() async {
        waiting = []
        guard let upload else { return }
        self.upload = nil
        // What stays behind costs money until the bucket's own rule for unfinished uploads takes it away.
        _ = try? await calls.send(S3Call("DELETE", key, query: [("uploadId", upload)]))
    }

    private func send(_ part: [UInt8]) async throws(ObjectStorageError) {
        let id: String
        if let upload {
            id = upload
        } else {
            id = try await calls.beginUpload(key, type: type)
            upload = id
        }
        let query = [("partNumber", String(tags.count + 1)), ("uploadId", id)]
        let answer = try await calls.send(S3Call("PUT", key, query: query, body: part))
        guard let tag = answer.headers["etag"] else {
            throw ObjectStorageError(code: .unavailable, message: "\(key): the service took a part without naming it", isTransient: true)
        }
        tags.append(tag)
    }
}
