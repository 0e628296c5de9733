import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// A file or folder, whatever its name.
struct FileIdentity: Hashable, Sendable {
    let device: UInt64
    let inode: UInt64

    init(_ information: stat) {
        device = UInt64(information.st_dev)
        inode = UInt64(information.st_ino)
    }

    /// Nil when it cannot be looked up.
    init?(of folder: MeasuredFolder) {
        var information = stat()
        guard fstatat(AT_FDCWD, folder.path, &information, folder.mayBeLink ? 0 : AT_SYMLINK_NOFOLLOW) == 0 else { return nil }
        self.init(information)
    }
}

/// What one walk has added up.
struct FolderTally: Sendable {
    struct Link: Sendable {
        let bytes: Int64
        /// Names of the file that this walk has not come across.
        var elsewhere: UInt64
    }

    /// Without the files in ``links``.
    var bytes: Int64 = 0
    var entries = 0
    var unreadable = 0
    var otherFileSystems = 0
    /// Files that have a name outside this folder as well, as far as is known: another walk may meet them too.
    var links: [FileIdentity: Link] = [:]

    /// Adds one name of something.
    mutating func add(_ information: stat) {
        entries += 1
        let bytes = Int64(information.st_blocks) * 512
        guard information.st_nlink > 1, information.st_mode & S_IFMT != S_IFDIR else {
            self.bytes += bytes
            return
        }
        let file = FileIdentity(information)
        guard var link = links[file] else {
            links[file] = Link(bytes: bytes, elsewhere: UInt64(information.st_nlink) - 1)
            return
        }
        link.elsewhere -= 1
        if link.elsewhere == 0 {
            // Every name is in this folder: no other walk can meet it, and it need not be remembered.
            links[file] = nil
            self.bytes += link.bytes
        } else {
            links[file] = link
        }
    }
}

/// One walk through one tree, without recursion, holding few folders open.
///
/// The upper levels are read as they are walked, so a folder of any width takes no memory. Below `openLevelsMax` a folder is
/// read to its end at once, keeping the names of its sub-folders; it is closed while the walk is below it and found again by
/// `..`, which must then be the same folder as before. Every step goes from an open folder to a name in it, never through
/// a symbolic link, so that nobody can lead the walk elsewhere by renaming.
struct FolderWalk {
    private struct Level {
        let identity: FileIdentity
        /// Closed while -1.
        var descriptor: Int32
        /// Of the upper levels.
        var stream: OpaquePointer?
        /// Of the deeper levels: names of sub-folders, each ended by a zero.
        var waiting: [CChar] = []
        var next = 0
    }

    private let options: DiskUsage.Options
    private let leavingOut: Set<FileIdentity>
    private let stop: StopFlag
    private var path = ""
    private var device: UInt64 = 0
    private var levels: [Level] = []
    private var tally = FolderTally()

    /// - Parameter leavingOut: folders that are measured by themselves.
    init(options: DiskUsage.Options, leavingOut: Set<FileIdentity>, stop: StopFlag) {
        self.options = options
        self.leavingOut = leavingOut
        self.stop = stop
    }

