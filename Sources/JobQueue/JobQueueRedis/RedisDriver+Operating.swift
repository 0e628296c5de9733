import Formats
import JobQueue
import RedisClient
import Telemetry

/// What operators do with the bodies of a queue on Redis.
extension RedisDriver {
    /// A page of a search ends once it has found so much.
    private static let pageBytesMax = 4 << 20

    // MARK: Looking

    public func places() async throws(QueueDriverError) -> [QueuePlace] {
        let replies = try await pipeline([
            RedisCommand("ZRANGE", keys.leases, 0, -1), RedisCommand("HKEYS", keys.waiting), RedisCommand("HKEYS", keys.control),
        ])
        let names = replies.map { ($0.array ?? []).compactMap(\.string) }
        let kinds = Self.control(names[2]).pausedKinds.sorted()
        return names[0].map { .claimed(worker: $0) } + names[0].map { .woken(worker: $0) } + names[1].sorted().map { .waiting(key: $0) }
            + kinds.map { .parked(kind: $0) } + [.delayed, .ready, .moving]
    }

    public func standing(
        in place: QueuePlace, order: StandingOrder, from offset: Int, limit: Int, holding text: [UInt8]
    ) async throws(QueueDriverError) -> StandingPage {
        // From the side on which bodies come, unless the order is asked for.
        let forward: Bool
        switch place {
        case .claimed, .moving, .parked: forward = true
        case .woken: forward = false
        case .waiting, .delayed: forward = order == .next
        case .ready: forward = order == .complete
        case .dead: forward = false
        }
        var call = RedisScriptCall(QueueScripts.find, keys: [key(of: place)])
        call.append(type(of: place))
        call.append(offset)
        call.append(limit)
        call.append(forward ? 1 : 0)
        call.append(text)
        call.append(Self.pageBytesMax)
        let reply = try await run(call)
        guard let seen = reply[0]?.int, let more = reply[1]?.int, let members = reply[2]?.array, let extras = reply[3]?.array,
            members.count == extras.count
        else { throw .unexpected("find") }
        let bodies = zip(members, extras).compactMap { member, extra in member.bytes.flatMap { Self.standing(in: place, $0, extra.string) } }
        return StandingPage(bodies: bodies, next: more == 1 ? offset + Int(seen) : nil)
    }

    private func key(of place: QueuePlace) -> String {
        switch place {
        case .claimed(let worker): keys.inflight(worker)
        case .woken(let worker): keys.woken(worker)
        case .waiting(let key): keys.waiting(key)
        case .parked(let kind): keys.parked(kind)
        case .delayed: keys.delayed
        case .ready: keys.ready
        case .moving: keys.moving
        case .dead: keys.dead
        }
    }

    private func type(of place: QueuePlace) -> String {
        switch place {
        case .claimed, .moving: "hash"
        case .delayed, .dead: "zset"
        case .woken, .waiting, .parked, .ready: "list"
        }
    }

