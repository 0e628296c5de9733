import Formats

/// Everything that the sandbox knows, in memory: payments, scenarios to come, and what was asked and posted.
actor SandboxBook {
    static let paymentsMax = 100_000
    static let recordsMax = 2000

    private var payments: [String: SandboxPayment] = [:]
    /// Alias → reference; the newest payment of an alias counts, as a retried attempt has the same metadata.
    private var references: [String: String] = [:]
    private var nextScenarios: [Scenario] = []
    private var houseTroubles: [SandboxPayment.House: CallTroubles] = [:]
    /// References of payments with calls that are to go wrong.
    private var troubled: Set<String> = []
    private var textScenarios: [String] = []
    private var calls: [JSON] = []
    private var deliveries: [JSON] = []

    // MARK: Payments

    /// Enters a payment and gives it its scenario: one that was set for the next payment, else its own.
    /// - Returns: the payment, and whether it is new; a reference that is there already keeps its first payment.
    func enter(_ payment: SandboxPayment) throws(SandboxError) -> (payment: SandboxPayment, isNew: Bool) {
        if let known = payments[payment.reference] { return (known, false) }
        guard payments.count < Self.paymentsMax else { throw SandboxError(503, "the sandbox holds \(Self.paymentsMax) payments: restart it") }
        var payment = payment
        if !nextScenarios.isEmpty { payment.scenario = nextScenarios.removeFirst() }
        // It is started now.
        payment.scenario.troubles.failingStarts = 0
        if !payment.scenario.troubles.isEmpty { troubled.insert(payment.reference) }
        payments[payment.reference] = payment
        for alias in payment.aliases { references[alias] = payment.reference }
        return (payment, true)
    }

    /// The payment of any of its names.
    func find(_ name: String) -> SandboxPayment? { references[name].flatMap { payments[$0] } }

    func require(_ name: String) throws(SandboxError) -> SandboxPayment {
        guard let payment = find(name) else { throw SandboxError(404, "no payment has the reference '\(name.prefix(80))'") }
        return payment
    }

    var all: [SandboxPayment] { payments.values.sorted { ($0.createdAtMs, $0.reference) < ($1.createdAtMs, $1.reference) } }

    /// Moves a payment that is not final yet. - Throws: 409 when it is.
    func move(_ name: String, to state: SandboxPayment.State) throws(SandboxError) -> SandboxPayment {
        var payment = try require(name)
        guard !payment.state.isFinal else { throw SandboxError(409, "payment \(payment.reference) is \(payment.state.rawValue) already") }
        payment.state = state
        if state.isFinal { payment.settledAtMs = WallClock.nowMs }
        payments[payment.reference] = payment
        return payment
    }

    func setFault(_ fault: SandboxPayment.Fault?, of name: String) throws(SandboxError) {
        var payment = try require(name)
        payment.fault = fault
        payments[payment.reference] = payment
    }

    func setDetail(_ key: String, _ value: JSON, of name: String) throws(SandboxError) {
        var payment = try require(name)
        payment.details[key] = value
        payments[payment.reference] = payment
    }

    /// Gives a paid payment back, once. - Throws: 409 when it is not paid, or given back already.
    func refund(_ name: String) throws(SandboxError) -> SandboxPayment {
        var payment = try require(name)
        guard payment.state == .paid, payment.refundedAtMs == nil else {
            throw SandboxError(409, "payment \(payment.reference) is \(payment.refundedAtMs == nil ? payment.state.rawValue : "refunded")")
        }
        payment.refundedAtMs = WallClock.nowMs
        payments[payment.reference] = payment
        return payment
    }

    func setScenario(_ scenario: Scenario, of name: String) throws(SandboxError) {
        guard scenario.troubles.failingStarts == 0 else { throw SandboxError(400, "initiate_error is for starts to come, not for a payment") }
        var payment = try require(name)
        payment.scenario = scenario
        payments[payment.reference] = payment
        if scenario.troubles.isEmpty { troubled.remove(payment.reference) } else { troubled.insert(payment.reference) }
    }

    func setNextScenario(_ scenario: Scenario) { nextScenarios.append(scenario) }

    /// Counts a status call. - Returns: whether it is to be answered.
    func countStatusCall(_ name: String) -> Bool {
        guard var payment = find(name) else { return true }
        payment.statusCalls += 1
        let answers = payment.scenario.statusUnavailable <= 0
        if !answers { payment.scenario.statusUnavailable -= 1 }
        payments[payment.reference] = payment
        return answers
    }

    // MARK: Calls that go wrong

    /// Sets what goes wrong with a provider's calls, whichever payment they are about; takes back what was set before.
    func setTroubles(_ troubles: CallTroubles, of house: SandboxPayment.House) { houseTroubles[house] = troubles }

    func troubles(of house: SandboxPayment.House) -> CallTroubles { houseTroubles[house] ?? CallTroubles() }

    /// Takes what a call meets: by what is set for its provider, else for the next start, else for the payment that it names.
    /// - Parameter names: whatever of the call may be a payment's name; read only where some payment has troubles.
    func takeMishap(_ house: SandboxPayment.House, _ purpose: CallPurpose, names: @Sendable () -> [String]) -> Mishap? {
        if let mishap = houseTroubles[house]?.take(purpose) { return mishap }
        if purpose == .start { return takeMishapOfNextStart() }
        guard !troubled.isEmpty else { return nil }
        for name in names() {
            guard var payment = find(name), payment.house == house, let mishap = payment.scenario.troubles.take(purpose) else { continue }
            payments[payment.reference] = payment
            if payment.scenario.troubles.isEmpty { troubled.remove(payment.reference) }
            return mishap
        }
        return nil
    }

    private func takeMishapOfNextStart() -> Mishap? {
        guard !nextScenarios.isEmpty, let mishap = nextScenarios[0].troubles.take(.start) else { return nil }
        // A start that fails enters no payment, which would take the scenario along.
        if mishap == .failure, nextScenarios[0] == Scenario() { nextScenarios.removeFirst() }
        return mishap
    }

    // MARK: Text generation

    func addTextScenarios(_ steps: [String]) { textScenarios += steps }
    func takeTextScenario() -> String? { textScenarios.isEmpty ? nil : textScenarios.removeFirst() }

    // MARK: What was seen

    func record(call: JSON) { Self.append(call, to: &calls) }
    func record(delivery: JSON) { Self.append(delivery, to: &deliveries) }

    func seenCalls(under prefix: String?) -> [JSON] {
        guard let prefix else { return calls }
        return calls.filter { $0["path"]?.string?.hasPrefix(prefix) == true }
    }
    var seenDeliveries: [JSON] { deliveries }

    /// Forgets everything.
    func reset() {
        (payments, references, nextScenarios, textScenarios, calls, deliveries) = ([:], [:], [], [], [], [])
        (houseTroubles, troubled) = ([:], [])
    }

    private static func append(_ record: JSON, to records: inout [JSON]) {
        if records.count >= recordsMax { records.removeFirst(recordsMax / 2) }
        records.append(record)
    }
}
