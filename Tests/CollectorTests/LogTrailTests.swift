import Formats
import Settings
import TestSupport
import Testing

@testable import CollectorService

#if canImport(Glibc)
    import Glibc
#endif

@Suite("A log that is followed", .timeLimit(.minutes(2)))
struct LogTrailTests {
    @Test("is counted to the byte, cut in two by the reading at every byte")
    func tornAnywhere() throws {
        let log = try LogFixture()
        let text = log.line(1) + log.line(20, filler: 40) + "\n" + log.line(300)
        let bytes = Array(text.utf8)
        var cuts: Int64 = 0
        for cut in 0...bytes.count {
            try log.append(String(decoding: bytes[..<cut], as: UTF8.self))
            log.turn()
            try log.append(String(decoding: bytes[cut...], as: UTF8.self))
            log.turn()
            cuts += 1
            try #require(log.counted == 321 * cuts, "cut at \(cut)")
        }
        #expect(log.intake.counts.lines == 3 * cuts && log.intake.counts.rejected.isEmpty)
    }

    @Test("that is renamed is read to its end, also what comes late, before the new one counts as the log")
    func renamed() throws {
        let log = try LogFixture(patience: .seconds(600))
        try log.append(log.line(1))
        log.turn()
        try log.append(log.line(10))
        try log.rename(to: "access.log.1")
        // Nothing there yet: the gateway writes on into the file that it has.
        try log.append(log.line(100), to: "access.log.1")
        log.turn()
        #expect(log.counted == 111)
        try log.append(log.line(1000))
        try log.append(log.line(10_000), to: "access.log.1")
        log.turn()
        #expect(log.counted == 11_111 && log.trail.position.files.count == 2)
        // A worker that was still at it.
        try log.append(log.line(100_000), to: "access.log.1")
        log.turn()
        #expect(log.counted == log.sent && log.metric("collector_rotations_total") == 1)
    }

