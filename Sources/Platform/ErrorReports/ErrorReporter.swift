import EventLoop
import Formats
import HTTPClient
import Synchronization
import Telemetry

/// Sends reports one after the other, on a loop of its own that is made for the first. Handing one in never waits: what the bounded
/// queue cannot take, and what was told a moment ago, is counted instead.
public final class ErrorReporter: Sendable {
    public struct Configuration: Sendable {
        public var address: SentryAddress
        /// `ingest`, `worker-payments.1`
        public var program: String
        public var release: String
        /// `sandbox` or `live`: of reports that are about no payment in particular.
        public var mode: String?
        /// Reports that wait at most.
        public var waitingMax = 100
        /// The same group is told once in this time; the next report says how many were held back.
        public var quiet = Duration.seconds(30)
        public var timeout = Duration.seconds(10)

        public init(address: SentryAddress, program: String, release: String, mode: String? = nil) {
            self.address = address
            self.program = program
            self.release = release
            self.mode = mode
        }
    }

    private struct State {
        var waiting: [SentryEnvelope] = []
        var isSending = false
        var groups: [[String]: (toldAt: ContinuousClock.Instant, held: Int)] = [:]
        /// Not before then: the other side asked for it.
        var pausedUntil: ContinuousClock.Instant?
        var client: HTTPClient?
        var idle: [CheckedContinuation<Void, Never>] = []
    }

    /// Groups remembered; beyond them the oldest are forgotten.
    private static let groupsMax = 500

    private let configuration: Configuration
    private let state = Mutex(State())
    private let sent = ErrorReporter.counter("sent")
    private let failed = ErrorReporter.counter("failed")
    private let dropped = ErrorReporter.counter("dropped")
    private let repeated = ErrorReporter.counter("repeated")

    public init(_ configuration: Configuration) { self.configuration = configuration }

    private static func counter(_ outcome: String) -> Counter {
        MetricRegistry.shared.counter(
            "error_reports_total", help: "Reports of errors, by what became of them.", labels: [("outcome", outcome)])
    }

    public func report(_ report: ErrorReport) {
        let now = ContinuousClock.now
        let starts = state.withLock { state -> Bool in
            var held = 0
            if let known = state.groups[report.group] {
                guard now - known.toldAt >= configuration.quiet else {
                    state.groups[report.group] = (known.toldAt, known.held + 1)
                    repeated.add()
                    return false
                }
                held = known.held
            }
            guard state.waiting.count < configuration.waitingMax, state.pausedUntil.map({ $0 <= now }) ?? true else {
                dropped.add()
                return false
            }
            if state.groups.count >= Self.groupsMax, let oldest = state.groups.min(by: { $0.value.toldAt < $1.value.toldAt }) {
                state.groups[oldest.key] = nil
            }
            state.groups[report.group] = (now, 0)
            state.waiting.append(
                SentryEnvelope(
                    id: Self.makeID(), report: report, repeated: held, atMs: WallClock.nowMs, program: configuration.program,
                    release: configuration.release, mode: configuration.mode))
            guard !state.isSending else { return false }
            state.isSending = true
            return true
        }
        // Unstructured: it ends by itself once nothing waits.
        if starts { Task { await self.drain() } }
    }

    /// Waits until everything handed in is sent or given up, at most `limit`.
    public func flush(within limit: Duration) async {
        let alarm = Task {
            // One that is called off wakes nobody: others may have begun to wait meanwhile.
            do { try await Task.sleep(for: limit) } catch { return }
            self.resumeIdle()
        }
        await withCheckedContinuation { continuation in
            let isIdle = state.withLock { state in
                if state.isSending { state.idle.append(continuation) }
                return !state.isSending
            }
            if isIdle { continuation.resume() }
        }
        alarm.cancel()
    }

    private func resumeIdle() {
        let idle = state.withLock { state in
            defer { state.idle = [] }
            return state.idle
        }
        for continuation in idle { continuation.resume() }
    }

    private func drain() async {
        while let envelope = next() { await send(envelope) }
        resumeIdle()
    }

    private func next() -> SentryEnvelope? {
        state.withLock { state in
            guard !state.waiting.isEmpty else {
                state.isSending = false
                return nil
            }
            return state.waiting.removeFirst()
        }
    }

    private func send(_ envelope: SentryEnvelope) async {
        do {
            let response = try await client().send(
                HTTPClient.Request(
                    method: "POST", url: configuration.address.envelopeURL,
                    headers: [
                        "Content-Type": "application/x-sentry-envelope",
                        "X-Sentry-Auth":
                            "Sentry sentry_version=7, sentry_client=\(configuration.release.replacing("@", with: "/")), "
                            + "sentry_key=\(configuration.address.key)",
                    ], body: envelope.bytes(sentAtMs: WallClock.nowMs), timeout: configuration.timeout))
            if (200...299).contains(response.status) { return sent.add() }
            failed.add()
            if response.status == 429 {
                let seconds = response.headers["retry-after"].flatMap { Int($0) } ?? 60
                state.withLock { $0.pausedUntil = ContinuousClock.now + .seconds(min(max(1, seconds), 3600)) }
            }
        } catch {
            failed.add()
        }
    }

    private func client() throws -> HTTPClient {
        if let known = state.withLock({ $0.client }) { return known }
        let made = HTTPClient(loop: try EventLoop.started(name: "error reports"), connectionsPerHostMax: 1)
        state.withLock { $0.client = made }
        return made
    }

    /// 32 hex digits.
    private static func makeID() -> String {
        Hex.encode((0..<2).flatMap { _ in withUnsafeBytes(of: UInt64.random(in: .min ... .max)) { Array($0) } })
    }
}

/// The process-wide reporter: set up once, first thing, where `SENTRY_DSN` is set. Without it reports cost nothing.
public enum ErrorReports {
    private static let current = Mutex<ErrorReporter?>(nil)

    public static func configure(_ reporter: ErrorReporter?) { current.withLock { $0 = reporter } }
    public static var isOn: Bool { current.withLock { $0 != nil } }

    public static func report(_ report: @autoclosure () -> ErrorReport) {
        guard let reporter = current.withLock({ $0 }) else { return }
        reporter.report(report())
    }

    public static func flush(within limit: Duration) async { await current.withLock { $0 }?.flush(within: limit) }
}
