import Formats
import TestSupport
import Testing

@testable import CollectorService

@Suite("A log that was left for a while", .timeLimit(.minutes(2)))
struct LogAbsenceTests {
    @Test("has a file in between read that got the inode of one that was finished")
    func inodeOfFinished() throws {
        let log = try LogFixture()
        try log.append(log.line(1))
        log.turn()
        try log.rename(to: "access.log.1")
        try log.append(log.line(20))
        for _ in 0..<3 { log.turn() }
        #expect(log.trail.position.finished.count == 1 && log.counted == 21)
        log.checkpoint()
        // Emptied in place: another file as far as its bytes go, with the inode of the finished one.
        try log.rename(to: "access.log.2")
        try log.empty("access.log.1")
        try log.append(log.line(300), to: "access.log.1")
        try log.append(log.line(4000))
        log.restart()
        for _ in 0..<3 { log.turn() }
        #expect(log.counted == log.sent && log.metric("collector_lost_files_total") == 0)
    }

    @Test("is looked through from the moment when it was last seen, however late the checkpoint was written")
    func lookedAt() throws {
        let log = try LogFixture()
        try log.append(log.line(1))
        log.turn()
        var place = log.trail.position
        #expect(place.lookedAt != nil)
        place.lookedAt = (WallClock.nowMs - 7_200_000) * 1_000_000
        try log.rename(to: "access.log.2")
        try log.append(log.line(20), to: "access.log.1")
        try log.age("access.log.1", seconds: 3600)
        try log.append(log.line(300), to: "access.log.3")
        try log.age("access.log.3", seconds: 10_000)
        try log.append(log.line(4000))
        log.restart(at: place)
        log.turn()
        // The oldest one was there before.
        #expect(log.counted == 4021)
    }

    @Test("has a file in between that is compressed already: it is said to be lost, once")
    func compressedBetween() async throws {
        let log = try LogFixture()
        try log.append(log.line(1))
        log.turn()
        log.checkpoint()
        try log.append(log.line(20))
        try log.rename(to: "access.log.2")
        // Of a length that nothing else has: by its length a compressed file is known again.
        try log.append(log.line(300, filler: 150))
        try log.rename(to: "access.log.1")
        try await log.compress("access.log.1")
        try log.append(log.line(4000))
        log.restart()
        for _ in 0..<3 { log.turn() }
        #expect(log.counted == 4021)
        #expect(log.metric("collector_lost_files_total") == 1)
    }

    @Test("was compressed meanwhile: lost only where it had more than was read", arguments: [false, true])
    func compressedMeanwhile(hasMore: Bool) async throws {
        let log = try LogFixture()
        try log.append(log.line(1))
        log.turn()
        log.checkpoint()
        if hasMore { try log.append(log.line(20)) }
        try log.rename(to: "access.log.1")
        try await log.compress("access.log.1")
        // A file in between that is still there is read in either case.
        try log.append(log.line(300))
        try log.rename(to: "access.log.2")
        try log.append(log.line(4000))
        log.restart()
        for _ in 0..<3 { log.turn() }
        #expect(log.counted == 4301 && log.metric("collector_lost_files_total") == (hasMore ? 1 : 0))
    }

    @Test("was copied and emptied before anything of it was read: the copy is read, also where the log is longer again", arguments: [0, 20])
    func emptiedUnread(linesMore: Int) throws {
        let log = try LogFixture()
        try log.append(log.line(1) + log.line(2))
        log.trail.look()
        try log.copy(to: "access.log.1")
        try log.empty()
        for _ in 0..<linesMore { try log.append(log.line(10)) }
        for _ in 0..<3 { log.turn() }
        #expect(log.counted == log.sent && log.metric("collector_truncations_total") == 1 && log.metric("collector_lost_files_total") == 0)
    }
}
