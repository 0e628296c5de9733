import Testing

/// One story of a team from 31 January 2026, 10:00 UTC on, with the messages that each look at the periods must send.
struct PlanSituation: Sendable, CustomTestStringConvertible {
    enum Step: Sendable {
        /// This moment, UTC.
        case at(String)
        /// Pays for Pro, and has it: the customer is told.
        case buy
        /// Pays, and worker-plans has not come by yet.
        case pay
        /// worker-plans comes by.
        case activate
        /// All the money of a payment goes back, or a part of it, or by the customer's bank.
        case refund(Int)
        case refundPart(Int)
        case chargeBack(Int)
        /// The money of a payment comes by its other attempt.
        case payAgain(Int)
        /// Free is wanted at the end, or no longer.
        case plan
        case keep
        /// A subscription that nobody has paid.
        case free(until: String)
        /// A tick; it must send exactly these.
        case look([String])
        /// The same without a tick.
        case told([String])
        /// The status, the plan that counts, and the period's end.
        case stands(String)
        case moves([String])
    }

    let name: String
    let steps: [Step]
    init(_ name: String, _ steps: Step...) {
        self.name = name
        self.steps = steps
    }
    var testDescription: String { name }
}

extension PlanSituation {
    private static let february = "2026-02-28T10:00:00.000Z"
    private static let march = "2026-03-31T10:00:00.000Z"