    /// Reads one member of a place; nil for what is none of ours.
    private static func standing(in place: QueuePlace, _ member: [UInt8], _ extra: String?) -> StandingBody? {
        switch place {
        case .delayed:
            return StandingBody(place: place, body: member, dueMs: extra.flatMap { Double($0) }.map { Int64($0) }, member: member)
        case .dead:
            return DeadRecord(bytes: member).map { StandingBody(place: place, body: $0.body, member: member) }
        case .moving:
            return MovingBody(member).map { StandingBody(place: place, body: $0.body, dueMs: $0.dueMs, member: member) }
        case .waiting:
            // <due or 0>:<length of the id>:<id><body>
            let parts = member.split(separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3, let due = Int64(String(decoding: parts[0], as: UTF8.self)),
                let length = Int(String(decoding: parts[1], as: UTF8.self)), (0...parts[2].count).contains(length)
            else { return nil }
            return StandingBody(place: place, body: Array(parts[2].dropFirst(length)), dueMs: due > 0 ? due : nil, member: member)
        default: return StandingBody(place: place, body: member, member: member)
        }
    }

    // MARK: Changing

    public func remove(_ standing: StandingBody, ending: JobEnding?) async throws(QueueDriverError) -> Bool {
        guard standing.place.isRemovable else { return false }
        var call = removal(of: standing, standing.job)
        call.append(ending?.kept.wholeMilliseconds ?? 0)
        call.append(ending?.state.rawValue ?? "")
        call.append(ending?.reason ?? "")
        call.append("")
        call.append("")
        return try await run(call).int == 1
    }

    /// The part that removing and departing have in common.
    func removal(of standing: StandingBody, _ job: JobEnvelope?) -> RedisScriptCall {
        let flow = job?.flowToEnd
        var waitedFor = ""
        if case .waiting(let key) = standing.place { waitedFor = key }
        var call = RedisScriptCall(
            QueueScripts.remove,
            keys: [
                key(of: standing.place), keys.unique, keys.waiting, keys.ready, keys.delayed, keys.slots(flow?.slots?.key ?? ""),
                keys.waiting(flow?.slots?.key ?? ""), keys.report(job?.id ?? ""), keys.history, keys.cancels, keys.moving,
            ])
        call.append(type(of: standing.place))
        call.append(standing.member)
        call.append(job?.id ?? "")
        call.append(flow?.unique ?? "")
        call.append(flow?.slots?.key ?? "")
        call.append(flow?.slots?.max ?? 0)
        call.append(waitedFor)
        return call
    }

    public func hasten(_ standing: StandingBody) async throws(QueueDriverError) -> Bool {
        guard standing.place == .delayed else { return false }
        var call = RedisScriptCall(QueueScripts.hasten, keys: [keys.delayed, keys.ready])
        call.append(standing.member)
        return try await run(call).int == 1
    }

    public func mark(cancelled job: String) async throws(QueueDriverError) { _ = try await run(cancelCall(job, "1")) }

    @discardableResult
    public func unmark(cancelled job: String) async throws(QueueDriverError) -> Bool { try await run(cancelCall(job, "0")).int == 1 }

    private func cancelCall(_ job: String, _ what: String) -> RedisScriptCall {
        RedisScriptCall(
            QueueScripts.cancel, keys: [keys.cancels, keys.control], arguments: [job, Self.cancelsKept.wholeMilliseconds, what])
    }

    public func isMarked(cancelled job: String) async throws(QueueDriverError) -> Bool {
        let answers = try await pipeline([RedisCommand("ZSCORE", keys.cancels, job), RedisCommand("TIME")])
        guard let number = answers[0].string.flatMap({ Double($0) }) else { return false }
        guard let seconds = answers[1][0]?.int else { throw .unexpected("TIME") }
        return Int64(number) > seconds * 1000 - Self.cancelsKept.wholeMilliseconds
    }

    // MARK: Reports

    @discardableResult
    public func tell(
        _ progress: JobProgress, of job: String, claimed token: ClaimToken, by worker: WorkerIdentity
    ) async throws(QueueDriverError) -> Bool {
        var call = RedisScriptCall(QueueScripts.progress, keys: [keys.leases, keys.inflight(worker.description), keys.report(job)])
        call.append(worker.description)
        call.append(String(token))
        call.append(progress.bytes)
        call.append(JobReport.kept.wholeMilliseconds)
        return try await run(call).int == 1
    }

    public func report(ofJob id: String) async throws(QueueDriverError) -> JobReport? {
        let fields = try await pipeline([
            RedisCommand("HMGET", keys.report(id), "progress", "progress_at", "state", "ended_at", "reason", "result")
        ])[0]
        func text(_ place: Int) -> String? { fields[place]?.string.flatMap { $0.isEmpty ? nil : $0 } }
        var report = JobReport(
            progress: fields[0]?.bytes.flatMap { JobProgress(bytes: $0) }, progressAtMs: text(1).flatMap { Int64($0) })
        if let state = text(2).flatMap(JobEnding.State.init(rawValue:)) {
            let result = fields[5]?.bytes ?? []
            report.ending = JobReport.Ended(
                state: state, atMs: text(3).flatMap { Int64($0) } ?? 0, reason: text(4), result: result.isEmpty ? nil : result)
        }
        return report.progress == nil && report.ending == nil ? nil : report
    }
}
