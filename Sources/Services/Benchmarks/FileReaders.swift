import EventLoop
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Clients that download one file after the other, each on a kept connection and a thread of its own.
///
/// What they get is thrown away inside the system (MSG_TRUNC): a reader that copied megabytes would itself be what is measured, and would
/// make every server look alike.
struct FileReaders: Sendable {
    var port: Int
    var connections: Int
    var seconds: Double
    /// Bytes of the whole file: every answer must announce and bring as many.
    var size: Int
    /// The next request; nil when there are no more.
    var next: @Sendable () -> [UInt8]?

    struct Outcome: Sendable {
        var files = 0
        var seconds = 0.0
        /// The first thing that went wrong.
        var failure: String?
        var perSecond: Double { seconds > 0 ? Double(files) / seconds : 0 }
    }

    func run(on pool: BlockingPool) async throws -> Outcome {
        let begun = ContinuousClock.now
        let end = begun.advanced(by: .seconds(seconds))
        var outcome = Outcome()
        try await withThrowingTaskGroup(of: Outcome.self) { group in
            for _ in 0..<connections { group.addTask { try await pool.run { read(until: end) } } }
            for try await one in group {
                outcome.files += one.files
                outcome.failure = outcome.failure ?? one.failure
            }
        }
        outcome.seconds = (ContinuousClock.now - begun).seconds
        return outcome
    }

    private func read(until end: ContinuousClock.Instant) -> Outcome {
        var outcome = Outcome()
        do throws(BenchmarkError) {
            let descriptor = try connected()
            defer { close(descriptor) }
            while ContinuousClock.now < end {
                guard let request = next() else { throw BenchmarkError("there were not enough links") }
                let sent = request.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
                guard sent == request.count else { throw BenchmarkError.system("send") }
                try discardAnswer(descriptor)
                outcome.files += 1
            }
        } catch {
            outcome.failure = "\(error)"
        }
        return outcome
    }

    private func connected() throws(BenchmarkError) -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw BenchmarkError.system("socket") }
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        guard Loopback.withAddress(port, { connect(descriptor, $0, $1) }) == 0 else {
            close(descriptor)
            throw BenchmarkError.system("connect")
        }
        return descriptor
    }

    /// Reads the head, and lets the system drop exactly the rest.
    private func discardAnswer(_ descriptor: Int32) throws(BenchmarkError) {
        var head: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4096)
        var length: Int?
        while length == nil {
            let count = recv(descriptor, &piece, piece.count, 0)
            guard count > 0 else { throw BenchmarkError.system("recv") }
            head += piece[..<count]
            guard head.count < 64 * 1024 else { throw BenchmarkError("an answer without an end of its head") }
            length = AnswerLength.of(head[...])
        }
        guard head.starts(with: "HTTP/1.1 200 ".utf8), let length, length > size, length < size + 4096 else {
            throw BenchmarkError("an answer is not the file: \(String(decoding: head.prefix(60), as: UTF8.self))")
        }
        var left = length - head.count
        while left > 0 {
            let count = recv(descriptor, nil, left, Int32(MSG_TRUNC))
            guard count > 0 else { throw BenchmarkError.system("recv") }
            left -= count
        }
    }
}
