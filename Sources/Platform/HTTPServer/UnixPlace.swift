import CEvent
import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// A unix socket's place in the file system, however long its path.
struct UnixPlace {
    let path: String
    private let folder: String
    private let name: String

    init(path: String) {
        self.path = path
        let slash = path.lastIndex(of: "/")
        folder = FolderPath.parent(of: path)
        name = slash.map { String(path[path.index(after: $0)...]) } ?? path
    }

    /// Waits for its turn.
    func lock() throws(HandOverError) -> Int32 {
        try makeFolder()
        let lock = open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw HandOverError("open", path + ".lock", errno) }
        while flock(lock, LOCK_EX) != 0 {
            guard errno == EINTR else {
                let number = errno
                close(lock)
                throw HandOverError("lock", path + ".lock", number)
            }
        }
        return lock
    }

    /// A connection to whoever listens there; nil when nobody does.
    func connect() -> Int32? {
        guard let socket = Self.socket() else { return nil }
        guard withAddress(name, { Glibc.connect(socket, $0, $1) }) == 0 else {
            close(socket)
            return nil
        }
        return socket
    }

    /// Listens there. Whoever listened before is no longer found, and is not disturbed.
    func listen() throws(HandOverError) -> Int32 {
        try makeFolder()
        guard let socket = Self.socket() else { throw HandOverError("socket", path, errno) }
        let partial = "\(name).\(getpid())"
        unlink("\(folder)/\(partial)")
        guard withAddress(partial, { Glibc.bind(socket, $0, $1) }) == 0, chmod("\(folder)/\(partial)", 0o600) == 0, Glibc.listen(socket, 8) == 0,
            rename("\(folder)/\(partial)", path) == 0
        else {
            let number = errno
            close(socket)
            unlink("\(folder)/\(partial)")
            throw HandOverError("listen on", path, number)
        }
        return socket
    }

    private static func socket() -> Int32? {
        let socket = Glibc.socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue), 0)
        return socket >= 0 ? socket : nil
    }

    /// An address holds a path of 107 bytes: a longer one is reached through the folder's descriptor.
    private func withAddress(_ name: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        let whole = "\(folder)/\(name)"
        guard whole.utf8.count > Self.pathMax else { return Self.withAddress(of: whole, body) }
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return -1 }
        defer { close(descriptor) }
        return Self.withAddress(of: "/proc/self/fd/\(descriptor)/\(name)", body)
    }

    private static let pathMax = 107

    private static func withAddress(of path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        guard path.utf8.count <= pathMax else {
            errno = ENAMETOOLONG
            return -1
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
    }

    private func makeFolder() throws(HandOverError) {
        do throws(FileError) { try FolderPath.make(folder) } catch { throw HandOverError("make the folder", error.path, error.number) }
    }
}
