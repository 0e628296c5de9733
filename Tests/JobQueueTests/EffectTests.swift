import Formats
import JobQueue
import Synchronization
import TestSupport
import Testing

/// The other side of an effect: what it was called with, and what it has carried out, once per key.
private final class Outside: Sendable {
    private let state = Mutex((calls: [String](), carriedOut: [String: Int]()))
    var calls: Int { state.withLock { $0.calls.count } }

    func call(_ key: String) -> String {
        state.withLock { state in
            state.calls.append(key)
            let number = state.carriedOut[key] ?? state.carriedOut.count + 1
            state.carriedOut[key] = number
            return "receipt \(number) for \(key)"
        }
    }

    func ask(_ key: String) -> EffectAnswer<String> {
        state.withLock { state in state.carriedOut[key].map { .happened("receipt \($0) for \(key)") } ?? .didNotHappen }
    }

    func policy(_ rule: EffectRule) -> EffectPolicy<String> {
        switch rule {
        case .ask: .ask { self.ask($0) }
        case .sameKeyAgain: .sameKeyAgain
        case .onceThenTask: .onceThenTask
        case .againVisibly: .againVisibly
        }
    }
}

/// Workers of which a test says who is dead.
private final class Census: EffectOwners {
    private let dead = Mutex<Set<String>>([])
    func bury(_ worker: String) { dead.withLock { _ = $0.insert(worker) } }
    func isAlive(_ owner: EffectOwner, sinceMs: Int64) async throws -> Bool { dead.withLock { !$0.contains(owner.worker) } }
}

private struct Certain: EffectErrorClassifying { let effectCannotHaveHappened: Bool }

@Suite("Effects outside")
struct EffectTests {
    private static let key = "order-7"
    private static let identity = EffectIdentity("payout", key: key)

    private static func owner(_ worker: String, token: ClaimToken = 1) -> EffectOwner {
        EffectOwner(queue: "q", worker: worker, token: token, job: "job_1")
    }

    /// What a policy comes to when the worker died at a step: calls in all, and whether a person must decide.
    private static func expected(_ rule: EffectRule, _ step: Effects.Step) -> (calls: Int, doubtful: Bool) {
        switch (step, rule) {
        case (.begun, _), (.finished, _): (1, false)
        case (.intended, .onceThenTask): (0, true)
        case (.called, .onceThenTask): (1, true)
        case (.intended, _), (.called, .ask): (1, false)
        case (.called, _): (2, false)
        }
    }

    private static let crashes = EffectRule.allCases.flatMap { rule in
        Effects.Step.allCases.flatMap { step in Backend.allCases.map { (rule, step, $0) } }
    }

    @Test("a worker that dies between any two steps leaves what its effect's policy can mend", arguments: crashes)
    func crash(_ rule: EffectRule, _ step: Effects.Step, _ backend: Backend) async throws {
        let bench = try await backend.bench()
        let queues = FixedQueue(queue: bench.driver)
        let outside = Outside()
        let store = InMemoryEffects()
        let results = Diary()
        let dying = First<WorkerIdentity>()
        let deaths = First<Effects.Step>()
        let afterDeath = Gate()

        func worker(_ driver: any QueueDriver, dies: Bool) -> JobWorker {
            var effects = Effects(store: store, owners: LeasedOwners(queues: queues), busyDelay: .milliseconds(10))
            effects.passing = { passed, _ in
                guard dies, passed == step, deaths.take(step) else { return }
                try await afterDeath.pass()
                throw CancellationError()
            }
            let worker = JobWorker(driver: driver, configuration: .init(name: "worker", concurrency: 1, effects: effects, random: { 0 }))
            worker.register(Work.self, retry: .fixed(.zero, attemptsMax: 5)) { _, context in
                if dies { _ = dying.take(context.worker) }
                let receipt = try await context.effect("payout", key: Self.key, policy: outside.policy(rule)) { outside.call($0) }
                results.write(receipt)
                return .done
            }
            return worker
        }

        let first = worker(bench.driver, dies: true)
        try await bench.driver.put([bench.driver.job("a")])
        try await first.start()
        try await eventually("it began") { dying.value != nil }
        let (calls, doubtful) = Self.expected(rule, step)
        try await eventually("it came to the step") { try await Self.reached(step, store, outside) }
        let second = worker(try await bench.peer(), dies: false)
        let dead = try #require(dying.value)
        try await bench.loseNow(dead)
        try await second.start()
        if doubtful {
            try await eventually("it is buried") { try await bench.driver.counts().dead == 1 }
            #expect(results.count == 0)
            #expect(try await store.list(EffectFilter(openOnly: true)).map(\.state) == [.doubtful])
        } else {
            try await eventually("it is done") { results.count == 1 }
            #expect(results.all == ["receipt 1 for order-7"])
            let record = try #require(try await store.list(EffectFilter()).first)
            #expect(record.state == .done && record.result == "receipt 1 for order-7")
        }
        #expect(outside.calls == calls)
        afterDeath.unlock()
        await first.stopped()
        await second.stopped()
        #expect(outside.calls == calls)
    }

