#if canImport(Glibc)
    import Glibc
#endif

/// Podman's imitation of the Docker Engine API for one test, with images, volumes and state of its own; gone with the value.
public final class PodmanServer: Sendable {
    /// What was made of an archive.
    public struct Image: Sendable {
        /// With `sha256:`.
        public let id: String
        /// Bytes of the archive that is its only layer.
        public let layerBytes: Int
    }

    public let folder: TemporaryFolder
    public let socketPath: String
    private let process: ProcessFixture

    /// What an address of a unix socket can hold.
    private static let socketPathMax = 107

    /// Starts the service and returns when it takes connections.
    public static func start() async throws -> PodmanServer {
        let folder = try TemporaryFolder("quittance-podman")
        let socketPath = folder.file("podman.sock")
        guard socketPath.utf8.count <= socketPathMax else { throw FixtureError("\(socketPath) is too long for a unix socket") }
        for name in ["home", "tmp"] { mkdir(folder.file(name), 0o700) }
        let process = try await ProcessFixture.start(
            "podman", options(folder) + ["system", "service", "-t", "0", "unix://\(socketPath)"], environment: environment(folder))
        let server = PodmanServer(folder: folder, socketPath: socketPath, process: process)
        try await eventually(within: .seconds(60), "podman takes connections") {
            guard process.isRunning else { throw FixtureError("podman ended:\n\(process.transcript)") }
            return acceptsConnections(socketPath)
        }
        return server
    }

    private init(folder: TemporaryFolder, socketPath: String, process: ProcessFixture) {
        self.folder = folder
        self.socketPath = socketPath
        self.process = process
    }

    deinit {
        process.end()
        // For users other than root a process without any work keeps Podman's namespace; it is in nobody's process group.
        if let bytes = folder.read("lib/pause.pid"), let pid = Int32(String(decoding: bytes.prefix { $0 != 0x0A }, as: UTF8.self)), pid > 1 {
            kill(pid, SIGKILL)
        }
        // Podman takes the right to write away from the folders of layers; anybody but root needs it to remove them.
        for layer in folder.list("root/vfs/dir") { chmod(folder.file("root/vfs/dir/\(layer)"), 0o700) }
    }

    /// Ends the service; its socket stays behind, and nobody listens there.
    public func stop() { process.end() }

    /// Everything of its own, nothing of the machine's.
    private static func options(_ folder: TemporaryFolder) -> [String] {
        [
            "--root", folder.file("root"), "--runroot", folder.file("run"), "--tmpdir", folder.file("lib"), "--storage-driver", "vfs",
            "--events-backend", "file", "--cgroup-manager", "cgroupfs",
        ]
    }

    private static func environment(_ folder: TemporaryFolder) -> [String: String] {
        let home = folder.file("home")
        return [
            "HOME": home, "XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home, "XDG_RUNTIME_DIR": folder.file("tmp"), "TMPDIR": folder.file("tmp"),
        ]
    }

    // MARK: Content

    /// Makes a volume that holds one file.
    /// - Returns: the folder of its files.
    @discardableResult
    public func createVolume(_ name: String, labels: [String: String] = [:], bytes: Int) async throws -> String {
        // Quoted as in a CSV file: a comma would begin another label.
        try await run(["volume", "create"] + labels.sorted { $0.key < $1.key }.flatMap { ["--label", "\"\($0.key)=\($0.value)\""] } + [name])
        let relative = "root/volumes/\(name)/_data"
        try folder.write(String(repeating: "v", count: bytes), to: "\(relative)/content")
        return folder.file(relative)
    }

    public func removeVolume(_ name: String) async throws { try await run(["volume", "rm", name]) }

    /// Makes an image of one layer that holds one file.
    public func importImage(_ name: String, labels: [String: String] = [:], bytes: Int) async throws -> Image {
        let content = name.map { $0.isLetter || $0.isNumber ? String($0) : "-" }.joined()
        try folder.write(String(repeating: "i", count: bytes), to: content)
        let archive = folder.file("\(content).tar")
        let tar = try await ProcessFixture.start("tar", ["-C", folder.path, "-c", "-f", archive, content])
        guard try await tar.waitForExit() == .exited(0) else { throw FixtureError("tar made no archive:\n\(tar.transcript)") }
        var information = stat()
        guard stat(archive, &information) == 0 else { throw FixtureError("there is no \(archive)") }
        let changes = labels.sorted { $0.key < $1.key }.flatMap { ["--change", "LABEL \($0.key)=\"\($0.value)\""] }
        let id = try await run(["import", "--quiet"] + changes + [archive, name]).last ?? ""
        return Image(id: id.hasPrefix("sha256:") ? id : "sha256:\(id)", layerBytes: Int(information.st_size))
    }

    /// Gives an image a second name.
    public func tag(_ name: String, as other: String) async throws { try await run(["tag", name, other]) }

    /// Runs `podman` on this server's state and gives the lines of its output.
    @discardableResult
    public func run(_ arguments: [String]) async throws -> [String] {
        let shell = ["-c", "\"$@\"; echo \"ended with $?\"", "sh", "podman"]
        let command = try await ProcessFixture.start("sh", shell + Self.options(folder) + arguments, environment: Self.environment(folder))
        // The last line: whatever was written before it has been read by then.
        let end = try await command.waitForLine(containing: "ended with ", within: .seconds(60))
        guard end == "ended with 0" else { throw FixtureError("podman \(arguments.joined(separator: " ")) failed:\n\(command.transcript)") }
        return command.output.dropLast()
    }
}

/// Whether somebody listens on a unix socket.
private func acceptsConnections(_ path: String) -> Bool {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8.prefix(MemoryLayout.size(ofValue: address.sun_path) - 1))
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    } == 0
}
