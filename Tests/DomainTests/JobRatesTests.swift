import Database
import Formats
import JobQueue
import TestSupport
import Testing

@testable import Outbox

@Suite("Rates of jobs")
struct JobRatesTests {
    @Test("what was made, finished and given up since a moment is counted by queue; what was before is not")
    func counted() async throws {
        let fixture = try DomainFixture()
        let outbox = Outbox(slot: "t.0")
        let start = DomainFixture.nowMs
        func add(_ at: Int64) async throws -> JobEnvelope {
            let request = try JobRequest(Note(number: 1))
            let id = try #require(try await fixture.database.write { try outbox.add(request, nowMs: at, in: $0) })
            return request.envelope(id: id, nowMs: at)
        }
        func end(_ job: JobEnvelope, _ outcome: JobRecord.Outcome, _ at: Int64) async throws {
            #expect(try await fixture.database.write { try Outbox.finish(job, as: outcome, nowMs: at, in: $0) })
        }
        let old = try await add(start - 10)
        try await end(try await add(start - 9), .done, start - 5)
        try await end(old, .done, start + 1)
        try await end(try await add(start + 2), .skipped, start + 3)
        try await end(try await add(start + 2), .buried, start + 4)
        _ = try await add(start + 5)
        let rates = try await fixture.database.read { try JobRates.read(sinceMs: start, in: $0) }
        let found = try #require(rates.first { $0.queue == Note.queue })
        #expect(rates.count == 1 && found.made == 3 && found.finished == 2 && found.buried == 1)
        #expect(try await fixture.database.read { try JobRates.read(sinceMs: start + 100, in: $0) }.isEmpty)
    }

    @Test("indexes lead to them", arguments: [(JobRates.endedQuery, "outbox_jobs_finished"), (JobRates.unfinishedQuery, "outbox_jobs_unfinished")])
    func plan(query: String, index: String) async throws {
        let fixture = try DomainFixture()
        let steps = try await fixture.database.read { connection in
            try connection.query("EXPLAIN QUERY PLAN \(query)", [.integer(1)]).map { try $0.text("detail") }
        }
        #expect(steps.contains { $0.hasPrefix("SEARCH outbox_jobs USING INDEX \(index)") }, "\(steps)")
    }
}
