import Formats

/// How a payment's life deviates from the ordinary: set per payment, for the next one, by the amount or by its metadata.
public struct Scenario: Sendable, Equatable {
    /// Each notice is posted twice.
    public var duplicate = false
    /// A notice that the customer is still at it comes before the final one.
    public var earlyWaiting = false
    /// The final notice comes first, the waiting one after it.
    public var reordered = false
    /// The final notice is held back that long.
    public var delayMs: Int64 = 0
    /// No notice is posted at all.
    public var dropped = false
    /// The provider states another amount than was asked for.
    public var wrongAmount = false
    public var wrongCurrency = false
    /// So many status calls are answered 503.
    public var statusUnavailable: Int64 = 0
    /// What goes wrong with the calls about it.
    var troubles = CallTroubles()

    public static let delayDefaultMs: Int64 = 2000
    public static let delayMaxMs: Int64 = 600_000

    public init() {}

    /// Reads steps: names as they stand in ``names``, with a number behind a colon where one is meaningful: `delayed:500`.
    /// An object of one member does as well: `{"delayed": 500}`.
    public init(steps: [JSON]) throws(SandboxError) {
        for step in steps {
            if let text = step.string {
                try take(text)
            } else if let object = step.object, object.count == 1, let member = object.first, let number = member.value.int {
                try take(member.key, number)
            } else {
                throw SandboxError(400, "a step is a text or an object of one number: \(step.text.prefix(60))")
            }
        }
    }

    /// Reads steps out of one text, separated by commas or blanks.
    public init(text: String) throws(SandboxError) {
        for step in text.split(whereSeparator: { $0 == "," || $0.isWhitespace }) { try take(String(step)) }
    }

    public static let names =
        ["duplicate", "early_waiting", "reordered", "delayed", "dropped", "wrong_amount", "wrong_currency", "status_unavailable"] + CallTroubles.names

    /// The steps as texts, for listings.
    public var steps: [String] {
        var steps: [String] = []
        if duplicate { steps.append("duplicate") }
        if earlyWaiting { steps.append("early_waiting") }
        if reordered { steps.append("reordered") }
        if delayMs > 0 { steps.append("delayed:\(delayMs)") }
        if dropped { steps.append("dropped") }
        if wrongAmount { steps.append("wrong_amount") }
        if wrongCurrency { steps.append("wrong_currency") }
        if statusUnavailable > 0 { steps.append("status_unavailable:\(statusUnavailable)") }
        return steps + troubles.steps
    }

    /// Amounts that carry a scenario in their last three digits, so that a person can choose one at the checkout.
    static func ofAmount(_ amount: String) -> Scenario {
        var scenario = Scenario()
        switch amount.suffix(3) {
        case "905": scenario.wrongAmount = true
        case "910": scenario.duplicate = true
        case "915": scenario.earlyWaiting = true
        case "920": scenario.wrongCurrency = true
        case "925": scenario.dropped = true
        case "930": scenario.reordered = true
        case "935": scenario.delayMs = delayDefaultMs
        case "940": scenario.statusUnavailable = 2
        case "945": scenario.troubles.failures = 2
        case "950": scenario.troubles.unanswered = 1
        case "955": scenario.troubles.slowMs = CallTroubles.slowDefaultMs
        default: break
        }
        return scenario
    }

    private mutating func take(_ step: String) throws(SandboxError) {
        let parts = step.split(separator: ":", maxSplits: 1)
        guard parts.count == 2 else { return try take(step, nil) }
        guard let number = Int64(parts[1]) else { throw SandboxError(400, "step '\(step.prefix(60))': the part behind the colon is no number") }
        try take(String(parts[0]), number)
    }

    private mutating func take(_ name: String, _ number: Int64?) throws(SandboxError) {
        if try troubles.set(name, number) { return }
        switch name {
        case "duplicate": duplicate = true
        case "early_waiting": earlyWaiting = true
        case "reordered": reordered = true
        case "delayed":
            delayMs = number ?? Self.delayDefaultMs
            guard (0...Self.delayMaxMs).contains(delayMs) else { throw SandboxError(400, "delayed takes 0 to \(Self.delayMaxMs) milliseconds") }
        case "dropped": dropped = true
        case "wrong_amount": wrongAmount = true
        case "wrong_currency": wrongCurrency = true
        case "status_unavailable": statusUnavailable = try CallTroubles.count(name, number ?? 2)
        default: throw SandboxError(400, "step '\(name.prefix(60))' is not one of \(Self.names.joined(separator: ", "))")
        }
    }
}

/// A request to the sandbox that cannot be carried out.
public struct SandboxError: Error, Sendable, CustomStringConvertible {
    /// The HTTP status that says so.
    public let status: Int
    public let description: String
    init(_ status: Int, _ description: String) {
        self.status = status
        self.description = description
    }
}
