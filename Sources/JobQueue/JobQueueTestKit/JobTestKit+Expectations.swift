import JobQueue

extension JobTestKit {
    /// The parameters of every job of this kind that was put on a queue, in order; what cannot be read as `P` is left out.
    public func enqueued<P: JobParameters>(_ type: P.Type) -> [P] {
        queues.jobs.filter { $0.kind == P.kind }.compactMap { try? $0.parameters(as: P.self) }
    }

    /// Expects that a job of this kind was put on a queue, by whoever.
    /// - Parameters:
    ///   - count: exactly so many; at least one when nil.
    ///   - matches: counts only those for which it is true.
    public func expectEnqueued<P: JobParameters>(_ type: P.Type, count: Int? = nil, where matches: (P) throws -> Bool = { _ in true }) throws {
        let found = try enqueued(type).filter(matches).count
        guard count.map({ found == $0 }) ?? (found > 0) else {
            let jobs = queues.jobs
            throw JobExpectationFailure(
                "expected \(count.map(String.init) ?? "a") job of \(P.kind), found \(found); enqueued were: "
                    + (jobs.isEmpty ? "none" : jobs.map(\.description).joined(separator: "\n")))
        }
    }

    /// Expects that no job of this kind was put on a queue.
    public func expectNotEnqueued<P: JobParameters>(_ type: P.Type, where matches: (P) throws -> Bool = { _ in true }) throws {
        try expectEnqueued(type, count: 0, where: matches)
    }

    /// Expects that nothing is buried on the queues of the registered kinds, or names what is.
    public func expectNothingDead(on queue: String) async throws {
        let dead = try await queues.dead(on: queue)
        guard dead.isEmpty else {
            throw JobExpectationFailure("buried on \(queue): " + dead.map(\.record.description).joined(separator: "\n"))
        }
    }

    /// Does a job, delivers the same job again, and expects that the second delivery left no trace: every effect outside has the result that
    /// it had, none was begun or taken over anew, and no further job was put on a queue.
    /// - Parameter limit: how far the clock may be turned for each delivery, see ``drain(turning:)``.
    /// - Returns: the effects outside, the latest first.
    @discardableResult
    public func runTwice<P: JobParameters>(_ parameters: P, payment: String? = nil, turning limit: Duration = .zero) async throws -> [EffectRecord] {
        let job = try JobEnvelope(testing: parameters, payment: payment, nowMs: clock.nowMs)
        let all = EffectFilter(limit: Int(Int32.max))
        try await push(job)
        try await drain(turning: limit)
        let once = try await effects.list(all)
        let put = queues.jobs.count
        try await push(job)
        try await drain(turning: limit)
        let twice = try await effects.list(all)
        guard once == twice else {
            throw JobExpectationFailure("\(P.kind) delivered twice has other effects outside than run once:\n  \(twice)\nthan\n  \(once)")
        }
        let more = queues.jobs.dropFirst(put + 1)
        guard more.isEmpty else {
            throw JobExpectationFailure(
                "\(P.kind) delivered twice put more jobs on queues: " + more.map(\.description).joined(separator: "\n"))
        }
        return twice
    }

    /// Expects that a job leaves the same effects however it is delivered: once, twice, and with its worker killed after each step that
    /// it passes, those of its effects outside among them, and the job redelivered. At-least-once delivery asks this of every handler; this is how one shows it.
    ///
    /// - Parameters:
    ///   - parameters: of the job.
    ///   - payment: of the job, where its kind wants one.
    ///   - world: makes the surroundings of one try, such as an empty database. The code under test is given them.
    ///   - store: where the effects outside are recorded; in memory unless given.
    ///   - effects: what the tries are compared by.
    ///   - register: tells a fresh process of one try what it can do.
    /// - Returns: the steps that one undisturbed run passes.
    @discardableResult
    public static func expectSameEffects<P: JobParameters, World: Sendable, Effects: Equatable>(
        of parameters: P, payment: String? = nil, in world: () async throws -> World,
        store: (World) -> any EffectStore = { _ in InMemoryEffects() }, effects: (World) async throws -> Effects,
        register: @escaping @Sendable (JobService, World) -> Void
    ) async throws -> [String] {
        func run(_ deliveries: Int, crashAfter step: Int?) async throws -> (effects: Effects, steps: [String]) {
            let surroundings = try await world()
            let kit = JobTestKit(effects: store(surroundings)) { jobs in register(jobs, surroundings) }
            let job = try JobEnvelope(testing: parameters, payment: payment, nowMs: kit.clock.nowMs)
            do {
                if let step { kit.crashAfter(step: .number(step)) }
                for _ in 0..<deliveries {
                    try await kit.push(job)
                    try await kit.drain(turning: .seconds(24 * 3600))
                }
                if let step, kit.crashes == 0 { throw JobExpectationFailure("step \(step) was not passed a second time") }
            } catch {
                await kit.shutDown()
                throw error
            }
            let seen = try await effects(surroundings)
            let steps = kit.passedSteps
            await kit.shutDown()
            return (seen, steps)
        }
        let once = try await run(1, crashAfter: nil)
        func check(_ found: Effects, _ how: String) throws {
            guard found != once.effects else { return }
            throw JobExpectationFailure("\(P.kind) \(how) has other effects than run once:\n  \(found)\nthan\n  \(once.effects)")
        }
        try check(try await run(2, crashAfter: nil).effects, "delivered twice")
        for (index, step) in once.steps.enumerated() {
            try check(try await run(1, crashAfter: index + 1).effects, "killed after step \(index + 1), \(step), and delivered again,")
        }
        return once.steps
    }
}
