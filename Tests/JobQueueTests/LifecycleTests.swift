import Foundation
import JobQueue
import Testing

@Suite("Job lifecycle")
struct LifecycleTests {
    /// Every pair that is not here is refused.
    private static let moves: [JobLifecycle.State: [JobLifecycle.Event: JobLifecycle.State]] = [
        .ready: [.wake: .woken, .claim: .claimed, .remove: .done, .depart: .moving],
        .woken: [.claim: .claimed, .giveBack: .ready, .leaseLost: .ready],
        .claimed: [
            .ack: .done, .postpone: .delayed, .bury: .dead, .giveBack: .ready, .leaseLost: .ready, .queueUp: .waiting, .park: .parked,
        ],
        .delayed: [.due: .ready, .hasten: .ready, .remove: .done, .depart: .moving],
        .waiting: [.admit: .ready, .postpone: .delayed, .remove: .done, .depart: .moving],
        .parked: [.resume: .ready, .remove: .done, .depart: .moving],
        .moving: [.arrive: .done],
        .dead: [.replay: .ready, .delete: .done],
        .done: [:],
    ]

    @Test("only the drawn moves exist", arguments: JobLifecycle.State.allCases)
    func table(_ state: JobLifecycle.State) {
        for event in JobLifecycle.Event.allCases {
            #expect(JobLifecycle.next(state, event) == Self.moves[state]?[event], "\(event) on \(state)")
        }
    }

    /// `ready --> claimed: claim, …`
    private struct Edge: Hashable, CustomStringConvertible {
        let from: String
        let event: String
        let to: String
        var description: String { "\(from) --> \(to): \(event)" }
    }

    @Test("the drawing in docs/job-lifecycle.md has the moves of the code, no more and no less; its table has every state")
    func drawing() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let text = try String(contentsOf: root.appending(path: "docs/job-lifecycle.md"), encoding: .utf8)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let start = try #require(lines.firstIndex { $0.hasPrefix("stateDiagram") })
        var drawn: Set<Edge> = []
        for line in lines[(start + 1)...].prefix(while: { $0 != "```" }) {
            let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            let ends = (parts.first ?? "").components(separatedBy: " --> ")
            guard parts.count == 2, ends.count == 2 else { continue }
            for event in parts[1].components(separatedBy: ", ") { drawn.insert(Edge(from: ends[0], event: event, to: ends[1])) }
        }
        var moves: Set<Edge> = []
        for state in JobLifecycle.State.allCases {
            for event in JobLifecycle.Event.allCases {
                guard let next = JobLifecycle.next(state, event) else { continue }
                moves.insert(Edge(from: state.rawValue, event: event.rawValue, to: next.rawValue))
            }
        }
        #expect(drawn.subtracting(moves).isEmpty, "drawn, and not in the code")
        #expect(moves.subtracting(drawn).isEmpty, "in the code, and not drawn")
        for state in JobLifecycle.State.allCases { #expect(text.contains("| \(state.rawValue) |"), "\(state) has no line in the table") }
    }
}
