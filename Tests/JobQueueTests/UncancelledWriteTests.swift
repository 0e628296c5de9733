import JobQueue
import Synchronization
import Testing

/// A store that is in trouble for a while, and a clock on which no time passes.
private final class Store: Sendable {
    struct Trouble: Error, Equatable {
        var passes = true
    }

    private struct State {
        var troubles: [Trouble]
        var writes = 0
        var pauses: [Duration] = []
    }
    private let state: Mutex<State>

    init(troubles: [Trouble] = []) { state = Mutex(State(troubles: troubles)) }

    var writes: Int { state.withLock { $0.writes } }
    var pauses: [Duration] { state.withLock { $0.pauses } }
    var clock: JobClock { JobClock(now: { 0 }, sleep: { pause in self.state.withLock { $0.pauses.append(pause) } }) }

    /// - Returns: which write it was.
    func write() throws(Trouble) -> Int {
        let (trouble, number) = state.withLock { state in
            state.writes += 1
            return (state.troubles.isEmpty ? nil : state.troubles.removeFirst(), state.writes)
        }
        if let trouble { throw trouble }
        return number
    }
}

@Suite("Writes that nobody cancels")
struct UncancelledWriteTests {
    private static let pauses: [Duration] = [.milliseconds(50), .milliseconds(150)]

    private func write(to store: Store) async throws -> Int {
        try await uncancelled(pauses: Self.pauses, clock: store.clock, isTransient: { ($0 as? Store.Trouble)?.passes == true }) {
            try store.write()
        }
    }

    @Test("is tried again after each pause, and no more after the last", arguments: 0...3)
    func again(troubles: Int) async throws {
        let store = Store(troubles: Array(repeating: Store.Trouble(), count: troubles))
        if troubles <= Self.pauses.count {
            #expect(try await write(to: store) == troubles + 1)
        } else {
            await #expect(throws: Store.Trouble()) { try await write(to: store) }
        }
        #expect(store.writes == min(troubles, Self.pauses.count) + 1)
        #expect(store.pauses == Array(Self.pauses.prefix(troubles)))
    }

    @Test("what another write cannot help is told at once")
    func permanent() async {
        let store = Store(troubles: [Store.Trouble(passes: false)])
        await #expect(throws: Store.Trouble(passes: false)) { try await write(to: store) }
        #expect(store.writes == 1 && store.pauses.isEmpty)
    }

    @Test("a task that is cancelled writes all the same, and after trouble too")
    func cancelled() async throws {
        let store = Store(troubles: [Store.Trouble()])
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            #expect(Task.isCancelled)
            return try await write(to: store)
        }
        #expect(try await task.value == 2)
    }
}
