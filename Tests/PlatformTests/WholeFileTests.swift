import Formats
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Small files, read and replaced as a whole")
struct WholeFileTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder("whole") }

    private func permissions(_ name: String) -> mode_t? {
        var status = stat()
        return stat(folder.file(name), &status) == 0 ? status.st_mode & 0o777 : nil
    }

    // MARK: Reading

    @Test("a file is read to its last byte, and one byte more than is taken is too many", arguments: [0, 1, 65_535, 65_536, 65_537, 200_000])
    func read(count: Int) throws {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let path = try folder.write(bytes, to: "file")
        #expect(try WholeFile.read(path, most: count) == bytes)
        #expect(try WholeFile.read(path, most: count + 1) == bytes)
        guard count > 0 else { return }
        let error = try #require(throws: FileError.self) { try WholeFile.read(path, most: count - 1) }
        #expect(error.isTooLarge && error.description == "\(path) is too large")
    }

    @Test("what is no plain file is read until it ends or is too much")
    func devices() throws {
        #expect(try WholeFile.read("/dev/null", most: 0) == [])
        // Its size is 0 as far as the system tells.
        #expect(try WholeFile.read("/proc/self/stat", most: 65_536).isEmpty == false)
        let error = try #require(throws: FileError.self) { try WholeFile.read("/dev/zero", most: 100_000) }
        #expect(error.isTooLarge)
    }

    @Test("an open file is read although its name is gone")
    func opened() throws {
        let path = try folder.write("still here", to: "file")
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        #expect(unlink(path) == 0)
        #expect(try WholeFile.read(from: descriptor, at: path, most: 100) == Array("still here".utf8))
    }

    @Test("what cannot be read says why")
    func unreadable() throws {
        let nowhere = folder.file("nowhere")
        let absent = try #require(throws: FileError.self) { try WholeFile.read(nowhere, most: 100) }
        #expect(absent == FileError(.open, nowhere, ENOENT) && !absent.isTooLarge)
        #expect(absent.description == "\(nowhere) cannot be opened: No such file or directory")
        let noFile = try #require(throws: FileError.self) { try WholeFile.read(folder.path, most: 0) }
        #expect(noFile == FileError(.read, folder.path, EISDIR) && !noFile.isTooLarge)
        #expect(noFile.description == "\(folder.path) cannot be read: Is a directory")
    }

    // MARK: Replacing

    @Test("a file is made, then replaced, for its owner only unless said otherwise, and no draft is left", arguments: [0, 1, 300_000])
    func replaced(count: Int) throws {
        let path = folder.file("file")
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        try WholeFile.replace(path, with: bytes, draft: path + ".new")
        #expect(folder.read("file") == bytes)
        #expect(permissions("file") == 0o600)
        try WholeFile.replace(path, with: [1, 2, 3], draft: path + ".new", mode: 0o400)
        #expect(folder.read("file") == [1, 2, 3])
        #expect(permissions("file") == 0o400)
        #expect(folder.list(".") == ["file"])
    }

    @Test("whoever has the old file open reads it to its end")
    func oldStays() throws {
        let path = try folder.write("the old one, which is longer", to: "file")
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        try WholeFile.replace(path, with: Array("new".utf8), draft: folder.file("draft"))
        #expect(try WholeFile.read(from: descriptor, at: path, most: 100) == Array("the old one, which is longer".utf8))
        #expect(folder.read("file") == Array("new".utf8))
    }

    @Test("a draft that a killed process left is neither read nor written into, and a link there is not followed")
    func leftDraft() throws {
        let path = try folder.write("old", to: "file")
        let draft = try folder.write("half of something that was longer than the new one", to: "file.new")
        #expect(chmod(draft, 0o666) == 0)
        try WholeFile.replace(path, with: Array("new".utf8), draft: draft)
        #expect(folder.read("file") == Array("new".utf8))
        #expect(permissions("file") == 0o600)

        try folder.write("somebody's", to: "other")
        #expect(symlink(folder.file("other"), draft) == 0)
        try WholeFile.replace(path, with: Array("newer".utf8), draft: draft)
        #expect(folder.read("file") == Array("newer".utf8))
        #expect(folder.read("other") == Array("somebody's".utf8))
        #expect(folder.list(".") == ["file", "other"])
    }

    @Test("what cannot be replaced stays, and the draft goes")
    func refused() throws {
        let path = folder.file("taken")
        try folder.makeFolder("taken")
        let error = try #require(throws: FileError.self) { try WholeFile.replace(path, with: [1], draft: path + ".new") }
        #expect(error == FileError(.replace, path, EISDIR))
        #expect(error.description == "\(path) cannot be replaced: Is a directory")
        #expect(folder.list(".") == ["taken"])

        try folder.write("old", to: "file")
        for (draft, number) in [("nowhere/draft", ENOENT), ("taken", EEXIST), ("file/draft", ENOTDIR)] {
            #expect(throws: FileError(.write, folder.file(draft), number), "\(draft)") {
                try WholeFile.replace(folder.file("file"), with: [1], draft: folder.file(draft))
            }
        }
        #expect(folder.read("file") == Array("old".utf8))
        #expect(folder.list(".") == ["file", "taken"])
    }
}
