import Database
import Formats
import JobQueue
import Money
import Outbox
import Payments
import ProviderPort
import Scheduling
import Synchronization
import Telemetry
import TestSupport
import Testing

@Suite("The scheduled work of every installation")
struct StandardEntriesTests {
    private static let nowMs = DomainFixture.nowMs
    private static let dayMs: Int64 = 86_400_000

    private struct Room {
        let domain: DomainFixture
        let publisher = RecordingPublisher()
        let table: CronTable

        init(keepEventsMs: Int64 = StandardEntries.keepMs) async throws {
            domain = try DomainFixture()
            let relay = OutboxRelay(slot: "scheduler.0", database: domain.database, publisher: publisher, log: Log())
            let facts = PaymentFacts(purposes: DomainFixture.purposes, outbox: relay.outbox)
            let reconciliation = Reconciliation(facts: facts, providers: ProviderRegistry([(AskedProvider(), "sandbox")]))
            table = CronTable(
                entries: StandardEntries.all(
                    reconciliation: reconciliation, relay: relay, database: domain.database, keepEventsMs: keepEventsMs, purges: []),
                database: domain.database,
                runner: "scheduler.0")
            try await table.install(nowMs: nowMs)
        }

        func entry(_ name: String) throws -> CronEntry { try #require(table.entries.first { $0.name == name }) }

        /// Runs an entry once more and answers the sentence that is recorded.
        func run(_ name: String, nowMs: Int64 = nowMs) async throws -> String {
            let result = try await table.runNow(try entry(name), nowMs: nowMs)
            guard case .done(_, let detail) = result else { throw FixtureError("\(name): \(result)") }
            return detail
        }
    }

    @Test("there is one entry for each thing that must not wait for a person, each with a time")
    func entries() async throws {
        let room = try await Room()
        let listing = try await room.table.listing(nowMs: Self.nowMs)
        #expect(Set(listing.map(\.name)).isSuperset(of: ["reconcile", "outbox-sweep", "purge"]))
        for entry in listing { #expect((entry.nextMs ?? 0) > Self.nowMs && !entry.summary.isEmpty && entry.lastTick == nil) }
    }

    @Test("the sweep publishes what a silent program has left, under its slot and the same ids, and leaves a living one alone")
    func sweep() async throws {
        let room = try await Room()
        func leave(_ slot: String, ageMs: Int64) async throws -> [String] {
            try await room.domain.database.write { connection in
                try (0..<3).compactMap { number in
                    let request = try JobRequest(Note(number: number))
                    return try Outbox(slot: slot).add(request, nowMs: Self.nowMs - ageMs, in: connection)
                }
            }
        }
        let silent = try await leave("worker-payments.0", ageMs: 31_000)
        let another = try await leave("web.1", ageMs: 3_600_000)
        _ = try await leave("worker-payments.1", ageMs: 29_000)
        #expect(try await room.run("outbox-sweep") == "6 jobs of 2 slots published")
        let pushes = room.publisher.pushes
        #expect(pushes.filter { $0.slot.hasPrefix("worker-payments.0@") }.map(\.id) == silent)
        #expect(pushes.filter { $0.slot.hasPrefix("web.1@") }.map(\.id) == another)
        #expect(pushes.count == 6)
        #expect(try await room.run("outbox-sweep") == "0 jobs of 0 slots published")
        #expect(room.publisher.pushes.count == 6)
    }

    @Test("a sweep that cannot publish fails its tick, and the tick may run again")
    func failingSweep() async throws {
        let room = try await Room()
        _ = try await room.domain.database.write {
            try Outbox(slot: "web.0").add(try JobRequest(Note(number: 1)), nowMs: Self.nowMs - 60_000, in: $0)
        }
        room.publisher.fail(times: 1)
        let entry = try room.entry("outbox-sweep")
        guard case .failed(let tick, let error) = try await room.table.runDue(entry, nowMs: Self.nowMs) else {
            Issue.record("the tick did not fail")
            return
        }
        #expect(error.contains("away"))
        let again = try await room.table.runDue(entry, nowMs: Self.nowMs + 1000)
        #expect(again == .done(tick: tick, detail: "1 jobs of 1 slots published"))
        #expect(try await room.table.runDue(entry, nowMs: Self.nowMs + 2000) == .alreadyDone(tick: tick))
    }

    @Test("the purge takes finished jobs, events, ticks and effects that are older than ninety days, and nothing else")
    func purge() async throws {
        let room = try await Room()
        let old = Self.nowMs - 91 * Self.dayMs
        let young = Self.nowMs - 89 * Self.dayMs
        try await room.domain.database.write { connection in
            for (id, finishedAtMs) in [("job_old", old), ("job_young", young)] {
                let job = try JobRequest(Note(number: 1)).envelope(id: id, nowMs: old)
                _ = try Outbox.finish(job, as: .done, nowMs: finishedAtMs, in: connection)
            }
            try connection.execute(
                "INSERT INTO outbox_jobs (id, queue, kind, args, slot, created_at) VALUES ('job_open', 'q', 'k', '{}', 's', $1)", [.integer(old)])
            for (tick, dueAtMs) in [("2025-11-01T10:00Z", old), ("2025-11-03T10:00Z", young)] {
                try connection.execute(
                    "INSERT INTO scheduling_ticks VALUES ('reconcile', $1, $2, $2, $2, 'done', '', 'scheduler.0', NULL)",
                    [.text(tick), .integer(dueAtMs)])
            }
            for (id, outcome, receivedAtMs) in [
                ("old", "applied", old), ("ignored", "ignored", old), ("young", "applied", young), ("unmatched", "unmatched", old),
                ("quarantined", "quarantined", old),
            ] {
                try connection.execute(
                    """
                    INSERT INTO payments_events (id, provider, mode, trust, type, received_at, content_type, body, headers, outcome)
                    VALUES ($1, 'played', 'sandbox', 'signed', 't', $2, 'text/plain', X'00', '', $3)
                    """, [.text("played/\(id)"), .integer(receivedAtMs), .text(outcome)])
            }
            for (state, age) in EffectRecord.State.allCases.flatMap({ [($0, old), ($0, young)] }) {
                let identity = EffectIdentity("payout", key: "\(state.rawValue) \(age == old ? "old" : "young")")
                try EffectTable.update(identity, in: connection) { record in
                    record = EffectRecord(
                        identity: identity, state: state, rule: .ask, owner: nil, fence: 1, result: state == .done ? [:] : nil, detail: nil,
                        beganAtMs: age, changedAtMs: age)
                }
            }
            try connection.execute("INSERT INTO payments_unmatched VALUES ('played/unmatched', 'played', 'ref')")
        }
        #expect(try await room.run("purge") == "1 jobs, 4 events, 0 answers, 1 ticks, 2 effects removed")
        let (jobs, events) = try await room.domain.database.read { connection in
            (
                try connection.query("SELECT id FROM outbox_jobs ORDER BY id").map { try $0.text("id") },
                try connection.query("SELECT id FROM payments_events ORDER BY id").map { try $0.text("id") }
            )
        }
        #expect(jobs == ["job_open", "job_young"])
        #expect(events == ["played/young"])
        // What is open is kept for a person, however old.
        let effects = try await EffectTable(database: room.domain.database).list(EffectFilter())
        #expect(
            Set(effects.map(\.identity.key)) == [
                "done young", "withdrawn young", "pending old", "pending young", "doubtful old", "doubtful young",
            ])
    }

