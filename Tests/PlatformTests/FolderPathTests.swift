import Formats
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Folders by their paths")
struct FolderPathTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder("folders") }

    private func mode(_ name: String) -> mode_t? {
        var status = stat()
        guard stat(folder.file(name), &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return nil }
        return status.st_mode & 0o777
    }

    @Test("a folder is made with those above it, its owner's only unless said otherwise")
    func made() throws {
        try FolderPath.make(folder.file("a/b/c"))
        for name in ["a", "a/b", "a/b/c"] { #expect(mode(name) == 0o700, "\(name)") }
        try FolderPath.make(folder.file("a//closed/"), mode: 0o500)
        #expect(mode("a/closed") == 0o500)
    }

    @Test("what is there stays as it is")
    func there() throws {
        try FolderPath.make(folder.file("a"))
        #expect(chmod(folder.file("a"), 0o711) == 0)
        try folder.write("kept", to: "a/file")
        try FolderPath.make(folder.file("a/b"))
        try FolderPath.make(folder.file("a/b"))
        #expect(mode("a") == 0o711)
        #expect(folder.list("a") == ["b", "file"])
        // Nor is a file made a folder.
        try FolderPath.make(folder.file("a/file"))
        #expect(folder.read("a/file") == Array("kept".utf8))
        for path in ["/", ".", ""] { try FolderPath.make(path) }
    }

    @Test("the first folder that cannot be made is named, with the reason")
    func refused() throws {
        try folder.write("", to: "file")
        let error = try #require(throws: FileError.self) { try FolderPath.make(folder.file("file/below/deep")) }
        #expect(error == FileError(.makeFolder, folder.file("file/below"), ENOTDIR))
        #expect(error.description == "the folder \(folder.file("file/below")) cannot be made: Not a directory")
        let long = String(repeating: "n", count: 256)
        #expect(throws: FileError(.makeFolder, folder.file("a/\(long)"), ENAMETOOLONG)) { try FolderPath.make(folder.file("a/\(long)/b")) }
        // Those above it stay.
        #expect(folder.list("a") == [])
        #expect(mode("a") == 0o700)
    }

    @Test(
        "a file stands in the folder before its last slash",
        arguments: [("/a/b/c", "/a/b"), ("/a", "/"), ("a/b", "a"), ("a", "."), ("", "."), ("/", "/"), ("./a", "."), ("a/", "a")])
    func parents(path: String, parent: String) { #expect(FolderPath.parent(of: path) == parent) }

    @Test("a folder is synced; what is none is refused")
    func synced() throws {
        try FolderPath.sync(folder.path)
        try folder.write("", to: "file")
        #expect(throws: FileError(.syncFolder, folder.file("file"), ENOTDIR)) { try FolderPath.sync(folder.file("file")) }
        #expect(throws: FileError(.syncFolder, folder.file("nowhere"), ENOENT)) { try FolderPath.sync(folder.file("nowhere")) }
    }
}
