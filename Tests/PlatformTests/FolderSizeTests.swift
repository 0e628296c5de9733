import DiskUsage
import EventLoop
import Synchronization
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Sizes of folders")
struct FolderSizeTests {
    private let folder: TemporaryFolder
    private let pool = BlockingPool(name: "walks", threads: 4)

    init() throws { folder = try TemporaryFolder("quittance-size") }

    private func usage(_ options: DiskUsage.Options = DiskUsage.Options()) -> DiskUsage { DiskUsage(pool: pool, options: options) }
    private func size(_ name: String) async throws -> FolderSize { try await usage().size(of: MeasuredFolder(folder.file(name))) }
    private func make(_ name: String) { mkdir(folder.file(name), 0o700) }

    private func write(_ count: Int, to name: String) throws { try folder.write(String(repeating: "x", count: count), to: name) }

    /// What the entry itself takes.
    private func blocks(_ name: String) -> Int64 {
        var information = stat()
        return lstat(folder.file(name), &information) == 0 ? Int64(information.st_blocks) * 512 : 0
    }

    /// The figures that `du` finds for several folders, in their order.
    private func du(_ names: [String]) async throws -> [Int64] {
        let process = try await ProcessFixture.start("sh", ["-c", "du -s -x -B1 \"$@\"; echo end", "sh"] + names, folder: folder.path)
        try await process.waitForLine(containing: "end")
        return process.output.compactMap { line in line.split(separator: "\t").first.flatMap { Int64($0) } }
    }

    // MARK: What counts

    @Test("a tree with holes, links of both kinds, pipes and empty folders takes what du says")
    func sameAsDu() async throws {
        for name in ["tree", "tree/a", "tree/a/b", "tree/a/b/c", "tree/empty"] { make(name) }
        try write(1, to: "tree/one")
        try write(70_001, to: "tree/a/many")
        try write(4096, to: "tree/a/b/page")
        #expect(link(folder.file("tree/a/many"), folder.file("tree/a/b/again")) == 0)
        #expect(symlink("../a", folder.file("tree/a/loop")) == 0)
        #expect(symlink(String(repeating: "long/", count: 100), folder.file("tree/dangling")) == 0)
        #expect(mkfifo(folder.file("tree/pipe"), 0o600) == 0)
        try write(10, to: "tree/sparse")
        #expect(truncate(folder.file("tree/sparse"), 1 << 34) == 0)
        let size = try await size("tree")
        #expect(size.bytes == (try await du(["tree"]))[0])
        #expect(size.bytes < 1 << 20, "holes take nothing")
        #expect(size == FolderSize(bytes: size.bytes, entries: 13))
    }

