import Formats
import RedisClient
import Synchronization
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Redis away", .timeLimit(.minutes(4)))
struct RedisOutageTests {
    enum Outage: String, Sendable, CaseIterable { case standstill, death }

    @Test("Redis stopped for ten seconds under load: every post is answered 200 all the while, and nothing is lost", arguments: Outage.allCases)
    func tenSeconds(_ outage: Outage) async throws {
        try await Stage.run(["ingest", "worker-payments"]) { stage in
            let payments = try await stage.seed(.order, 100)
            let rest = Mutex(payments)
            let stream = EventStream.start(port: stage.ingestPort, lines: 4, pause: .milliseconds(10)) {
                let payment = Bool.random() ? rest.withLock { $0.popLast() } : nil
                return payment.map { .paid($0) } ?? .unmatched()
            }
            try await eventually("the stream runs") { stream.tally.accepted.count > 50 }
            switch outage {
            case .standstill: stage.instance.redis.pause()
            case .death: try await stage.instance.redis.kill9()
            }
            let before = stream.tally.accepted.count
            // The outage itself, not a wait for anything.
            try await Task.sleep(for: .seconds(10))
            let during = stream.tally.accepted.count - before
            let spooled = Set(stage.eventLog(prefix: "spool-").compactMap(Stage.id(ofEvent:)))
            switch outage {
            case .standstill: stage.instance.redis.resume()
            case .death: try await stage.instance.redis.restart()
            }
            #expect(during > 100, "\(during) posts were taken while Redis was away")
            #expect(spooled.count >= during / 2)
            try await eventually("the rest of the payments is posted") { rest.withLock { $0.isEmpty } }
            let tally = try await stream.end()
            #expect(tally.statuses == [200: tally.accepted.count], "\(tally.statuses)")
            #expect(tally.slowest < (.seconds(6) as Duration).stretched, "a post waited \(tally.slowest)")
            let accounting = try await stage.settle(tally.accepted)
            #expect(accounting.dead.isEmpty && accounting.archived["quarantined"] == nil)
            #expect(accounting.archived["applied"]?.count == payments.count)
            try await stage.requirePaidOnce(payments)
            try await eventually("ingest says that its spool is empty") {
                let metrics = try await HTTPLine.once(port: stage.ingestPort, "GET", "/metrics").text
                return metrics.split(separator: "\n").contains("ingest_spool_events 0")
            }
        }
    }

    @Test("the spool is drained in the order in which it was filled; a kill of ingest on the way changes nothing")
    func order() async throws {
        try await Stage.run(["ingest"]) { stage in
            try await stage.awaitRedisAtIngest()
            try await stage.instance.redis.kill9()
            let messages = (0..<300).map { _ in Message.unmatched() }
            let tally = try await EventStream.post(messages, port: stage.ingestPort, lines: 1)
            #expect(tally.statuses == [200: 300])
            #expect(try await HTTPLine.once(port: stage.ingestPort, "GET", "/readyz").status == 200, "the spool keeps events")
            // The next process adopts what this one leaves.
            try await stage.instance.kill9("ingest")
            try await stage.instance.start("ingest")
            let later = (0..<50).map { _ in Message.unmatched() }
            #expect(try await EventStream.post(later, port: stage.ingestPort, lines: 1).statuses == [200: 50])
            try await stage.instance.redis.restart()
            try await eventually(within: .seconds(30), "the spool is empty") {
                stage.instance.folder.list("spool").allSatisfy { !$0.hasPrefix("spool-") }
            }
            let listed = try await stage.waiting(on: "events").compactMap(Stage.id(ofEvent:))
            #expect(listed == messages.map(\.id) + later.map(\.id))
        }
    }

    @Test("a Redis that may forget the last second is not relied upon: the journal has each event first, and the queue is rebuilt from it")
    func everysec() async throws {
        try await Stage.run(["ingest"], Instance.Configuration(redis: ["appendfsync": "everysec"])) { stage in
            try await stage.instance.process("ingest").waitForLine(containing: "redis does not sync each write")
            let payments = try await stage.seed(.order, 40)
            let messages = payments.map { Message.paid($0) } + (0..<60).map { _ in Message.unmatched() }
            let tally = try await EventStream.post(messages, port: stage.ingestPort, lines: 4)
            try await stage.instance.redis.kill9()
            #expect(tally.statuses == [200: 100])
            let journal = Set(stage.eventLog(prefix: "journal-").compactMap(Stage.id(ofEvent:)))
            #expect(journal == tally.accepted)

            try await Self.empty(stage)
            let rebuilt = try await stage.instance.quittance("rebuild-queues")
            try #require(rebuilt.code == 0, "\(rebuilt.errors)")
            try await stage.instance.start("worker-payments")
            try await stage.settle(tally.accepted)
            try await stage.requirePaidOnce(payments)

            // And again, now that their jobs wait in Redis: those come back from SQL.
            try await eventually("the jobs are published") { try await stage.waiting(on: "invoices").count == payments.count }
            try await stage.instance.redis.kill9()
            try await Self.empty(stage)
            let again = try await stage.instance.quittance("rebuild-queues")
            try #require(again.code == 0, "\(again.errors)")
            try await stage.instance.start("worker-invoices")
            try await stage.awaitJobs()
            try await stage.requireEffectsOnce(payments)
        }
    }

    /// All that Redis had is gone: it starts with nothing.
    static func empty(_ stage: Stage) async throws {
        let folder = stage.instance.redis.folder
        for name in folder.list("appendonlydir") { unlink(folder.file("appendonlydir/" + name)) }
        try await stage.instance.redis.restart()
        // Nothing but what running programs have written since.
        let keys = try await stage.redis.call("DBSIZE").int ?? 0
        #expect(keys < 10)
        #expect(try await stage.waiting(on: "invoices").isEmpty)
    }

    @Test("a full Redis, and one that only reads, make ingest spool, not fail", arguments: ["OOM", "READONLY"])
    func refusing(_ how: String) async throws {
        try await Stage.run(["ingest", "worker-payments"]) { stage in
            try await stage.awaitRedisAtIngest()
            if how == "OOM" {
                _ = try await stage.redis.call("CONFIG", "SET", "maxmemory", "1")
            } else {
                // A replica of nobody takes no writes.
                _ = try await stage.redis.call("REPLICAOF", "127.0.0.1", "9")
            }
            let payments = try await stage.seed(.order, 30)
            let tally = try await EventStream.post(payments.map { .paid($0) }, port: stage.ingestPort, lines: 2)
            #expect(tally.statuses == [200: 30])
            #expect(stage.eventLog(prefix: "spool-").count >= 29)
            if how == "OOM" {
                _ = try await stage.redis.call("CONFIG", "SET", "maxmemory", "0")
            } else {
                _ = try await stage.redis.call("REPLICAOF", "NO", "ONE")
            }
            try await stage.settle(tally.accepted)
            try await stage.requirePaidOnce(payments)
        }
    }
}
