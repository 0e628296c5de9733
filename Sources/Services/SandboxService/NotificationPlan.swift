/// The notices of a settled payment, in the order in which they go out. A pure decision: the courier carries it out.
struct NotificationPlan: Sendable, Equatable {
    enum Notice: String, Sendable { case waiting, final }
    struct Step: Sendable, Equatable {
        let notice: Notice
        let delayMs: Int64
    }

    /// Before the payment is settled.
    let early: [Step]
    /// After it.
    let late: [Step]

    init(_ scenario: Scenario) {
        guard !scenario.dropped else {
            (early, late) = ([], [])
            return
        }
        let times = scenario.duplicate ? 2 : 1
        let waiting = Array(repeating: Step(notice: .waiting, delayMs: 0), count: times)
        var final = [Step(notice: .final, delayMs: scenario.delayMs)]
        if scenario.duplicate { final.append(Step(notice: .final, delayMs: 0)) }
        early = scenario.earlyWaiting && !scenario.reordered ? waiting : []
        late = scenario.reordered ? final + waiting : final
    }
}