    @Test("lets a renamed file go once it is silent; half a line at its end is rejected, not guessed")
    func silent() throws {
        let log = try LogFixture(patience: .zero)
        var unfinished: [Int64] = []
        log.trail.onUnfinished = { _, length in unfinished.append(length) }
        try log.append(log.line(5) + #"{"msec":179"#)
        log.turn()
        try log.rename(to: "access.log.1")
        try log.append(log.line(7))
        log.turn()
        log.turn()
        log.turn()
        #expect(log.counted == log.sent && unfinished == [11])
        #expect(log.trail.position.files.count == 1 && log.trail.position.finished.count == 1)
    }

    @Test("that was copied and emptied goes on in the copy where reading had stopped, and in the emptied file from its beginning")
    func copiedAndEmptied() throws {
        let log = try LogFixture()
        try log.append(log.line(1) + log.line(2))
        log.turn()
        try log.append(log.line(30))
        try log.copy(to: "access.log-20261121")
        try log.empty()
        try log.append(log.line(400))
        log.turn()
        #expect(log.counted == log.sent && log.metric("collector_truncations_total") == 1 && log.metric("collector_lost_files_total") == 0)
        for _ in 0..<3 { log.turn() }
        #expect(log.counted == log.sent)
    }

    @Test("that was emptied and has grown beyond the old place is begun anew")
    func grownAgain() throws {
        let log = try LogFixture()
        try log.append(log.line(1))
        log.turn()
        try log.copy(to: "access.log.1")
        try log.empty()
        for _ in 0..<20 { try log.append(log.line(10)) }
        log.turn()
        #expect(log.counted == 201)
    }

    @Test("that was emptied without a copy is said to be lost, and begun anew")
    func emptied() throws {
        let log = try LogFixture()
        try log.append(log.line(1))
        log.turn()
        try log.empty()
        try log.append(log.line(2))
        log.turn()
        #expect(log.counted == 3 && log.metric("collector_lost_files_total") == 1)
    }

    @Test("is emptied between the look and the reading: nothing of the new is taken for the rest of the old")
    func emptiedBetween() throws {
        let log = try LogFixture()
        try log.append(log.line(1))
        log.turn()
        try log.copy(to: "access.log.1")
        try log.empty()
        for _ in 0..<20 { try log.append(log.line(10)) }
        var budget = 1 << 20
        log.read(&budget)
        #expect(log.counted == 1)
        log.turn()
        #expect(log.counted == 201)
    }

    @Test("is taken up after a kill where the checkpoint has it, each line once")
    func restarted() throws {
        let log = try LogFixture()
        try log.append(log.line(1))
        log.turn()
        log.checkpoint()
        try log.append(log.line(20))
        log.turn()
        log.restart()
        log.turn()
        #expect(log.counted == log.sent)
    }

    @Test("is found again after an absence: renamed twice, with a whole file in between that nobody has seen")
    func rotatedTwiceMeanwhile() throws {
        let log = try LogFixture()
        try log.append(log.line(1))
        log.turn()
        log.checkpoint()
        try log.append(log.line(20))
        try log.rename(to: "access.log.1")
        try log.append(log.line(300))
        try log.rename("access.log.1", to: "access.log.2")
        try log.rename(to: "access.log.1")
        try log.append(log.line(4000))
        // Neither compressed files nor other logs are its past.
        try log.append(log.line(0) + log.line(0), to: "access.log.3.gz")
        try log.append("other\n", to: "access-admin.log")
        log.restart()
        log.turn()
        #expect(log.counted == log.sent)
        #expect(log.intake.counts.rejected.isEmpty && log.metric("collector_lost_files_total") == 0)
        for _ in 0..<3 { log.turn() }
        #expect(log.counted == log.sent)
    }

    @Test("is found again after an absence: copied and emptied twice")
    func copiedTwiceMeanwhile() throws {
        let log = try LogFixture()
        try log.append(log.line(1))
        log.turn()
        log.checkpoint()
        try log.append(log.line(20))
        try log.copy(to: "access.log.1")
        try log.empty()
        try log.append(log.line(300))
        try log.rename("access.log.1", to: "access.log.2")
        try log.copy(to: "access.log.1")
        try log.empty()
        try log.append(log.line(4000))
        log.restart()
        for _ in 0..<3 { log.turn() }
        #expect(log.counted == log.sent && log.metric("collector_lost_files_total") == 0)
    }

    @Test("with the inode of an older file is another file where its first bytes differ")
    func inodeReused() throws {
        let log = try LogFixture()
        try log.append(log.line(1) + log.line(2))
        log.turn()
        var position = log.trail.position
        #expect(position.files.count == 1)
        // The old file is gone and its inode was given to this one, as far as anybody can see.
        position.files[0].fingerprint = Fingerprint(length: position.files[0].fingerprint.length, hash: String(repeating: "0", count: 32))
        log.restart(at: position)
        log.turn()
        #expect(log.counted == 6 && log.metric("collector_lost_files_total") == 1)
    }

    @Test("that is not there yet is read whole once it comes; one that was there before is begun at its end")
    func beginning() throws {
        let late = try LogFixture(beginning: .end)
        late.turn()
        try late.append(late.line(5))
        late.turn()
        #expect(late.counted == 5)

        let log = try LogFixture(beginning: .end)
        let half = log.line(100)
        try log.append(log.line(10) + half.prefix(20))
        log.restart(at: Checkpoint.Trail())
        // A trail without files is one that was followed before anything was there.
        log.turn()
        #expect(log.counted == 10)

        let folder = try TemporaryFolder("quittance-log")
        let path = try folder.write(log.line(1) + half.prefix(20), to: "access.log")
        let opened = try #require(try OpenLog.fresh(path))
        opened.goToEnd()
        #expect(opened.isSkipping && opened.offset == opened.size)
    }

    @Test("has lines that are too long skipped and counted once, and reads on behind them")
    func overlong() throws {
        let log = try LogFixture()
        let (before, after) = (log.line(1), log.line(2))
        let long = log.line(4, filler: LineIntake.lineMax)
        try log.append(before + long)
        log.turn()
        try log.append(String(repeating: "y", count: 600 << 10))
        log.turn()
        log.checkpoint()
        try log.append(String(repeating: "z", count: 10))
        log.turn()
        try log.append("\n" + after)
        log.turn()
        #expect(log.counted == 3 && log.intake.counts.rejected == [.overlong: 2])
        // The place in the middle of such a line is kept too.
        log.restart()
        log.turn()
        #expect(log.counted == 3 && log.intake.counts.rejected.isEmpty)
    }

    @Test("is read no further than a turn may go, nor than a batch has room, and on from there")
    func bounds() throws {
        let log = try LogFixture()
        for _ in 0..<10 { try log.append(log.line(1, filler: 40_000)) }
        #expect(log.turn(budget: 200_000) == .limit)
        #expect(log.counted < log.sent)
        while log.turn(budget: 200_000) == .limit {}
        #expect(log.counted == log.sent)
    }

    @Test("cannot be read: it is said, and read once it can", .enabled(if: getuid() != 0, "root may read everything"))
    func forbidden() throws {
        let log = try LogFixture()
        try log.append(log.line(3))
        try #require(chmod(log.path, 0) == 0)
        log.restart(at: Checkpoint.Trail())
        log.turn()
        #expect(log.trail.problem != nil)
        try #require(chmod(log.path, 0o644) == 0)
        log.turn()
        #expect(log.trail.problem == nil && log.counted == 3)
    }

    @Test(
        "knows its own past by name",
        arguments: [
            ("access.log.1", true), ("access.log-20261121", true), ("access.log.2026-11-21", true), ("access-20261121.log", true),
            ("access.log-20261121-1795248000", true), ("access.log", false), ("access.log.1.gz", false), ("access-admin.log", false),
            ("access.log.old", false), ("access.log-", false), ("error.log.1", false), ("access2.log", false),
        ])
    func names(_ name: String, isPast: Bool) {
        #expect(RotatedFiles(of: "/var/log/access.log").isRotation(name) == isPast)
    }
}
