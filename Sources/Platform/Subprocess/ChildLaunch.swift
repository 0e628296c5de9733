import Formats
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// What a child starts with, and how it is started.
///
/// Limits are set by `prlimit` and the death signal by `setpriv`, both of util-linux (an essential package of Debian), which
/// then become the program by `exec`. The other ways were weighed: `setrlimit` in ourselves would bind our own threads too,
/// `prlimit(2)` on the running child leaves it some unlimited milliseconds, and code of ours between fork and exec is not
/// safe in a process with threads. The price is one exec each, about a millisecond.
struct ChildLaunch: Sendable {
    var executable: String
    var arguments: [String]
    var environment: [String: String]
    var workingDirectory: String?
    var limits: [String] = []
    /// The child is killed when the thread that started it ends, and so when our process does, however it ends.
    var diesWithParent = true

    /// Where a standard descriptor of the child leads.
    enum Target: Sendable {
        case descriptor(Int32)
        case file(path: String, flags: Int32)
        case inherited
        static let null = Target.file(path: "/dev/null", flags: O_RDWR)
    }

    /// One child at a time: pipes are made and marked close-on-exec within the same section, so that no other child of ours
    /// is born in between and holds a pipe open that is not its own.
    private static let oneAtATime = Mutex<Void>(())

    /// Starts the child.
    /// - Parameter prepare: makes the pipes and says what becomes the child's standard input, output and error.
    func spawn(_ prepare: () throws(SubprocessError) -> [Target]) throws(SubprocessError) -> pid_t {
        let command = try commandLine()
        return try Self.oneAtATime.withLock { (_) throws(SubprocessError) -> pid_t in
            try start(command, try prepare())
        }
    }

    // MARK: The command line

    private func commandLine() throws(SubprocessError) -> [String] {
        let carried = [executable] + arguments + environment.flatMap { [$0.key, $0.value] } + [workingDirectory ?? ""]
        guard carried.allSatisfy({ !$0.utf8.contains(0) }) else {
            throw SubprocessError(.invalidArgument, "an argument or variable of \(executable) contains a zero byte")
        }
        guard environment.keys.allSatisfy({ !$0.isEmpty && !$0.utf8.contains(UInt8(ascii: "=")) }) else {
            throw SubprocessError(.invalidArgument, "a variable's name is empty or contains '='")
        }
        var command: [String] = []
        if diesWithParent { command += [try Self.find("setpriv"), "--pdeathsig", "KILL", "--"] }
        if !limits.isEmpty { command += [try Self.find("prlimit")] + limits + ["--"] }
        if let workingDirectory { command += [try Self.find("env"), "--chdir=\(workingDirectory)", "--"] }
        return command + [try Self.find(executable)] + arguments
    }

    /// The path of a program: as given when it has a slash, else looked for as a shell does.
    private static func find(_ name: String) throws(SubprocessError) -> String {
        if name.utf8.contains(UInt8(ascii: "/")) {
            guard access(name, X_OK) == 0 else { throw SubprocessError(.notFound, "\(name): \(String(cString: strerror(errno)))") }
            return name
        }
        let folders = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
        for folder in folders.split(separator: ":") where access("\(folder)/\(name)", X_OK) == 0 { return "\(folder)/\(name)" }
        throw SubprocessError(.notFound, "\(name) is not installed (looked in \(folders))")
    }

    // MARK: posix_spawn

    private func start(_ command: [String], _ targets: [Target]) throws(SubprocessError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (number, target) in targets.enumerated() {
            switch target {
            case .descriptor(let descriptor): posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(number))
            case .file(let path, let flags): posix_spawn_file_actions_addopen(&actions, Int32(number), path, flags, 0o600)
            case .inherited: break
            }
        }
        // Libraries open descriptors without close-on-exec; the child gets its three and no other.
        for descriptor in Self.openDescriptors() where descriptor > 2 { posix_spawn_file_actions_addclose(&actions, descriptor) }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        var pid: pid_t = 0
        let failure = Self.withCStrings(command) { arguments in
            Self.withCStrings(environment.map { "\($0.key)=\($0.value)" }) { variables in
                posix_spawn(&pid, command[0], &actions, &attributes, arguments, variables)
            }
        }
        guard failure == 0 else { throw .system("starting \(executable)", failure) }
        return pid
    }

    private static func openDescriptors() -> [Int32] {
        guard let folder = opendir("/proc/self/fd") else { return [] }
        defer { closedir(folder) }
        return FolderEntry.names(on: folder).compactMap { Int32($0) }.filter { $0 != dirfd(folder) }
    }

    private static func withCStrings<R>(_ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> R) -> R {
        let copies: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        return body(copies + [nil])
    }
}

/// The two ends of a pipe, close-on-exec.
struct Pipe: Sendable {
    let reading: Int32
    let writing: Int32

    init() throws(SubprocessError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw .system("pipe", errno) }
        reading = ends[0]
        writing = ends[1]
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    }

    func closeAll() {
        close(reading)
        close(writing)
    }
}
