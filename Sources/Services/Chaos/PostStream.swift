import EventLoop
import Formats
import StandardWebhooks
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// What came of a stream of posts.
package struct PostTally: Sendable {
    /// Ids that were answered 200.
    package var accepted: Set<String> = []
    /// Everything else that came of a post, in words.
    package var failures: [String: Int] = [:]
    package var slowestMs = 0.0
    var beganNs = Monotonic.nowNs
    var endedNs = Monotonic.nowNs

    package var perSecond: Double { Double(accepted.count) / max(0.001, Double(endedNs - beganNs) / 1e9) }
}

/// Posts at a steady rate, each message once: nothing is tried again, so that every failure counts. Half of the lines open a connection for
/// each post, since those are what a restart would refuse; the other half keep theirs.
package final class PostStream: Sendable {
    private struct State {
        var tally = PostTally()
        var signer: StandardWebhooksSigner
        var isEnding = false
        var lines: Int
    }

    private let port: Int
    private let intervalNs: Int64
    private let state: Mutex<State>

    /// - Parameter rate: posts a second of all lines together.
    package init(port: Int, rate: Int, lines: Int, signer: StandardWebhooksSigner) {
        self.port = port
        intervalNs = Int64(lines) * 1_000_000_000 / Int64(rate)
        state = Mutex(State(signer: signer, lines: lines))
        for number in 0..<lines {
            pthread_detach(
                ThreadLaunch.start(name: "posts") { [self] in
                    run(keepsConnection: number.isMultiple(of: 2), offsetNs: intervalNs * Int64(number) / Int64(lines))
                    state.withLock { state in
                        state.lines -= 1
                        state.tally.endedNs = Monotonic.nowNs
                    }
                })
        }
    }

    package var accepted: Int { state.withLock { $0.tally.accepted.count } }

    /// What is posted from now on is signed with another secret.
    package func sign(with signer: StandardWebhooksSigner) { state.withLock { $0.signer = signer } }

    package func end() async -> PostTally {
        state.withLock { $0.isEnding = true }
        while state.withLock({ $0.lines > 0 }) { try? await Task.sleep(for: .milliseconds(5)) }
        return state.withLock { $0.tally }
    }

    private func run(keepsConnection: Bool, offsetNs: Int64) {
        var line: PostLine?
        var dueNs = Monotonic.nowNs + offsetNs
        while true {
            let (signer, isEnding) = state.withLock { ($0.signer, $0.isEnding) }
            if isEnding { break }
            let pause = dueNs - Monotonic.nowNs
            if pause > 0 { usleep(UInt32(pause / 1000)) }
            // One that falls behind catches up, within a second.
            dueNs = max(dueNs + intervalNs, Monotonic.nowNs - 1_000_000_000)
            post(SignedPost(signer: signer), &line)
            if !keepsConnection {
                line?.close()
                line = nil
            }
        }
        line?.close()
    }

    private func post(_ post: SignedPost, _ line: inout PostLine?) {
        let begunNs = Monotonic.nowNs
        var failure: String?
        do {
            var open = try line ?? PostLine(port: port)
            line = nil
            do {
                let status = try open.post(post)
                if status != 200 { failure = "answered \(status)" }
                if open.isClosing { open.close() } else { line = open }
            } catch {
                open.close()
                throw error
            }
        } catch {
            failure = "\(error)"
        }
        let ms = Double(Monotonic.nowNs - begunNs) / 1e6
        state.withLock { state in
            if let failure { state.tally.failures[failure, default: 0] += 1 } else { state.tally.accepted.insert(post.id) }
            state.tally.slowestMs = max(state.tally.slowestMs, ms)
        }
    }
}

/// An event of no payment that anybody knows, signed by the Standard Webhooks scheme.
struct SignedPost: Sendable {
    let id: String
    let request: [UInt8]

    init(signer: StandardWebhooksSigner) {
        let nowMs = WallClock.nowMs
        id = "msg_" + ULID.make(nowMs: nowMs)
        let body = Array(
            """
            {"type":"payment.succeeded","timestamp":"\(Timestamp.rfc3339(nowMs))","data":{"id":"chaos-\(id)","order_id":"\(id)",\
            "amount":"15000","currency":"XOF","status":"completed"}}
            """.utf8)
        let timestamp = nowMs / 1000
        let head = """
            POST /webhooks/standard-webhooks HTTP/1.1\r
            Host: 127.0.0.1\r
            Content-Type: application/json\r
            webhook-id: \(id)\r
            webhook-timestamp: \(timestamp)\r
            webhook-signature: \(signer.signature(id: id, timestamp: timestamp, body: body))\r
            Content-Length: \(body.count)\r
            \r

            """
        request = Array(head.utf8) + body
    }
}

/// One connection, plain and blocking.
struct PostLine {
    private let descriptor: Int32
    /// The server has said that it closes.
    private(set) var isClosing = false

    init(port: Int) throws(ChaosError) {
        descriptor = Loopback.connected(to: port)
        guard descriptor >= 0 else { throw .system("connect") }
        Loopback.prepare(descriptor)
    }

    func close() { Glibc.close(descriptor) }

    /// - Returns: the status of the answer.
    mutating func post(_ post: SignedPost) throws(ChaosError) -> Int {
        var sent = 0
        while sent < post.request.count {
            let count = post.request.withUnsafeBytes {
                send(descriptor, $0.baseAddress?.advanced(by: sent), post.request.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw .system("send") }
            sent += count
        }
        var buffer = [UInt8](repeating: 0, count: 8192)
        var filled = 0
        while true {
            if let answer = Answer(buffer[..<filled]) {
                isClosing = answer.isClosing
                return answer.status
            }
            guard filled < buffer.count else { throw ChaosError("an answer is longer than \(buffer.count) bytes") }
            let count = buffer.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress?.advanced(by: filled), $0.count - filled, 0) }
            if count < 0 && errno == EINTR { continue }
            guard count != 0 else { throw ChaosError("the connection was closed without an answer") }
            guard count > 0 else { throw .system("recv") }
            filled += count
        }
    }

    /// A whole answer.
    private struct Answer {
        var status = 0
        var isClosing = false

        /// Nil while it is not whole.
        init?(_ bytes: ArraySlice<UInt8>) {
            guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
            let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n")
            var length = 0
            for line in lines.dropFirst() {
                let parts = line.split(separator: ":", maxSplits: 1)
                guard parts.count == 2 else { continue }
                let value = parts[1].drop { $0 == " " }.lowercased()
                switch parts[0].lowercased() {
                case "content-length": length = Int(value) ?? 0
                case "connection": isClosing = value == "close"
                default: break
                }
            }
            guard bytes.count - end.upperBound >= length, let word = lines.first?.split(separator: " ").dropFirst().first else { return nil }
            status = Int(word) ?? 0
        }
    }
}
