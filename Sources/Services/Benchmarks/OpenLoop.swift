import EventLoop

#if canImport(Glibc)
    import Glibc
#endif

/// Requests by a schedule that does not wait for answers, as many independent callers would send them: an open loop.
///
/// What matters is from when a time is taken. A generator that sends its next request after an answer stops asking while the
/// server is slow, and so leaves the slow moments out. Here each request has its moment beforehand, and its time runs from that
/// moment: if the server stalls for 100 ms, the requests of these 100 ms were late, all of them, and count so. Connections are
/// kept and carry one request at a time; a request that finds none free waits, its time running.
struct OpenLoop: Sendable {
    var port: Int
    /// Sent round and round.
    var requests: [[UInt8]]
    var perSecond: Double
    var seconds: Double
    var connections: Int
    /// Bytes of the longest answer.
    var answerMax = 16 * 1024

    struct Outcome: Sendable {
        /// Milliseconds from the moment a request was to be sent to its whole answer.
        var latencies: [Double] = []
        /// Milliseconds by which the generator itself was late: the request was due and a connection was free.
        var lags: [Double] = []
        /// Answers other than 200.
        var failures = 0
        /// From the first scheduled moment to the last answer.
        var seconds = 0.0

        var perSecond: Double { seconds > 0 ? Double(latencies.count) / seconds : 0 }
    }

    /// Blocks until everything is answered.
    func run() throws(BenchmarkError) -> Outcome {
        var lines: [Line] = []
        defer { for line in lines { close(line.descriptor) } }
        for _ in 0..<connections { lines.append(try Line(port: port, answerMax: answerMax)) }
        var pass = Pass(count: Int(perSecond * seconds), intervalNs: 1e9 / perSecond, lines: lines, requests: requests)
        return try pass.run()
    }

    /// One kept connection.
    private struct Line {
        let descriptor: Int32
        var buffer: [UInt8]
        var filled = 0
        var dueNs: Int64 = 0

        init(port: Int, answerMax: Int) throws(BenchmarkError) {
            buffer = [UInt8](repeating: 0, count: answerMax)
            descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard descriptor >= 0 else { throw BenchmarkError.system("socket") }
            var on: Int32 = 1
            setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
            guard Loopback.withAddress(port, { connect(descriptor, $0, $1) }) == 0 else { throw BenchmarkError.system("connect") }
        }

        func send(_ request: [UInt8]) throws(BenchmarkError) {
            // A request is far smaller than a socket's buffer, which is empty here: it goes at once.
            let count = request.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count == request.count else { throw BenchmarkError.system("send") }
        }

        /// Takes what is there.
        /// - Returns: whether the answer is complete.
        mutating func receive() throws(BenchmarkError) -> Bool {
            guard filled < buffer.count else { throw BenchmarkError("an answer is longer than \(buffer.count) bytes") }
            let place = filled
            let count = buffer.withUnsafeMutableBytes {
                recv(descriptor, $0.baseAddress?.advanced(by: place), $0.count - place, Int32(MSG_DONTWAIT))
            }
            if count < 0 && (errno == EINTR || errno == EAGAIN) { return false }
            guard count > 0 else { throw count == 0 ? BenchmarkError("a connection was closed by the server") : BenchmarkError.system("recv") }
            filled += count
            guard let length = AnswerLength.of(buffer[..<filled]) else { return false }
            return filled >= length
        }

        var isGood: Bool { buffer.starts(with: "HTTP/1.1 200 ".utf8) }
    }

    /// The state of one run.
    private struct Pass {
        let count: Int
        let intervalNs: Double
        var lines: [Line]
        let requests: [[UInt8]]

        /// Numbers of the lines that carry nothing, the one longest idle first.
        private var idle: [Int]
        private var idleHead = 0
        /// Since when there is an idle line.
        private var idleSinceNs: Int64 = 0
        private var startNs: Int64 = 0
        private var next = 0
        private var outcome = Outcome()

        private static let answerLimitNs: Int64 = 5_000_000_000

        init(count: Int, intervalNs: Double, lines: [Line], requests: [[UInt8]]) {
            self.count = count
            self.intervalNs = intervalNs
            self.lines = lines
            self.requests = requests
            idle = Array(lines.indices)
            outcome.latencies.reserveCapacity(count)
            outcome.lags.reserveCapacity(count)
        }

        private func dueNs(_ number: Int) -> Int64 { startNs + Int64(Double(number) * intervalNs) }

        mutating func run() throws(BenchmarkError) -> Outcome {
            startNs = Self.nowNs + 20_000_000
            var sockets = SocketPoll(lines.map(\.descriptor))
            while outcome.latencies.count < count {
                let now = Self.nowNs
                try sendDue(now)
                let waitNs: Int64 = next < count && idleHead < idle.count ? max(0, dueNs(next) - Self.nowNs) : 100_000_000
                if sockets.wait(nanoseconds: waitNs) { try take(sockets) }
                guard now < dueNs(count) + Self.answerLimitNs else {
                    throw BenchmarkError("only \(outcome.latencies.count) of \(count) requests were answered")
                }
            }
            outcome.seconds = Double(Self.nowNs - startNs) / 1e9
            return outcome
        }

        private mutating func sendDue(_ now: Int64) throws(BenchmarkError) {
            while next < count, idleHead < idle.count {
                let due = dueNs(next)
                guard due <= now else { return }
                let line = idle[idleHead]
                idleHead += 1
                lines[line].dueNs = due
                lines[line].filled = 0
                outcome.lags.append(Double(max(0, now - max(due, idleSinceNs))) / 1e6)
                try lines[line].send(requests[next % requests.count])
                next += 1
            }
        }

        private mutating func take(_ sockets: SocketPoll) throws(BenchmarkError) {
            for place in lines.indices where sockets.isReadable(place) {
                guard try lines[place].receive() else { continue }
                let now = Self.nowNs
                outcome.latencies.append(Double(now - lines[place].dueNs) / 1e6)
                if !lines[place].isGood { outcome.failures += 1 }
                if idleHead == idle.count {
                    idleSinceNs = now
                    idle.removeAll(keepingCapacity: true)
                    idleHead = 0
                }
                idle.append(place)
            }
            if idleHead > 4096 {
                idle.removeFirst(idleHead)
                idleHead = 0
            }
        }

        private static var nowNs: Int64 {
            var time = timespec()
            clock_gettime(CLOCK_MONOTONIC, &time)
            return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
        }
    }
}