    @Test("events have a time of their own, and unproven ones that nothing matched two days of it", arguments: [10, 400, 1] as [Int64])
    func purgeEvents(_ keepDays: Int64) async throws {
        let room = try await Room(keepEventsMs: keepDays * Self.dayMs)
        // Half a day to both sides of the two limits.
        let ages = [Self.dayMs * 3 / 2, Self.dayMs * 5 / 2, keepDays * Self.dayMs - Self.dayMs / 2, keepDays * Self.dayMs + Self.dayMs / 2]
        let kinds = ["unmatched", "quarantined", "verifying", "applied", "ignored"].flatMap { [($0, Trust.unproven), ($0, .signed)] }
        try await room.domain.database.write { connection in
            for (number, age) in ages.enumerated() {
                for (outcome, trust) in kinds {
                    try connection.execute(
                        """
                        INSERT INTO payments_events (id, provider, mode, trust, type, received_at, content_type, body, headers, outcome)
                        VALUES ($1, 'played', 'sandbox', $2, 't', $3, 'text/plain', X'00', '', $4)
                        """,
                        [
                            .text("\(number) \(outcome) \(trust.rawValue)"), .text(trust.rawValue), .integer(Self.nowMs - age), .text(outcome),
                        ])
                }
            }
        }
        _ = try await room.run("purge")
        let kept = try await room.domain.database.read { connection in
            Set(try connection.query("SELECT id FROM payments_events").map { try $0.text("id") })
        }
        let expected = ages.enumerated().flatMap { number, age in
            kinds.filter { outcome, trust in
                age < keepDays * Self.dayMs && !(outcome == "unmatched" && trust == .unproven && age > 2 * Self.dayMs)
            }.map { "\(number) \($0.0) \($0.1.rawValue)" }
        }
        #expect(kept == Set(expected))
    }

    @Test("payments that wait are asked about when their ladder says so, once a tick, whoever fires it")
    func reconcile() async throws {
        let room = try await Room()
        let payment = try await room.domain.payment("order", subject: "o", amount: Money(5000, .xof), state: .created)
        try await room.domain.tell(.pending, of: payment.id)
        let entry = try room.entry("reconcile")
        #expect(try await room.run("reconcile", nowMs: Self.nowMs + 60_000) == "0 asked, 0 given up")
        let due = Self.nowMs + 20 * 60_000
        #expect(try await room.table.runDue(entry, nowMs: due) == .done(tick: "2026-01-31T10:20Z", detail: "1 asked, 0 given up"))
        #expect(try await room.table.runDue(entry, nowMs: due + 30_000) == .alreadyDone(tick: "2026-01-31T10:20Z"))
        let jobs = try await room.domain.database.read { try JobRecord.of(payment: payment.id, in: $0) }
        #expect(jobs.map(\.kind) == ["payment.verify"])
        #expect(try await room.run("reconcile", nowMs: Self.nowMs + 4 * Self.dayMs) == "0 asked, 1 given up")
        #expect(try await room.domain.database.read { try PaymentStore.require(payment.id, in: $0).state } == .expired)
    }
}

/// A provider that could be asked.
private struct AskedProvider: PaymentProvider {
    let offer = ProviderOffer([])
    let name = "played"
    let capabilities = ProviderCapabilities(hasProof: true, proofCoversMoney: true, hasInitiate: false, hasStatus: true)
    func verifyWebhook(_ webhook: IncomingWebhook, nowMs: Int64) -> WebhookVerdict { .refused(reason: "not played") }
    func parse(body: [UInt8], contentType: String) throws(ProviderError) -> ProviderNotice { throw ProviderError(.unreadable, "not played") }
    func status(of question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        throw ProviderError(.unavailable, "not played")
    }
}
