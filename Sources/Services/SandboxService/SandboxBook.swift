import Formats

/// Everything that the sandbox knows, in memory: payments, scenarios to come, and what was asked and posted.
actor SandboxBook {
    static let paymentsMax = 100_000
    static let recordsMax = 2000

    private var payments: [String: SandboxPayment] = [:]
    /// Alias → reference; the newest payment of an alias counts, as a retried attempt has the same metadata.
    private var references: [String: String] = [:]
    private var nextScenarios: [Scenario] = []
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
        var payment = try require(name)
        payment.scenario = scenario
        payments[payment.reference] = payment
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
    }

    private static func append(_ record: JSON, to records: inout [JSON]) {
        if records.count >= recordsMax { records.removeFirst(recordsMax / 2) }
        records.append(record)
    }
}
