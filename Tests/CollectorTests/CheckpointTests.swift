import Formats
import TestSupport
import Testing

@testable import CollectorService

@Suite("The collector's checkpoint")
struct CheckpointTests {
    private static let sample: Checkpoint = {
        let position = FilePosition(
            identity: FileIdentity(device: .max, inode: 7), fingerprint: Fingerprint(Array("abc".utf8)), offset: 1 << 40, isSkipping: true)
        let other = FilePosition(identity: FileIdentity(device: 1, inode: 2), fingerprint: Fingerprint([]), offset: 0)
        let trail = Checkpoint.Trail(files: [position, other], finished: [other], lookedAt: 1_795_000_000_000_000_000)
        return Checkpoint(
            collector: "collector-1", trails: ["/var/log/a b.log": trail, "/x": Checkpoint.Trail(lookedAt: 1)],
            pending: Checkpoint.Pending(id: "collector-1-ff", body: "{\"project\":\"é\"}\n", after: ["/x": trail]))
    }()

    @Test("is read as it was written")
    func roundTrip() throws {
        let folder = try TemporaryFolder("quittance-checkpoint")
        let file = try CheckpointFile(folder: folder.file("a/b"))
        #expect(try file.read() == nil)
        try file.write(Self.sample)
        #expect(try file.read() == Self.sample)
        var next = Self.sample
        next.pending = nil
        try file.write(next)
        #expect(try file.read() == next)
        #expect(folder.list("a/b") == ["checkpoint.json", "lock"])
    }

    @Test("of an older release has its logs looked at when it was written")
    func withoutLooks() throws {
        let folder = try TemporaryFolder("quittance-checkpoint")
        let file = try CheckpointFile(folder: folder.path)
        var old = Self.sample
        old.trails = old.trails.mapValues { Checkpoint.Trail(files: $0.files, finished: $0.finished) }
        let before = WallClock.nowMs
        try file.write(old)
        let looks = try #require(try file.read()).trails.values.map { ($0.lookedAt ?? 0) / 1_000_000 }
        // The system stamps files by a clock that lags a little.
        #expect(looks.count == 2 && looks.allSatisfy { $0 >= before - 1000 && $0 <= WallClock.nowMs })
    }

    @Test("that is damaged is refused, whatever is missing of it, and never taken for a beginning")
    func damaged() throws {
        let whole = Self.sample.json
        for length in stride(from: 0, to: whole.count, by: 3) {
            #expect(throws: CollectorError.self, "\(length) bytes") { try Checkpoint(json: Array(whole[..<length])) }
        }
        let text = String(decoding: whole, as: UTF8.self)
        for (from, to) in [("\"v\":1", "\"v\":2"), ("\"offset\":0", "\"offset\":-1"), ("\"head\":3", "\"head\":9999"), ("\"files\"", "\"filer\"")] {
            #expect(throws: CollectorError.self, "\(to)") { try Checkpoint(json: Array(text.replacing(from, with: to).utf8)) }
        }
    }

    @Test("belongs to one collector at a time")
    func locked() throws {
        let folder = try TemporaryFolder("quittance-checkpoint")
        let first = try CheckpointFile(folder: folder.path)
        #expect(throws: CollectorError.self) { try CheckpointFile(folder: folder.path) }
        try first.write(Self.sample)
    }
}
