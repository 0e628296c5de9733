import JobQueue
import Synchronization

/// A place in an attempt.
public enum JobTestStep: Sendable, Equatable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
    /// The first time that this step is passed: what the handler gave to `context.passed`, or one of the engine's own.
    case named(String)
    /// The nth step that is passed from now on, whatever its name.
    case number(Int)

    /// The job is in hand, and nothing of it has been done.
    public static let claimed = JobTestStep.named("claimed")
    /// The handler has finished, and the queue has not been told.
    public static let handled = JobTestStep.named("handled")

    /// The intent of the effect is written, and nothing has been called.
    public static func intended(_ effect: String) -> JobTestStep { .named(Effects.Step.intended.name(of: effect)) }
    /// The outside has been called for the effect, and the result is not written.
    public static func called(_ effect: String) -> JobTestStep { .named(Effects.Step.called.name(of: effect)) }
    /// The result of the effect is written, and the handler has not gone on.
    public static func finished(_ effect: String) -> JobTestStep { .named(Effects.Step.finished.name(of: effect)) }

    public init(stringLiteral value: String) { self = .named(value) }
    public init(integerLiteral value: Int) { self = .number(value) }
}

/// Follows attempts from step to step, and stops one for ever where a crash is wanted.
final class StepPath: JobMiddleware {
    private struct State {
        var passed: [String] = []
        /// Where the next crash is, with the number of steps passed when it was asked for.
        var armed: (step: JobTestStep, from: Int)?
        var crash = false
        var ended = false
        /// Attempts whose process is dead. They go on only when the kit ends.
        var stopped: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    var passed: [String] { state.withLock { $0.passed } }
    /// Whether a process has died and is not yet buried.
    var hasCrashed: Bool { state.withLock { $0.crash } }

    func arm(_ step: JobTestStep) { state.withLock { $0.armed = (step, $0.passed.count) } }

    /// Whether a process has died since the last call.
    func takeCrash() -> Bool {
        state.withLock { state in
            defer { state.crash = false }
            return state.crash
        }
    }

    func end() {
        let stopped = state.withLock { state in
            state.ended = true
            defer { state.stopped = [] }
            return state.stopped
        }
        for continuation in stopped { continuation.resume() }
    }

    func handleJob(context: JobContext, next: JobAttempt) async throws -> JobOutcome {
        try await JobStep.$observer.withValue({ [self] step in try await pass(step) }) {
            try await pass("claimed")
            let outcome = try await next()
            try await pass("handled")
            return outcome
        }
    }

    private func pass(_ step: String) async throws {
        let dies = state.withLock { state in
            state.passed.append(step)
            guard let armed = state.armed, !state.ended else { return false }
            switch armed.step {
            case .named(let name): guard name == step else { return false }
            case .number(let number): guard state.passed.count - armed.from == number else { return false }
            }
            state.armed = nil
            return true
        }
        guard dies else { return }
        // As after kill -9 not one more line of this attempt runs, until the test is over.
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if !state.ended { state.stopped.append(continuation) }
                state.crash = true
                return state.ended
            }
            if isOver { continuation.resume() }
        }
        throw CancellationError()
    }
}
