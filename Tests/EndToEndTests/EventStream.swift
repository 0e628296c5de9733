import EventLoop
import Formats
import Synchronization
import TestSupport

#if canImport(Glibc)
    import Glibc
#endif

/// Posts messages over several kept connections, as a provider does: what is not taken is posted again, the same message, until
/// it is.
final class EventStream: Sendable {
    struct Tally: Sendable {
        /// Ids that were answered 200.
        var accepted: Set<String> = []
        /// Every answer by its status; 0 where there was none.
        var statuses: [Int: Int] = [:]
        /// Ids that were answered with something final other than 200.
        var refused: [String: Int] = [:]
        /// The longest wait for an answer 200.
        var slowest: Duration = .zero
    }

    private struct State {
        var tally = Tally()
        var ended = false
        var lines = 0
    }

    private let port: Int
    private let pause: Duration
    private let next: @Sendable () -> Message?
    private let state = Mutex(State())

    /// - Parameters:
    ///   - pause: between two posts of a line, so that a stream does not take the whole machine.
    ///   - next: the next message, from any thread; nil ends the stream.
    private init(port: Int, pause: Duration, next: @escaping @Sendable () -> Message?) {
        self.port = port
        self.pause = pause
        self.next = next
    }

    /// Starts to post what `next` gives, until it gives nil or ``end(within:)`` is called.
    static func start(port: Int, lines: Int = 4, pause: Duration = .zero, next: @escaping @Sendable () -> Message?) -> EventStream {
        let stream = EventStream(port: port, pause: pause, next: next)
        stream.state.withLock { $0.lines = lines }
        for _ in 0..<lines {
            pthread_detach(
                ThreadLaunch.start(name: "event stream") {
                    stream.run()
                    stream.state.withLock { $0.lines -= 1 }
                })
        }
        return stream
    }

    /// Posts all messages and returns when every one has its answer.
    static func post(
        _ messages: [Message], port: Int, lines: Int = 4, within limit: Duration = .seconds(60)
    ) async throws -> Tally {
        let rest = Mutex(messages[...])
        let stream = start(port: port, lines: lines) { rest.withLock { $0.popFirst() } }
        try await eventually(within: limit, "\(messages.count) messages are answered: \(stream.tally.statuses)") { stream.isIdle }
        return stream.tally
    }

    var tally: Tally { state.withLock { $0.tally } }
    var isIdle: Bool { state.withLock { $0.lines == 0 } }

    /// Takes no further message and waits until those begun are accepted.
    func end(within limit: Duration = .seconds(60)) async throws -> Tally {
        state.withLock { $0.ended = true }
        try await eventually(within: limit, "the stream's last messages are accepted") { isIdle }
        return tally
    }

    private func run() {
        var line: HTTPLine?
        // Past this a message is given up: the test has failed by then.
        let deadline = ContinuousClock.now.advanced(by: .seconds(180))
        while !state.withLock({ $0.ended }), let message = next() {
            let begun = ContinuousClock.now
            while ContinuousClock.now < deadline {
                let status = attempt(message, &line)
                let isFinal = status == 200 || (400..<500).contains(status) && status != 429
                state.withLock { state in
                    state.tally.statuses[status, default: 0] += 1
                    if status == 200 {
                        state.tally.accepted.insert(message.id)
                        state.tally.slowest = max(state.tally.slowest, begun.duration(to: .now))
                    } else if isFinal {
                        state.tally.refused[message.id] = status
                    }
                }
                if isFinal { break }
                // A provider's pause before it posts again.
                usleep(20_000)
            }
            if pause > .zero { usleep(UInt32(pause / .microseconds(1))) }
        }
    }

    /// The answer's status; 0 when there was none.
    private func attempt(_ message: Message, _ line: inout HTTPLine?) -> Int {
        do {
            let open = try line ?? HTTPLine(port: port)
            let answer = try open.exchange("POST", message.path, headers: message.headers(), body: message.body)
            line = open.isClosing ? nil : open
            return answer.status
        } catch {
            line = nil
            return 0
        }
    }
}
