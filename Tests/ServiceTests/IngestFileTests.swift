import Formats
import Synchronization
import TestSupport
import Testing

@testable import IngestService

@Suite("Ingest's files of events")
struct IngestFileTests {
    @Test("a line gives its event back, whatever its length", arguments: [1, 7, 8, 9, 15, 16, 17, 4096, 100_003])
    func lineRoundTrip(length: Int) {
        let event = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ 32) | 0x20 }
        var line: [UInt8] = []
        EventLogLine.append(event, to: &line)
        #expect(line.last == UInt8(ascii: "\n"))
        #expect(EventLogLine.event(in: line.dropLast()) == event)
    }

    @Test("any single damaged byte of a line is noticed")
    func damage() {
        let event = Array(#"{"specversion":"1.0","id":"msg_1","type":"payment.notification"}"#.utf8)
        var line: [UInt8] = []
        EventLogLine.append(event, to: &line)
        line.removeLast()
        for place in line.indices {
            for bit in 0..<8 {
                var damaged = line
                damaged[place] ^= 1 << UInt8(bit)
                #expect(EventLogLine.event(in: damaged[...]) == nil, "byte \(place), bit \(bit)")
            }
        }
    }

    @Test("a torn line is noticed, wherever it was torn")
    func torn() {
        let event = Array(#"{"specversion":"1.0","id":"msg_1","data_base64":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#.utf8)
        var line: [UInt8] = []
        EventLogLine.append(event, to: &line)
        for length in 0..<(line.count - 1) {
            #expect(EventLogLine.event(in: line[..<length]) == nil)
        }
    }

    @Test("what nobody waits for gathers; what somebody waits for goes at once and takes the rest along, in order")
    func lingering() async throws {
        let batches = Mutex<[[Int]]>([])
        // An hour: only the urgent one can end it within the test.
        let thread = FileThread<Int>(name: "linger", linger: .seconds(3600), isUrgent: { $0 < 0 }) { items in
            batches.withLock { $0.append(items) }
        }
        for number in 1...100 { thread.submit(number) }
        thread.submit(-1)
        try await eventually("the urgent one is worked on") { batches.withLock { $0.joined().contains(-1) } }
        #expect(batches.withLock { Array($0.joined()) } == Array(1...100) + [-1])
        #expect(batches.withLock { $0.count } == 1)
        thread.close()
    }

    @Test("lingering ends by itself")
    func lingeringEnds() async throws {
        let done = Mutex<[Int]>([])
        let thread = FileThread<Int>(name: "linger", linger: .milliseconds(1), isUrgent: { _ in false }) { items in
            done.withLock { $0 += items }
        }
        thread.submit(1)
        try await eventually("the first batch is worked on") { done.withLock { $0 == [1] } }
        thread.submit(2)
        try await eventually("and the next") { done.withLock { $0 == [1, 2] } }
        thread.close()
    }

    @Test("closing finishes what lingers")
    func closing() {
        let done = Mutex<[Int]>([])
        let thread = FileThread<Int>(name: "linger", linger: .seconds(3600), isUrgent: { _ in false }) { items in
            done.withLock { $0 += items }
        }
        for number in 1...10 { thread.submit(number) }
        thread.close()
        #expect(done.withLock { $0 } == Array(1...10))
    }

    @Test("headers worth keeping are kept whatever their case; what proves something is masked")
    func keptHeaders() {
        let lines = KeptHeaders.lines(of: [
            "Host": "example.org", "User-Agent": "sender/1", "Webhook-ID": "msg_1", "WEBHOOK-SIGNATURE": "v1,abcdef", "X-Token": "1234",
            "Webhook-Timestamp": "17", "Cookie": "a=b",
        ])
        #expect(
            lines == "user-agent: sender/1\nwebhook-id: msg_1\nwebhook-signature: [redacted]\nx-token: [redacted]\nwebhook-timestamp: 17\n")
    }
}
