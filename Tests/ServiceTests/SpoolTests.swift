import Formats
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import IngestService

#if canImport(Glibc)
    import Glibc
#endif

@Suite("The spool's files")
struct SpoolTests {
    private static func event(_ name: String) -> [UInt8] { Array("{\"id\":\"\(name)\"}".utf8) }

    private func keep(_ names: [String], in spool: Spool) async -> Bool {
        var kept = true
        for name in names {
            let one = await withCheckedContinuation { continuation in spool.append(Self.event(name)) { continuation.resume(returning: $0) } }
            kept = kept && one
        }
        return kept
    }

    private func next(of spool: Spool) async -> [[UInt8]] {
        await withCheckedContinuation { continuation in spool.next { continuation.resume(returning: $0) } }
    }

    /// What a process that is gone has left: a file that nobody has locked.
    private func leaveOrphan(_ names: [String], in folder: TemporaryFolder) throws {
        var file = try EventLogFile(path: folder.path + "/spool-1-1-1.log")
        try file.append(names.map(Self.event), sync: true)
    }

    @Test("A file that is adopted while another is being pushed is pushed whole, and neither is lost")
    func adoptionDuringDrain() async throws {
        let folder = try TemporaryFolder()
        let spool = try Spool(folder: folder.path, log: Log())
        #expect(await keep(["a", "b"], in: spool))
        #expect(await next(of: spool) == [Self.event("a"), Self.event("b")])
        try leaveOrphan(["x", "y", "z"], in: folder)
        spool.adoptOrphans()
        spool.markPushed()
        #expect(await keep(["c"], in: spool))
        let seen = try await pushed(4, by: spool)
        #expect(await next(of: spool).isEmpty)
        #expect(Set(seen) == Set(["x", "y", "z", "c"].map(Self.event)))
        #expect(seen.count == 4)
        #expect(spool.count == 0)
        spool.close()
        #expect(FolderListing.names(in: folder.path).isEmpty, "every file is gone with its last event")
    }

    /// Takes events until so many have come.
    private func pushed(_ count: Int, by spool: Spool) async throws -> [[UInt8]] {
        var seen: [[UInt8]] = []
        // A child of another test that is just being started still holds a copy of the file's lock: ingest looks again, and so does this.
        try await eventually("\(count) are pushed") {
            let events = await next(of: spool)
            seen += events
            if events.isEmpty { spool.adoptOrphans() } else { spool.markPushed() }
            return seen.count >= count
        }
        return seen
    }

    @Test("Damaged and torn lines are left out, what stands around them is pushed")
    func damaged() async throws {
        let folder = try TemporaryFolder()
        try leaveOrphan(["a"], in: folder)
        let whole = try #require(folder.read("spool-1-1-1.log"))
        let text = String(decoding: whole, as: UTF8.self)
        try folder.write(text + "0123456789abcdef {\"id\":\"forged\"}\n" + "rubbish\n" + text + text.prefix(20), to: "spool-1-1-1.log")
        let spool = try Spool(folder: folder.path, log: Log())
        #expect(await keep(["b"], in: spool))
        let seen = try await pushed(3, by: spool)
        #expect(seen.count == 3 && Set(seen) == Set(["a", "b"].map(Self.event)) && seen.count { $0 == Self.event("a") } == 2)
        #expect(await next(of: spool).isEmpty)
        spool.close()
    }

    @Test("A spool that could not keep an event says so, and says when it can again")
    func failing() async throws {
        let folder = try TemporaryFolder()
        let inner = folder.path + "/inner"
        let spool = try Spool(folder: inner, log: Log())
        #expect(rmdir(inner) == 0)
        #expect(await keep(["a"], in: spool) == false)
        #expect(spool.isFailing)
        #expect(mkdir(inner, 0o700) == 0)
        spool.probe()
        #expect(await next(of: spool).isEmpty)
        #expect(!spool.isFailing)
        #expect(await keep(["a"], in: spool))
        spool.close()
    }
}
