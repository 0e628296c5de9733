import Synchronization
import Telemetry

/// A kind, and the version of its parameters, that a worker had a job of and no handler for. The queue keeps its jobs aside as it keeps
/// those of a paused kind, under this name, until a worker comes that knows it.
public struct UnhandledKind: Sendable, Hashable {
    public let kind: String
    /// Of the parameters, from 1; `Int.max` for one that is no version.
    public let version: Int

    public init(kind: String, version: Int) {
        self.kind = kind
        self.version = version
    }

    /// Reads the name under which the jobs are kept aside; nil for that of a kind that an operator has paused.
    public init?(parkedAs name: String) {
        let parts = name.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].first == "?", let version = Int(parts[0].dropFirst()) else { return nil }
        self.init(kind: String(parts[1]), version: version)
    }

    /// The name under which the jobs are kept aside.
    public var parkedAs: String { "?\(version):\(kind)" }
}

extension QueueControl {
    /// Kinds whose jobs wait for a worker that knows them.
    public var unhandledKinds: [UnhandledKind] {
        pausedKinds.compactMap(UnhandledKind.init(parkedAs:)).sorted { ($0.kind, $0.version) < ($1.kind, $1.version) }
    }

    /// Kinds that an operator has paused.
    public var operatorPausedKinds: [String] { pausedKinds.filter { UnhandledKind(parkedAs: $0) == nil }.sorted() }
}

extension JobWorker {
    /// How long a kind that came back from aside is left alone: while a worker that knows it and one that does not share a queue, its
    /// jobs may go aside a few times before they meet the right one.
    static let unparkingPauseMs: Int64 = 1000
    /// A kind that was put aside not longer ago and is not any more was brought back by a worker that knows it.
    static let cameBackWithinMs: Int64 = 5000
    /// Jobs of one claim are put aside side by side.
    static let sideBySideMs: Int64 = 200
    /// Kinds that are kept aside by their names; jobs of others are only put off.
    package static let parkedKindsMax = 100
    static let unnamedDelay = Duration.seconds(60)

    /// Puts aside a job that nobody here can do, no attempt spent. Its kind is made known to all workers first, so that one that can do it
    /// brings it back.
    func park(_ claimed: ClaimedJob, _ job: JobEnvelope) async -> StepOperation {
        let unhandled = UnhandledKind(kind: job.kind, version: job.argsVersion)
        unknownKind.parked.add()
        configuration.log.warning(
            "no handler for this kind and version, job parked",
            ["job": .string(job.id), "kind": .string(job.kind), "version": .int(Int64(clamping: job.argsVersion))])
        if !isPaused(unhandled.parkedAs) {
            let nowMs = configuration.clock.now()
            let cameBack = parkings.withLock { parkings in
                if let parkedMs = parkings[unhandled], nowMs - parkedMs < Self.cameBackWithinMs { return nowMs - parkedMs >= Self.sideBySideMs }
                parkings = parkings.filter { nowMs - $0.value < Self.cameBackWithinMs }
                parkings[unhandled] = nowMs
                return false
            }
            // Somebody knows it: left for him to take, and not put aside for another second.
            if cameBack {
                let delay = Duration.milliseconds(20 + 60 * configuration.random())
                return .retry(claimed.token, delay: delay, body: job.encoded(as: claimed))
            }
            guard canParkAnotherKind else {
                // Every step reads the names: a producer that makes up ever new ones must not make them long.
                return .retry(claimed.token, delay: Self.unnamedDelay, body: job.encoded(as: claimed))
            }
            do {
                try await line.driver.pause(kind: unhandled.parkedAs)
            } catch {
                configuration.log.warning("job could not be parked, put off", ["job": .string(job.id), "error": .string(error.message)])
                return .retry(claimed.token, delay: .seconds(1), body: job.encoded(as: claimed))
            }
        }
        return .park(claimed.token, kind: unhandled.parkedAs)
    }

    /// Brings back jobs that others could not do and this worker can.
    func unpark(_ kinds: Set<String>) {
        let known = kinds.compactMap(UnhandledKind.init(parkedAs:)).filter { unhandled in
            handler(of: unhandled.kind).map { unhandled.version <= $0.schemaVersion } ?? false
        }
        for unhandled in known {
            let isNew = unparkings.withLock { unparkings in
                let isNew = unparkings[unhandled]?.isUnderWay != true
                unparkings[unhandled, default: Unparking()].isWanted = true
                unparkings[unhandled]?.isUnderWay = true
                return isNew
            }
            // Unstructured: the loop of steps does not wait for it.
            if isNew { Task { await self.unpark(unhandled) } }
        }
    }

    /// Until no step has told of the kind any more.
    private func unpark(_ unhandled: UnhandledKind) async {
        while let notBeforeMs = nextUnparking(of: unhandled) {
            do {
                let wait = notBeforeMs - configuration.clock.now()
                if wait > 0 { try await configuration.clock.sleep(.milliseconds(wait)) }
                let jobs = try await line.driver.resume(kind: unhandled.parkedAs)
                configuration.log.info("parked jobs are back", ["kind": .string(unhandled.kind), "jobs": .int(Int64(jobs))])
            } catch {
                configuration.log.warning(
                    "parked jobs could not be brought back", ["kind": .string(unhandled.kind), "error": .string("\(error)")])
            }
            let nextMs = configuration.clock.now() + Self.unparkingPauseMs
            unparkings.withLock { $0[unhandled]?.notBeforeMs = nextMs }
        }
    }

    private func nextUnparking(of unhandled: UnhandledKind) -> Int64? {
        unparkings.withLock { unparkings in
            guard let unparking = unparkings[unhandled], unparking.isWanted, !isStopping else {
                unparkings[unhandled]?.isUnderWay = false
                return nil
            }
            unparkings[unhandled]?.isWanted = false
            return unparking.notBeforeMs
        }
    }
}

/// How far a worker is with bringing back the jobs of one kind.
struct Unparking {
    var isWanted = false
    var isUnderWay = false
    var notBeforeMs: Int64 = 0
}