    /// Walks the folder. When it is stopped meanwhile the tally is of no use.
    mutating func run(_ folder: MeasuredFolder) throws(DiskUsageError) -> FolderTally {
        path = folder.path
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (folder.mayBeLink ? 0 : O_NOFOLLOW))
        guard descriptor >= 0 else { throw DiskUsageError(errno: errno, path: path) }
        var information = stat()
        guard fstat(descriptor, &information) == 0 else {
            let number = errno
            close(descriptor)
            throw DiskUsageError(errno: number, path: path)
        }
        device = UInt64(information.st_dev)
        tally.add(information)
        defer { closeAll() }
        try enter(descriptor, FileIdentity(information))
        while let level = levels.last, !stop.isSet {
            let wentDown: Bool
            if let stream = level.stream {
                wentDown = try readOn(stream, level.descriptor)
            } else {
                wentDown = try visitNextWaiting()
            }
            if !wentDown { leave() }
        }
        return tally
    }

    // MARK: Down

    /// Reads on in an open folder until a sub-folder was entered; false at its end.
    private mutating func readOn(_ stream: OpaquePointer, _ descriptor: Int32) throws(DiskUsageError) -> Bool {
        while !stop.isSet {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { tally.unreadable += 1 }
                return false
            }
            let wentDown = try FolderEntry.withName(of: entry) { (name) throws(DiskUsageError) in
                guard isToBeEntered(name, in: descriptor) else { return false }
                return try descend(to: name, in: descriptor)
            }
            if wentDown { return true }
        }
        return false
    }

    /// Enters the next sub-folder of a deep level; false when there is none left.
    private mutating func visitNextWaiting() throws(DiskUsageError) -> Bool {
        let place = levels.count - 1
        while levels[place].next < levels[place].waiting.count {
            let start = levels[place].next
            let length = levels[place].waiting[start...].prefix { $0 != 0 }.count
            let name = Array(levels[place].waiting[start...(start + length)])
            levels[place].next = start + length + 1
            if try descend(to: name, in: levels[place].descriptor) { return true }
        }
        return false
    }

    /// Counts an entry; whether it is a folder to go into.
    private mutating func isToBeEntered(_ name: UnsafePointer<CChar>, in folder: Int32) -> Bool {
        // "." is here already, ".." is above.
        if name[0] == 0x2E && (name[1] == 0 || (name[1] == 0x2E && name[2] == 0)) { return false }
        var information = stat()
        guard fstatat(folder, name, &information, AT_SYMLINK_NOFOLLOW) == 0 else {
            // What has vanished since it was read is no fault.
            if errno != ENOENT { tally.unreadable += 1 }
            return false
        }
        guard information.st_mode & S_IFMT == S_IFDIR else {
            tally.add(information)
            return false
        }
        guard isOnOurFileSystem(information) else {
            tally.otherFileSystems += 1
            return false
        }
        let identity = FileIdentity(information)
        // A folder mounted within itself has no end.
        guard !leavingOut.contains(identity), !levels.contains(where: { $0.identity == identity }) else { return false }
        tally.add(information)
        return true
    }

    private func isOnOurFileSystem(_ information: stat) -> Bool { options.crossesFileSystems || UInt64(information.st_dev) == device }

    /// Opens a sub-folder and enters it.
    private mutating func descend(to name: UnsafePointer<CChar>, in folder: Int32) throws(DiskUsageError) -> Bool {
        let below = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard below >= 0 else {
            switch errno {
            case EMFILE, ENFILE, ENOMEM: throw DiskUsageError(errno: errno, path: path)
            // Gone, or something else by now.
            case ENOENT, ENOTDIR, ELOOP: break
            default: tally.unreadable += 1
            }
            return false
        }
        var information = stat()
        guard fstat(below, &information) == 0, isOnOurFileSystem(information) else {
            close(below)
            tally.unreadable += 1
            return false
        }
        try enter(below, FileIdentity(information))
        return true
    }

    /// Adds a level. The descriptor is its own from here on.
    private mutating func enter(_ descriptor: Int32, _ identity: FileIdentity) throws(DiskUsageError) {
        if levels.count < options.openLevelsMax {
            levels.append(Level(identity: identity, descriptor: descriptor, stream: fdopendir(descriptor)))
            if levels[levels.count - 1].stream == nil { throw DiskUsageError(errno: errno, path: path) }
            return
        }
        if let above = levels.last, above.stream == nil {
            close(above.descriptor)
            levels[levels.count - 1].descriptor = -1
        }
        let place = levels.count
        levels.append(Level(identity: identity, descriptor: descriptor, stream: nil))
        let second = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        guard second >= 0, let stream = fdopendir(second) else {
            let number = errno
            if second >= 0 { close(second) }
            throw DiskUsageError(errno: number, path: path)
        }
        defer { closedir(stream) }
        while !stop.isSet {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { tally.unreadable += 1 }
                return
            }
            FolderEntry.withName(of: entry) { name in
                guard isToBeEntered(name, in: descriptor) else { return }
                // With its zero.
                levels[place].waiting.append(contentsOf: UnsafeBufferPointer(start: name, count: strlen(name) + 1))
            }
        }
    }

    // MARK: Up

    /// Closes the lowest level and stands on the one above again.
    private mutating func leave() {
        guard let left = levels.popLast() else { return }
        if let stream = left.stream {
            closedir(stream)
            return
        }
        defer { close(left.descriptor) }
        guard let above = levels.last, above.stream == nil else { return }
        let descriptor = openat(left.descriptor, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        var information = stat()
        if descriptor >= 0, fstat(descriptor, &information) == 0, FileIdentity(information) == above.identity {
            levels[levels.count - 1].descriptor = descriptor
            return
        }
        if descriptor >= 0 { close(descriptor) }
        // The branch was moved or removed under the walk: what still waits there cannot be reached from here.
        while let lost = levels.last, lost.stream == nil {
            if lost.next < lost.waiting.count { tally.unreadable += 1 }
            levels.removeLast()
        }
    }

    private mutating func closeAll() {
        while let level = levels.popLast() {
            if let stream = level.stream { closedir(stream) } else if level.descriptor >= 0 { close(level.descriptor) }
        }
    }
}

/// What is directly in a folder.
enum FolderListing {
    static func subfolders(of path: String) throws(DiskUsageError) -> [String] {
        guard let stream = opendir(path) else { throw DiskUsageError(errno: errno, path: path) }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                guard errno == 0 else { throw DiskUsageError(errno: errno, path: path) }
                return names.sorted()
            }
            let name = FolderEntry.name(of: entry)
            if name == "." || name == ".." { continue }
            var information = stat()
            guard fstatat(dirfd(stream), name, &information, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
            if information.st_mode & S_IFMT == S_IFDIR { names.append(name) }
        }
    }
}
