import JobQueue

/// Which claims a worker holds, as this side knows it: a pure value. After a lost reply or a restarted server both sides may differ; the
/// ledger is then compared with the worker's hash in Redis, so that no body can hang in the hands of a worker who does not know of it.
struct ClaimLedger {
    private var claims = ClaimTable<Bool>()
    /// Outcomes that were sent and whose answer never came.
    private var doubtful: Set<ClaimToken> = []
    private var mustCompare = false
    /// The connection that the ledger was last known to be right on.
    private var generation: Int?
    private(set) var isStepping = false
    /// How many steps were begun: tells whether a count asked for earlier may be compared.
    private(set) var steps = 0
    private var mismatches = 0

    var held: Set<ClaimToken> { Set(claims.keys) }

    func needsComparing(generation current: Int) -> Bool { mustCompare || (generation ?? current) != current }

    /// Compares with the tokens that Redis has for the worker.
    /// - Returns: the operations that are still to be told: those that turned out to be done are gone, and claims that nobody here knows
    ///   of are given back.
    mutating func compare(_ actual: Set<ClaimToken>, _ operations: [StepOperation], generation current: Int) -> [StepOperation] {
        let remaining = operations.filter { actual.contains($0.token) || !doubtful.contains($0.token) }
        let held = held
        let unknown = actual.subtracting(held)
        for token in held.subtracting(actual) { claims.remove(token) }
        doubtful = []
        mustCompare = false
        mismatches = 0
        generation = current
        return remaining + unknown.sorted().map { .giveBack($0) }
    }

    mutating func begin() {
        isStepping = true
        steps += 1
    }

    mutating func succeeded(_ operations: [StepOperation], _ result: StepResult, generation current: Int) {
        isStepping = false
        // A reconnect between asking and answering shows itself at the next step.
        if generation == nil { generation = current }
        for operation in operations { claims.remove(operation.token) }
        for job in result.claimed { claims[job.token] = true }
    }

    /// A call between steps may have let a claim go.
    mutating func doubt() { mustCompare = true }

    mutating func failed(_ operations: [StepOperation], mayHaveHappened: Bool) {
        isStepping = false
        guard mayHaveHappened else { return }
        mustCompare = true
        doubtful.formUnion(operations.map(\.token))
    }

    /// A claim was let go between steps.
    mutating func gone(_ token: ClaimToken) { claims.remove(token) }

    /// A count that Redis gave between two steps. One difference may be a late command of a dead connection; two in a row are real.
    /// - Returns: whether a step should follow to set it right.
    mutating func counted(_ count: Int, askedAtStep: Int) -> Bool {
        guard !isStepping, askedAtStep == steps else { return false }
        guard count != claims.count else {
            mismatches = 0
            return false
        }
        mismatches += 1
        guard mismatches >= 2 else { return false }
        mustCompare = true
        return true
    }
}
