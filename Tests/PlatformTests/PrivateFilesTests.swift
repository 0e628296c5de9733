import Cryptography
import EventLoop
import Formats
import PrivateFiles
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite struct PrivateFilesTests {
    private let folder: TemporaryFolder
    private let files: PrivateFiles
    private var root: String { folder.file("private") }

    init() throws {
        folder = try TemporaryFolder()
        files = PrivateFiles(root: folder.file("private"), pool: BlockingPool(name: "files", threads: 4))
    }

    private func mode(_ path: String) -> mode_t {
        var information = stat()
        return lstat(path, &information) == 0 ? information.st_mode & 0o7777 : 0
    }

    private func names(_ path: String) -> [String] {
        (FolderEntry.names(in: path) ?? []).filter { !$0.hasPrefix("..") }
    }

    private func code(_ body: () async throws(PrivateFilesError) -> Void) async -> PrivateFilesError.Code? {
        do throws(PrivateFilesError) {
            try await body()
            return nil
        } catch {
            return error.code
        }
    }

    @Test func whatIsWrittenIsReadBackAndOnlyOursToRead() async throws {
        let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 17) }
        let stored = try await files.write(bytes, to: "invoices/2026/été.pdf")
        #expect(stored == StoredFile(path: "invoices/2026/été.pdf", size: bytes.count, sha256Hex: Digest.sha256Hex(bytes)))
        #expect(try await files.read(stored.path) == bytes)
        #expect(try await files.exists(stored.path))
        #expect(mode("\(root)/invoices/2026/été.pdf") == 0o600)
        for made in [root, "\(root)/invoices", "\(root)/invoices/2026"] { #expect(mode(made) == 0o700) }
        #expect(try files.absolutePath(stored.path) == "\(root)/\(stored.path)")
    }

    @Test func writingAgainReplacesWholeAndLeavesNothingElse() async throws {
        try await files.write([UInt8](repeating: 1, count: 100_000), to: "a/b")
        try await files.write([2], to: "a/b")
        #expect(try await files.read("a/b") == [2])
        #expect(names("\(root)/a") == ["b"])
        #expect(names("\(root)/.incoming").isEmpty)
        try await files.write([], to: "empty")
        #expect(try await files.read("empty") == [])
    }

    @Test func writersOfOnePathAtOnceLeaveOneWholeFile() async throws {
        await withTaskGroup { group in
            for number in 0..<40 {
                group.addTask { _ = try? await files.write([UInt8](repeating: UInt8(number), count: 50_000), to: "same") }
            }
        }
        let left = try await files.read("same")
        #expect(left.count == 50_000 && Set(left).count == 1)
    }

    @Test(arguments: [
        "", "/etc/passwd", "..", "../x", "a/../b", "a/./b", "a//b", "a/", ".", "a\0b", "a\nb", ".incoming/x", String(repeating: "a", count: 201),
        Array(repeating: "a", count: 17).joined(separator: "/"),
    ])
    func aPathThatCouldLeadElsewhereIsRefused(path: String) async {
        #expect(await code { () throws(PrivateFilesError) in try await files.write([1], to: path) } == .invalidPath)
        #expect(await code { () throws(PrivateFilesError) in _ = try await files.read(path) } == .invalidPath)
        #expect(await code { () throws(PrivateFilesError) in _ = try await files.exists(path) } == .invalidPath)
        #expect(await code { () throws(PrivateFilesError) in _ = try await files.remove(path) } == .invalidPath)
        #expect(throws: PrivateFilesError.self) { try files.absolutePath(path) }
    }

    @Test func symbolicLinksAreNotFollowed() async throws {
        try await files.write([1], to: "kept")
        try folder.write("secret", to: "outside")
        #expect(symlink(folder.path, "\(root)/folder") == 0)
        #expect(symlink(folder.file("outside"), "\(root)/file") == 0)
        #expect(await code { () throws(PrivateFilesError) in try await files.write([1], to: "folder/new") } == .invalidPath)
        #expect(await code { () throws(PrivateFilesError) in _ = try await files.read("folder/outside") } == .invalidPath)
        #expect(await code { () throws(PrivateFilesError) in _ = try await files.read("file") } == .invalidPath)
        #expect(try await files.exists("file") == false)
        // Writing replaces the link itself, not what it points to.
        try await files.write([7], to: "file")
        #expect(folder.read("outside") == Array("secret".utf8))
        #expect(try await files.read("file") == [7])
    }

    @Test func whatIsNoPlainFileIsNotRead() async throws {
        try await files.write([1], to: "folder/file")
        #expect(mkfifo("\(root)/pipe", 0o600) == 0)
        #expect(await code { () throws(PrivateFilesError) in _ = try await files.read("folder") } == .invalidPath)
        #expect(await code { () throws(PrivateFilesError) in _ = try await files.read("pipe") } == .invalidPath)
        #expect(await code { () throws(PrivateFilesError) in try await files.write([1], to: "folder") } == .invalidPath)
        #expect(await code { () throws(PrivateFilesError) in try await files.write([1], to: "folder/file/below") } == .invalidPath)
    }

    @Test func missingFilesAndTooLargeOnesAreToldApart() async throws {
        #expect(await code { () throws(PrivateFilesError) in _ = try await files.read("nothing/here") } == .notFound)
        #expect(try await files.exists("nothing/here") == false)
        #expect(try await files.remove("nothing/here") == false)
        try await files.write([1, 2, 3], to: "three")
        #expect(try await files.read("three", limit: 3) == [1, 2, 3])
        #expect(await code { () throws(PrivateFilesError) in _ = try await files.read("three", limit: 2) } == .tooLarge)
        #expect(try await files.remove("three"))
        #expect(try await files.exists("three") == false)
    }

    @Test func leftoversOfKilledWritersAreSwept() async throws {
        try await files.write([1], to: "a")
        let old = "\(root)/.incoming/old"
        let young = "\(root)/.incoming/young"
        for path in [old, young] { close(creat(path, 0o600)) }
        var times = [timespec(tv_sec: time(nil) - 7200, tv_nsec: 0), timespec(tv_sec: time(nil) - 7200, tv_nsec: 0)]
        #expect(utimensat(AT_FDCWD, old, &times, 0) == 0)
        try await PrivateFiles(root: root, pool: BlockingPool(name: "files", threads: 1)).write([2], to: "b")
        #expect(names("\(root)/.incoming") == ["young"])
    }
}
