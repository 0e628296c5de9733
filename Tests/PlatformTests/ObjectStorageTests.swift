import Cryptography
import EventLoop
import Formats
import HTTPClient
import ObjectStorage
import PrivateFiles
import Settings
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// An S3 and a client of it.
struct S3Stage: Sendable {
    let server: S3Server
    let client: HTTPClient

    init() async throws {
        server = try await S3Server.start()
        client = HTTPClient(loop: try EventLoop.started(name: "s3"))
    }

    func storage(bucket: String = S3Server.bucket, prefix: String = "", endpoint: String? = nil, partSize: Int = 8 << 20) -> S3Storage {
        S3Storage(
            S3Storage.Bucket(
                endpoint: endpoint ?? server.endpoint, region: "us-east-1", name: bucket, prefix: prefix, accessKey: "test",
                secretKey: Secret("test")), client: client, partSize: partSize)
    }

    /// Has the next calls answered as a service does that is too busy.
    func fail(_ count: Int) async throws {
        _ = try await client.send(HTTPClient.Request(url: "\(server.endpoint)/played/fail?count=\(count)"))
    }

    /// How many uploads are neither finished nor given up.
    func unfinished() async throws -> Int {
        let answer = try await client.send(
            HTTPClient.Request(
                url: "\(server.endpoint)/\(S3Server.bucket)?uploads",
                headers: ["Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"]))
        return String(decoding: answer.body, as: UTF8.self).ranges(of: "<Upload>").count
    }
}

/// A storage of each kind, on real parts.
enum StorageKind: String, CaseIterable, CustomTestStringConvertible {
    case local, s3
    var testDescription: String { rawValue }

    func with(_ body: (any ObjectStorage) async throws -> Void) async throws {
        switch self {
        case .local:
            let folder = try TemporaryFolder("storage")
            try await body(LocalStorage(PrivateFiles(root: folder.file("private"), pool: BlockingPool(name: "storage", threads: 2))))
        case .s3:
            let stage = try await S3Stage()
            try await body(stage.storage(prefix: "shop/", partSize: 5 << 20))
            // The server goes with its stage.
            withExtendedLifetime(stage) {}
        }
    }
}

/// The code of what is thrown; nil when nothing is.
func failure(_ body: () async throws(ObjectStorageError) -> Void) async -> ObjectStorageError? {
    do throws(ObjectStorageError) {
        try await body()
        return nil
    } catch {
        return error
    }
}

private let presentation = ObjectPresentation(type: "application/pdf", disposition: "attachment; filename=\"a b.pdf\"")

