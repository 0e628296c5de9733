import Synchronization
import Telemetry

/// What calls are counted as. Each kind has a count and a limit of its own.
enum CallKind: String, Sendable, CaseIterable {
    case call
    /// A question where something stands: asked again and again while a customer pays.
    case status
    /// Not counted: answered from memory, for gateways that ask before every delivery.
    case free
}

/// How many calls of a kind one caller may make in a minute; 0 for any number.
public struct CallLimits: Sendable, Equatable {
    public var calls: Int
    public var statusCalls: Int

    public init(calls: Int, statusCalls: Int) {
        self.calls = calls
        self.statusCalls = statusCalls
    }

    /// Nothing is counted.
    public static let none = CallLimits(calls: 0, statusCalls: 0)

    func of(_ kind: CallKind) -> Int {
        switch kind {
        case .call: calls
        case .status: statusCalls
        case .free: 0
        }
    }
}

/// Where several processes count together.
protocol SharedCounts: Sendable {
    /// Adds what is new of each caller's minute.
    /// - Returns: what is now known of each, in the same order.
    func add(_ counts: [SharedCount]) async throws -> [(this: Int, before: Int)]
}

/// What is new of one caller's minute.
struct SharedCount: Sendable, Equatable {
    let kind: CallKind
    let caller: String
    let minute: Int64
    let new: Int
}

/// Counts the calls of each caller and refuses what is too much.
///
/// It decides from memory, so a call costs it no round trip and an outage of the store nothing at all: each process then counts for itself. The
/// store is told behind the answers, one message at a time for all callers, so processes agree within about ``pause``.
final class CallMeter: Sendable {
    /// How a caller stands after a call.
    struct Standing: Sendable, Equatable {
        let isAllowed: Bool
        let limit: Int
        let room: Int
        let resetMs: Int64
        let waitMs: Int64
    }

    private struct Name: Hashable {
        let kind: CallKind
        let caller: String
    }

    private struct State {
        var windows: [Name: CallWindow] = [:]
        /// Whose counts the store has not been told.
        var changed: Set<Name> = []
        var isTelling = false
        var isClosed = false
        var sweptMinute: Int64 = 0
    }

    /// How many callers are kept; those who come when it is full share one count until there is room.
    static let callersMax = 50_000
    /// One message to the store names so many at most.
    static let batchMax = 500
    static let pause = Duration.milliseconds(20)
    static let pauseAfterFailure = Duration.seconds(1)

    private let limits: CallLimits
    private let store: (any SharedCounts)?
    private let callersMax: Int
    private let state = Mutex(State())
    private let refused = MetricRegistry.shared.counter("web_calls_refused_total", help: "Calls of the API that were answered 429.")
    private let failures = MetricRegistry.shared.counter(
        "web_call_counts_failures_total", help: "Times that the counts of calls could not be shared through Redis.")

    init(limits: CallLimits, store: (any SharedCounts)?, callersMax: Int = CallMeter.callersMax) {
        self.limits = limits
        self.store = store
        self.callersMax = callersMax
    }

    /// Counts a call of somebody; nil where there is no limit.
    func take(_ kind: CallKind, by caller: String, nowMs: Int64) -> Standing? {
        let limit = limits.of(kind)
        guard limit > 0 else { return nil }
        let (standing, mustTell) = state.withLock { state -> (Standing, Bool) in
            let name = room(for: Name(kind: kind, caller: caller), &state, nowMs)
            var window = state.windows[name] ?? CallWindow(nowMs: nowMs)
            let isAllowed = window.take(limit: limit, nowMs: nowMs)
            state.windows[name] = window
            let standing = Standing(
                isAllowed: isAllowed, limit: limit, room: window.room(limit: limit, nowMs: nowMs), resetMs: window.resetMs(nowMs: nowMs),
                waitMs: isAllowed ? 0 : window.waitMs(limit: limit, nowMs: nowMs))
            guard isAllowed, store != nil, !state.isClosed else { return (standing, false) }
            state.changed.insert(name)
            defer { state.isTelling = true }
            return (standing, !state.isTelling)
        }
        if !standing.isAllowed { refused.add() }
        if mustTell { Task { await tellAll() } }
        return standing
    }

    /// How many more calls of a kind somebody may make now, as far as is known here.
    func room(_ kind: CallKind, of caller: String, nowMs: Int64) -> Int {
        state.withLock { state in
            var window = state.windows[Name(kind: kind, caller: caller)] ?? CallWindow(nowMs: nowMs)
            window.move(to: nowMs)
            return window.room(limit: limits.of(kind), nowMs: nowMs)
        }
    }

    /// How many callers are kept.
    var count: Int { state.withLock { $0.windows.count } }

    private func room(for name: Name, _ state: inout State, _ nowMs: Int64) -> Name {
        guard state.windows[name] == nil else { return name }
        let minute = CallWindow.number(at: nowMs)
        if state.sweptMinute != minute {
            state.sweptMinute = minute
            state.windows = state.windows.filter { $0.value.number >= minute - 1 }
        }
        return state.windows.count < callersMax ? name : Name(kind: name.kind, caller: "")
    }

    /// Nothing is told any more; counting goes on.
    func close() { state.withLock { $0.isClosed = true } }

    // MARK: The store

    /// Tells the store what is new until there is nothing more.
    private func tellAll() async {
        guard let store else { return }
        while true {
            let batch = state.withLock { state in
                let batch = Self.batch(of: &state)
                if batch.isEmpty { state.isTelling = false }
                return batch
            }
            guard !batch.isEmpty else { return }
            var pause = Self.pause
            do {
                let known = try await store.add(batch)
                state.withLock { state in
                    for (count, known) in zip(batch, known) {
                        state.windows[Name(kind: count.kind, caller: count.caller)]?.told(count.new, minute: count.minute, counts: known)
                    }
                }
            } catch {
                failures.add()
                pause = Self.pauseAfterFailure
                state.withLock { Self.giveBack(batch, to: &$0) }
            }
            try? await Task.sleep(for: pause)
        }
    }

    private static func batch(of state: inout State) -> [SharedCount] {
        var batch: [SharedCount] = []
        if state.isClosed { state.changed = [] }
        for name in state.changed {
            guard batch.count < batchMax else { break }
            state.changed.remove(name)
            guard var window = state.windows[name] else { continue }
            let new = window.tell()
            state.windows[name] = window
            if new > 0 { batch.append(SharedCount(kind: name.kind, caller: name.caller, minute: window.number, new: new)) }
        }
        return batch
    }

    private static func giveBack(_ batch: [SharedCount], to state: inout State) {
        for count in batch {
            let name = Name(kind: count.kind, caller: count.caller)
            state.windows[name]?.keep(count.new, minute: count.minute)
            if state.windows[name]?.number == count.minute { state.changed.insert(name) }
        }
    }
}