    @Test("a hard link counts once in a folder, and once over several for the first of the list", arguments: [1, 2, 3, 8])
    func hardLinks(walks: Int) async throws {
        for name in ["a", "b", "c"] {
            make(name)
            try write(9_000, to: "\(name)/own")
        }
        try write(1_000_000, to: "b/shared")
        for name in ["a/x", "c/y", "b/z", "c/z"] { #expect(link(folder.file("b/shared"), folder.file(name)) == 0) }
        let shared = blocks("b/shared")
        for order in [["a", "b", "c"], ["c", "b", "a"], ["b", "a", "c"]] {
            let sizes = try await usage(DiskUsage.Options(walksMax: walks)).sizes(of: order.map { MeasuredFolder(folder.file($0)) })
            let bytes = try sizes.map { try $0.get().bytes }
            let own = order.map { blocks($0) + blocks("\($0)/own") }
            #expect(bytes == [own[0] + shared, own[1], own[2]], "in the order \(order)")
            #expect(bytes == (try await du(order)))
        }
    }

    @Test("symbolic links are never followed: not to the parent, not in a circle, not out of the tree")
    func symbolicLinks() async throws {
        for name in ["outside", "tree", "tree/below"] { make(name) }
        try write(500_000, to: "outside/large")
        for (target, name) in [("..", "tree/below/up"), ("b", "tree/a"), ("a", "tree/b"), (folder.file("outside"), "tree/out"), (".", "tree/self")] {
            #expect(symlink(target, folder.file(name)) == 0)
        }
        let size = try await size("tree")
        #expect(size.bytes == blocks("tree") + blocks("tree/below"))
        #expect(size.entries == 7)
        #expect(size.unreadable == 0)
    }

    @Test("a listed folder inside another one counts for itself only; the same folder under two names counts once")
    func nested() async throws {
        for name in ["outer", "outer/inner", "outer/inner/deep"] { make(name) }
        try write(10_000, to: "outer/file")
        try write(20_000, to: "outer/inner/file")
        try write(30_000, to: "outer/inner/deep/file")
        #expect(symlink("outer/inner", folder.file("alias")) == 0)
        let paths = ["outer", "outer/inner", "alias"].map { MeasuredFolder(folder.file($0)) }
        let sizes = try await usage().sizes(of: paths)
        #expect(try sizes[0].get().bytes == blocks("outer") + blocks("outer/file"))
        let inner = ["outer/inner", "outer/inner/file", "outer/inner/deep", "outer/inner/deep/file"].reduce(0) { $0 + blocks($1) }
        #expect(try sizes[1].get().bytes == inner)
        #expect(throws: DiskUsageError(code: .sameFolder(as: 1), path: folder.file("alias"))) { try sizes[2].get() }
        #expect(try await size("outer").bytes == blocks("outer") + blocks("outer/file") + inner)
    }

    // MARK: What cannot be read

    @Test("a folder that is not there, is a file, or is a link that may not be one has an error, and the others have sizes")
    func errors() async throws {
        make("good")
        try write(1, to: "file")
        #expect(symlink("good", folder.file("link")) == 0)
        let paths = [
            MeasuredFolder(folder.file("none")), MeasuredFolder(folder.file("good")), MeasuredFolder(folder.file("file")),
            MeasuredFolder(folder.file("link"), mayBeLink: false),
        ]
        let sizes = try await usage().sizes(of: paths)
        #expect(sizes[0] == .failure(DiskUsageError(code: .notFound, path: folder.file("none"))))
        #expect(try sizes[1].get().entries == 1)
        #expect(sizes[2] == .failure(DiskUsageError(code: .notAFolder, path: folder.file("file"))))
        #expect(sizes[3] == .failure(DiskUsageError(code: .notAFolder, path: folder.file("link"))))
        #expect(try await size("link").entries == 1, "an operator's path may be a link")
    }

    @Test("what may not be read is counted and the rest is summed", .enabled(if: geteuid() != 0, "root reads everything"))
    func unreadable() async throws {
        for name in ["tree", "tree/closed", "tree/blind", "tree/open"] { make(name) }
        try write(9_000, to: "tree/closed/file")
        try write(9_000, to: "tree/blind/file")
        try write(9_000, to: "tree/open/file")
        chmod(folder.file("tree/closed"), 0)
        chmod(folder.file("tree/blind"), 0o400)
        defer { for name in ["tree/closed", "tree/blind"] { chmod(folder.file(name), 0o700) } }
        let size = try await size("tree")
        #expect(size.unreadable == 2)
        #expect(size.bytes == ["tree", "tree/closed", "tree/blind", "tree/open", "tree/open/file"].reduce(0) { $0 + blocks($1) })
    }

    @Test("what is mounted below from another file system is left out, unless asked for")
    func otherFileSystems() async throws {
        // The one place of every Linux where a folder of another file system is known to be.
        let size = try await usage().size(of: MeasuredFolder("/dev"))
        var root = stat()
        var below = stat()
        guard lstat("/dev", &root) == 0, lstat("/dev/shm", &below) == 0, root.st_dev != below.st_dev else { return }
        #expect(size.otherFileSystems >= 1)
        let whole = try await usage(DiskUsage.Options(crossesFileSystems: true)).size(of: MeasuredFolder("/dev"))
        #expect(whole.otherFileSystems == 0)
        #expect(whole.entries > size.entries)
    }

    // MARK: Trees under way

    @Test("files that come and go during the walk are no error")
    func vanishing() async throws {
        make("tree")
        for index in 0..<40 {
            make("tree/\(index)")
            for file in 0..<25 { try write(1, to: "tree/\(index)/still\(file)") }
        }
        let ended = Signal()
        let path = folder.path
        try await withThrowingTaskGroup(of: Void.self) { group in
            let pool = pool
            group.addTask {
                try await pool.run {
                    var turn = 0
                    while !ended.isGiven {
                        let name = "\(path)/tree/\(turn % 40)"
                        turn += 1
                        for file in 0..<20 { close(open("\(name)/gone\(file)", O_CREAT | O_WRONLY, 0o600)) }
                        mkdir("\(name)/folder", 0o700)
                        mkdir("\(name)/folder/deep", 0o700)
                        rmdir("\(name)/folder/deep")
                        rmdir("\(name)/folder")
                        for file in 0..<20 { unlink("\(name)/gone\(file)") }
                    }
                }
            }
            for levels in [1, 2, 32] {
                for _ in 0..<20 {
                    let size = try await usage(DiskUsage.Options(openLevelsMax: levels)).size(of: MeasuredFolder(folder.file("tree")))
                    #expect(size.unreadable == 0)
                    #expect(size.entries >= 1 + 40 + 1000)
                }
            }
            ended.give()
            try await group.waitForAll()
        }
    }

    @Test("2,000 levels with branches on the way are walked to their end, with few folders open", arguments: [1, 3, 32])
    func deep(openLevels: Int) async throws {
        let (entries, bytes) = try await pool.run { [path = folder.path] in try DeepTree.make(in: path, levels: 2_000) }
        let size = try await usage(DiskUsage.Options(openLevelsMax: openLevels)).size(of: MeasuredFolder(folder.path))
        // No path reaches that deep: only a program that goes step by step can take it away.
        let removal = try await ProcessFixture.start("sh", ["-c", "rm -r \"$1\"/*", "sh", folder.path])
        #expect(try await removal.waitForExit() == .exited(0))
        #expect(size == FolderSize(bytes: bytes, entries: entries))
    }

    @Test("many folders are measured at once, in their order")
    func many() async throws {
        for index in 0..<50 {
            make("f\(index)")
            try write(index * 5_000, to: "f\(index)/file")
        }
        let sizes = try await usage(DiskUsage.Options(walksMax: 8)).sizes(of: (0..<50).map { MeasuredFolder(folder.file("f\($0)")) })
        #expect(try sizes.map { try $0.get().bytes } == (0..<50).map { blocks("f\($0)") + blocks("f\($0)/file") })
        #expect(try await usage().sizes(of: []).isEmpty)
    }

    @Test("a cancelled measurement ends, with an error and not with a part of the figures")
    func cancelled() async throws {
        make("tree")
        let usage = usage()
        let path = folder.file("tree")
        let task = Task {
            // Cancelled before it begins: whatever it has walked by then is not given out.
            withUnsafeCurrentTask { $0?.cancel() }
            return try await usage.size(of: MeasuredFolder(path))
        }
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test("the folders in a folder are listed, links and files are not")
    func subfolders() async throws {
        for name in ["b", "a", ".hidden"] { make(name) }
        try write(1, to: "file")
        #expect(symlink("a", folder.file("link")) == 0)
        #expect(try await usage().subfolders(of: folder.path) == [".hidden", "a", "b"])
        await #expect(throws: DiskUsageError(code: .notFound, path: folder.file("none"))) { try await usage().subfolders(of: folder.file("none")) }
    }
}

private final class Signal: Sendable {
    private let given = Atomic<Bool>(false)
    var isGiven: Bool { given.load(ordering: .relaxed) }
    func give() { given.store(true, ordering: .relaxed) }
}

/// A tree deeper than any path: every level holds a file, and every tenth a second folder with a file, to which a walk comes
/// before or after the way down.
private enum DeepTree {
    static func make(in path: String, levels: Int) throws -> (entries: Int, bytes: Int64) {
        var entries = 0
        var bytes: Int64 = 0
        func add(_ folder: Int32, _ name: String) throws {
            var information = stat()
            guard fstatat(folder, name, &information, AT_SYMLINK_NOFOLLOW) == 0 else { throw FixtureError("\(name) is missing: error \(errno)") }
            entries += 1
            bytes += Int64(information.st_blocks) * 512
        }
        func file(_ folder: Int32, _ name: String) throws {
            let descriptor = openat(folder, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0o600)
            guard descriptor >= 0, Glibc.write(descriptor, name, 1) == 1 else { throw FixtureError("\(name) cannot be written: error \(errno)") }
            close(descriptor)
            try add(folder, name)
        }
        func below(_ folder: Int32, _ name: String) throws -> Int32 {
            mkdirat(folder, name, 0o700)
            let descriptor = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard descriptor >= 0 else { throw FixtureError("\(name) cannot be opened: error \(errno)") }
            return descriptor
        }
        var current = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        try add(current, ".")
        for level in 0..<levels {
            try file(current, "file")
            if level % 10 == 0 {
                for name in ["a-branch", "z-branch"] {
                    let branch = try below(current, name)
                    try file(branch, "leaf")
                    close(branch)
                    try add(current, name)
                }
            }
            let next = try below(current, "middle")
            try add(current, "middle")
            close(current)
            current = next
        }
        close(current)
        return (entries, bytes)
    }
}
