import TestSupport
import Testing

@testable import IngestService

@Suite("Reading a journal piece by piece")
struct IngestUsageJournalTests {
    private func file(_ folder: TemporaryFolder, _ events: [[UInt8]], torn: Bool = false) throws -> String {
        let path = folder.file("journal-0000000001-1.log")
        var file = try EventLogFile(path: path)
        try file.append(events, sync: false)
        if torn {
            try folder.write(
                String(decoding: folder.read("journal-0000000001-1.log") ?? [], as: UTF8.self) + "0123456789abcdef {\"id\"",
                to: "journal-0000000001-1.log")
        }
        return path
    }

    @Test("a file larger than a piece is read whole, in order, also where one line is larger than a piece")
    func large() async throws {
        let folder = try TemporaryFolder()
        let lengths = [10, 3 << 20, 20, 2 << 20, 5 << 20, 30]
        let events = lengths.enumerated().map { [UInt8](repeating: UInt8(ascii: "a") + UInt8($0), count: $1) }
        var seen: [[UInt8]] = []
        var pieces = 0
        let damaged = try await EventLogReader.forEachPiece(of: try file(folder, events)) { piece in
            seen += piece
            pieces += 1
        }
        #expect(seen == events)
        #expect(damaged == 0 && pieces > 1)
    }

    @Test("a torn end and an empty file are no events; a file that is away is an error")
    func torn() async throws {
        let folder = try TemporaryFolder()
        var seen: [[UInt8]] = []
        let path = try file(folder, [Array("one".utf8), Array("two".utf8)], torn: true)
        #expect(try await EventLogReader.forEachPiece(of: path) { seen += $0 } == 0)
        #expect(seen == [Array("one".utf8), Array("two".utf8)])
        try folder.write("", to: "empty")
        #expect(try await EventLogReader.forEachPiece(of: folder.file("empty")) { _ in Issue.record("there is nothing in it") } == 0)
        await #expect(throws: EventLogError.self) { try await EventLogReader.forEachPiece(of: folder.file("away")) { _ in } }
    }
}
