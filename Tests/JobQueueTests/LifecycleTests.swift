import JobQueue
import Testing

@Suite("Job lifecycle")
struct LifecycleTests {
    /// The whole table of `docs/job-lifecycle.md`: every pair that is not here is refused.
    private static let moves: [JobLifecycle.State: [JobLifecycle.Event: JobLifecycle.State]] = [
        .ready: [.wake: .woken, .claim: .claimed],
        .woken: [.claim: .claimed, .giveBack: .ready, .leaseLost: .ready],
        .claimed: [
            .ack: .done, .postpone: .delayed, .bury: .dead, .giveBack: .ready, .leaseLost: .ready, .queueUp: .waiting, .park: .parked,
        ],
        .delayed: [.due: .ready],
        .waiting: [.admit: .ready, .postpone: .delayed],
        .parked: [.resume: .ready],
        .dead: [.replay: .ready, .delete: .done],
        .done: [:],
    ]

    @Test("only the drawn moves exist", arguments: JobLifecycle.State.allCases)
    func table(_ state: JobLifecycle.State) {
        for event in JobLifecycle.Event.allCases {
            #expect(JobLifecycle.next(state, event) == Self.moves[state]?[event], "\(event) on \(state)")
        }
    }
}