    static let all: [PlanSituation] = [
        PlanSituation(
            "reminded a week and a day before, then the days of grace, then Free, each to the millisecond",
            .buy, .stands("active Pro \(february)"), .look([]), .at("2026-02-21T09:59:59.999Z"), .look([]), .at("2026-02-21T10:00:00Z"),
            .look(["renewal"]), .look([]), .at("2026-02-27T09:59:59.999Z"), .look([]), .at("2026-02-27T10:00:00Z"), .look(["renewal"]), .look([]),
            .at("2026-02-28T09:59:59.999Z"), .look([]), .stands("active Pro \(february)"), .at(february), .look(["grace"]), .look([]),
            .stands("grace Pro \(february)"), .at("2026-03-07T09:59:59.999Z"), .look([]), .stands("grace Pro \(february)"),
            .at("2026-03-07T10:00:00Z"), .look(["ended"]), .look([]), .stands("ended Free \(february)"), .moves(["bought", "grace", "ended"])),
        PlanSituation(
            "paid early: the next period begins where this one ends, and is reminded of in its turn", .buy, .at("2026-02-10T00:00:00Z"), .buy,
            .stands("active Pro \(march)"), .at("2026-02-21T10:00:00Z"), .look([]), .at(february), .look([]), .at("2026-03-24T10:00:00Z"),
            .look(["renewal"]), .moves(["bought", "renewed"])),
        PlanSituation(
            "paid in the grace: no day is given away", .buy, .at("2026-03-03T00:00:00Z"), .look(["grace"]), .buy, .stands("active Pro \(march)"),
            .look([]), .at("2026-03-24T10:00:00Z"), .look(["renewal"]), .moves(["bought", "grace", "renewed"])),
        PlanSituation(
            "paid in the grace before any look", .buy, .at("2026-03-07T09:59:59.999Z"), .buy, .stands("active Pro \(march)"), .look([]),
            .moves(["bought", "grace", "renewed"])),
        PlanSituation(
            "paid after the grace: a new start", .buy, .at("2026-03-08T12:00:00Z"), .look(["ended"]), .buy,
            .stands("active Pro 2026-04-08T12:00:00.000Z"), .moves(["bought", "grace", "ended", "bought"])),
        PlanSituation(
            "paid after the grace before any look: a new start too, and nobody is told of an end", .buy, .at("2026-03-07T10:00:00Z"), .buy,
            .stands("active Pro 2026-04-07T10:00:00.000Z"), .look([]), .moves(["bought", "grace", "ended", "bought"])),
        PlanSituation(
            "the 31st comes back: February, March, April", .buy, .stands("active Pro \(february)"), .buy, .stands("active Pro \(march)"), .buy,
            .stands("active Pro 2026-04-30T10:00:00.000Z")),
        PlanSituation("a jump over both reminders sends one", .buy, .at("2026-02-27T22:00:00Z"), .look(["renewal"]), .look([])),
        PlanSituation(
            "ten days without a scheduler: one message, the last", .buy, .at("2026-03-10T00:00:00Z"), .look(["ended"]), .look([]),
            .moves(["bought", "grace", "ended"])),
        PlanSituation(
            "Free at the period's end: no reminder, and no grace", .buy, .plan, .at("2026-02-21T10:00:00Z"), .look([]),
            .at("2026-02-28T09:59:59.999Z"), .look([]), .stands("active Pro \(february)"), .at(february), .look(["ended"]),
            .stands("ended Free \(february)"), .look([]), .moves(["bought", "planned", "downgraded"])),
        PlanSituation(
            "Free at the period's end, taken back", .buy, .plan, .plan, .at("2026-02-21T10:00:00Z"), .look([]), .keep, .look(["renewal"]),
            .at(february),
            .look(["grace"]), .moves(["bought", "planned", "kept", "grace"])),
        PlanSituation(
            "a payment beats what was planned", .buy, .plan, .at("2026-02-20T00:00:00Z"), .buy, .at("2026-03-24T10:00:00Z"), .look(["renewal"]),
            .at(march), .look(["grace"]), .moves(["bought", "planned", "renewed", "grace"])),
        PlanSituation(
            "Free wanted in the grace", .buy, .at("2026-03-01T00:00:00Z"), .look(["grace"]), .plan, .look(["ended"]),
            .stands("ended Free \(february)")),
        PlanSituation(
            "ended as it was wanted, and bought three days later: those days are not paid for", .buy, .plan, .at("2026-03-03T10:00:00Z"), .buy,
            .stands("active Pro 2026-04-03T10:00:00.000Z"), .moves(["bought", "planned", "downgraded", "bought"])),
        PlanSituation(
            "what nobody has paid ends in silence", .free(until: "2026-02-10T00:00:00Z"), .at("2026-02-09T00:00:00Z"), .look([]),
            .at("2026-02-10T00:00:00Z"), .look([]), .stands("ended Free 2026-02-10T00:00:00.000Z"), .moves(["ended"])),

        // Money that goes back.
        PlanSituation(
            "the only payment refunded: the plan ends at once", .buy, .at("2026-02-03T00:00:00Z"), .refund(1), .told(["ended"]),
            .stands("ended Free 2026-02-03T00:00:00.000Z"), .look([]), .at(february), .look([]), .moves(["bought", "taken_back"])),
        PlanSituation(
            "the only payment charged back", .buy, .at("2026-02-03T00:00:00Z"), .chargeBack(1), .told(["ended"]),
            .stands("ended Free 2026-02-03T00:00:00.000Z"), .chargeBack(1), .refund(1), .told([]), .moves(["bought", "taken_back"])),
        PlanSituation(
            "a part of the money takes nothing", .buy, .refundPart(1), .told([]), .stands("active Pro \(february)"), .refund(1), .told(["ended"])),
        PlanSituation(
            "the second of two payments refunded: what the first has bought is left", .buy, .at("2026-02-10T00:00:00Z"), .buy, .refund(2),
            .told([]), .stands("active Pro \(february)"), .at("2026-02-21T10:00:00Z"), .look(["renewal"]),
            .moves(["bought", "renewed", "taken_back"])),
        PlanSituation(
            "the first of two payments refunded: the second counts from when it was paid", .buy, .at("2026-02-10T08:00:00Z"), .buy, .refund(1),
            .stands("active Pro 2026-03-10T08:00:00.000Z")),
        PlanSituation(
            "the middle of three payments charged back", .buy, .buy, .buy, .stands("active Pro 2026-04-30T10:00:00.000Z"), .chargeBack(2),
            .stands("active Pro \(march)")),
        PlanSituation(
            "refunded back into a grace that was told of", .buy, .at("2026-03-02T00:00:00Z"), .look(["grace"]), .buy, .at("2026-03-05T00:00:00Z"),
            .refund(2), .told(["grace"]), .look([]), .stands("grace Pro \(february)"), .at("2026-03-07T10:00:00Z"), .look(["ended"])),
        PlanSituation(
            "refunded back into a grace, and paid once more: the end of that is told of too", .buy, .at("2026-03-02T00:00:00Z"), .look(["grace"]),
            .buy, .refund(2), .told(["grace"]), .buy, .stands("active Pro \(march)"), .at(march), .look(["grace"])),
        PlanSituation(
            "refunded back beyond the grace", .buy, .at("2026-03-02T00:00:00Z"), .look(["grace"]), .buy, .at("2026-03-15T00:00:00Z"), .refund(2),
            .told(["ended"]), .stands("ended Free \(february)"), .look([]), .moves(["bought", "grace", "renewed", "taken_back"])),
        PlanSituation(
            "refunded back to what had ended and was told of: told once more, as the plan is lost once more", .buy, .at("2026-03-10T00:00:00Z"),
            .look(["ended"]), .buy, .at("2026-03-15T00:00:00Z"), .refund(2), .told(["ended"]), .stands("ended Free \(february)"), .look([]),
            .moves(["bought", "grace", "ended", "bought", "taken_back"])),
        PlanSituation(
            "refunded back to what had ended as it was wanted: that has no grace now either", .buy, .plan, .at("2026-03-01T00:00:00Z"),
            .look(["ended"]), .at("2026-03-03T10:00:00Z"), .buy, .refund(2), .told(["ended"]), .stands("ended Free \(february)"), .look([])),
        PlanSituation(
            "the first payment after an end refunded: the next does not reach back over it, and says so to who was not told yet", .buy, .plan,
            .at("2026-03-01T00:00:00Z"),
            .look(["ended"]), .at("2026-03-03T10:00:00Z"), .buy, .at("2026-03-05T10:00:00Z"), .buy, .stands("active Pro 2026-05-03T10:00:00.000Z"),
            .refund(2), .told(["confirmed"]), .stands("active Pro 2026-04-05T10:00:00.000Z")),
        PlanSituation(
            "refunded after the end: nothing comes back to life", .buy, .at("2026-03-10T00:00:00Z"), .look(["ended"]), .refund(1), .told([]),
            .stands("ended Free \(february)"), .look([])),
        PlanSituation(
            "an old payment refunded while a later one runs", .buy, .at("2026-03-10T00:00:00Z"), .look(["ended"]), .buy, .refund(1), .told([]),
            .stands("active Pro 2026-04-10T00:00:00.000Z")),
        PlanSituation(
            "what was planned goes with the plan", .buy, .plan, .refund(1), .told(["ended"]), .at("2026-02-02T00:00:00Z"), .buy,
            .at("2026-02-23T00:00:00Z"),
            .look(["renewal"])),
        PlanSituation(
            "refunded before it was activated: it buys nothing", .pay, .refund(1), .activate, .told([]), .stands("none Free"), .moves([])),
        PlanSituation(
            "refunded before it was activated, and paid after all", .pay, .refund(1), .activate, .at("2026-02-05T00:00:00Z"), .payAgain(1), .activate,
            .told(["confirmed"]), .stands("active Pro 2026-03-05T00:00:00.000Z"), .moves(["bought"])),
        PlanSituation(
            "taken back, and paid after all: bought anew from then on", .buy, .refund(1), .told(["ended"]), .at("2026-02-05T00:00:00Z"), .payAgain(1),
            .activate, .told(["confirmed"]), .stands("active Pro 2026-03-05T00:00:00.000Z"), .activate, .told([]),
            .moves(["bought", "taken_back", "bought"])),
        PlanSituation(
            "taken back, and paid after all, with the same end as before: the customer is told again", .buy, .at("2026-03-02T00:00:00Z"),
            .look(["grace"]), .buy, .chargeBack(2), .told(["grace"]), .at("2026-03-03T00:00:00Z"), .payAgain(2), .activate, .told(["confirmed"]),
            .stands("active Pro \(march)")),

        // Payments that are applied late.
        PlanSituation(
            "paid in time and applied long after: neither reminded nor cut off", .buy, .at("2026-02-27T12:00:00Z"), .pay, .look([]),
            .at("2026-03-09T00:00:00Z"), .look([]), .stands("active Pro \(february)"), .activate, .told(["confirmed"]),
            .stands("active Pro \(march)"), .look([]), .moves(["bought", "renewed"])),
        PlanSituation(
            "paid in the grace and applied after it: it goes on from there, and still does when a later payment is taken back", .buy,
            .at("2026-03-06T10:00:00Z"), .look(["grace"]), .pay, .at("2026-03-12T00:00:00Z"), .look([]), .stands("grace Pro \(february)"),
            .activate, .told(["confirmed"]), .stands("active Pro \(march)"), .buy, .stands("active Pro 2026-04-30T10:00:00.000Z"), .refund(3),
            .told([]), .stands("active Pro \(march)"), .moves(["bought", "grace", "renewed", "renewed", "taken_back"])),
        PlanSituation(
            "paid after the grace and applied later: begins when it is applied", .buy, .at("2026-03-08T00:00:00Z"), .pay,
            .at("2026-03-12T00:00:00Z"), .activate, .told(["confirmed"]), .stands("active Pro 2026-04-12T00:00:00.000Z"),
            .moves(["bought", "grace", "ended", "bought"])),
        PlanSituation(
            "a payment that has gone back is not waited for", .buy, .at("2026-03-06T10:00:00Z"), .look(["grace"]), .pay, .refund(2),
            .at("2026-03-07T10:00:00Z"), .look(["ended"]), .activate, .stands("ended Free \(february)")),
    ]
}
