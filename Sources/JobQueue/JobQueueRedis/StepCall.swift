import JobQueue
import RedisClient

/// The step script's call and its reply.
struct StepCall {
    private var acks: [ClaimToken] = []
    private var forgotten: [String] = []
    private var retries: [(token: ClaimToken, delay: Duration, body: [UInt8], history: HistoryEntry?)] = []
    private var burials: [(token: ClaimToken, record: DeadRecord, history: HistoryEntry?, flow: JobFlow?)] = []
    private var returns: [ClaimToken] = []
    private var ends: [(token: ClaimToken, flow: JobFlow)] = []
    private var parks: [(token: ClaimToken, kind: String)] = []
    private var endings: [(token: ClaimToken, ending: JobEnding)] = []

    init(_ operations: [StepOperation]) {
        for operation in operations {
            switch operation {
            case .ack(let token, let job, let flow, let ending):
                if let flow { ends.append((token, flow)) } else { acks.append(token) }
                if let job { forgotten.append(job) }
                if let ending { endings.append((token, ending)) }
            case .retry(let token, let delay, let body, let history): retries.append((token, delay, body, history))
            case .bury(let token, let record, let history, let flow, let ending):
                burials.append((token, record, history, flow))
                if let ending { endings.append((token, ending)) }
            case .park(let token, let kind): parks.append((token, kind))
            case .giveBack(let token): returns.append(token)
            }
        }
    }

    /// - Parameter heard: the number of the last cancellation that the worker has heard of.
    func call(worker: String, keys: QueueKeys, claimMax: Int, firstToken: ClaimToken, heard: Int64) -> RedisScriptCall {
        var named = [
            keys.ready, keys.inflight(worker), keys.woken(worker), keys.leases, keys.delayed, keys.dead, keys.history, keys.redeliveries,
            keys.control, keys.unique, keys.waiting, keys.inhand, keys.cancels,
        ]
        var places: [String: Int] = [:]
        func place(_ first: String, _ more: String...) {
            guard places[first] == nil else { return }
            places[first] = named.count + 1
            named.append(first)
            named += more
        }
        for slots in ends.compactMap({ $0.flow.slots }) + burials.compactMap({ $0.flow?.slots }) {
            place(keys.slots(slots.key), keys.waiting(slots.key))
        }
        for park in parks { place(keys.parked(park.kind)) }
        for ending in endings { place(keys.report(ending.ending.job)) }

        var call = RedisScriptCall(QueueScripts.step, keys: named)
        call.append(worker)
        call.append(QueueLimits.lease.wholeMilliseconds)
        call.append(claimMax)
        call.append(String(firstToken))
        call.append(QueueLimits.claimBytesMax)
        call.append(QueueLimits.historyMax)
        call.append(heard)

        call.append(endings.count)
        for (token, ending) in endings {
            call.append(String(token))
            call.append(ending.job)
            call.append(places[keys.report(ending.job)] ?? 0)
            call.append(ending.kept.wholeMilliseconds)
            call.append(ending.state.rawValue)
            call.append(ending.reason ?? "")
            call.append(ending.result ?? [])
            call.append(ending.entry?.bytes ?? [])
        }
        call.append(acks.count)
        for token in acks { call.append(String(token)) }
        call.append(forgotten.count)
        for job in forgotten { call.append(job) }
        call.append(retries.count)
        for retry in retries {
            call.append(String(retry.token))
            call.append(retry.delay.wholeMilliseconds)
            call.append(retry.body)
            Self.append(retry.history, to: &call)
        }
        call.append(burials.count)
        for burial in burials {
            call.append(String(burial.token))
            call.append(burial.record.bytes)
            Self.append(burial.history, to: &call)
            append(burial.flow)
        }
        call.append(returns.count)
        for token in returns.sorted(by: >) { call.append(String(token)) }
        call.append(ends.count)
        for end in ends {
            call.append(String(end.token))
            append(end.flow)
        }
        call.append(parks.count)
        for park in parks.sorted(by: { $0.token < $1.token }) {
            call.append(String(park.token))
            call.append(QueueKeys.control(ofKind: park.kind))
            call.append(places[keys.parked(park.kind)] ?? 0)
        }
        return call

        func append(_ flow: JobFlow?) {
            call.append(flow?.job ?? "")
            call.append(flow?.unique ?? "")
            call.append(flow?.slots?.key ?? "")
            call.append(flow?.slots.flatMap { places[keys.slots($0.key)] } ?? 0)
            call.append(flow?.slots?.max ?? 0)
        }
    }

    private static func append(_ entry: HistoryEntry?, to call: inout RedisScriptCall) {
        call.append(entry?.job ?? "")
        call.append(entry?.bytes ?? [])
    }

    static func result(_ reply: RedisValue, firstToken: ClaimToken) throws(QueueDriverError) -> StepResult {
        var result = StepResult()
        guard let parts = reply.array, let word = parts.first?.string, parts.count >= 2, let nowMs = parts[1].int else { throw .unexpected("step") }
        result.nowMs = nowMs
        if word == "FENCED" {
            result.fenced = true
            return result
        }
        guard word == "OK", parts.count == 11, let stale = parts[2].int, let depth = parts[3].int, let nextDueMs = parts[4].int,
            let bodies = parts[5].array, let counts = parts[6].array, let held = parts[7].int, let kinds = parts[8].array, let heard = parts[9].int,
            let cancelled = parts[10].array
        else { throw .unexpected("step") }
        result.staleTokens = Int(stale)
        result.readyDepth = Int(depth)
        result.nextDueMs = nextDueMs < 0 ? nil : nextDueMs
        result.isHeld = held == 1
        result.lastCancel = heard
        if !cancelled.isEmpty { result.cancelled = cancelled.compactMap(\.string) }
        if !kinds.isEmpty { result.pausedKinds = Set(kinds.compactMap(\.string)) }
        result.claimed.reserveCapacity(bodies.count)
        for (index, value) in bodies.enumerated() {
            guard let body = value.bytes else { throw .unexpected("step") }
            let redeliveries = index < counts.count ? counts[index].int ?? 0 : 0
            result.claimed.append(ClaimedJob(token: firstToken + UInt64(index), body: body, redeliveries: Int(redeliveries)))
        }
        return result
    }
}

extension QueueDriverError {
    /// The server answered what the script cannot have said.
    static func unexpected(_ script: String) -> QueueDriverError {
        QueueDriverError(.invalid, "redis answered something unexpected to \(script)", mayHaveHappened: true)
    }

    init(_ error: RedisError) {
        let code: Code
        switch error.kind {
        case .connection, .timeout, .protocolError, .overloaded, .cancelled, .closed: code = .unavailable
        case .unsupported: code = .invalid
        case .tls: code = .refused
        case .server(let word):
            switch word {
            case "OOM", "READONLY", "MISCONF", "NOAUTH", "WRONGPASS", "NOPERM": code = .refused
            default: code = error.isTransient ? .unavailable : .invalid
            }
        }
        self.init(code, error.description, mayHaveHappened: error.mayHaveBeenExecuted)
    }
}
