import Database
import Formats
import JobQueue
import Outbox
import Synchronization
import TestSupport
import Testing

/// Every owner lives.
struct Living: EffectOwners {
    func isAlive(_ owner: EffectOwner, sinceMs: Int64) async throws -> Bool { true }
}

/// Every owner but one is dead.
private struct Sole: EffectOwners {
    let worker: String
    func isAlive(_ owner: EffectOwner, sinceMs: Int64) async throws -> Bool { owner.worker == worker }
}

@Suite("Effects in SQL")
struct EffectTableTests {
    private static let identity = EffectIdentity("payout", key: "order-7")

    private static func owner(_ worker: String) -> EffectOwner { EffectOwner(queue: "q", worker: worker, token: .max, job: "job_1") }

    @Test("an intent is in SQL before the call, its result after it, and every process finds it")
    func kept() async throws {
        let domain = try DomainFixture()
        let effects = Effects(store: EffectTable(database: domain.database), owners: Living())
        let other = EffectTable(database: try domain.another())
        let receipt = try await effects.run("payout", key: "order-7", policy: .sameKeyAgain, owner: Self.owner("a")) { key in
            let record = try #require(try await other.list(EffectFilter(openOnly: true)).first)
            #expect(record.state == .pending && record.rule == .sameKeyAgain && record.owner == Self.owner("a") && record.fence == 1)
            #expect(try await other.countOpen(begunBefore: .max) == 1)
            return ["receipt": key]
        }
        let record = try #require(try await other.list(EffectFilter(name: "payout", key: "order-7")).first)
        #expect(record.state == .done && record.result == ["receipt": "order-7"])
        #expect(try await other.countOpen(begunBefore: .max) == 0)
        let again = try await Effects(store: other, owners: Living()).run(
            "payout", key: "order-7", policy: .sameKeyAgain, owner: Self.owner("b")
        ) { _ in ["receipt": "another"] }
        #expect(again == receipt)
        #expect(try await other.list(EffectFilter(name: "mail")).isEmpty)
    }

    @Test("of two processes that find a dead owner's effect one takes over", arguments: 0..<5)
    func race(_ round: Int) async throws {
        let domain = try DomainFixture()
        let databases = [domain.database, try domain.another()]
        let store = EffectTable(database: domain.database)
        _ = try await store.update(Self.identity) { record in
            record = EffectRecord(
                identity: Self.identity, state: .pending, rule: .againVisibly, owner: Self.owner("dead"), fence: 4, result: nil, detail: nil,
                beganAtMs: 1, changedAtMs: 1)
        }
        let calls = Calls()
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<16 {
                let effects = Effects(store: EffectTable(database: databases[number % 2]), owners: NotDead())
                group.addTask {
                    _ = try? await effects.run("payout", key: "order-7", policy: .againVisibly, owner: Self.owner("w\(number)")) { _ in
                        calls.add()
                        return NoResult()
                    }
                }
            }
        }
        #expect(calls.count == 1)
        #expect(try await store.list(EffectFilter()).map(\.fence) == [5])
    }

    private final class Calls: Sendable {
        private let number = Mutex(0)
        var count: Int { number.withLock { $0 } }
        func add() { number.withLock { $0 += 1 } }
    }

    private struct NotDead: EffectOwners {
        func isAlive(_ owner: EffectOwner, sinceMs: Int64) async throws -> Bool { owner.worker != "dead" }
    }

    @Test("a fenced owner's result is refused, whichever process commits second")
    func fenced() async throws {
        let domain = try DomainFixture()
        let store = EffectTable(database: domain.database)
        let late = Effects(store: EffectTable(database: try domain.another()), owners: Living())
        let receipt = try await late.run("payout", key: "order-7", policy: .againVisibly, owner: Self.owner("a")) { _ in
            let over = Effects(store: store, owners: Sole(worker: "b"))
            return try await over.run("payout", key: "order-7", policy: .againVisibly, owner: Self.owner("b")) { _ in "b's" } == "b's" ? "a's" : ""
        }
        #expect(receipt == "b's")
        #expect(try await store.list(EffectFilter()).map(\.result) == ["b's"])
    }

    @Test("settled effects go after ninety days, open ones stay")
    func purge() async throws {
        let domain = try DomainFixture()
        let store = EffectTable(database: domain.database)
        for state in EffectRecord.State.allCases {
            let identity = EffectIdentity("payout", key: state.rawValue)
            try await store.update(identity) { record in
                record = EffectRecord(
                    identity: identity, state: state, rule: .ask, owner: nil, fence: 1, result: state == .done ? .null : nil, detail: "x",
                    beganAtMs: 1, changedAtMs: 2)
            }
        }
        #expect(try await store.purge(settledBefore: 2, limit: 10) == 0)
        #expect(try await store.purge(settledBefore: 3, limit: 1) == 1)
        #expect(try await store.purge(settledBefore: 3, limit: 10) == 1)
        #expect(Set(try await store.list(EffectFilter()).map(\.state)) == [.pending, .doubtful])
        #expect(try await store.countOpen(begunBefore: 1) == 0)
        #expect(try await store.countOpen(begunBefore: 2) == 2)
    }
}
