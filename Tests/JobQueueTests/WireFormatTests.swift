import Formats
import Foundation
import JobQueue
import JobQueueRedis
import Testing

@Suite("docs/wire-format.md")
struct WireFormatTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private func text() throws -> String { try String(contentsOf: Self.root.appending(path: "docs/wire-format.md"), encoding: .utf8) }

    @Test("every key of a queue has a line, and no line is of a key that there is not")
    func keys() throws {
        let keys = QueueKeys(prefix: "", queue: "q")
        let known = [
            keys.ready, keys.delayed, keys.wake, keys.leases, keys.retired, keys.dead, keys.history, keys.redeliveries, keys.published, keys.control,
            keys.inhand, keys.unique, keys.waiting, keys.cancels, keys.moving, keys.arriving, keys.slots("<key>"), keys.waiting("<key>"),
            keys.rate("<key>"), keys.parked("<kind>"), keys.inflight("<worker>"), keys.woken("<worker>"), keys.report("<id>"),
            keys.arrived(from: "<queue>", "<number>"),
        ].map { String($0.dropFirst("{q}:".count)) }
        let page = try text()
        // Those of cron have a section of their own.
        for key in [keys.cron("<entry>"), keys.cronExtras] { #expect(page.contains("| `\(key.dropFirst("{q}:".count))` |"), "\(key)") }
        let section = try #require(page.components(separatedBy: "## Keys\n").last?.components(separatedBy: "\n## ").first)
        let told = section.split(separator: "\n").filter { $0.hasPrefix("| `") }.map { String($0.dropFirst(3).prefix { $0 != "`" }) }
        #expect(Set(told) == Set(known))
        #expect(told.count == known.count, "a key is told twice")
    }

    @Test("every script has a line, and is among those that are checked at an installation")
    func scripts() throws {
        let folder = Self.root.appending(path: "Sources/JobQueue/JobQueueRedis/Scripts").path(percentEncoded: false)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".lua") }.map { String($0.dropLast(4)) }
        let page = try text()
        for name in names { #expect(page.contains("\n| `\(name)` |"), "\(name)") }
        // Those of the breakers are theirs.
        let listed = Set(QueueScriptListing.all.map(\.name))
        for name in names where !["breaker", "turn"].contains(name) { #expect(listed.contains(name), "\(name)") }
    }

    @Test("every field of a job has a line")
    func fields() throws {
        var job = JobEnvelope(
            id: "job_1", kind: "k", queue: "q", args: [:], payment: "pay_1", enqueuedAtMs: 1, unique: "u", traceparent: "00-1",
            slots: JobSlots(key: "s", max: 1), rate: JobRate(key: "r", count: 1, perMs: 1), expiresAtMs: 1, admitted: .wholly)
        let page = try text()
        for slots in [1, 2] {
            job.slots = JobSlots(key: "s", max: slots)
            let object = try #require(try JSONSerialization.jsonObject(with: Data(job.encoded())) as? [String: Any])
            for name in object.keys { #expect(page.contains("| `\(name)` |"), "\(name)") }
        }
    }
}