    /// Whether the worker that is about to die stands at its step.
    private static func reached(_ step: Effects.Step, _ store: InMemoryEffects, _ outside: Outside) async throws -> Bool {
        let record = try await store.list(EffectFilter()).first
        return switch step {
        case .begun: true
        case .intended: record?.state == .pending
        case .called: outside.calls == 1
        case .finished: record?.state == .done
        }
    }

    @Test("while the owner lives another one is put off, and finds the result afterwards")
    func busy() async throws {
        let store = InMemoryEffects()
        let effects = Effects(store: store, owners: Census())
        let outside = Outside()
        let gate = Gate()
        let working = Task {
            try await effects.run("payout", key: Self.key, policy: .againVisibly, owner: Self.owner("a")) { key in
                try await gate.pass()
                return outside.call(key)
            }
        }
        try await eventually("it is at it") { try await store.countOpen(begunBefore: .max) == 1 }
        // Another worker, and another claim by the same one.
        for other in [Self.owner("b"), Self.owner("a", token: 2)] {
            let busy = await #expect(throws: EffectError.self) {
                try await effects.run("payout", key: Self.key, policy: .againVisibly, owner: other) { outside.call($0) }
            }
            #expect(busy?.jobDisposition == .snooze(.seconds(2)))
        }
        gate.unlock()
        let receipt = try await working.value
        #expect(try await effects.run("payout", key: Self.key, policy: .againVisibly, owner: Self.owner("b")) { outside.call($0) } == receipt)
        #expect(outside.calls == 1)
    }

    @Test("a worker that was fenced and is back under another identity does not call beside its own call that is still under way")
    func backInTheSameProcess() async throws {
        let census = Census()
        let effects = Effects(store: InMemoryEffects(), owners: census)
        let outside = Outside()
        let (reached, gate) = (Gate(), Gate())
        let working = Task {
            try await effects.run("payout", key: Self.key, policy: .againVisibly, owner: Self.owner("before")) { key in
                reached.unlock()
                try await gate.pass()
                return outside.call(key)
            }
        }
        try await reached.pass()
        census.bury("before")
        let busy = await #expect(throws: EffectError.self) {
            try await effects.run("payout", key: Self.key, policy: .againVisibly, owner: Self.owner("after")) { outside.call($0) }
        }
        #expect(busy?.jobDisposition == .snooze(.seconds(2)))
        gate.unlock()
        let receipt = try await working.value
        #expect(try await effects.run("payout", key: Self.key, policy: .againVisibly, owner: Self.owner("after")) { outside.call($0) } == receipt)
        #expect(outside.calls == 1)
    }

    @Test("an owner that was taken for dead and wakes gets the result of the one that took over", arguments: [false, true])
    func frozen(beforeItsCall: Bool) async throws {
        let store = InMemoryEffects()
        let census = Census()
        let outside = Outside()
        let (reached, gate) = (Gate(), Gate())
        var freezing = Effects(store: store, owners: census)
        freezing.passing = { step, _ in
            guard step == (beforeItsCall ? .intended : .called) else { return }
            reached.unlock()
            try await gate.pass()
        }
        let frozen = Task { [freezing] in
            try await freezing.run("payout", key: Self.key, policy: .againVisibly, owner: Self.owner("a")) { outside.call($0) + " by a" }
        }
        try await reached.pass()
        census.bury("a")
        let effects = Effects(store: store, owners: census)
        let receipt = try await effects.run("payout", key: Self.key, policy: .againVisibly, owner: Self.owner("b")) { outside.call($0) + " by b" }
        gate.unlock()
        if beforeItsCall {
            await #expect(throws: EffectError.fenced(Self.identity)) { try await frozen.value }
            #expect(outside.calls == 1)
        } else {
            #expect(try await frozen.value == receipt)
        }
        #expect(receipt.hasSuffix("by b"))
        let record = try #require(try await store.list(EffectFilter()).first)
        #expect(record.state == .done && record.fence == 2 && record.result == .string(receipt))
    }

    @Test("of many that find a dead owner's effect one takes over")
    func race() async throws {
        let store = InMemoryEffects()
        let census = Census()
        _ = try await store.update(Self.identity) { record in
            record = EffectRecord(
                identity: Self.identity, state: .pending, rule: .againVisibly, owner: Self.owner("dead"), fence: 1, result: nil, detail: nil,
                beganAtMs: 1, changedAtMs: 1)
        }
        census.bury("dead")
        let outside = Outside()
        let effects = Effects(store: store, owners: census)
        let results = await withTaskGroup(of: String?.self) { group in
            for number in 0..<50 {
                group.addTask {
                    try? await effects.run("payout", key: Self.key, policy: .againVisibly, owner: Self.owner("w\(number)")) { outside.call($0) }
                }
            }
            return await group.reduce(into: [String]()) { if let result = $1 { $0.append(result) } }
        }
        #expect(outside.calls == 1)
        #expect(!results.isEmpty && Set(results).count == 1)
    }

    @Test("an error that says nothing was carried out withdraws the intent; any other leaves it to the policy")
    func errors() async throws {
        let store = InMemoryEffects()
        let effects = Effects(store: store, owners: Census())
        let outside = Outside()
        for _ in 0..<2 {
            await #expect(throws: Certain.self) {
                try await effects.run("payout", key: Self.key, policy: outside.policy(.onceThenTask), owner: Self.owner("a")) { _ in
                    throw Certain(effectCannotHaveHappened: true)
                }
            }
            #expect(try await store.list(EffectFilter()).first?.state == .withdrawn)
        }
        await #expect(throws: Unlucky.self) {
            try await effects.run("payout", key: Self.key, policy: outside.policy(.onceThenTask), owner: Self.owner("a")) { _ in throw Unlucky() }
        }
        #expect(try await store.list(EffectFilter(openOnly: true)).first?.owner == nil)
        let doubtful = await #expect(throws: EffectError.self) {
            try await effects.run("payout", key: Self.key, policy: outside.policy(.onceThenTask), owner: Self.owner("a")) { outside.call($0) }
        }
        #expect(doubtful == .doubtful(Self.identity) && doubtful?.jobDisposition == .bury)
        #expect(outside.calls == 0)
    }

    @Test("what a person finds out settles a doubtful effect, once, and fences whoever is still at it", arguments: [true, false])
    func settled(happened: Bool) async throws {
        let store = InMemoryEffects()
        let told = Diary()
        let effects = Effects(store: store, owners: Census()) { told.write($0.identity.key) }
        let outside = Outside()
        for _ in 0..<2 {
            _ = try? await effects.run("payout", key: Self.key, policy: outside.policy(.onceThenTask), owner: Self.owner("a")) { _ -> String in
                throw Unlucky()
            }
        }
        #expect(told.all == [Self.key])
        let settled = try await store.update(Self.identity) { EffectRecord.settle(&$0, result: happened ? "found" : nil, by: "ops", nowMs: 5) }
        let again = try await store.update(Self.identity) { EffectRecord.settle(&$0, result: "other", by: "ops", nowMs: 6) }
        #expect(settled && !again)
        let receipt = try await effects.run("payout", key: Self.key, policy: .onceThenTask, owner: Self.owner("a")) { outside.call($0) }
        #expect(receipt == (happened ? "found" : "receipt 1 for order-7"))
        #expect(outside.calls == (happened ? 0 : 1))
    }

    @Test("the result of a doubtful effect is taken from its owner, however late")
    func late() async throws {
        let store = InMemoryEffects()
        let census = Census()
        let outside = Outside()
        let (reached, gate) = (Gate(), Gate())
        var freezing = Effects(store: store, owners: census)
        freezing.passing = { step, _ in
            guard step == .called else { return }
            reached.unlock()
            try await gate.pass()
        }
        let frozen = Task { [freezing] in
            try await freezing.run("payout", key: Self.key, policy: .onceThenTask, owner: Self.owner("a")) { outside.call($0) }
        }
        try await reached.pass()
        census.bury("a")
        let effects = Effects(store: store, owners: census)
        await #expect(throws: EffectError.doubtful(Self.identity)) {
            try await effects.run("payout", key: Self.key, policy: .onceThenTask, owner: Self.owner("b")) { outside.call($0) }
        }
        gate.unlock()
        let receipt = try await frozen.value
        #expect(try await effects.run("payout", key: Self.key, policy: .onceThenTask, owner: Self.owner("b")) { outside.call($0) } == receipt)
        #expect(outside.calls == 1)
    }

    @Test("the result of a call that was cancelled meanwhile is kept")
    func cancelled() async throws {
        let store = InMemoryEffects()
        let effects = Effects(store: store, owners: Census())
        let (reached, gate) = (Gate(), Gate())
        let working = Task {
            try await effects.run("payout", key: Self.key, policy: .onceThenTask, owner: Self.owner("a")) { key in
                reached.unlock()
                // Deaf to its own cancellation, as a call on the wire is.
                try await Task { try await gate.pass() }.value
                return key
            }
        }
        try await reached.pass()
        working.cancel()
        gate.unlock()
        #expect(try await working.value == Self.key)
        #expect(try await store.list(EffectFilter()).first?.state == .done)
    }

    @Test("a result in another shape, and a worker without a store, are said plainly")
    func unreadable() async throws {
        let effects = Effects(store: InMemoryEffects(), owners: Census())
        _ = try await effects.run("payout", key: Self.key, policy: .againVisibly, owner: Self.owner("a")) { $0 }
        let error = await #expect(throws: EffectError.self) {
            _ = try await effects.run("payout", key: Self.key, policy: EffectPolicy<Int>.againVisibly, owner: Self.owner("a")) { _ in 1 }
        }
        #expect(error?.jobDisposition == .bury)
        let driver = InMemoryDriver(queue: "q")
        let worker = jobWorker(driver)
        worker.register(Work.self, retry: .fixed(.zero, attemptsMax: 5)) { _, context in
            try await context.effect("payout", key: "k", policy: .againVisibly) { _ in }
            return .done
        }
        try await driver.put([driver.job("a")])
        try await worker.start()
        try await eventually("it is buried") { try await driver.counts().dead == 1 }
        await worker.stopped()
        #expect(try await driver.dead(offset: 0, limit: 1).first?.record.reason == EffectError.noStore.description)
    }
}

/// Keeps what comes first.
private final class First<Value: Sendable>: Sendable {
    private let kept = Mutex<Value?>(nil)
    var value: Value? { kept.withLock { $0 } }

    /// - Returns: whether it was the first.
    func take(_ value: Value) -> Bool {
        kept.withLock { kept in
            guard kept == nil else { return false }
            kept = value
            return true
        }
    }
}

/// A directory of one queue, whatever it is asked for.
private struct FixedQueue: QueueDirectory {
    let queue: any QueueDriver
    func driver(of name: String) -> any QueueDriver { queue }
}
