import EventLoop

#if canImport(Glibc)
    import Glibc
#endif

/// Starts processes for fixtures.
enum Spawning {
    /// The one thread that starts children: a child is killed by the kernel when this thread ends, that is with the test process, however
    /// it ends. Doing it on one thread also keeps one child from inheriting the pipes of another.
    static let thread = BlockingPool(name: "spawn", threads: 1)

    struct Child {
        let pid: pid_t
        /// The reading ends of the child's standard output and standard error.
        let output: Int32
        let errors: Int32
    }

    /// Starts `executable` in a process group of its own, with default signal handling. Only on ``thread``.
    static func start(_ executable: String, _ arguments: [String], environment: [String: String], folder: String?) throws -> Child {
        let (outputRead, outputWrite) = try pipePair()
        let (errorRead, errorWrite) = try pipePair()
        defer {
            close(outputWrite)
            close(errorWrite)
        }
        var words = [try programOnPath("setpriv"), "--pdeathsig", "KILL", "--"]
        if let folder { words += [try programOnPath("env"), "-C", folder] }
        words += [try programOnPath(executable)] + arguments

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, outputWrite, 1)
        posix_spawn_file_actions_adddup2(&actions, errorWrite, 2)

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
        let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var pid = pid_t()
        let failure = withCStrings(words) { argv in
            withCStrings(environment.map { "\($0.key)=\($0.value)" }) { envp in
                posix_spawn(&pid, words[0], &actions, &attributes, argv, envp)
            }
        }
        guard failure == 0 else {
            close(outputRead)
            close(errorRead)
            throw FixtureError("\(executable) cannot be started: error \(failure)")
        }
        return Child(pid: pid, output: outputRead, errors: errorRead)
    }

    /// The environment that this process was started with.
    static func inheritedEnvironment() -> [String: String] {
        guard let stream = fopen("/proc/self/environ", "r") else { return [:] }
        defer { fclose(stream) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 16384)
        while true {
            let count = fread(&piece, 1, piece.count, stream)
            if count == 0 { break }
            bytes += piece[..<count]
        }
        var environment: [String: String] = [:]
        for entry in bytes.split(separator: 0) {
            guard let sign = entry.firstIndex(of: UInt8(ascii: "=")) else { continue }
            environment[String(decoding: entry[..<sign], as: UTF8.self)] = String(decoding: entry[(sign + 1)...], as: UTF8.self)
        }
        return environment
    }

    private static func pipePair() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw FixtureError("no pipe: error \(errno)") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private static func withCStrings<Result>(
        _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        return pointers.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { preconditionFailure("the array holds at least its end mark") }
            return body(base)
        }
    }
}
