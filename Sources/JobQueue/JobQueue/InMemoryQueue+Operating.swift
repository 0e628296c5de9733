import Formats

/// What operators do with the bodies of a queue in memory.
extension InMemoryQueue {
    /// Where a body stands. None is woken here: a waiting worker is told, and claims.
    private func place(of id: UInt64) -> QueuePlace? {
        switch entries[id]?.state {
        case .ready: return .ready
        case .delayed: return .delayed
        case .claimed: return workers.first { $0.value.held.contains(id) }.map { .claimed(worker: $0.key) }
        case .waiting: return waiting.first { $0.value.contains { $0.id == id } }.map { .waiting(key: $0.key) }
        case .parked: return parked.first { $0.value.contains(id) }.map { .parked(kind: $0.key) }
        default: return nil
        }
    }

    var places: [QueuePlace] {
        workers.keys.sorted().map { .claimed(worker: $0) } + waiting.keys.sorted().map { .waiting(key: $0) }
            + parked.keys.sorted().map { .parked(kind: $0) } + [.delayed, .ready, .moving]
    }

    func standing(in place: QueuePlace, order: StandingOrder) -> [StandingBody] {
        let ids: [UInt64]
        switch place {
        case .ready: ids = order == .next ? ready : ready.reversed()
        case .delayed: ids = order == .next ? delayed : delayed.reversed()
        case .waiting(let key): ids = (waiting[key] ?? []).map(\.id)
        case .parked(let kind): ids = parked[kind] ?? []
        case .claimed(let worker): ids = workers[worker]?.held.sorted() ?? []
        case .woken: ids = []
        case .moving:
            return departures.values.sorted { $0.number < $1.number }.map {
                StandingBody(place: .moving, body: $0.body, dueMs: $0.dueMs, member: Array($0.number.utf8))
            }
        case .dead: return dead.reversed().map { StandingBody(place: .dead, body: $0.body, member: $0.bytes) }
        }
        return ids.compactMap { id in
            guard let entry = entries[id] else { return nil }
            return StandingBody(place: place, body: entry.body, dueMs: entry.dueMs > 0 ? entry.dueMs : nil, member: Array(String(id).utf8))
        }
    }

    /// The entry of what was seen, when it still stands there.
    private func entry(of standing: StandingBody) -> UInt64? {
        guard let id = UInt64(String(decoding: standing.member, as: UTF8.self)), entries[id]?.body == standing.body,
            place(of: id) == standing.place
        else { return nil }
        return id
    }

    /// Takes a body from where it stands, with its keys.
    private mutating func take(_ id: UInt64, _ event: JobLifecycle.Event, nowMs: Int64) {
        let job = entries[id].flatMap { try? JobEnvelope(decoding: $0.body) }
        move(id, event)
        ready.removeAll { $0 == id }
        delayed.removeAll { $0 == id }
        for key in waiting.keys {
            waiting[key]?.removeAll { $0.id == id }
            if waiting[key]?.isEmpty == true { waiting[key] = nil }
        }
        for kind in parked.keys {
            parked[kind]?.removeAll { $0 == id }
            if parked[kind]?.isEmpty == true { parked[kind] = nil }
        }
        entries[id] = nil
        if let flow = job?.flowToEnd { free(flow, nowMs: nowMs) }
    }

    mutating func remove(_ standing: StandingBody, ending: JobEnding?, nowMs: Int64) -> Bool {
        guard let id = entry(of: standing), standing.place.isRemovable else { return false }
        take(id, .remove, nowMs: nowMs)
        if let ending { conclude(ending, nowMs: nowMs) }
        if let job = standing.job?.id {
            history[job] = nil
            cancels[job] = nil
        }
        return true
    }

    mutating func hasten(_ standing: StandingBody) -> Bool {
        guard standing.place == .delayed, let id = entry(of: standing) else { return false }
        move(id, .hasten)
        delayed.removeAll { $0 == id }
        ready.insert(id, at: 0)
        return true
    }

    // MARK: Moves

    mutating func depart(_ standing: StandingBody, from origin: String, to destination: String, nowMs: Int64) -> Departure? {
        guard let id = entry(of: standing), standing.place.isRemovable, let job = standing.job else { return nil }
        take(id, .depart, nowMs: nowMs)
        let departure = Departure(
            number: ULID.make(nowMs: nowMs), origin: origin, destination: destination, job: job.id, body: job.moved(to: destination).encoded(),
            dueMs: standing.dueMs, history: history.removeValue(forKey: job.id) ?? [])
        departures[departure.number] = departure
        return departure
    }

    mutating func arrive(_ departure: Departure, nowMs: Int64) -> Bool {
        guard arrivals.insert("\(departure.origin):\(departure.number)").inserted else { return false }
        put(departure.body, dueMs: departure.dueMs, nowMs: nowMs)
        for entry in departure.history { remember(entry) }
        return true
    }

