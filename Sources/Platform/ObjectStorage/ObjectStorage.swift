import Formats

/// What was stored, as it is to be remembered beside its owner.
public struct StoredObject: Sendable, Equatable {
    public let key: String
    public let size: Int64
    /// 64 lower-case hexadecimal digits.
    public let sha256: String

    public init(key: String, size: Int64, sha256: String) {
        self.key = key
        self.size = size
        self.sha256 = sha256
    }
}

/// How an object gets to whoever may have it.
public enum ObjectSending: Sendable {
    /// From this machine: a server sends pieces of the file without reading them.
    case file(ReadableFile)
    /// From the storage itself, by a link that is good for seconds.
    case link(PresignedLink)
}

public struct PresignedLink: Sendable, Equatable {
    public let url: String
    public let expiresAtMs: Int64

    public init(url: String, expiresAtMs: Int64) {
        self.url = url
        self.expiresAtMs = expiresAtMs
    }
}

/// What the receiver of an object is told about it; a storage that sends objects itself is told to say so.
public struct ObjectPresentation: Sendable, Equatable {
    public var type: String
    /// The value of `Content-Disposition`.
    public var disposition: String
    /// The one range that may be asked for, as in a request's header; the whole object when nil.
    public var range: String?

    public init(type: String, disposition: String, range: String? = nil) {
        self.type = type
        self.disposition = disposition
        self.range = range
    }
}

/// An object as listings show it.
public struct ListedObject: Sendable, Equatable {
    public let key: String
    public let size: Int64
    /// When it appeared, by the storage's clock.
    public let changedAtMs: Int64

    public init(key: String, size: Int64, changedAtMs: Int64) {
        self.key = key
        self.size = size
        self.changedAtMs = changedAtMs
    }
}

/// Where private objects are kept: a folder of this machine, or a service that speaks S3.
///
/// A key is a relative path of at most 16 parts. An object appears whole or not at all, stays once it has appeared, and is replaced by writing
/// the same key again. Nobody reaches one but through us.
public protocol ObjectStorage: Sendable {
    /// `local` or `s3`, for listings.
    var kind: String { get }

    /// Scheme, host and port that its links lead to; nil where it gives none.
    var linkOrigin: String? { get }

    /// Begins an object that comes in pieces. It appears when the writer has finished.
    func begin(_ key: String, type: String) async throws(ObjectStorageError) -> any ObjectWriter

    /// Everything, for what we work with ourselves; what is only passed on is opened.
    /// - Parameter limit: a larger object is an error, not a cut.
    func read(_ key: String, limit: Int) async throws(ObjectStorageError) -> [UInt8]

    /// Opens an object for sending. A storage of links makes one without asking whether there is such an object.
    func open(_ key: String, as presentation: ObjectPresentation) async throws(ObjectStorageError) -> ObjectSending

    /// Bytes of the object; nil when there is none.
    func size(_ key: String) async throws(ObjectStorageError) -> Int64?

    /// Takes an object away; nothing happens when there is none.
    func delete(_ key: String) async throws(ObjectStorageError)

    /// The objects that stand directly in a folder, by name: what is looked for are those that nobody refers to any more. In a bucket there may be
    /// keys that others made and we would not take.
    /// - Parameters:
    ///   - after: the key that the answer before ended with.
    ///   - limit: how many at most; an answer with fewer, though not with none, may still have others behind it.
    func list(_ folder: String, after: String?, limit: Int) async throws(ObjectStorageError) -> [ListedObject]

    /// Refuses, as ``ObjectStorageError/Code/full``, where less is free than is kept for what was paid for. Asked before a file is taken from
    /// a stranger; what staff hand in and what we make ourselves uses the rest.
    func checkRoom() async throws(ObjectStorageError)
}

extension ObjectStorage {
    /// A service has room as long as it takes objects.
    public func checkRoom() async throws(ObjectStorageError) {}

    /// Stores bytes that are in memory already.
    @discardableResult
    public func put(_ bytes: [UInt8], key: String, type: String) async throws(ObjectStorageError) -> StoredObject {
        let writer = try await begin(key, type: type)
        do throws(ObjectStorageError) {
            try await writer.write(bytes)
            return try await writer.finish()
        } catch {
            await writer.discard()
            throw error
        }
    }

    public func exists(_ key: String) async throws(ObjectStorageError) -> Bool { try await size(key) != nil }
}

/// An object that is being written. Its calls come one after the other; the last is ``finish()`` or ``discard()``.
public protocol ObjectWriter: Sendable {
    /// Takes the next bytes, of any number. When it throws, all that remains is to discard.
    func write(_ bytes: [UInt8]) async throws(ObjectStorageError)

    /// Makes the object appear: when this returns, it is on stable storage.
    func finish() async throws(ObjectStorageError) -> StoredObject

    /// Forgets what was written. Harmless after ``finish()``.
    func discard() async
}
