import Formats
import Synchronization

/// A number that only grows.
public final class Counter: Sendable {
    private let total = Atomic<Int64>(0)
    init() {}

    public func add(_ count: Int64 = 1) { total.wrappingAdd(count, ordering: .relaxed) }
    public var value: Int64 { total.load(ordering: .relaxed) }
}

/// A number that goes up and down.
public final class Gauge: Sendable {
    private let bits = Atomic<UInt64>(0)
    init() {}

    public func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }

    public func add(_ difference: Double) {
        var current = bits.load(ordering: .relaxed)
        while true {
            let next = (Double(bitPattern: current) + difference).bitPattern
            let (exchanged, original) = bits.compareExchange(expected: current, desired: next, ordering: .relaxed)
            if exchanged { return }
            current = original
        }
    }

    public var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }
}

/// How many observations fell below each bound.
public final class Histogram: Sendable {
    struct State: Sendable {
        /// One more than there are bounds: the last counts what is above all.
        var counts: [Int64]
        var sum = 0.0
    }
    let bounds: [Double]
    private let state: Mutex<State>

    /// Bounds for durations of requests and jobs, in seconds.
    public static let durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

    init(bounds: [Double]) {
        self.bounds = bounds
        state = Mutex(State(counts: [Int64](repeating: 0, count: bounds.count + 1)))
    }

    public func observe(_ value: Double) {
        let place = bounds.firstIndex { value <= $0 } ?? bounds.count
        state.withLock { state in
            state.counts[place] += 1
            state.sum += value
        }
    }

    /// Observes a duration in seconds.
    public func observe(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        observe(Double(seconds) + Double(attoseconds) / 1e18)
    }

    public var count: Int64 { state.withLock { $0.counts.reduce(0, +) } }
    public var sum: Double { state.withLock { $0.sum } }
    var snapshot: State { state.withLock { $0 } }
}
