import Telemetry

/// One long-lived part of a program.
public protocol Service: Sendable {
    var name: String { get }
    /// Returns once the part is ready for work. An error ends the program.
    func start() async throws
    /// Finishes what is under way, at the latest at `deadline`, and returns. Never throws: there is nobody left to tell.
    func stop(by deadline: ContinuousClock.Instant) async
}

/// Starts services in order and stops them in reverse, on SIGTERM or SIGINT or when one of them reports a failure.
public struct ServiceGroup: Sendable {
    private let services: [any Service]
    private let grace: Duration
    private let log: Log
    private let ending: AsyncStream<Ending>
    private let end: AsyncStream<Ending>.Continuation

    private enum Ending: Sendable {
        case asked(String)
        case failed(String)
    }

    /// - Parameter grace: time that all services together have to finish, `SHUTDOWN_GRACE`.
    public init(services: [any Service], grace: Duration, log: Log) {
        self.services = services
        self.grace = grace
        self.log = log
        (ending, end) = AsyncStream.makeStream()
    }

    /// Asks the group to stop, as SIGTERM does.
    public func stop(reason: String = "asked to stop") { end.yield(.asked(reason)) }

    /// Ends the program with exit code 1: a service can no longer do its work.
    public func fail(_ reason: String) { end.yield(.failed(reason)) }

    /// Runs until a signal, ``stop(reason:)`` or ``fail(_:)``.
    /// - Returns: the program's exit code: 0 after an asked stop, 1 after a failure.
    public func run() async -> Int32 {
        let signals = ProcessSignals.listen { name in self.end.yield(.asked(name)) }
        defer { signals.forget() }
        var started: [any Service] = []
        for service in services {
            do {
                try await service.start()
                started.append(service)
            } catch {
                log.error("service could not start", ["service": .string(service.name), "error": .string("\(error)")])
                await stop(started)
                return 1
            }
        }
        log.info("started", ["services": .string(services.map(\.name).joined(separator: " "))])
        var exitCode: Int32 = 0
        for await reason in ending {
            switch reason {
            case .asked(let why): log.info("stopping", ["reason": .string(why)])
            case .failed(let why):
                log.error("stopping after a failure", ["reason": .string(why)])
                exitCode = 1
            }
            break
        }
        await stop(started)
        log.info("stopped")
        return exitCode
    }

    private func stop(_ started: [any Service]) async {
        let deadline = ContinuousClock.now.advanced(by: grace)
        for service in started.reversed() { await service.stop(by: deadline) }
    }
}
