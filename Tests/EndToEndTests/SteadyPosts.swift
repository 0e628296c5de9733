import Cryptography
import EventLoop
import Formats
import Synchronization
import TestSupport

#if canImport(Glibc)
    import Glibc
#endif

/// Posts at a steady rate, each message once: nothing is tried again, so that every failure counts. Half of the lines open a connection
/// for each post, since those are what a restart would refuse; the other half keep theirs.
final class SteadyPosts: Sendable {
    struct Tally: Sendable {
        /// Ids that were answered 200.
        var accepted: Set<String> = []
        /// Everything else that came of a post, in words.
        var failures: [String: Int] = [:]
        var slowest: Duration = .zero
        var began = ContinuousClock.now
        var ended = ContinuousClock.now

        var perSecond: Double { Double(accepted.count) / Double(max(1, began.duration(to: ended).milliseconds)) * 1000 }
    }

    private struct State {
        var tally = Tally()
        var secret: String
        var isEnding = false
        var lines: Int
    }

    private let port: Int
    private let interval: Duration
    private let state: Mutex<State>

    /// - Parameters:
    ///   - rate: posts a second of all lines together. A line that falls behind catches up.
    ///   - secret: what the messages are signed with.
    init(port: Int, rate: Int, lines: Int, secret: String) {
        self.port = port
        interval = .seconds(lines) / rate
        state = Mutex(State(secret: secret, lines: lines))
        for number in 0..<lines {
            pthread_detach(
                ThreadLaunch.start(name: "steady posts") { [self] in
                    run(keepsConnection: number % 2 == 0, offset: interval * number / lines)
                    state.withLock { state in
                        state.lines -= 1
                        state.tally.ended = .now
                    }
                })
        }
    }

    var tally: Tally { state.withLock { $0.tally } }

    /// What is posted from now on is signed with another secret.
    func sign(with secret: String) { state.withLock { $0.secret = secret } }

    func end() async throws -> Tally {
        state.withLock { $0.isEnding = true }
        try await eventually(within: .seconds(30), "the last posts are answered") { self.state.withLock { $0.lines == 0 } }
        return tally
    }

    private func run(keepsConnection: Bool, offset: Duration) {
        var line: HTTPLine?
        var due = ContinuousClock.now + offset
        while true {
            let (secret, isEnding) = state.withLock { ($0.secret, $0.isEnding) }
            if isEnding { return }
            let pause = due - .now
            if pause > .zero { usleep(UInt32(pause / .microseconds(1))) }
            due += interval
            post(Message.unmatched(), secret, &line)
            if !keepsConnection { line = nil }
        }
    }

    private func post(_ message: Message, _ secret: String, _ line: inout HTTPLine?) {
        let begun = ContinuousClock.now
        var failure: String?
        do {
            let open = try line ?? HTTPLine(port: port)
            let answer = try open.exchange("POST", message.path, headers: message.headers(secret: secret), body: message.body)
            line = open.isClosing ? nil : open
            if answer.status != 200 { failure = "\(answer.status)" }
        } catch {
            line = nil
            failure = "\(error)"
        }
        let took = begun.duration(to: .now)
        state.withLock { state in
            if let failure { state.tally.failures[failure, default: 0] += 1 } else { state.tally.accepted.insert(message.id) }
            state.tally.slowest = max(state.tally.slowest, took)
        }
    }
}

extension Message {
    /// The headers of a try that is signed with a given secret.
    func headers(secret: String) -> [(String, String)] {
        let key = HMACSHA256(key: Base64.decode(String(secret.dropFirst("whsec_".count))) ?? [])
        let timestamp = WallClock.nowMs / 1000
        return [
            ("content-type", "application/json"), ("webhook-id", id), ("webhook-timestamp", "\(timestamp)"),
            ("webhook-signature", "v1," + Base64.encode(key.authenticate(Array("\(id).\(timestamp).".utf8), body))),
        ]
    }
}
