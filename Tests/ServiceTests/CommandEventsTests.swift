import Database
import Formats
import Ledger
import OperatorCommands
import Outbox
import Payments
import PaymentsService
import ProviderPort
import Testing

@Suite("quittance events replay")
struct CommandEventsTests {
    /// All that an applied event leaves behind.
    private struct Traces: Equatable, Sendable {
        let state: String
        let jobs: [String]
        let entries: Int
        let facts: Int64
        let moves: Int
    }

    private func traces(_ stage: CommandStage, _ payment: String) async throws -> Traces {
        try await stage.write { connection in
            Traces(
                state: try PaymentStore.require(payment, in: connection).state.rawValue,
                jobs: try JobRecord.of(payment: payment, in: connection).map(\.kind).sorted(),
                entries: try Ledger.entries(of: payment, in: connection).count,
                facts: try connection.first("SELECT COUNT(*) AS n FROM payments_facts WHERE payment = $1", [.text(payment)])?.int("n") ?? 0,
                moves: try PaymentAudit.of(payment: payment, in: connection).count)
        }
    }

    /// The notification of a paid kit, as it came while its provider was off.
    private func quarantined(_ stage: CommandStage, _ kit: OrderedKit) async throws {
        let body: JSON = ["type": "payment.succeeded", "data": ["order_id": .string(kit.attempt), "amount": "12500", "currency": "XOF"]]
        let nowMs = stage.nowMs
        let event = ProviderEvent(
            id: "msg_1", provider: "standard-webhooks", mode: "sandbox", trust: .signed, type: "payment.notification", timeMs: nowMs,
            contentType: "application/json", body: body.bytes, headers: "", matchedKey: 0, payment: nil, target: "/webhooks/standard-webhooks",
            traceparent: nil)
        let none = ProviderRegistry([])
        let events = PaymentEvents(facts: PaymentFacts(purposes: Product.purposes, outbox: Outbox(slot: "worker-payments.0")), providers: none)
        let outcome = try await stage.write { try events.apply(ReadEvent(event, providers: none), nowMs: nowMs, in: $0) }
        #expect(outcome == .quarantined)
    }

    @Test("a quarantined event: a trial says what would change and changes nothing, a replay pays, ten more change nothing")
    func replay() async throws {
        let stage = try await CommandStage.make(redis: true)
        let kit = try await stage.orderKit()
        try await quarantined(stage, kit)
        let before = try await traces(stage, kit.payment)

        let trial = try await stage.json("events", "replay", "--outcome", "quarantined", "--dry-run", "--json")
        #expect(trial["dry_run"]?.bool == true && trial["replayed"]?.int == 1 && trial["changed"]?.int == 1)
        let told = try #require(trial["events"]?.array?.first)
        #expect(told["was"]?.string == "quarantined" && told["is"]?.string == "applied" && told["payment"]?.string == kit.payment)
        #expect(told["state_was"]?.string == "created" && told["state_is"]?.string == "paid")
        #expect(told["facts"]?.int == 1 && told["entries"]?.int == 1)
        #expect(told["jobs"]?.array?.contains("draft.generate") == true)
        #expect(try await traces(stage, kit.payment) == before)
        #expect(try await stage.json("events", "--outcome", "quarantined", "--json").array?.count == 1)

        let replay = try await stage.json("events", "replay", "standard-webhooks/msg_1", "--json")
        #expect(replay["dry_run"]?.bool == false && replay["changed"]?.int == 1 && replay["events"] == trial["events"])
        let paid = try await traces(stage, kit.payment)
        #expect(paid.state == "paid" && paid.facts == 1 && paid.entries == 1)
        #expect(try await stage.json("events", "--outcome", "quarantined", "--json").array?.isEmpty == true)
        for _ in 0..<10 {
            stage.turn(byMs: 1000)
            let again = try await stage.json("events", "replay", "--payment", kit.payment, "--json")
            #expect(again["replayed"]?.int == 1 && again["changed"]?.int == 0)
        }
        #expect(try await traces(stage, kit.payment) == paid)
        let kept = try await stage.write { try $0.first("SELECT COUNT(*) AS n, COUNT(DISTINCT nonce) AS names FROM payments_replays")?.values }
        #expect(kept == [.integer(11), .integer(11)])
    }

    @Test("ten replays of a paid event at once have one effect each")
    func atOnce() async throws {
        let stage = try await CommandStage.make(redis: true)
        let kit = try await stage.orderKit()
        #expect(try await stage.notify(kit) == .applied)
        let paid = try await traces(stage, kit.payment)
        await withTaskGroup(of: ExitCode.self) { group in
            for _ in 0..<10 { group.addTask { await stage.run("events", "replay", "standard-webhooks/msg_1").code } }
            for await code in group { #expect(code == .ok) }
        }
        #expect(try await traces(stage, kit.payment) == paid)
    }

    @Test("what is meant must be said, and be there")
    func meant() async throws {
        let stage = try await CommandStage.make()
        #expect(await stage.run("events", "replay").code == .usage)
        #expect(await stage.run("events", "replay", "a/b", "--outcome", "unmatched").code == .usage)
        let missing = await stage.run("events", "replay", "a/b")
        #expect(missing.code == .notFound && missing.err == "quittance events replay: the archive has no event 'a/b'\n")
        #expect(
            await stage.run("events", "replay", "--outcome", "unmatched", "--newer-than", "2d")
                == CommandResult(code: .nothingDue, out: "No event is meant.\n", err: ""))
    }

    @Test("only what the filter means is taken up, the oldest first")
    func filters() async throws {
        let stage = try await CommandStage.make(redis: true)
        let kit = try await stage.orderKit()
        for number in 0..<3 {
            try await stage.notify(OrderedKit(payment: "", inquiry: "", attempt: "nobody\(number)"), event: "msg_\(number)")
            stage.turn(byMs: 3_600_000)
        }
        try await stage.notify(kit, event: "msg_paid")
        func ids(_ arguments: String...) async throws -> [String] {
            let result = await stage.run(["events", "replay", "--dry-run", "--json"] + arguments)
            return try JSON(parsing: Array(result.out.utf8))["events"]?.array?.compactMap { $0["event"]?.string } ?? []
        }
        let all = (0..<3).map { "standard-webhooks/msg_\($0)" }
        #expect(try await ids("--outcome", "unmatched") == all)
        #expect(try await ids("--outcome", "unmatched", "--limit", "2") == Array(all.prefix(2)))
        #expect(try await ids("--outcome", "unmatched", "--newer-than", "150m") == Array(all.suffix(2)))
        #expect(try await ids("--outcome", "unmatched", "--older-than", "150m") == Array(all.prefix(1)))
        #expect(try await ids("--provider", "wave").isEmpty)
        #expect(try await ids("--payment", kit.payment) == ["standard-webhooks/msg_paid"])
    }
}
