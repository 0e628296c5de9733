import Formats
import Settings
import Telemetry
import TestSupport

@testable import CollectorService

#if canImport(Glibc)
    import Glibc
#endif

/// A log in a folder of its own, written as a gateway does, and a trail that follows it.
final class LogFixture {
    let folder: TemporaryFolder
    let path: String
    private(set) var trail: LogTrail
    private(set) var intake: LineIntake
    private let registry = MetricRegistry()
    private let patience: Duration
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)
    private let beginning: CollectorSettings.Beginning
    /// What gateways would have to have counted.
    private(set) var sent: Int64 = 0
    /// By what the trail was left at the last ``checkpoint()``.
    private var left: Checkpoint.Trail?
    /// Bytes counted when the checkpoint was made.
    private var countedAtCheckpoint: Int64 = 0
    private(set) var counted: Int64 = 0

    static let map = ProjectMap([CollectorSettings.Assignment("shop.example.com", "shop")])

    init(beginning: CollectorSettings.Beginning = .beginning, patience: Duration = .zero) throws {
        folder = try TemporaryFolder("quittance-log")
        path = folder.file("access.log")
        self.patience = patience
        self.beginning = beginning
        intake = LineIntake(Self.map)
        trail = LogTrail(
            CollectorSettings.File(.nginxJSON, path), nil, beginning: beginning, patience: patience,
            metrics: FileMetrics(path: path, registry: registry), log: Log("test"))
    }

    deinit { buffer.deallocate() }

    // MARK: Writing

    /// A line of nginx that names a number nobody else has, so that files differ.
    func line(_ bytes: Int64, filler: Int = 0) -> String {
        sent += bytes
        let mark = ULID.make() + String(repeating: "x", count: filler)
        return #"{"msec":\#(WallClock.nowMs / 1000).250,"host":"shop.example.com","bytes_sent":\#(bytes),"mark":"\#(mark)"}"# + "\n"
    }

    /// Appends as gateways do, to a file of the folder.
    func append(_ text: String, to name: String = "access.log") throws {
        let descriptor = open(folder.file(name), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FixtureError("\(name) cannot be opened: error \(errno)") }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard write(descriptor, bytes, bytes.count) == bytes.count else { throw FixtureError("\(name) cannot be written: error \(errno)") }
    }

    func rename(_ from: String = "access.log", to name: String) throws {
        guard Glibc.rename(folder.file(from), folder.file(name)) == 0 else { throw FixtureError("no rename: error \(errno)") }
    }

    func copy(_ from: String = "access.log", to name: String) throws {
        try folder.write(folder.read(from) ?? [], to: name)
    }

    func empty(_ name: String = "access.log") throws {
        guard truncate(folder.file(name), 0) == 0 else { throw FixtureError("not emptied: error \(errno)") }
    }

    /// As log rotation does.
    func compress(_ name: String) async throws {
        let gzip = try await ProcessFixture.start("gzip", [folder.file(name)])
        guard try await gzip.waitForExit(within: .seconds(30)) == .exited(0) else { throw FixtureError(gzip.transcript) }
    }

    /// A file that was last written to so long ago.
    func age(_ name: String, seconds: Int) throws {
        let moment = timespec(tv_sec: Int(WallClock.nowMs / 1000) - seconds, tv_nsec: 0)
        guard utimensat(AT_FDCWD, folder.file(name), [moment, moment], 0) == 0 else { throw FixtureError("no other time: error \(errno)") }
    }

    // MARK: Following

    /// One look and one reading, as a turn of the collector has them.
    @discardableResult
    func turn(budget: Int = 64 << 20) -> LogTrail.Stop {
        var budget = budget
        intake.setTime(WallClock.nowMs)
        trail.look()
        return read(&budget)
    }

    /// Reading alone, without a look before it.
    @discardableResult
    func read(_ budget: inout Int) -> LogTrail.Stop {
        let stop = trail.read(into: &intake, buffer, budget: &budget)
        counted += intake.tally.bytes
        intake.tally.removeAll()
        return stop
    }

    /// What the collector would keep on disk now.
    func checkpoint() {
        left = trail.position
        countedAtCheckpoint = counted
    }

    /// The collector is killed and started anew: what it had counted since its checkpoint was told to nobody.
    func restart() {
        counted = countedAtCheckpoint
        intake = LineIntake(Self.map)
        trail = LogTrail(
            CollectorSettings.File(.nginxJSON, path), left, beginning: beginning, patience: patience,
            metrics: FileMetrics(path: path, registry: registry), log: Log("test"))
    }

    /// Takes up another place than it was left at.
    func restart(at trail: Checkpoint.Trail) {
        checkpoint()
        left = trail
        restart()
    }

    func metric(_ name: String) -> Int64 { registry.counter(name, help: "", labels: [("file", path)]).value }
}
