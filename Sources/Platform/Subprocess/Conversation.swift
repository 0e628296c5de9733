#if canImport(Glibc)
    import Glibc
#endif

/// The pipes of one run: the child's three, and one that closes when the child is reaped.
struct ConversationPipes: Sendable {
    let input: Pipe
    let output: Pipe
    let error: Pipe
    let ended: Pipe

    static func make() throws(SubprocessError) -> ConversationPipes {
        var made: [Pipe] = []
        do throws(SubprocessError) {
            for _ in 0..<4 { made.append(try Pipe()) }
        } catch {
            for pipe in made { pipe.closeAll() }
            throw error
        }
        return ConversationPipes(input: made[0], output: made[1], error: made[2], ended: made[3])
    }

    var targets: [ChildLaunch.Target] { [.descriptor(input.reading), .descriptor(output.writing), .descriptor(error.writing)] }
    func closeAll() {
        for pipe in [input, output, error, ended] { pipe.closeAll() }
    }

    var childEnds: [Int32] { [input.reading, output.writing, error.writing] }
}

/// Feeds a child and listens to it until it has ended; blocks its thread.
struct Conversation: ~Copyable {
    private static let errorTextMax = 32 << 10

    private var input: Int32
    private var output: Int32
    private var error: Int32
    private let ended: Int32
    private let life: ChildLife
    private let limits: Subprocess.Limits
    private let unsent: [UInt8]
    private var sent = 0
    private var received: [UInt8] = []
    private var complaint: [UInt8] = []
    private var verdict: SubprocessError.Code?
    private var chunk = [UInt8](repeating: 0, count: 65536)

    init(pipes: ConversationPipes, input bytes: [UInt8], limits: Subprocess.Limits, life: ChildLife) {
        input = pipes.input.writing
        output = pipes.output.reading
        error = pipes.error.reading
        ended = pipes.ended.reading
        unsent = bytes
        self.limits = limits
        self.life = life
        for descriptor in [input, output, error] { _ = fcntl(descriptor, F_SETFL, O_NONBLOCK) }
    }

    deinit {
        for descriptor in [input, output, error, ended] where descriptor >= 0 { close(descriptor) }
    }

    /// Returns once the child is reaped.
    mutating func run(program: String) -> Result<Subprocess.Output, SubprocessError> {
        let deadline = ContinuousClock.now.advanced(by: limits.wallTime)
        feed()
        while true {
            var watched = [
                pollfd(fd: ended, events: Int16(POLLIN), revents: 0),
                pollfd(fd: output, events: Int16(POLLIN), revents: 0),
                pollfd(fd: error, events: Int16(POLLIN), revents: 0),
                pollfd(fd: input, events: Int16(POLLOUT), revents: 0),
            ]
            let ready = poll(&watched, nfds_t(watched.count), verdict == nil ? Self.pollTime(until: deadline) : -1)
            if ready == 0 && ContinuousClock.now >= deadline { condemn(.timedOut) }
            guard ready > 0 else { continue }
            if watched[3].revents != 0 { feed() }
            if watched[1].revents != 0 { listen() }
            if watched[2].revents != 0 { listenToError() }
            if watched[0].revents != 0 {
                // The child has ended: what it wrote last is in the pipes.
                listen()
                listenToError()
                return result(of: program)
            }
        }
    }

    private func result(of program: String) -> Result<Subprocess.Output, SubprocessError> {
        let errorText = String(decoding: complaint, as: UTF8.self)
        switch verdict {
        case .timedOut?:
            return .failure(SubprocessError(.timedOut, "\(program) was killed after \(limits.wallTime)", errorText: errorText))
        case .some(let code):
            let message = "\(program) wrote more than \(limits.outputBytesMax) bytes and was killed"
            return .failure(SubprocessError(code, message, errorText: errorText))
        case nil:
            return .success(Subprocess.Output(status: life.status ?? .signalled(0), output: received, errorText: errorText))
        }
    }

    private mutating func condemn(_ code: SubprocessError.Code) {
        if verdict == nil { verdict = code }
        life.killGroup()
    }

    private mutating func feed() {
        while input >= 0 && sent < unsent.count {
            let count = unsent.withUnsafeBytes { write(input, $0.baseAddress.map { $0 + sent }, $0.count - sent) }
            if count > 0 {
                sent += count
            } else if errno == EAGAIN {
                return
            } else if errno != EINTR {
                // The child does not want the rest; whether that was right is for its exit code to say.
                break
            }
        }
        if input >= 0 { close(input) }
        input = -1
    }

    private mutating func listen() {
        while output >= 0 {
            let count = read(output, &chunk, chunk.count)
            guard count > 0 else {
                if Self.isOver(count, &output) { return }
                continue
            }
            guard verdict == nil else { continue }
            if received.count + count > limits.outputBytesMax {
                condemn(.outputTooLarge)
            } else {
                received += chunk[..<count]
            }
        }
    }

    private mutating func listenToError() {
        while error >= 0 {
            let count = read(error, &chunk, chunk.count)
            guard count > 0 else {
                if Self.isOver(count, &error) { return }
                continue
            }
            complaint += chunk[..<count]
            if complaint.count > Self.errorTextMax { complaint.removeFirst(complaint.count - Self.errorTextMax) }
        }
    }

    /// Whether there is nothing (more) to be read now; closes a descriptor at its end.
    private static func isOver(_ count: Int, _ descriptor: inout Int32) -> Bool {
        if count < 0 && errno == EINTR { return false }
        if count == 0 || errno != EAGAIN {
            close(descriptor)
            descriptor = -1
        }
        return true
    }

    /// Milliseconds until the deadline, rounded up, at most an hour.
    static func pollTime(until deadline: ContinuousClock.Instant) -> Int32 {
        let left = ContinuousClock.now.duration(to: deadline)
        guard left > .zero else { return 0 }
        return Int32(min(left / .milliseconds(1), 3_600_000).rounded(.up))
    }
}