@Suite("Object storage")
struct ObjectStorageTests {
    private static func noise(_ size: Int) -> [UInt8] {
        var state: UInt64 = 7
        return (0..<size).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 33)
        }
    }

    @Test("what is put is there, with its size and hash, until it is deleted", arguments: StorageKind.allCases)
    func putAndDelete(kind: StorageKind) async throws {
        try await kind.with { storage in
            #expect(storage.kind == kind.rawValue)
            let bytes = Self.noise(300_000)
            let key = "finals/été 2026/a+b&c=d'(1).pdf"
            #expect(try await storage.size(key) == nil)
            #expect(try await !storage.exists(key))
            let stored = try await storage.put(bytes, key: key, type: "application/pdf")
            #expect(stored == StoredObject(key: key, size: 300_000, sha256: Digest.sha256Hex(bytes)))
            #expect(try await storage.size(key) == 300_000)
            #expect(try await storage.read(key, limit: 300_000) == bytes)
            #expect(await failure { () throws(ObjectStorageError) in _ = try await storage.read(key, limit: 299_999) }?.code == .tooLarge)
            try await storage.put([1], key: key, type: "application/pdf")
            #expect(try await storage.read(key, limit: 10) == [1])
            try await storage.delete(key)
            try await storage.delete(key)
            let gone = await failure { () throws(ObjectStorageError) in _ = try await storage.read(key, limit: 10) }
            #expect(gone?.code == .notFound && gone?.isTransient == false)
        }
    }

    @Test("an object that comes in pieces appears when it is finished, and never when it is discarded", arguments: StorageKind.allCases)
    func pieces(kind: StorageKind) async throws {
        try await kind.with { storage in
            // More than two parts.
            let bytes = Self.noise(11_000_123)
            let writer = try await storage.begin("up/a", type: "application/pdf")
            for start in stride(from: 0, to: bytes.count, by: 900_001) {
                try await writer.write(Array(bytes[start..<min(start + 900_001, bytes.count)]))
            }
            #expect(try await storage.size("up/a") == nil)
            let stored = try await writer.finish()
            #expect(stored == StoredObject(key: "up/a", size: 11_000_123, sha256: Digest.sha256Hex(bytes)))
            #expect(try await storage.read("up/a", limit: 20_000_000) == bytes)
            await writer.discard()
            #expect(try await storage.size("up/a") == 11_000_123)

            let empty = try await storage.begin("up/empty", type: "text/plain").finish()
            #expect(empty.size == 0 && empty.sha256 == Digest.sha256Hex([]))

            let left = try await storage.begin("up/b", type: "text/plain")
            try await left.write(Self.noise(6 << 20))
            await left.discard()
            #expect(try await storage.size("up/b") == nil)
        }
    }

    @Test(
        "a folder's objects are listed by name, a page at a time, with size and time; what stands below or beside it is not",
        arguments: StorageKind.allCases)
    func listing(kind: StorageKind) async throws {
        try await kind.with { storage in
            #expect(try await storage.list("up", after: nil, limit: 10).isEmpty)
            let before = WallClock.nowMs - 5000
            let names = ["B", "a", "a+b&c=<d>'\"(1).pdf", "z", "été"]
            for (number, name) in names.enumerated() { try await storage.put([UInt8](repeating: 1, count: number), key: "up/\(name)", type: "x/y") }
            for other in ["up/below/x", "upper", "up2/x"] { try await storage.put([1], key: other, type: "x/y") }
            let all = try await storage.list("up", after: nil, limit: 100)
            #expect(all.map(\.key) == names.map { "up/\($0)" } && all.map(\.size) == [0, 1, 2, 3, 4])
            #expect(all.allSatisfy { (before...(WallClock.nowMs + 5000)).contains($0.changedAtMs) })
            var (paged, after): ([String], String?) = ([], nil)
            while case let page = try await storage.list("up", after: after, limit: 2), let last = page.last {
                #expect(page.count <= 2)
                paged += page.map(\.key)
                after = last.key
            }
            #expect(paged == all.map(\.key))
            // Folders alone are no end of what there is.
            for folder in ["1", "2", "3"] { try await storage.put([1], key: "deep/\(folder)/x", type: "x/y") }
            try await storage.put([1], key: "deep/last", type: "x/y")
            #expect(try await storage.list("deep", after: nil, limit: 1).map(\.key) == ["deep/last"])
            #expect(await failure { () throws(ObjectStorageError) in _ = try await storage.list("../up", after: nil, limit: 1) }?.code == .invalidKey)
        }
    }

    @Test("a folder of this machine says when less is free than is to be kept; a bucket takes what it takes")
    func space() async throws {
        let folder = try TemporaryFolder("storage")
        let files = PrivateFiles(root: folder.file("private"), pool: BlockingPool(name: "storage", threads: 2))
        #expect(try await files.freeBytes() > 0)
        #expect(await failure { () throws(ObjectStorageError) in try await LocalStorage(files).checkRoom() } == nil)
        #expect(await failure { () throws(ObjectStorageError) in try await LocalStorage(files, freeMin: 1).checkRoom() } == nil)
        let refused = await failure { () throws(ObjectStorageError) in try await LocalStorage(files, freeMin: 1 << 60).checkRoom() }
        #expect(refused?.code == .full && refused?.isTransient == true && refused?.message.hasSuffix("1099511627776 MiB are kept free") == true)
        try await StorageKind.s3.with { try await $0.checkRoom() }
    }

    @Test(
        "no key leads out of the storage", arguments: StorageKind.allCases,
        [
            "../a", "a/../b", "../\u{301}a", "a/\u{301}../../b", "/a", "a//b", "", "a/", "./a", ".incoming/x", "a\u{0}b", "a\nb",
            "a/\(String(repeating: "x", count: 300))",
        ])
    func keys(kind: StorageKind, key: String) async throws {
        guard kind == .local else {
            // No call is made: there is nothing to call.
            let storage = S3Storage(
                S3Storage.Bucket(endpoint: "http://127.0.0.1:9", region: "x", name: "b", accessKey: "k", secretKey: Secret("s")),
                client: HTTPClient(loop: try EventLoop.started(name: "none")))
            return try await expectRefused(storage, key)
        }
        try await kind.with { try await expectRefused($0, key) }
    }

    private func expectRefused(_ storage: any ObjectStorage, _ key: String) async throws {
        let tries: [ObjectStorageError?] = [
            await failure { () throws(ObjectStorageError) in try await storage.put([1], key: key, type: "text/plain") },
            await failure { () throws(ObjectStorageError) in _ = try await storage.open(key, as: presentation) },
            await failure { () throws(ObjectStorageError) in _ = try await storage.size(key) },
            await failure { () throws(ObjectStorageError) in try await storage.delete(key) },
            await failure { () throws(ObjectStorageError) in _ = try await storage.read(key, limit: 10) },
        ]
        for refused in tries { #expect(refused?.code == .invalidKey && refused?.isTransient == false) }
    }

    // MARK: Local

    @Test("a local object is opened for sending, and stays what it was though it is replaced or deleted")
    func opened() async throws {
        try await StorageKind.local.with { storage in
            let bytes = Self.noise(100_000)
            try await storage.put(bytes, key: "a", type: "x/y")
            guard case .file(let file) = try await storage.open("a", as: presentation) else { throw FixtureError("no file") }
            try await storage.put([9], key: "a", type: "x/y")
            try await storage.delete("a")
            #expect(file.size == 100_000)
            var read = [UInt8](repeating: 0, count: 100_000)
            #expect(pread(file.descriptor, &read, read.count, 0) == 100_000)
            #expect(read == bytes)
            #expect(fcntl(file.descriptor, F_GETFD) & FD_CLOEXEC != 0)
            #expect(await failure { () throws(ObjectStorageError) in _ = try await storage.open("a", as: presentation) }?.code == .notFound)
        }
    }

    @Test("a file in the making is 0600, and what is left of it goes with its writer")
    func leftovers() async throws {
        let folder = try TemporaryFolder("storage")
        let storage = LocalStorage(PrivateFiles(root: folder.file("private"), pool: BlockingPool(name: "storage", threads: 2)))
        func waiting() -> [String] { (FolderEntry.names(in: folder.file("private/.incoming")) ?? []).filter { !$0.hasPrefix(".") } }
        do {
            let writer = try await storage.begin("a/b", type: "x/y")
            try await writer.write([1, 2, 3])
            let name = try #require(waiting().first)
            var information = stat()
            #expect(lstat(folder.file("private/.incoming/\(name)"), &information) == 0 && information.st_mode & 0o7777 == 0o600)
        }
        #expect(waiting().isEmpty)
        _ = try await storage.begin("a/b", type: "x/y").finish()
        #expect(waiting().isEmpty)
    }

    @Test("a link in the way is not followed, and a folder is no object")
    func links() async throws {
        let folder = try TemporaryFolder("storage")
        let storage = LocalStorage(PrivateFiles(root: folder.file("private"), pool: BlockingPool(name: "storage", threads: 2)))
        try await storage.put([1], key: "real/a", type: "x/y")
        #expect(symlink("/etc", folder.file("private/etc")) == 0 && symlink("/etc/passwd", folder.file("private/real/passwd")) == 0)
        for key in ["etc/passwd", "real/passwd", "real"] {
            let refused = await failure { () throws(ObjectStorageError) in _ = try await storage.open(key, as: presentation) }
            #expect(refused?.code == .invalidKey, "\(key)")
        }
    }

    // MARK: S3

    @Test("a link gives the object with its name and type, and only to whoever has it whole")
    func presigned() async throws {
        let stage = try await S3Stage()
        let storage = stage.storage()
        let bytes = Self.noise(50_000)
        try await storage.put(bytes, key: "finals/a b.pdf", type: "application/pdf")
        guard case .link(let link) = try await storage.open("finals/a b.pdf", as: presentation) else { throw FixtureError("no link") }
        #expect(link.url.hasPrefix("\(stage.server.endpoint)/\(S3Server.bucket)/finals/a%20b.pdf?"))
        #expect(link.url.contains("&X-Amz-Signature=") && link.url.contains("X-Amz-Expires=30&"))
        #expect(storage.linkOrigin == stage.server.endpoint)
        let got = try await stage.client.send(HTTPClient.Request(url: link.url))
        #expect(got.status == 200 && got.body == bytes)
        #expect(got.headers["content-disposition"] == presentation.disposition)
        #expect(got.headers["content-type"] == "application/pdf")

        var part = presentation
        part.range = "bytes=10-19"
        guard case .link(let ranged) = try await storage.open("finals/a b.pdf", as: part) else { throw FixtureError("no link") }
        #expect(ranged.url.contains("X-Amz-SignedHeaders=host%3Brange"))
        let some = try await stage.client.send(HTTPClient.Request(url: ranged.url, headers: ["Range": "bytes=10-19"]))
        #expect(some.status == 206 && some.body == Array(bytes[10...19]))
    }

    @Test("a service that is too busy is asked again, a few times; one that is away is an error that passes")
    func busy() async throws {
        let stage = try await S3Stage()
        let storage = stage.storage()
        try await stage.fail(2)
        try await storage.put([1, 2], key: "a", type: "x/y")
        try await stage.fail(2)
        #expect(try await storage.size("a") == 2)
        try await stage.fail(3)
        let refused = await failure { () throws(ObjectStorageError) in try await storage.put([3], key: "a", type: "x/y") }
        #expect(refused?.code == .unavailable && refused?.isTransient == true)
        #expect(refused?.message == "a: PUT was answered 503 SlowDown")
        #expect(try await storage.read("a", limit: 10) == [1, 2])
        let away = await failure { () throws(ObjectStorageError) in
            _ = try await stage.storage(endpoint: "http://127.0.0.1:\((try? freePort()) ?? 9)").size("a")
        }
        #expect(away?.code == .unavailable && away?.isTransient == true)
    }

    @Test("a bucket that does not exist is a fault of the settings, not a missing object")
    func noBucket() async throws {
        let stage = try await S3Stage()
        let storage = stage.storage(bucket: "nobodys")
        let read = await failure { () throws(ObjectStorageError) in _ = try await storage.read("a", limit: 10) }
        #expect(read?.code == .refused && read?.isTransient == false && read?.message == "a: GET was answered 404 NoSuchBucket")
        #expect(await failure { () throws(ObjectStorageError) in try await storage.put([1], key: "a", type: "x/y") }?.code == .refused)
        withExtendedLifetime(stage) {}
    }

    @Test("an upload in parts that fails in the middle leaves neither an object nor parts")
    func brokenUpload() async throws {
        let stage = try await S3Stage()
        let storage = stage.storage(partSize: 5 << 20)
        let writer = try await storage.begin("big", type: "x/y")
        try await writer.write(Self.noise(6 << 20))
        #expect(try await stage.unfinished() == 1)
        try await stage.fail(3)
        #expect(await failure { () throws(ObjectStorageError) in try await writer.write(Self.noise(6 << 20)) }?.isTransient == true)
        await writer.discard()
        #expect(try await stage.unfinished() == 0)
        #expect(try await storage.size("big") == nil)
    }
}
