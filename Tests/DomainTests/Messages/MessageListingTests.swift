import Database
import Formats
import MessagePort
import TestSupport
import Testing

@testable import Notifications

@Suite("Lists of messages and of those who want none")
struct MessageListingTests {
    private static let nowMs = DomainFixture.nowMs

    private func enter(_ number: Int, _ state: NotificationRecord.State, _ channel: MessageChannel, atMs: Int64, in connection: Connection) throws {
        let message = SendNotification(
            template: .invoice, recipient: "p\(number)@example.org", language: "fr", values: [:], cause: "EX-\(number)")
        let record = try NotificationRecord.intend(
            message, subject: "Facture", host: "example.com", payment: nil, job: "job_\(number)", channel: channel, nowMs: atMs, in: connection)
        guard state != .pending else { return }
        try NotificationRecord.markSent(record.key, as: state, channel: channel, nowMs: atMs, in: connection)
    }

    @Test("go on behind the last one shown, though many were entered at the same moment, and end")
    func paging() async throws {
        let fixture = try DomainFixture()
        try await fixture.database.write { connection in
            for number in 0..<60 {
                try enter(
                    number, number % 4 == 0 ? .failed : .sent, number % 3 == 0 ? .sms : .email, atMs: Self.nowMs + Int64(number / 25), in: connection)
            }
        }
        func walk(_ filter: NotificationRecord.Filter) async throws -> [NotificationRecord] {
            var (filter, found) = (filter, [NotificationRecord]())
            filter.limit = 7
            while true {
                let asked = filter
                let page = try await fixture.database.read { try NotificationRecord.list(asked, in: $0) }
                found += page
                guard page.count == 7, let last = page.last else { return found }
                filter.before = last.messageID
            }
        }
        let all = try await walk(NotificationRecord.Filter())
        #expect(all.count == 60 && Set(all.map(\.key)).count == 60)
        #expect(all.map(\.createdAtMs) == all.map(\.createdAtMs).sorted(by: >))
        #expect(try await walk(NotificationRecord.Filter(state: .failed)).count == 15)
        #expect(try await walk(NotificationRecord.Filter(channel: .sms)).count == 20)
        #expect(try await walk(NotificationRecord.Filter(state: .failed, channel: .sms)).count == 5)
        #expect(try await walk(NotificationRecord.Filter(recipient: "p7@example.org")).count == 1)
        #expect(try await walk(NotificationRecord.Filter(before: "<none@example.com>")).isEmpty)
    }

    @Test(
        "of any state and channel come by an index, in its order",
        arguments: [
            (NotificationRecord.Filter(state: .unknown), "notifications_messages_state (state=?"),
            (NotificationRecord.Filter(channel: .whatsapp), "notifications_messages_channel (channel=?"),
            (NotificationRecord.Filter(state: .late, channel: .sms), "notifications_messages_channel_state (channel=? AND state=?"),
            (NotificationRecord.Filter(recipient: "a@example.org"), "notifications_messages_recipient (recipient=?"),
            (NotificationRecord.Filter(), "notifications_messages_created"),
        ])
    func plan(filter: NotificationRecord.Filter, index: String) async throws {
        let fixture = try DomainFixture()
        try await fixture.database.write { try enter(1, .sent, .email, atMs: Self.nowMs, in: $0) }
        let last = try #require(try await fixture.database.read { try NotificationRecord.list(NotificationRecord.Filter(), in: $0).first })
        for before in [nil, last.messageID] {
            var filter = filter
            filter.before = before
            let asked = filter
            let steps = try await fixture.database.read { connection in
                guard let (text, bindings) = try NotificationRecord.query(asked, in: connection) else { return [String]() }
                return try connection.query("EXPLAIN QUERY PLAN \(text)", bindings).map { try $0.text("detail") }
            }
            #expect(steps.count == 1 && steps[0].contains("USING INDEX \(index)"), "\(steps)")
        }
    }

    @Test("who wants none is entered once, listed page by page, named without the address, and written to again")
    func optOuts() async throws {
        let fixture = try DomainFixture()
        try await fixture.database.write { connection in
            for number in 10..<20 {
                let isNew = try OptOut.record("+229016600\(number)00", on: .sms, source: "test", nowMs: Self.nowMs, in: connection)
                #expect(isNew)
            }
            #expect(!(try OptOut.record("+229 01 66 00 10 00", on: .sms, source: "again", nowMs: Self.nowMs + 5, in: connection)))
            #expect(try OptOut.record("Awa@Example.org", on: .email, source: "test", nowMs: Self.nowMs + 1, in: connection))
        }
        var found: [OptOut] = []
        while true {
            let before = found.last?.place
            let page = try await fixture.database.read { try OptOut.list(limit: 4, before: before, in: $0) }
            found += page
            if page.count < 4 { break }
        }
        #expect(found.count == 11 && Set(found.map(\.id)).count == 11 && found.first?.channel == .email)
        #expect(found.allSatisfy { !$0.address.contains("+2290166001000") })
        let place = try #require(found.first?.place)
        #expect(OptOut.Place(place.text) == place && !place.text.contains("6600"))
        for text in ["", "1", "sms:\(String(repeating: "a", count: 64))", "1-2-3", "a-b"] { #expect(OptOut.Place(text) == nil, "\(text)") }
        let steps = try await fixture.database.read { connection in
            try connection.query(
                "EXPLAIN QUERY PLAN SELECT * FROM notifications_optouts WHERE (since, id) < (1, 2) ORDER BY since DESC, id DESC LIMIT 3", []
            ).map { try $0.text("detail") }
        }
        #expect(steps.count == 1 && steps[0].contains("USING INDEX notifications_optouts_since"), "\(steps)")
        let id = try #require(found.first?.id)
        #expect(try await fixture.database.write { try OptOut.lift(id: id, in: $0) }?.channel == .email)
        #expect(try await fixture.database.write { try OptOut.lift(id: id, in: $0) } == nil)
        #expect(try await fixture.database.read { try OptOut.isRecorded("awa@example.org", on: .email, in: $0) } == false)
    }

    @Test(
        "an address is one of its channel",
        arguments: [
            ("awa@example.org", MessageChannel.email, true), ("awa", .email, false), ("a b@example.org", .email, false), ("@x", .email, false),
            ("+2290166000001", .sms, true), ("0166000001", .sms, false), ("awa@example.org", .whatsapp, false),
        ])
    func addresses(text: String, channel: MessageChannel, expected: Bool) { #expect(OptOut.isAddress(text, on: channel) == expected) }
}