    // MARK: Marks and reports

    mutating func mark(cancelled job: String, nowMs: Int64) {
        cancels = cancels.filter { $0.value.untilMs > nowMs }
        lastCancel = max(nowMs, lastCancel + 1)
        cancels[job] = (lastCancel, nowMs + InMemoryDriver.cancelsKept.wholeMilliseconds)
    }

    func isMarked(cancelled job: String, nowMs: Int64) -> Bool { cancels[job].map { $0.untilMs > nowMs } ?? false }

    mutating func tell(_ progress: JobProgress, of job: String, nowMs: Int64) {
        var report = self.report(of: job, nowMs: nowMs) ?? JobReport()
        report.ending = nil
        report.progress = progress
        report.progressAtMs = nowMs
        reports[job] = (report, [], nowMs + JobReport.kept.wholeMilliseconds)
    }

    func report(of job: String, nowMs: Int64) -> JobReport? {
        reports[job].flatMap { $0.untilMs > nowMs ? $0.report : nil }
    }

    /// Remembers the end of a job.
    mutating func conclude(_ ending: JobEnding, nowMs: Int64) {
        remember(ending.entry)
        reports = reports.filter { $0.value.untilMs > nowMs }
        var report = reports[ending.job]?.report ?? JobReport()
        report.ending = JobReport.Ended(
            state: ending.state, atMs: nowMs, reason: ending.reason, result: ending.result.flatMap { $0.isEmpty ? nil : $0 })
        reports[ending.job] = (report, history[ending.job] ?? [], nowMs + ending.kept.wholeMilliseconds)
        if ending.state != .dead { history[ending.job] = nil }
        cancels[ending.job] = nil
    }
}

extension QueuePlace {
    /// Whether what stands there is nobody's, so that it can be taken away.
    package var isRemovable: Bool {
        switch self {
        case .ready, .delayed, .waiting, .parked: true
        case .claimed, .woken, .moving, .dead: false
        }
    }
}

extension JobReport {
    /// How long progress is kept after it was last told.
    package static let kept = Duration.seconds(86_400)
}

extension InMemoryDriver {
    public func places() async throws(QueueDriverError) -> [QueuePlace] { change { queue, _ in queue.places } }

    public func standing(
        in place: QueuePlace, order: StandingOrder, from offset: Int, limit: Int, holding text: [UInt8]
    ) async throws(QueueDriverError) -> StandingPage {
        change { queue, _ in
            let all = queue.standing(in: place, order: order)
            let page = all.dropFirst(offset).prefix(limit)
            return StandingPage(
                bodies: page.filter { text.isEmpty || $0.member.contains(text) || $0.body.contains(text) },
                next: offset + page.count < all.count ? offset + page.count : nil)
        }
    }

    public func remove(_ standing: StandingBody, ending: JobEnding?) async throws(QueueDriverError) -> Bool {
        change { queue, now in queue.remove(standing, ending: ending, nowMs: now) }
    }

    public func hasten(_ standing: StandingBody) async throws(QueueDriverError) -> Bool {
        change { queue, _ in queue.hasten(standing) }
    }

    public func mark(cancelled job: String) async throws(QueueDriverError) {
        change { queue, now in queue.mark(cancelled: job, nowMs: now) }
    }

    @discardableResult
    public func unmark(cancelled job: String) async throws(QueueDriverError) -> Bool {
        change { queue, now in
            let isThere = queue.isMarked(cancelled: job, nowMs: now)
            queue.cancels[job] = nil
            return isThere
        }
    }

    public func isMarked(cancelled job: String) async throws(QueueDriverError) -> Bool {
        change { queue, now in queue.isMarked(cancelled: job, nowMs: now) }
    }

    public func depart(_ standing: StandingBody, to destination: String) async throws(QueueDriverError) -> Departure? {
        let origin = queue
        return change { queue, now in queue.depart(standing, from: origin, to: destination, nowMs: now) }
    }

    @discardableResult
    public func arrive(_ departure: Departure) async throws(QueueDriverError) -> Bool {
        change { queue, now in queue.arrive(departure, nowMs: now) }
    }

    public func forget(_ departure: Departure) async throws(QueueDriverError) {
        change { queue, _ in queue.departures[departure.number] = nil }
    }

    @discardableResult
    public func tell(
        _ progress: JobProgress, of job: String, claimed token: ClaimToken, by worker: WorkerIdentity
    ) async throws(QueueDriverError) -> Bool {
        change { queue, now in
            guard queue.workers[worker.description]?.held.contains(token) == true else { return false }
            queue.tell(progress, of: job, nowMs: now)
            return true
        }
    }

    public func report(ofJob id: String) async throws(QueueDriverError) -> JobReport? {
        change { queue, now in queue.report(of: id, nowMs: now) }
    }
}
